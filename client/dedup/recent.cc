#include "client/dedup/recent.h"

namespace holdfast::dedup {

void RecentChunks::add(const Image& image, std::uint32_t bytes, const Place& place) {
  const std::uint32_t at = static_cast<std::uint32_t>(next_);
  next_ = (next_ + 1) % kRecentChunks;
  if (at == ring_.size()) {
    ring_.push_back({image, bytes, place});
  } else {
    const auto old = by_number_.find(number_of(ring_[at].image));
    if (old != by_number_.end() && old->second == at) by_number_.erase(old);
    ring_[at] = {image, bytes, place};
  }
  by_number_[number_of(image)] = at;
}

std::optional<RecentChunks::Place> RecentChunks::find(const Image& image, std::uint32_t bytes,
                                                      std::uint64_t open_group) const {
  const auto found = by_number_.find(number_of(image));
  if (found == by_number_.end()) return std::nullopt;
  const Item& item = ring_[found->second];
  if (item.image != image || item.bytes != bytes || item.place.group + kRecentGroups < open_group) return std::nullopt;
  return item.place;
}

}  // namespace holdfast::dedup
