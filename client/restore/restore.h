#pragma once
// Why: puts a snapshot, or part of it, back below a target directory; or reads all of it and writes nothing (verify).
// A restore that is killed, or loses its server, is gone on with by the same command: its plan stays in the target (plan.h).
// A file gets its name only after the digest of the bytes that were written equals the one made when it was read.
// What is damaged is named and left out; everything else is restored.

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "client/restore/archive.h"
#include "client/restore/tree_writer.h"

namespace holdfast::restore {

struct Progress {
  std::atomic<std::uint64_t> entries{0}, bytes{0}, total_entries{0}, total_bytes{0};
};

struct RestoreOptions {
  std::vector<std::string> paths;  ///< absolute; empty: everything
  std::string strip;               ///< absolute; taken off every path; empty or "/": nothing is
  TargetOptions target;
  /// What stands in the target below one of `paths` and is not in the snapshot is removed, once everything is restored.
  /// With dry_run it is only named.
  bool remove_extras = false;
  std::vector<std::string> keep;  ///< remove_extras: what these paths lead to is never removed
  /// remove_extras: nor is what backups leave out, by its path there; nor anything in a directory that holds a marker.
  std::function<bool(const std::string& path, bool is_directory)> left_out;
  std::vector<std::string> markers;
  bool dry_run = false;
  std::size_t threads = 2;
  const std::atomic<bool>* stop = nullptr;
  Progress* progress = nullptr;
  std::function<void(const std::string& path, const Error& error)> on_failure;
  std::function<void(const manifest::Entry& entry)> on_entry;  ///< --dry-run, -v
  std::function<void(const std::string& path)> on_removed;     ///< or would be; a path of this machine
  std::function<void(const std::string& path, const Error& why)> on_not_removed;
  std::function<void()> between_steps;  ///< between any two changes to the target: tests end the process there
};

struct RestoreReport {
  std::uint64_t entries = 0, files = 0, streams = 0;
  std::uint64_t bytes = 0;            ///< of files and streams
  std::uint64_t streams_skipped = 0;  ///< run_restore: they have no place in a tree (stream.h)
  std::uint64_t failed = 0;           ///< entries named through on_failure
  std::optional<Errc> gravest;        ///< Corrupt before anything else
  TargetReport target;
  std::uint64_t blobs_fetched = 0;
  std::uint64_t files_right = 0;        ///< stood in the target with the right bytes: not fetched
  std::uint64_t bytes_not_fetched = 0;  ///< of these
  std::uint64_t removed = 0, not_removed = 0;
  std::uint64_t spared = 0;      ///< extras that backups leave out, and directories with markers
  bool removal_skipped = false;  ///< not everything could be restored: then nothing is removed
  bool resumed = false;          ///< an earlier run of the same command had begun
};

/// Errors: Usage when something that was asked for is not below `strip`, or nothing says where extras may be removed;
/// SourceFailed when they are to be removed after a snapshot that is incomplete or whose run met problems; Locked when another restore to this target runs; NotFound when a path is not in the snapshot, DiskFull, WrongKey, Corrupt (manifest), Canceled; single
/// entries that fail are in the report.
Result<RestoreReport> run_restore(Archive& archive, const SnapshotInfo& snapshot, const RestoreOptions& options);

struct VerifyOptions {
  bool read_data = false;  ///< fetch, open and digest every byte
  std::size_t threads = 2;
  const std::atomic<bool>* stop = nullptr;
  Progress* progress = nullptr;
  std::function<void(const std::string& path, const Error& error)> on_failure;
};
Result<RestoreReport> run_verify(Archive& archive, const SnapshotInfo& snapshot, const VerifyOptions& options);

}  // namespace holdfast::restore
