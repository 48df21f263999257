#pragma once
// Why: is what stands on this machine what the snapshot holds? Walks the live files as a backup does, beside the manifest;
// nothing but the manifest is fetched, contents are compared by their digests.

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "client/reading/changes.h"
#include "client/restore/archive.h"
#include "client/sources/files.h"

namespace holdfast::reading {

/// Counted while it runs.
struct CompareProgress {
  std::atomic<std::uint64_t> entries{0}, bytes{0};
};

struct CompareOptions {
  /// Absolute: compared with all that is below them. Empty: everything that the snapshot holds; then it decides itself
  /// where to look for what is new (find_roots).
  std::vector<std::string> paths;
  std::vector<std::string> known_roots;  ///< what backups take as a rule
  sources::FilesOptions files;           ///< excludes and the rest of the walk; source and roots are not used
  bool read_data = false;                ///< read every file whose size is right and compare its digest
  const std::atomic<bool>* stop = nullptr;
  CompareProgress* progress = nullptr;
  std::function<void(const Difference& difference)> on_difference;  ///< `before`: the snapshot, `after`: the live file
  std::function<void(const sources::Problem& problem)> on_problem;  ///< could not be read, hence not be compared
  std::function<void(const sources::Skipped& skipped)> on_skipped;
};

struct CompareReport {
  DifferenceCount count;
  std::uint64_t entries = 0;     ///< compared
  std::uint64_t read_bytes = 0;  ///< with read_data
  std::uint64_t problems = 0;
  std::uint64_t not_compared = 0;  ///< entries of the snapshot behind a problem
  std::uint64_t left_out = 0;      ///< entries of the snapshot that the walk leaves out today
  /// Directories in which nothing new was looked for, since the snapshot does not say whether all of them was taken.
  std::vector<std::string> not_searched;
};

/// Errors: NotFound when a path is neither there nor in the snapshot, or the snapshot holds no files; WrongKey, Corrupt,
/// Usage (a symbolic link above a path), Canceled.
Result<CompareReport> compare(restore::Archive& archive, const restore::SnapshotInfo& snapshot,
                              const CompareOptions& options);

}  // namespace holdfast::reading
