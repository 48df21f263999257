#include "client/manifest/extent_tree.h"

#include <algorithm>

namespace holdfast::manifest {
namespace {

// A writer's choice, not part of the format: about 1,280 extents a segment, so that a changed row rewrites some 10 KiB
// of extents (and the clear list beside them); the most keeps every segment far below its bounds.
constexpr std::size_t kMinExtents = 256;
constexpr std::uint64_t kExtentOdds = 1024;
constexpr std::size_t kMinItems = 16;
constexpr std::uint64_t kItemOdds = 256;
constexpr std::size_t kMaxItems = 8192;
static_assert(kMaxItems <= blob::kMaxChildren);

RefTable table_of(std::vector<blob::BlobRef> refs) {
  std::sort(refs.begin(), refs.end());
  refs.erase(std::unique(refs.begin(), refs.end()), refs.end());
  return RefTable(std::move(refs));
}

RefTable table_of(const ExtentSegment& segment) {
  std::vector<blob::BlobRef> refs;
  for (const Extent& x : segment.extents) {
    if (!x.is_hole()) refs.push_back(x.blob);
  }
  for (const ExtentItem& item : segment.items) refs.push_back(item.child);
  return table_of(std::move(refs));
}

/// Subtracts what was found from what was promised. Errors: Corrupt when there is more than that.
Status take(std::uint64_t& left, std::uint64_t found) {
  if (found > left) return Error{Errc::Corrupt, "extents are more than was promised above"};
  left -= found;
  return {};
}

struct Promise {
  std::uint64_t extents, bytes;
};

class Walker {
 public:
  Walker(const SegmentOpener& opener, const std::function<Status(const Extent&)>& visit)
      : opener_(opener), visit_(visit) {}

  /// `above`: the level of the segment that refers to this one; nullopt: this is the root, which may have any.
  Status read(const blob::BlobRef& ref, sealing::OpenedBlob opened, std::optional<unsigned> above, Promise promise) {
    const std::string name = "extent segment " + ref.blob.hex();
    HF_TRY(const ExtentSegment segment, decode_extents(opened.raw, std::move(opened.children)).context(name));
    opened = {};
    if (above && segment.level + 1 != *above)
      return Error{Errc::Corrupt, name + ": its level is not one below its parent's"};
    HF_TRY_DO(check_promise(segment, promise).context(name));
    for (const Extent& x : segment.extents) HF_TRY_DO(check_extent(x).context(name));
    for (const Extent& x : segment.extents) HF_TRY_DO(visit_(x));
    std::vector<blob::BlobRef> children;
    for (const ExtentItem& item : segment.items) children.push_back(item.child);
    ReadAhead ahead(opener_, blob::Type::Extents, std::move(children),
                    segment.level == 1 ? extents_pace_ : above_pace_);
    for (const ExtentItem& item : segment.items) {
      HF_TRY(sealing::OpenedBlob child, ahead.next());
      HF_TRY_DO(read(item.child, std::move(child), segment.level, {item.extents, item.bytes}));
    }
    return {};
  }

 private:
  static Status check_promise(const ExtentSegment& segment, Promise left) {
    for (const Extent& x : segment.extents) {
      HF_TRY_DO(take(left.extents, 1));
      HF_TRY_DO(take(left.bytes, x.length));
    }
    for (const ExtentItem& item : segment.items) {
      HF_TRY_DO(take(left.extents, item.extents));
      HF_TRY_DO(take(left.bytes, item.bytes));
    }
    if (left.extents != 0 || left.bytes != 0) return Error{Errc::Corrupt, "extents are fewer than was promised above"};
    return {};
  }

  const SegmentOpener& opener_;
  const std::function<Status(const Extent&)>& visit_;
  Pace extents_pace_{kExtentsAhead, kExtentsAhead};  // who reads a list reads all of it
  Pace above_pace_{1, kIndexesAhead};
};

}  // namespace

Result<std::vector<blob::BlobRef>> SegmentEmitter::emit(std::vector<Draft> drafts) {
  std::vector<Segment> segments;
  std::vector<BlobId> ids;
  for (Draft& draft : drafts) {
    HF_ASSERT(draft.children.size() <= blob::kMaxChildren && draft.plaintext.size() <= blob::kMaxRawBytes);
    ++segments_;
    plaintext_bytes_ += draft.plaintext.size();
    ids.push_back(segment_id(blob_key_, draft.type, draft.children, draft.plaintext));
    segments.push_back({draft.type, ids.back(), std::move(draft.children), std::move(draft.plaintext)});
  }
  HF_TRY(std::vector<blob::BlobRef> refs, sink_(std::move(segments)));
  const bool same = std::equal(refs.begin(), refs.end(), ids.begin(), ids.end(),
                               [](const blob::BlobRef& ref, const BlobId& id) { return ref.blob == id; });
  HF_ASSERT(same);
  return refs;
}

Result<blob::BlobRef> SegmentEmitter::emit(Draft draft) {
  std::vector<Draft> one;
  one.push_back(std::move(draft));
  HF_TRY(const std::vector<blob::BlobRef> refs, emit(std::move(one)));
  return refs.at(0);
}

ExtentTree::ExtentTree(const CutRule& cuts, SegmentEmitter& emitter)
    : cuts_(cuts), emitter_(emitter), levels_(kMaxDepth) {
  for (unsigned i = 0; i < kMaxDepth; ++i) levels_[i].segment.level = i;
}

Status ExtentTree::add(const Extent& extent) {
  Level& level = levels_[0];
  level.segment.extents.push_back(extent);
  level.extents += 1;
  level.bytes += extent.length;
  level.last = extent;
  const std::size_t n = level.segment.extents.size();
  if (++count_ > kMaxEntryExtents)
    return Error{Errc::Limit, "more than " + std::to_string(kMaxEntryExtents) + " extents"};
  if (n >= kMaxItems || (n >= kMinExtents && chosen(0, extent, kExtentOdds))) return close(0);
  return {};
}

Result<Spill> ExtentTree::finish() {
  for (unsigned i = 0; i + 1 < kMaxDepth; ++i) {
    if (levels_[i].extents > 0) HF_TRY_DO(close(i));
    if (levels_[i].closed == 1) return Spill{levels_[i + 1].segment.items.at(0).child, count_};
  }
  return Error{Errc::Limit, "an extent list too long for " + std::to_string(kMaxDepth) + " levels"};
}

/// Holes look all alike: a cut after them would be chosen always or never, so it is never.
bool ExtentTree::chosen(unsigned level, const Extent& last, std::uint64_t odds) const {
  return !last.is_hole() && cuts_.of_extent(level, last) % odds == 0;
}

Status ExtentTree::close(unsigned number) {
  if (number + 1 >= kMaxDepth)
    return Error{Errc::Limit, "an extent list too long for " + std::to_string(kMaxDepth) + " levels"};
  Level& level = levels_[number];
  const RefTable refs = table_of(level.segment);
  HF_TRY(const blob::BlobRef ref,
         emitter_.emit(Draft{blob::Type::Extents, refs.refs(), encode_extents(level.segment, refs)}));
  segments_.push_back(ref.blob);
  const ExtentItem item{level.extents, level.bytes, ref};
  const Extent last = level.last;
  level.segment.extents.clear();
  level.segment.items.clear();
  level.extents = level.bytes = 0;
  ++level.closed;
  return add_item(number + 1, item, last);
}

Status ExtentTree::add_item(unsigned number, const ExtentItem& item, const Extent& last) {
  Level& level = levels_[number];
  level.segment.items.push_back(item);
  level.extents += item.extents;
  level.bytes += item.bytes;
  level.last = last;
  const std::size_t n = level.segment.items.size();
  if (n >= kMaxItems || (n >= kMinItems && chosen(number, last, kItemOdds))) return close(number);
  return {};
}

Status visit_extent_tree(const Spill& spill, std::uint64_t bytes, const SegmentOpener& opener,
                         const std::function<Status(const Extent&)>& visit) {
  if (spill.count <= kSpillExtents || spill.count > kMaxEntryExtents)
    return Error{Errc::Corrupt, "an impossible count of extents"};
  HF_TRY(sealing::OpenedBlob root, opener.open(spill.root, blob::Type::Extents));
  Walker walker(opener, visit);
  return walker.read(spill.root, std::move(root), std::nullopt, {spill.count, bytes});
}

}  // namespace holdfast::manifest
