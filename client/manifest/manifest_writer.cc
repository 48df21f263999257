#include <algorithm>
#include <set>

#include "client/manifest/extent_tree.h"
#include "client/manifest/manifest.h"
#include "client/manifest/segment.h"

namespace holdfast::manifest {
namespace {

// Where segments end is a writer's choice; readers only know the bounds. Below the minimum padding would outweigh the
// content (its floor is 16 KiB, which is what the mean shrinks to when compressed); beyond it every entry ends the segment
// with odds in proportion to its size. A changed file rewrites one leaf and the path above it: that is what a small
// increment costs.
constexpr std::uint64_t kMinWeight = 16u << 10;
constexpr std::uint64_t kMeanWeight = kSegmentTargetBytes - kMinWeight;
/// Keeps the tree shallow, however long its keys are: 8^11 leaves.
constexpr std::size_t kMinFanout = 8;
/// What a key costs beside its text: lengths, and in an index the child's number and its count.
constexpr std::size_t kKeyOverhead = 24;

/// What an entry adds to a leaf, judged by itself: the directory in front of its name is mostly shared with its neighbour.
std::uint64_t weight_of(const Entry& entry, std::size_t body) {
  return body + kKeyOverhead + entry.path.size() - entry.path.rfind('/');
}

bool chosen(std::uint64_t hash, std::uint64_t weight) { return hash / (UINT64_MAX / kMeanWeight) < weight; }

std::vector<blob::BlobRef> refs_of(const LeafItem& item) {
  if (item.spill) return {item.spill->root};
  std::vector<blob::BlobRef> out;
  for (const Extent& x : item.entry.extents) {
    if (!x.is_hole()) out.push_back(x.blob);
  }
  return out;
}

}  // namespace

struct ManifestWriter::Impl {
  Impl(const crypto::Key& blob_key, SegmentSink sink)
      : emitter(blob_key, std::move(sink)), cuts(blob_key), levels(kMaxDepth) {}

  /// The leaf being filled.
  struct Leaf {
    std::vector<LeafItem> items;
    std::set<blob::BlobRef> refs;
    std::uint64_t weight = 0;    ///< the same wherever an entry stands: decides about cuts
    std::size_t most_bytes = 0;  ///< never less than its encoding
  };
  /// The index segment being filled on one level.
  struct Index {
    std::vector<IndexItem> items;
    EntryKey last;  ///< the last entry below it
    std::uint64_t entries = 0;
    std::uint64_t weight = 0;
    std::size_t most_bytes = 0;
    std::size_t closed = 0;  ///< segments of this level so far
  };

  Status add(const Entry& entry, const std::optional<Spill>& spill);
  Status close_leaf();
  Status add_child(unsigned level, IndexItem item, EntryKey last);
  Status close_index(unsigned level);
  Result<blob::BlobRef> finish();

  SegmentEmitter emitter;
  CutRule cuts;
  Leaf leaf;
  std::size_t leaves = 0;
  std::vector<Index> levels;  ///< by level; 0 is not used
  EntryKey last;
  std::uint64_t entries = 0;
};

Status ManifestWriter::Impl::add(const Entry& entry, const std::optional<Spill>& spill) {
  HF_TRY_DO(check_entry(entry, spill.has_value()));
  HF_ASSERT(entries == 0 || compare(last.view(), key_of(entry)) == std::strong_ordering::less);
  LeafItem item{entry, spill};
  if (entry.extents.size() > kSpillExtents) {
    item.entry.extents.clear();
    ExtentTree tree(cuts, emitter);
    for (const Extent& extent : entry.extents) HF_TRY_DO(tree.add(extent));
    HF_TRY(item.spill, tree.finish());
  }
  const std::vector<blob::BlobRef> refs = refs_of(item);
  const std::size_t body = body_bytes(item.entry, item.spill.has_value());
  const std::size_t most = body + kKeyOverhead + entry.source.size() + entry.path.size();
  const std::size_t new_refs = static_cast<std::size_t>(
      std::count_if(refs.begin(), refs.end(), [&](const blob::BlobRef& r) { return !leaf.refs.contains(r); }));
  const bool full = leaf.most_bytes + most > kSegmentMaxBytes || leaf.refs.size() + new_refs > blob::kMaxChildren;
  if (full && !leaf.items.empty()) HF_TRY_DO(close_leaf());

  leaf.refs.insert(refs.begin(), refs.end());
  leaf.items.push_back(std::move(item));
  const std::uint64_t weight = weight_of(entry, body);
  leaf.weight += weight;
  leaf.most_bytes += most;
  last = EntryKey{entry.source, entry.path};
  ++entries;
  if (leaf.weight >= kMinWeight && chosen(cuts.of_key(0, last.view()), weight)) return close_leaf();
  return {};
}

Status ManifestWriter::Impl::close_leaf() {
  const RefTable refs(std::vector<blob::BlobRef>(leaf.refs.begin(), leaf.refs.end()));
  IndexItem item;
  HF_TRY(item.child, emitter.emit(blob::Type::Leaf, refs.refs(), encode_leaf(leaf.items, refs)));
  item.entries = leaf.items.size();
  if (!leaf.items.empty()) item.first = EntryKey{leaf.items.front().entry.source, leaf.items.front().entry.path};
  leaf = Leaf{};
  ++leaves;
  return add_child(1, std::move(item), last);
}

Status ManifestWriter::Impl::add_child(unsigned level, IndexItem item, EntryKey last_below) {
  if (level >= kMaxDepth)
    return Error{Errc::Limit, "a manifest too large for " + std::to_string(kMaxDepth) + " levels"};
  const std::size_t bytes = kKeyOverhead + item.first.source.size() + item.first.path.size();
  const Index& filling = levels[level];
  const bool full = filling.most_bytes + bytes > kSegmentMaxBytes || filling.items.size() >= blob::kMaxChildren;
  if (full) HF_TRY_DO(close_index(level));

  Index& index = levels[level];
  index.entries += item.entries;
  index.items.push_back(std::move(item));
  index.last = std::move(last_below);
  index.weight += bytes + blob::kChildBytes;
  index.most_bytes += bytes;
  const bool may_end = index.items.size() >= kMinFanout && index.weight >= kMinWeight;
  if (may_end && chosen(cuts.of_key(level, index.last.view()), bytes + blob::kChildBytes)) return close_index(level);
  return {};
}

Status ManifestWriter::Impl::close_index(unsigned level) {
  Index& index = levels[level];
  std::vector<blob::BlobRef> children;
  for (const IndexItem& item : index.items) children.push_back(item.child);
  std::sort(children.begin(), children.end());
  const RefTable refs(std::move(children));
  IndexSegment segment;
  segment.level = level;
  segment.items = std::move(index.items);
  IndexItem above;
  HF_TRY(above.child, emitter.emit(blob::Type::Index, refs.refs(), encode_index(segment, refs)));
  above.first = segment.items.front().first;
  above.entries = index.entries;
  EntryKey last_below = std::move(index.last);
  const std::size_t closed = index.closed + 1;
  index = Index{};
  index.closed = closed;
  return add_child(level + 1, std::move(above), std::move(last_below));
}

Result<blob::BlobRef> ManifestWriter::Impl::finish() {
  if (!leaf.items.empty() || leaves == 0) HF_TRY_DO(close_leaf());
  if (leaves == 1) return levels[1].items.at(0).child;
  for (unsigned level = 1; level + 1 < kMaxDepth; ++level) {
    if (!levels[level].items.empty()) HF_TRY_DO(close_index(level));
    if (levels[level].closed == 1) return levels[level + 1].items.at(0).child;
  }
  return Error{Errc::Limit, "a manifest too large for " + std::to_string(kMaxDepth) + " levels"};
}

ManifestWriter::ManifestWriter(const crypto::Key& blob_key, SegmentSink sink)
    : impl_(std::make_unique<Impl>(blob_key, std::move(sink))) {}
ManifestWriter::~ManifestWriter() = default;

ExtentListWriter::ExtentListWriter(std::unique_ptr<ExtentTree> tree) : tree_(std::move(tree)) {}
ExtentListWriter::ExtentListWriter(ExtentListWriter&&) noexcept = default;
ExtentListWriter::~ExtentListWriter() = default;
Status ExtentListWriter::add(const Extent& extent) { return tree_->add(extent).context("write the manifest"); }
Result<Spill> ExtentListWriter::finish() { return tree_->finish().context("write the manifest"); }
const std::vector<BlobId>& ExtentListWriter::segments() const { return tree_->segments(); }

ExtentListWriter ManifestWriter::begin_extents() {
  return ExtentListWriter(std::make_unique<ExtentTree>(impl_->cuts, impl_->emitter));
}

Status ManifestWriter::add(const Entry& entry, const std::optional<Spill>& spill) {
  return impl_->add(entry, spill).context("write the manifest");
}

Result<ManifestWriter::Finished> ManifestWriter::finish() {
  HF_TRY(const blob::BlobRef root, impl_->finish().context("write the manifest"));
  return Finished{root, impl_->entries, impl_->emitter.segments(), impl_->emitter.plaintext_bytes()};
}

}  // namespace holdfast::manifest
