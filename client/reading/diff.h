#pragma once
// Why: what was added, removed and changed between two snapshots. Segments that both share are not even fetched, so the
// cost goes with the difference, not with the snapshots.

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "client/reading/changes.h"
#include "client/restore/archive.h"

namespace holdfast::reading {

struct DiffOptions {
  std::vector<std::string> paths;  ///< absolute; empty: everything
  const std::atomic<bool>* stop = nullptr;
  std::function<void(const Difference& difference)> on_difference;  ///< in the order of source and path
};

struct DiffReport {
  DifferenceCount count;
  /// The snapshots were made under different keys (a new enrolment lies between them): contents were compared by size.
  bool by_size = false;
};

/// Errors: NotFound when a path is in neither, WrongKey, Corrupt, Canceled.
Result<DiffReport> diff(restore::Archive& archive, const restore::SnapshotInfo& before,
                        const restore::SnapshotInfo& after, const DiffOptions& options);

}  // namespace holdfast::reading
