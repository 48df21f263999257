#include "server/collect/remains.h"

#include <algorithm>

namespace holdfast::collect {

void DeadBlobs::add(const Marks::Image& image, const PackId& pack, bool segment) {
  const auto [number, fresh] = numbers_.try_emplace(pack, static_cast<std::uint32_t>(packs_.size()));
  if (fresh) packs_.push_back(pack);
  copies_.push_back({image.high, number->second, segment});
}

void DeadBlobs::sort() {
  std::sort(copies_.begin(), copies_.end(), [](const Copy& a, const Copy& b) { return a.half_image < b.half_image; });
}

std::pair<std::vector<DeadBlobs::Copy>::const_iterator, std::vector<DeadBlobs::Copy>::const_iterator> DeadBlobs::find(
    const Marks::Image& image) const {
  struct ByImage {
    bool operator()(const Copy& a, std::uint64_t b) const { return a.half_image < b; }
    bool operator()(std::uint64_t a, const Copy& b) const { return a < b.half_image; }
  };
  return std::equal_range(copies_.begin(), copies_.end(), image.high, ByImage());
}

std::vector<journal::CondemnPayload::Release> in_parts(const journal::CondemnPayload::Release& whole,
                                                       std::size_t most) {
  std::vector<journal::CondemnPayload::Release> parts;
  auto from = whole.packs.begin();
  do {
    const auto to = from + std::min(std::distance(from, whole.packs.end()), static_cast<std::ptrdiff_t>(most));
    parts.push_back({whole.snapshot, {from, to}, to != whole.packs.end()});
    from = to;
  } while (from != whole.packs.end());
  return parts;
}

Result<Remains> find_remains(const Marks& marks, const DeadBlobs& dead, const Marker::Lookup& lookup,
                             const RootRef& root, Random& random) {
  Remains out;
  Marks visited(random, 0);
  std::vector<blob::BlobRef> stack;
  const auto enter = [&](const blob::BlobRef& ref) {
    const Marks::Image image = marks.image(root.space, ref);
    if (marks.contains(image) || !visited.insert(image)) return;
    const auto [first, last] = dead.find(image);
    if (first == last) out.all_found = false;
    for (auto copy = first; copy != last; ++copy) out.packs.insert(dead.pack(*copy));
    if (std::any_of(first, last, [](const DeadBlobs::Copy& copy) { return copy.segment != 0; })) stack.push_back(ref);
  };
  enter(root.root);
  while (!stack.empty()) {
    const blob::BlobRef ref = stack.back();
    stack.pop_back();
    HF_TRY(const std::vector<index::Location> copies, lookup(root.space, ref));
    if (copies.empty()) out.all_found = false;
    for (const index::Location& copy : copies) {
      for (const blob::BlobRef& child : copy.entry.children) enter(child);
    }
  }
  return out;
}

}  // namespace holdfast::collect
