#include "server/index/layout.h"

#include <limits>

namespace holdfast::index {
namespace {

void put(std::string& out, ByteSpan bytes) { out.append(as_text(bytes)); }

// Big-endian, so that keys sort by number.
void put_u32(std::string& out, std::uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(v >> shift));
}
std::uint32_t get_u32(ByteReader& r) {
  std::uint32_t v = 0;
  for (int i = 0; i < 4; ++i) v = (v << 8) | r.u8();
  return v;
}

Error corrupt(std::string what) { return {Errc::Corrupt, "index: " + std::move(what)}; }

}  // namespace

void put_blob_prefix(std::string& out, const DomainId& domain, std::uint32_t epoch, const BlobId& blob) {
  out.push_back(kBlobPrefix);
  put(out, domain.bytes);
  put_u32(out, epoch);
  put(out, blob.bytes);
}

void put_blob_key(std::string& out, const pack::Entry& entry, const PackId& pack) {
  HF_ASSERT(entry.offset <= std::numeric_limits<std::uint32_t>::max());
  put_blob_prefix(out, entry.domain, entry.epoch, entry.blob);
  put(out, pack.bytes);
  put_u32(out, static_cast<std::uint32_t>(entry.offset));
}

void put_blob_value(std::string& out, const pack::Entry& entry, std::uint64_t store_epoch) {
  ByteWriter w;
  w.varint(store_epoch).id(entry.run).u8(static_cast<std::uint8_t>(entry.type)).varint(entry.length);
  w.id(entry.record_digest).varint(entry.children.size());
  for (const blob::BlobRef& child : entry.children) w.id(child.blob).id(child.run);
  put(out, w.span());
}

Result<Location> decode_blob(std::string_view key, std::string_view value) {
  if (key.size() != kBlobKeyBytes || key.front() != kBlobPrefix) return corrupt("a blob's key has a wrong length");
  Location out;
  pack::Entry& entry = out.entry;
  ByteReader k(as_bytes(key.substr(1)));
  entry.domain = k.id<DomainId>();
  entry.epoch = get_u32(k);
  entry.blob = k.id<BlobId>();
  out.pack = k.id<PackId>();
  entry.offset = get_u32(k);

  ByteReader v(as_bytes(value));
  out.store_epoch = v.varint();
  entry.run = v.id<RunId>();
  entry.type = static_cast<blob::Type>(v.u8());
  const std::uint64_t length = v.varint();
  entry.record_digest = v.id<Digest>();
  entry.children.resize(v.varint_count(blob::kChildBytes));
  for (blob::BlobRef& child : entry.children) {
    child.blob = v.id<BlobId>();
    child.run = v.id<RunId>();
  }
  HF_TRY_DO(v.finish("index: value of blob " + entry.blob.hex()));
  if (!blob::is_known(entry.type) || length > blob::kMaxRecordBytes) {
    return corrupt("value of blob " + entry.blob.hex() + " is out of bounds");
  }
  entry.length = static_cast<std::uint32_t>(length);
  return out;
}

Result<PackId> pack_of_blob_key(std::string_view key) {
  if (key.size() != kBlobKeyBytes) return corrupt("a blob's key has a wrong length");
  return PackId::from_bytes(as_bytes(key.substr(kBlobPrefixBytes, PackId::kBytes)));
}

std::string pack_key(char prefix, const PackId& pack) {
  std::string key(1, prefix);
  put(key, pack.bytes);
  return key;
}

Result<PackId> decode_pack_key(std::string_view key) {
  if (key.size() != 1 + PackId::kBytes) return corrupt("a pack's key has a wrong length");
  return PackId::from_bytes(as_bytes(key.substr(1)));
}

std::string number_value(std::uint64_t number) {
  ByteWriter w;
  w.u64(number);
  return std::string(as_text(w.span()));
}

Result<std::uint64_t> decode_number(std::string_view value) {
  ByteReader r(as_bytes(value));
  const std::uint64_t number = r.u64();
  HF_TRY_DO(r.finish("index: a number"));
  return number;
}

}  // namespace holdfast::index
