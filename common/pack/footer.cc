// The footer alone (FORMAT.md, section 3): what an index is built from.

#include <algorithm>

#include "common/pack/layout.h"

namespace holdfast::pack {
namespace {

// Names the entry, so that a person can find it in a dump of the file.
Error bad_entry(std::size_t position, std::string what, Errc code = Errc::Corrupt) {
  return {code, "pack footer: entry " + std::to_string(position) + ": " + std::move(what)};
}

void encode_entry(ByteWriter& w, const Entry& e) {
  w.id(e.domain).u32(e.epoch).id(e.blob).id(e.run).u8(static_cast<std::uint8_t>(e.type));
  w.u64(e.offset).u32(e.length).id(e.record_digest).u32(static_cast<std::uint32_t>(e.children.size()));
  for (const blob::BlobRef& child : e.children) w.id(child.blob).id(child.run);
}

Status decode_children(ByteReader& r, std::size_t position, std::vector<blob::BlobRef>& children) {
  const std::size_t count = r.count(blob::kChildBytes);
  if (count > blob::kMaxChildren) {
    return bad_entry(position, std::to_string(count) + " children, at most " + std::to_string(blob::kMaxChildren),
                     Errc::Limit);
  }
  children.resize(count);
  for (blob::BlobRef& child : children) {
    child.blob = r.id<BlobId>();
    child.run = r.id<RunId>();
  }
  if (std::adjacent_find(children.begin(), children.end(), std::greater_equal<>()) != children.end()) {
    return bad_entry(position, "children are not sorted and unique");
  }
  return {};
}

Status check_entry(const Entry& e, std::size_t position, Kind kind, std::uint64_t expected_offset) {
  if (!blob::is_known(e.type)) return bad_entry(position, "unknown type of blob");
  if (!holds(kind, e.type)) return bad_entry(position, "a type of blob that this kind of pack does not hold");
  if (e.type == blob::Type::Data && !e.children.empty()) return bad_entry(position, "a data blob has children");
  if (e.length < blob::kHeaderBytes + e.children.size() * blob::kChildBytes || e.length > blob::kMaxRecordBytes) {
    return bad_entry(position, "impossible record length " + std::to_string(e.length));
  }
  if (e.offset != expected_offset) {
    return bad_entry(position, "record at " + std::to_string(e.offset) + ", but the one before ends at " +
                                   std::to_string(expected_offset));
  }
  return {};
}

Status decode_entry(ByteReader& r, std::size_t position, Kind kind, std::uint64_t expected_offset, Entry& e) {
  e.domain = r.id<DomainId>();
  e.epoch = r.u32();
  e.blob = r.id<BlobId>();
  e.run = r.id<RunId>();
  e.type = static_cast<blob::Type>(r.u8());
  e.offset = r.u64();
  e.length = r.u32();
  e.record_digest = r.id<Digest>();
  HF_TRY_DO(decode_children(r, position, e.children));
  if (!r.ok()) return bad_entry(position, "the footer ends inside it");
  return check_entry(e, position, kind, expected_offset);
}

Result<Footer> decode_footer_head(ByteReader& r) {
  const std::uint8_t version = r.u8();
  if (r.ok() && version != kVersion) {
    if (version == 0) return Error{Errc::Corrupt, "pack footer: version 0"};
    return Error{Errc::TooNew, "pack footer: version " + std::to_string(version) + ", this program reads " +
                                   std::to_string(kVersion)};
  }
  Footer footer;
  footer.kind = static_cast<Kind>(r.u8());
  footer.id = r.id<PackId>();
  footer.store_epoch = r.u64();
  if (r.ok() && !is_known(footer.kind)) return Error{Errc::Corrupt, "pack footer: unknown kind of pack"};
  return footer;
}

}  // namespace

Bytes encode_footer(const Footer& footer) {
  ByteWriter w;
  w.u8(static_cast<std::uint8_t>(kVersion)).u8(static_cast<std::uint8_t>(footer.kind)).id(footer.id);
  w.u64(footer.store_epoch).u32(static_cast<std::uint32_t>(footer.entries.size()));
  for (const Entry& entry : footer.entries) encode_entry(w, entry);
  return w.take();
}

Result<Footer> decode_footer(ByteSpan bytes) {
  if (bytes.size() > kMaxFooterBytes) {
    return Error{Errc::Limit, "pack footer: " + std::to_string(bytes.size()) + " bytes, at most " +
                                  std::to_string(kMaxFooterBytes) + " are allowed"};
  }
  ByteReader r(bytes);
  HF_TRY(Footer footer, decode_footer_head(r));
  const std::size_t count = r.count(kEntryBytes);
  if (!r.ok()) return Error{Errc::Corrupt, "pack footer: shorter than its entries"};
  if (count == 0) return Error{Errc::Corrupt, "pack footer: lists no blobs"};
  if (count > kMaxBlobs) {
    return Error{Errc::Limit, "pack footer: " + std::to_string(count) + " blobs, at most " + std::to_string(kMaxBlobs)};
  }
  footer.entries.resize(count);
  std::uint64_t offset = kHeaderBytes;
  for (std::size_t i = 0; i < count; ++i) {
    HF_TRY_DO(decode_entry(r, i, footer.kind, offset, footer.entries[i]));
    offset += footer.entries[i].length;
  }
  HF_TRY_DO(r.finish("pack footer"));
  return footer;
}

}  // namespace holdfast::pack
