#pragma once
// Why: the fixed parts of a pack and what makes an entry valid, shared by the writer and the reader of this folder.

#include "common/pack/pack.h"

namespace holdfast::pack {

/// Section 2 of FORMAT.md: kHeaderBytes bytes.
Bytes encode_header(const PackId& id, std::uint64_t store_epoch, Kind kind);
/// Section 4: kTrailerBytes bytes.
Bytes encode_trailer(std::uint64_t footer_bytes, const Digest& footer_digest);
/// What the trailer's digest covers: BLAKE2b-256(header ‖ footer).
Digest footer_digest(ByteSpan header, ByteSpan footer);

struct Header {
  PackId id;
  std::uint64_t store_epoch = 0;
  Kind kind = Kind::Data;
};
/// Errors: Corrupt, TooNew.
Result<Header> decode_header(ByteSpan bytes);

struct Trailer {
  std::uint64_t footer_bytes = 0;
  Digest footer_digest;
};
/// Errors: Corrupt, TooNew, Limit (footer longer than kMaxFooterBytes).
Result<Trailer> decode_trailer(ByteSpan bytes);

bool is_known(Kind kind);
bool holds(Kind kind, blob::Type type);

inline constexpr std::uint16_t kVersion = 1;
inline constexpr std::size_t kFooterHeadBytes = 30;  // version, kind, id, store epoch, count

}  // namespace holdfast::pack
