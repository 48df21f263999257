#pragma once
// Why: which snapshots hold a file, and in which of them it is the same. Every segment is fetched once, however many
// snapshots share it.

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "client/restore/archive.h"

namespace holdfast::reading {

/// One file as it stands in successive snapshots of those that were searched.
struct Finding {
  manifest::Entry entry;            ///< as in the first of them
  std::size_t first = 0, last = 0;  ///< numbers of snapshots, as they were given
};

struct FindOptions {
  std::string pattern;  ///< a GLOB of CLI.md; one that names a directory does not name what is in it
  const std::atomic<bool>* stop = nullptr;
  std::function<void(const Finding& finding)> on_finding;  ///< in the order of source and path, then of the snapshots
};

/// A path that everything a GLOB matches is at or below; "/" when its text does not say.
std::string anchor_of(std::string_view pattern);
/// Same kind, size, content, time and target: what `find` shows as one.
bool is_same_version(const manifest::Entry& a, const manifest::Entry& b);

/// Returns how many findings there were. Errors: Usage for a pattern that cannot match, WrongKey, Corrupt, Canceled.
Result<std::uint64_t> find(restore::Archive& archive, const std::vector<restore::SnapshotInfo>& snapshots,
                           const FindOptions& options);

}  // namespace holdfast::reading
