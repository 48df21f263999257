#include "client/manifest/cut_window.h"

#include <algorithm>

#include "common/base/result.h"

namespace holdfast::manifest {

std::size_t best_end(const std::vector<std::size_t>& sizes, std::size_t least,
                     const std::function<std::uint64_t(std::size_t item)>& odds) {
  HF_ASSERT(!sizes.empty());
  const auto last_part = static_cast<std::size_t>(std::lower_bound(sizes.begin(), sizes.end(), least) - sizes.begin());
  const std::size_t first = std::min(last_part, sizes.size() - std::min(sizes.size(), kLeastChoice));
  std::size_t best = first;
  std::uint64_t best_odds = odds(first);
  for (std::size_t i = first + 1; i < sizes.size(); ++i) {
    const std::uint64_t here = odds(i);
    if (here >= best_odds) continue;
    best = i;
    best_odds = here;
  }
  return best + 1;
}

}  // namespace holdfast::manifest
