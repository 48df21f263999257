#include <algorithm>
#include <numeric>

#include "client/manifest/cut_window.h"
#include "client/manifest/extent_tree.h"
#include "client/manifest/leaf_builder.h"
#include "client/manifest/manifest.h"
#include "client/manifest/segment.h"

namespace holdfast::manifest {
namespace {

// A writer's choice, like where leaves end. A child costs 48 bytes in the clear list, as much again in the footer of the
// pack, and its line; a level costs a padded body, 4 KiB at least. At a hundred thousand entries two levels of about 36 are
// the least of both; at five million there are three or four.
constexpr std::size_t kLeastFanout = 24;
constexpr std::size_t kMostFanout = 48;
/// Beside the key: the child's number and its count.
constexpr std::size_t kLineOverhead = 24;
/// Leaves wait for the others below the same index, but never more than this of them.
constexpr std::size_t kMaxWaitingBytes = 4u << 20;

std::size_t line_bytes(const IndexItem& line) {
  return kLineOverhead + line.first.source.size() + line.first.path.size();
}

}  // namespace

struct ManifestWriter::Impl {
  Impl(const crypto::Key& blob_key, SegmentSink sink)
      : emitter(blob_key, std::move(sink)), cuts(blob_key), leaf(cuts), levels(kMaxDepth) {}

  struct Child {
    IndexItem line;
    EntryKey last;  ///< the last entry below it
  };
  /// The index segment being filled on one level.
  struct Index {
    std::vector<Child> children;
    std::size_t bytes = 0;   ///< never less than its encoding
    std::size_t closed = 0;  ///< segments of this level so far
  };

  Status add(const Entry& entry, const std::optional<Spill>& spill);
  Status add_leaf(LeafBuilder::Leaf ended);
  Status store_waiting();
  Status add_child(unsigned level, Child child);
  std::size_t end_of(unsigned level) const;
  Status close_index(unsigned level, std::size_t count);
  Result<blob::BlobRef> finish();

  SegmentEmitter emitter;
  CutRule cuts;
  LeafBuilder leaf;
  std::size_t leaves = 0;
  std::vector<Draft> waiting;  ///< the newest leaves: the last children of level 1, which do not stand anywhere yet
  std::size_t waiting_bytes = 0;
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
  for (LeafBuilder::Leaf& ended : leaf.add(std::move(item))) HF_TRY_DO(add_leaf(std::move(ended)));
  last = EntryKey{entry.source, entry.path};
  ++entries;
  return {};
}

Status ManifestWriter::Impl::add_leaf(LeafBuilder::Leaf ended) {
  waiting_bytes += ended.draft.plaintext.size() + ended.draft.children.size() * blob::kChildBytes;
  ++leaves;
  HF_TRY_DO(add_child(1, {{std::move(ended.first), ended.entries, {}}, std::move(ended.last)}));
  waiting.push_back(std::move(ended.draft));
  return waiting_bytes > kMaxWaitingBytes ? store_waiting() : Status();
}

Status ManifestWriter::Impl::store_waiting() {
  if (waiting.empty()) return {};
  HF_TRY(const std::vector<blob::BlobRef> refs, emitter.emit(std::move(waiting)));
  waiting.clear();
  waiting_bytes = 0;
  std::vector<Child>& children = levels[1].children;
  const std::size_t first = children.size() - refs.size();
  for (std::size_t i = 0; i < refs.size(); ++i) children[first + i].line.child = refs[i];
  return {};
}

Status ManifestWriter::Impl::add_child(unsigned level, Child child) {
  if (level >= kMaxDepth)
    return Error{Errc::Limit, "a manifest too large for " + std::to_string(kMaxDepth) + " levels"};
  Index& index = levels[level];
  const bool full =
      index.children.size() == kMostFanout || index.bytes + line_bytes(child.line) > kSegmentMaxBytes - kLineOverhead;
  if (full) HF_TRY_DO(close_index(level, end_of(level)));
  index.bytes += line_bytes(child.line);
  index.children.push_back(std::move(child));
  return {};
}

/// How many children the index takes that is full.
std::size_t ManifestWriter::Impl::end_of(unsigned level) const {
  const std::vector<Child>& children = levels[level].children;
  std::vector<std::size_t> counts(children.size());
  std::iota(counts.begin(), counts.end(), 1);
  return best_end(counts, kLeastFanout, [&](std::size_t i) { return cuts.of_key(level, children[i].last.view()); });
}

/// The index takes the first `count` children; the others begin the next one.
Status ManifestWriter::Impl::close_index(unsigned level, std::size_t count) {
  if (level == 1) HF_TRY_DO(store_waiting());
  Index& index = levels[level];
  IndexSegment segment{level, {}};
  Child above;
  std::vector<blob::BlobRef> refs;
  for (std::size_t i = 0; i < count; ++i) {
    IndexItem& line = index.children[i].line;
    index.bytes -= line_bytes(line);
    above.line.entries += line.entries;
    refs.push_back(line.child);
    segment.items.push_back(std::move(line));
  }
  above.line.first = segment.items.front().first;
  above.last = std::move(index.children[count - 1].last);
  index.children.erase(index.children.begin(), index.children.begin() + static_cast<std::ptrdiff_t>(count));
  ++index.closed;
  std::sort(refs.begin(), refs.end());
  const RefTable table(std::move(refs));
  HF_TRY(above.line.child, emitter.emit(Draft{blob::Type::Index, table.refs(), encode_index(segment, table)}));
  return add_child(level + 1, std::move(above));
}

Result<blob::BlobRef> ManifestWriter::Impl::finish() {
  if (!leaf.empty() || leaves == 0) HF_TRY_DO(add_leaf(leaf.end()));
  HF_TRY_DO(store_waiting());
  if (leaves == 1) return levels[1].children.at(0).line.child;
  for (unsigned level = 1; level + 1 < kMaxDepth; ++level) {
    if (!levels[level].children.empty()) HF_TRY_DO(close_index(level, levels[level].children.size()));
    if (levels[level].closed == 1) return levels[level + 1].children.at(0).line.child;
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
