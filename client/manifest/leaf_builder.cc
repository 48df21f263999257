#include "client/manifest/leaf_builder.h"

#include <algorithm>
#include <iterator>

#include "client/manifest/cut_window.h"
namespace holdfast::manifest {
namespace {

// A writer's choice; readers only know the bounds. A changed file rewrites one leaf and the path above it: that is what a
// small increment costs. Plaintext and clear list together have at most 8 KiB, so the body is padded to 4, 6 or 8 KiB and
// never compressed.
constexpr std::size_t kMost = (8u << 10) - 16;  // 15 bytes stand before the plaintext in a body
// With less to choose from it takes many leaves until both versions of a manifest end one at the same entry again.
constexpr std::size_t kLeast = 9u << 9;
constexpr std::size_t kHeadBytes = 4;  // version, count

std::vector<blob::BlobRef> refs_of(const LeafItem& item) {
  if (item.spill) return {item.spill->root};
  std::vector<blob::BlobRef> out;
  for (const Extent& x : item.entry.extents) {
    if (!x.is_hole() && (out.empty() || out.back() != x.blob)) out.push_back(x.blob);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::size_t count_new(const std::vector<blob::BlobRef>& refs, const std::vector<blob::BlobRef>& before) {
  return static_cast<std::size_t>(std::count_if(refs.begin(), refs.end(), [&](const blob::BlobRef& ref) {
    return !std::binary_search(before.begin(), before.end(), ref);
  }));
}

}  // namespace

/// Blobs are compared with the predecessor's only: what an entry costs must not depend on where its leaf began.
LeafBuilder::Cost LeafBuilder::cost_of(const LeafItem& item, const std::vector<blob::BlobRef>& refs) const {
  const bool spilled = item.spill.has_value();
  Cost cost;
  cost.first = encoded_bytes(item.entry, nullptr, spilled) + blob::kChildBytes * refs.size();
  cost.next = cost.first;
  if (!items_.empty()) {
    cost.next =
        encoded_bytes(item.entry, &items_.back().entry, spilled) + blob::kChildBytes * count_new(refs, last_refs_);
  }
  return cost;
}

bool LeafBuilder::is_full_for(const Cost& cost) const { return !items_.empty() && sizes_.back() + cost.next > kMost; }

std::vector<LeafBuilder::Leaf> LeafBuilder::add(LeafItem item) {
  std::vector<blob::BlobRef> refs = refs_of(item);
  const Cost cost = cost_of(item, refs);
  std::vector<Leaf> ended;
  while (is_full_for(cost)) {
    ended.push_back(
        take(best_end(sizes_, kLeast, [this](std::size_t i) { return cuts_.of_key(0, key_of(items_[i].entry)); })));
  }
  grow(cost);
  costs_.push_back(cost);
  items_.push_back(std::move(item));
  last_refs_ = std::move(refs);
  return ended;
}

void LeafBuilder::grow(const Cost& cost) {
  sizes_.push_back(sizes_.empty() ? kHeadBytes + cost.first : sizes_.back() + cost.next);
}

LeafBuilder::Leaf LeafBuilder::take(std::size_t count) {
  const auto cut = static_cast<std::ptrdiff_t>(count);
  const std::vector<LeafItem> taken(std::make_move_iterator(items_.begin()),
                                    std::make_move_iterator(items_.begin() + cut));
  std::vector<blob::BlobRef> children;
  for (const LeafItem& item : taken) {
    const std::vector<blob::BlobRef> refs = refs_of(item);
    children.insert(children.end(), refs.begin(), refs.end());
  }
  std::sort(children.begin(), children.end());
  children.erase(std::unique(children.begin(), children.end()), children.end());
  const RefTable refs(std::move(children));
  Leaf leaf;
  leaf.draft = {blob::Type::Leaf, refs.refs(), encode_leaf(taken, refs)};
  leaf.entries = count;
  if (count > 0) {
    leaf.first = {taken.front().entry.source, taken.front().entry.path};
    leaf.last = {taken.back().entry.source, taken.back().entry.path};
  }
  items_.erase(items_.begin(), items_.begin() + cut);
  costs_.erase(costs_.begin(), costs_.begin() + cut);
  sizes_.clear();
  for (const Cost& cost : costs_) grow(cost);
  return leaf;
}

}  // namespace holdfast::manifest
