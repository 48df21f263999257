#pragma once
// Why: what every signed record of this folder shares: a label in front, a signature at the end (FORMAT.md, section 1).
// Private to common/snapshot.

#include <string_view>

#include "common/base/bytes.h"
#include "common/crypto/sign.h"

namespace holdfast::snapshot::codec {

inline constexpr std::string_view kRunLabel = "holdfast.run.1";
inline constexpr std::string_view kCoreLabel = "holdfast.core.1";
inline constexpr std::string_view kReceiptLabel = "holdfast.receipt.1";
inline constexpr std::string_view kCertificateLabel = "holdfast.certificate.1";
inline constexpr std::string_view kPartLabel = "holdfast.part.1";
inline constexpr std::string_view kCommitLabel = "holdfast.commit.1";
inline constexpr std::string_view kSlotInfo = "holdfast.slot.1";

/// u8 length, then the label.
void write_label(ByteWriter& out, std::string_view label);
/// Errors: Corrupt for another kind of record, TooNew for another version of this kind.
Status read_label(ByteReader& in, std::string_view label);

/// Appends the signature over everything written so far.
Bytes sign(ByteWriter out, const crypto::SigningKey& key);

struct SignedParts {
  ByteSpan body;  ///< label and fields
  Signature signature;
};
/// Checks the length first. Errors: Limit above `limit`, Corrupt below a signature's length.
Result<SignedParts> split_signed(ByteSpan bytes, std::size_t limit);
/// Errors: Corrupt when the signature is not `key`'s.
Status check_signature(const SignedParts& parts, const PublicKey& key);

/// u16 count of items of `item_bytes` each, at most `limit`; anything else fails the reader.
std::size_t read_count(ByteReader& in, std::size_t item_bytes, std::size_t limit);
/// u8 length ≤ `limit`, then text.
std::string read_short_text(ByteReader& in, std::size_t limit);
void write_short_text(ByteWriter& out, std::string_view text, std::size_t limit);

}  // namespace holdfast::snapshot::codec
