#pragma once
// Why: one execution of `backup`: a run with its own key. Wires the walk, the local state, chunking, the blob pipeline,
// the manifest and the commit; decides nothing that those modules decide. Nothing is "done" before the server's
// signed receipt has been verified.

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "client/dedup/usage.h"
#include "client/keyring/keyring.h"
#include "client/remote/remote.h"
#include "client/sources/command.h"
#include "client/sources/files.h"
#include "common/fs/file_system.h"

namespace holdfast::backup {

/// What a person watching wants to know; read from other threads while the run goes on.
struct Progress {
  std::atomic<std::uint64_t> entries{0}, files{0}, bytes{0};  ///< seen so far
  std::atomic<std::uint64_t> known_bytes{0}, new_bytes{0};    ///< of file contents: by stat known · read
  std::atomic<bool> committing{false};
};

struct BackupOptions {
  sources::FilesOptions files;  ///< no roots: no such source, if there are commands
  std::vector<sources::CommandOptions> commands;
  std::string state_dir;
  bool full = false;  ///< read every file, trust no local state
  bool wait = false;  ///< for a run that is under way, instead of Locked
  int zstd_level = 3;
  dedup::RewriteLimits rewrite;
  std::size_t seal_threads = 2;
  const std::atomic<bool>* stop = nullptr;  ///< set by a signal: finish the blob, keep what was acked
  Progress* progress = nullptr;
  std::function<void(const sources::Problem&)> on_problem;  ///< as they happen
  std::function<void(const sources::Skipped&)> on_skipped;
  /// Nothing of this source counts; the run goes on with the others.
  std::function<void(const std::string& source, const Error&)> on_source_failed;
};

struct BackupReport {
  SnapshotId snapshot;
  std::uint64_t sequence = 0;
  std::uint64_t entries = 0, files = 0, streams = 0, bytes = 0, known_bytes = 0, read_bytes = 0;
  std::uint64_t matched_bytes = 0;  ///< of those read: found in the base snapshot
  std::uint64_t blobs_sent = 0, blobs_known = 0, raw_bytes_sent = 0, sealed_bytes_sent = 0;
  std::uint64_t wire_sent = 0, wire_received = 0;
  std::uint64_t problems = 0;
  std::vector<std::string> failed_sources;  ///< not empty: the snapshot is incomplete
  std::int64_t lock_not_before_ns = 0;
  std::string plan;
  bool state_lost = false;
  std::string state_note;  ///< why the local state was not used, if it was not
};

/// Every source has a name of its own, fit to be one, and there are not too many. Errors: Usage.
Status check_sources(const BackupOptions& options);

/// Takes the run lock in state_dir (Errors: Locked), then does it all. A source that fails is left out and reported; if all
/// fail there is no snapshot, and the error is the first one's. Errors: as CLI.md names them; Canceled after a
/// stop, when everything acked so far is kept at the server.
Result<BackupReport> run_backup(remote::Remote& remote, const keyring::Keyring& keyring, fs::FileSystem& fs,
                                const Clock& clock, Random& random, const BackupOptions& options);

}  // namespace holdfast::backup
