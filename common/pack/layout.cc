#include "common/pack/layout.h"

#include "common/crypto/hash.h"

namespace holdfast::pack {
namespace {

constexpr std::string_view kHeaderMagic = "HFP1";
constexpr std::string_view kTrailerMagic = "HFPE";
constexpr std::string_view kPrefix = "packs/";
constexpr std::string_view kSuffix = ".pack";
constexpr std::size_t kEpochDigits = 16;
constexpr std::size_t kNameBytes = kPrefix.size() + 3 + kEpochDigits + 1 + 2 * PackId::kBytes + kSuffix.size();

Status check_version(std::uint16_t version, std::string_view where) {
  if (version == kVersion) return {};
  return Error{Errc::TooNew, "pack " + std::string(where) + ": version " + std::to_string(version) +
                                 ", this program reads " + std::to_string(kVersion)};
}

Error bad_name(std::string_view name) {
  return {Errc::Corrupt, "'" + printable(name) + "' is not a pack's name (packs/ab/EPOCH-ID.pack)"};
}

}  // namespace

std::string object_name(const PackId& id, std::uint64_t store_epoch) {
  std::array<std::uint8_t, 8> big_endian;
  for (std::size_t i = 0; i < 8; ++i) big_endian[i] = static_cast<std::uint8_t>(store_epoch >> (56 - 8 * i));
  const std::string id_hex = id.hex();
  return std::string(kPrefix) + id_hex.substr(0, 2) + "/" + to_hex(big_endian) + "-" + id_hex + std::string(kSuffix);
}

Result<std::pair<PackId, std::uint64_t>> parse_object_name(std::string_view name) {
  if (name.size() != kNameBytes) return bad_name(name);
  const auto epoch_bytes = from_hex(name.substr(kPrefix.size() + 3, kEpochDigits));
  const auto id = PackId::from_hex(name.substr(kPrefix.size() + 3 + kEpochDigits + 1, 2 * PackId::kBytes));
  if (!epoch_bytes || !id) return bad_name(name);
  std::uint64_t epoch = 0;
  for (const std::uint8_t b : *epoch_bytes) epoch = (epoch << 8) | b;
  // One pack has one name: capitals, another directory or another separator are not it.
  if (object_name(*id, epoch) != name) return bad_name(name);
  return std::pair{*id, epoch};
}

bool is_known(Kind kind) { return kind == Kind::Data || kind == Kind::Segments || kind == Kind::Mixed; }

bool holds(Kind kind, blob::Type type) {
  return kind == Kind::Mixed || (kind == Kind::Data) == (type == blob::Type::Data);
}

Bytes encode_header(const PackId& id, std::uint64_t store_epoch, Kind kind) {
  ByteWriter w;
  w.raw(kHeaderMagic).u16(kVersion).u8(static_cast<std::uint8_t>(kind)).u8(0).u64(store_epoch).id(id).u64(0);
  HF_ASSERT(w.size() == kHeaderBytes);
  return w.take();
}

Result<Header> decode_header(ByteSpan bytes) {
  ByteReader r(bytes);
  if (as_text(r.raw(kHeaderMagic.size())) != kHeaderMagic) {
    return Error{Errc::Corrupt, "pack header: does not begin with the magic \"HFP1\""};
  }
  HF_TRY_DO(check_version(r.u16(), "header"));
  Header header;
  header.kind = static_cast<Kind>(r.u8());
  const bool reserved_1 = r.u8() != 0;
  header.store_epoch = r.u64();
  header.id = r.id<PackId>();
  const bool reserved_2 = r.u64() != 0;
  HF_TRY_DO(r.finish("pack header"));
  if (reserved_1 || reserved_2) return Error{Errc::Corrupt, "pack header: reserved bytes are not zero"};
  if (!is_known(header.kind)) return Error{Errc::Corrupt, "pack header: unknown kind of pack"};
  return header;
}

Bytes encode_trailer(std::uint64_t footer_bytes, const Digest& footer_digest) {
  ByteWriter w;
  w.u64(footer_bytes).id(footer_digest).raw(kTrailerMagic).u16(kVersion).u16(0);
  HF_ASSERT(w.size() == kTrailerBytes);
  return w.take();
}

Result<Trailer> decode_trailer(ByteSpan bytes) {
  ByteReader r(bytes);
  Trailer trailer;
  trailer.footer_bytes = r.u64();
  trailer.footer_digest = r.id<Digest>();
  if (as_text(r.raw(kTrailerMagic.size())) != kTrailerMagic) {
    return Error{Errc::Corrupt, "pack trailer: does not end with the magic \"HFPE\": cut off, or not a pack"};
  }
  HF_TRY_DO(check_version(r.u16(), "trailer"));
  const bool reserved = r.u16() != 0;
  HF_TRY_DO(r.finish("pack trailer"));
  if (reserved) return Error{Errc::Corrupt, "pack trailer: reserved bytes are not zero"};
  if (trailer.footer_bytes > kMaxFooterBytes) {
    return Error{Errc::Limit, "pack trailer: names a footer of " + std::to_string(trailer.footer_bytes) +
                                  " bytes, at most " + std::to_string(kMaxFooterBytes) + " are allowed"};
  }
  return trailer;
}

Digest footer_digest(ByteSpan header, ByteSpan footer) { return crypto::digest({header, footer}); }

}  // namespace holdfast::pack
