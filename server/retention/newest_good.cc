#include "server/retention/newest_good.h"

#include <algorithm>

namespace holdfast::retention {

void NewestGood::add(const SourceRow& row) {
  if (!row.good || row.source >= live_.size()) return;
  std::uint64_t& newest = (row.state == SnapshotState::Live ? live_ : locked_)[row.source];
  newest = std::max<std::uint64_t>(newest, std::uint64_t{row.position} + 1);
}

std::optional<std::uint32_t> NewestGood::position_of(std::uint32_t source) const {
  const std::uint64_t newest = live_[source] != 0 ? live_[source] : locked_[source];
  return newest == 0 ? std::nullopt : std::optional(static_cast<std::uint32_t>(newest - 1));
}

std::vector<std::uint32_t> NewestGood::positions() const {
  std::vector<std::uint32_t> out;
  for (std::uint32_t i = 0; i < live_.size(); ++i) {
    if (const std::optional<std::uint32_t> newest = position_of(i)) out.push_back(*newest);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace holdfast::retention
