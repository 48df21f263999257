#include "client/manifest/segment_bounds.h"

namespace holdfast::manifest {
namespace {

Error corrupt(const blob::BlobRef& ref, const std::string& what) {
  return Error{Errc::Corrupt, "manifest segment " + ref.blob.hex() + ": " + what};
}

Status check_range(const blob::BlobRef& ref, const KeyView& first, const KeyView& last, const Bounds& bounds) {
  if (bounds.first && compare(first, bounds.first->view()) != std::strong_ordering::equal)
    return corrupt(ref, "it does not begin with the key that its parent names");
  if (bounds.end && compare(last, bounds.end->view()) != std::strong_ordering::less)
    return corrupt(ref, "it reaches beyond its parent's range");
  return {};
}

Status check_count(const blob::BlobRef& ref, const IndexSegment& index, const Bounds& bounds) {
  if (!bounds.entries) return {};
  std::uint64_t left = *bounds.entries;
  for (const IndexItem& item : index.items) {
    if (item.entries > left) return corrupt(ref, "it holds more entries than its parent says");
    left -= item.entries;
  }
  return left == 0 ? Status{} : corrupt(ref, "it holds fewer entries than its parent says");
}

}  // namespace

Bounds bounds_of(const IndexSegment& index, std::size_t i, const Bounds& above) {
  const bool is_last = i + 1 == index.items.size();
  return {index.items[i].first, is_last ? above.end : std::optional<EntryKey>(index.items[i + 1].first),
          index.items[i].entries};
}

bool may_hold(const Bounds& bounds, std::string_view path) {
  // More than one source: those between are not named anywhere above the leaves, so the subtree must be looked at.
  if (!bounds.end || bounds.end->source != bounds.first->source) return true;
  const bool starts_too_late = compare_paths(bounds.first->path, path) == std::strong_ordering::greater &&
                               !is_at_or_below(bounds.first->path, path);
  return !starts_too_late && compare_paths(path, bounds.end->path) == std::strong_ordering::less;
}

bool lies_below(const Bounds& bounds, std::string_view path) {
  // Whatever is beneath a directory stands together: what lies between two of it is of it too.
  return bounds.end && bounds.end->source == bounds.first->source && is_at_or_below(bounds.first->path, path) &&
         is_at_or_below(bounds.end->path, path);
}

Result<IndexSegment> read_index(const blob::BlobRef& ref, sealing::OpenedBlob opened, std::optional<unsigned> level,
                                const Bounds& bounds) {
  HF_TRY(IndexSegment index,
         decode_index(opened.raw, std::move(opened.children)).context("manifest segment " + ref.blob.hex()));
  if (level && index.level != *level) return corrupt(ref, "its level is not one below its parent's");
  HF_TRY_DO(check_range(ref, index.items.front().first.view(), index.items.back().first.view(), bounds));
  HF_TRY_DO(check_count(ref, index, bounds));
  return index;
}

Result<std::vector<DecodedEntry>> read_leaf(const blob::BlobRef& ref, sealing::OpenedBlob opened,
                                            const Bounds& bounds) {
  const std::string doing = "manifest segment " + ref.blob.hex();
  HF_TRY(LeafReader leaf, LeafReader::open(opened.raw, std::move(opened.children)).context(doing));
  // Only an entry that is itself larger may make a leaf larger (FORMAT.md, section 4).
  if (opened.raw.size() > kSegmentMaxBytes && leaf.entries() > 1)
    return corrupt(ref, "it is longer than a segment may be");
  if (bounds.entries && leaf.entries() != *bounds.entries)
    return corrupt(ref, "it does not hold as many entries as its parent says");
  std::vector<DecodedEntry> out;
  for (;;) {
    HF_TRY(std::optional<DecodedEntry> decoded, leaf.next().context(doing));
    if (!decoded) break;
    if (!decoded->spill && decoded->entry.extents.size() > kSpillExtents)
      return corrupt(ref, "an extent list too long to stand in a leaf");
    out.push_back(*std::move(decoded));
  }
  if (!out.empty()) HF_TRY_DO(check_range(ref, key_of(out.front().entry), key_of(out.back().entry), bounds));
  return out;
}

}  // namespace holdfast::manifest
