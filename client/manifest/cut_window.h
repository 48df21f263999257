#pragma once
// Why: where segments end. A segment grows until the next item would make it too large, and then ends behind that item of
// its last part whose keyed hash is the least. So nearly all segments are nearly full, and one item more or less moves
// other ends only when it shifts the window by a lesser hash: seldom, and not for long, since the windows of both versions
// overlap, and from their first common end on they are the same. Private to client/manifest.

#include <cstdint>
#include <functional>
#include <vector>

namespace holdfast::manifest {

/// There are always so many places to choose from, if there are so many at all: else items that are large beside the
/// window would end segments at fixed distances, and one more of them would move all ends behind it.
inline constexpr std::size_t kLeastChoice = 8;

/// How many of the waiting items (at least one waits) the segment takes. `sizes`: of the segment, if it ended behind each
/// of them. Its last part begins at `least`. `odds`: keyed hash of an item.
std::size_t best_end(const std::vector<std::size_t>& sizes, std::size_t least,
                     const std::function<std::uint64_t(std::size_t item)>& odds);

}  // namespace holdfast::manifest
