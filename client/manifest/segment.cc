#include "client/manifest/segment.h"

#include "common/crypto/hash.h"

namespace holdfast::manifest {
namespace {

/// An index line cannot be shorter: no source, nothing shared, an empty rest, number of the child, count.
constexpr std::size_t kMinIndexItemBytes = 5;
constexpr std::size_t kMinExtentItemBytes = 3;
/// kind, flags, mode, mtime beside the three bytes of a key.
constexpr std::size_t kMinEntryBytes = 14;

Status read_version(ByteReader& in) {
  const std::uint8_t version = in.u8();
  if (!in.ok()) return Error{Errc::Corrupt, "an empty segment"};
  if (version != kSegmentVersion)
    return Error{Errc::TooNew, "segment version " + std::to_string(version) + " is not known to this program"};
  return {};
}

Status check_table(const RefTable& refs) {
  if (!refs.all_used()) return Error{Errc::Corrupt, "its clear child list names a blob that nothing inside refers to"};
  return {};
}

Error bad_child() { return Error{Errc::Corrupt, "it refers to a child beyond its clear list"}; }

Result<IndexItem> read_index_item(ByteReader& in, const IndexItem* previous, RefTable& refs) {
  const KeyView before = previous == nullptr ? KeyView{} : previous->first.view();
  IndexItem item;
  HF_TRY(item.first, decode_key(in, previous == nullptr ? nullptr : &before));
  const blob::BlobRef* child = refs.use(in.varint());
  item.entries = in.varint();
  if (!in.ok()) return Error{Errc::Corrupt, "an index line that is cut short"};
  if (child == nullptr) return bad_child();
  if (item.entries == 0) return Error{Errc::Corrupt, "an index line for an empty segment"};
  item.child = *child;
  return item;
}

Status read_extent_items(ByteReader& in, std::size_t count, RefTable& refs, std::vector<ExtentItem>& out) {
  for (std::size_t i = 0; i < count; ++i) {
    const blob::BlobRef* child = refs.use(in.varint());
    ExtentItem item;
    item.extents = in.varint();
    item.bytes = in.varint();
    if (!in.ok()) return Error{Errc::Corrupt, "a line that is cut short"};
    if (child == nullptr) return bad_child();
    if (item.extents == 0 || item.bytes == 0) return Error{Errc::Corrupt, "a line for an empty segment"};
    item.child = *child;
    out.push_back(item);
  }
  return {};
}

Status read_extents(ByteReader& in, std::size_t count, RefTable& refs, std::vector<Extent>& out) {
  for (std::size_t i = 0; i < count; ++i) {
    const Extent x = decode_extent(in, refs);
    if (!in.ok()) return Error{Errc::Corrupt, "a malformed extent"};
    out.push_back(x);
  }
  return {};
}

}  // namespace

BlobId segment_id(const crypto::Key& blob_key, blob::Type type, const std::vector<blob::BlobRef>& children,
                  ByteSpan plaintext) {
  const std::uint8_t type_byte = static_cast<std::uint8_t>(type);
  const Digest list = crypto::digest(blob::encode_children(children));
  crypto::Hasher hasher(blob_key);
  hasher.update(as_bytes("segment")).update(ByteSpan(&type_byte, 1)).update(list.bytes).update(plaintext);
  BlobId id;
  id.bytes = hasher.finish().bytes;
  return id;
}

CutRule::CutRule(const crypto::Key& blob_key) : key_(crypto::derive(blob_key, "manifest-cut")) {}

std::uint64_t CutRule::hash(ByteSpan bytes) const {
  const Digest digest = crypto::keyed_digest(key_, bytes);
  return ByteReader(digest.bytes).u64();
}

std::uint64_t CutRule::of_key(unsigned level, const KeyView& key) const {
  ByteWriter out;
  out.raw("key").u8(static_cast<std::uint8_t>(level)).sized(key.source).raw(key.path);
  return hash(out.span());
}

std::uint64_t CutRule::of_extent(unsigned level, const Extent& extent) const {
  ByteWriter out;
  out.raw("extent").u8(static_cast<std::uint8_t>(level)).id(extent.blob.blob).u32(extent.offset);
  return hash(out.span());
}

Bytes encode_index(const IndexSegment& segment, const RefTable& refs) {
  ByteWriter out;
  out.u8(kSegmentVersion).u8(static_cast<std::uint8_t>(segment.level)).varint(segment.items.size());
  const IndexItem* previous = nullptr;
  for (const IndexItem& item : segment.items) {
    const KeyView before = previous == nullptr ? KeyView{} : previous->first.view();
    encode_key(out, item.first.view(), previous == nullptr ? nullptr : &before);
    out.varint(refs.index_of(item.child)).varint(item.entries);
    previous = &item;
  }
  return out.take();
}

Result<IndexSegment> decode_index(ByteSpan plaintext, std::vector<blob::BlobRef> children) {
  RefTable refs(std::move(children));
  ByteReader in(plaintext);
  HF_TRY_DO(read_version(in));
  IndexSegment out;
  out.level = in.u8();
  const std::size_t count = in.varint_count(kMinIndexItemBytes);
  if (out.level < 1 || out.level >= kMaxDepth) return Error{Errc::Corrupt, "an impossible level"};
  if (count == 0) return Error{Errc::Corrupt, "an index of nothing, or of more than it holds"};
  for (std::size_t i = 0; i < count; ++i) {
    HF_TRY(IndexItem item, read_index_item(in, i == 0 ? nullptr : &out.items.back(), refs));
    out.items.push_back(std::move(item));
  }
  HF_TRY_DO(in.finish("index segment"));
  HF_TRY_DO(check_table(refs));
  return out;
}

Bytes encode_extents(const ExtentSegment& segment, const RefTable& refs) {
  ByteWriter out;
  out.u8(kSegmentVersion).u8(static_cast<std::uint8_t>(segment.level));
  out.varint(segment.level == 0 ? segment.extents.size() : segment.items.size());
  for (const Extent& x : segment.extents) encode_extent(out, x, refs);
  for (const ExtentItem& item : segment.items)
    out.varint(refs.index_of(item.child)).varint(item.extents).varint(item.bytes);
  return out.take();
}

Result<ExtentSegment> decode_extents(ByteSpan plaintext, std::vector<blob::BlobRef> children) {
  RefTable refs(std::move(children));
  ByteReader in(plaintext);
  HF_TRY_DO(read_version(in));
  ExtentSegment out;
  out.level = in.u8();
  const std::size_t count = in.varint_count(out.level == 0 ? kMinExtentBytes : kMinExtentItemBytes);
  if (out.level >= kMaxDepth) return Error{Errc::Corrupt, "an impossible level"};
  if (count == 0) return Error{Errc::Corrupt, "an extent segment of nothing, or of more than it holds"};
  HF_TRY_DO(out.level == 0 ? read_extents(in, count, refs, out.extents)
                           : read_extent_items(in, count, refs, out.items));
  HF_TRY_DO(in.finish("extent segment"));
  HF_TRY_DO(check_table(refs));
  return out;
}

Result<LeafReader> LeafReader::open(ByteSpan plaintext, std::vector<blob::BlobRef> children) {
  ByteReader in(plaintext);
  HF_TRY_DO(read_version(in));
  const std::size_t count = in.varint_count(kMinEntryBytes);
  if (!in.ok()) return Error{Errc::Corrupt, "a leaf of more entries than it holds"};
  return LeafReader(in, std::move(children), count);
}

Result<std::optional<DecodedEntry>> LeafReader::next() {
  if (read_ == count_) {
    HF_TRY_DO(in_.finish("leaf"));
    HF_TRY_DO(check_table(refs_));
    return std::optional<DecodedEntry>();
  }
  HF_TRY(DecodedEntry entry, decode_entry(in_, previous_ ? &*previous_ : nullptr, refs_));
  ++read_;
  Entry kept;
  kept.source = entry.entry.source;
  kept.path = entry.entry.path;
  kept.uid = entry.entry.uid;
  kept.gid = entry.entry.gid;
  kept.owner = entry.entry.owner;
  kept.group = entry.entry.group;
  previous_ = std::move(kept);
  return std::optional<DecodedEntry>(std::move(entry));
}

Bytes encode_leaf(const std::vector<LeafItem>& items, const RefTable& refs) {
  ByteWriter out;
  out.u8(kSegmentVersion).varint(items.size());
  const Entry* previous = nullptr;
  for (const LeafItem& item : items) {
    encode_entry(out, item.entry, previous, item.spill, refs);
    previous = &item.entry;
  }
  return out.take();
}

}  // namespace holdfast::manifest
