#pragma once
// Why: a segment is believed only as far as its parent allows: level, first key, number of entries, end of the range
// (FORMAT.md, section 7). Private to client/manifest.

#include <optional>
#include <string_view>
#include <vector>

#include "client/manifest/manifest.h"
#include "client/manifest/segment.h"

namespace holdfast::manifest {

/// What a parent says of a subtree, and what the subtree must keep to.
struct Bounds {
  std::optional<EntryKey> first;         ///< exactly; nullopt for the root
  std::optional<EntryKey> end;           ///< every key is below it; nullopt: no end
  std::optional<std::uint64_t> entries;  ///< nullopt for the root
};

/// Of the subtree under the i-th line of an index that itself keeps to `above`.
Bounds bounds_of(const IndexSegment& index, std::size_t i, const Bounds& above);
/// Could a subtree with these bounds hold something at or below `path`? Never says no wrongly.
bool may_hold(const Bounds& bounds, std::string_view path);
/// Is all that it holds at or below `path`? Never says yes wrongly.
bool lies_below(const Bounds& bounds, std::string_view path);

/// Errors: Corrupt, TooNew. `level`: what the parent demands.
Result<IndexSegment> read_index(const blob::BlobRef& ref, sealing::OpenedBlob opened, std::optional<unsigned> level,
                                const Bounds& bounds);
/// The whole leaf is checked before anything of it is believed; check_entry is left to the caller. Errors: Corrupt, TooNew.
Result<std::vector<DecodedEntry>> read_leaf(const blob::BlobRef& ref, sealing::OpenedBlob opened, const Bounds& bounds);

}  // namespace holdfast::manifest
