#pragma once
// Why: a snapshot is accepted only when everything that it reaches is there (STORE.md, commit check). Presence of its
// segments proves nothing: a segment may have outlived what it names. So the new tree is walked down to its blobs,
// except where it meets the pinned base, whose own commit proved everything below. Pure: footers' entries in, ids out.

#include <functional>
#include <optional>
#include <vector>

#include "common/pack/pack.h"
#include "common/snapshot/records.h"

namespace holdfast::tenant {

/// A live, undamaged copy of exactly this blob and run that the client may build on; nullopt when there is none.
using EntryLookup = std::function<Result<std::optional<pack::Entry>>(const blob::BlobRef&)>;

inline constexpr std::size_t kMaxMissing = 1000;   ///< named in one answer
inline constexpr std::size_t kMaxTreeLevels = 64;  ///< manifests have at most 12, extent trees some more

/// May a segment of type `parent` name a blob of type `child`?
bool may_contain(blob::Type parent, blob::Type child);

/// Ids of blobs below `root` that have no copy of the right type; at most kMaxMissing, sorted. Walks the base beside it
/// only where the two differ: time and memory follow the difference, and for segments only.
/// `base_root` must be the root of a live snapshot with nothing damaged. Errors: the lookup's; Limit (depth).
Result<std::vector<BlobId>> find_missing(const snapshot::Root& root, const std::optional<blob::BlobRef>& base_root,
                                         const EntryLookup& lookup);

struct RefHash {
  std::size_t operator()(const blob::BlobRef& ref) const noexcept {
    return std::hash<BlobId>{}(ref.blob) ^ (std::hash<RunId>{}(ref.run) << 1);
  }
};

}  // namespace holdfast::tenant
