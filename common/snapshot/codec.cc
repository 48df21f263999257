#include "common/snapshot/codec.h"

namespace holdfast::snapshot::codec {

void write_label(ByteWriter& out, std::string_view label) {
  out.u8(static_cast<std::uint8_t>(label.size())).raw(label);
}

Status read_label(ByteReader& in, std::string_view label) {
  const std::string_view found = as_text(in.raw(in.u8()));
  if (!in.ok()) return Error{Errc::Corrupt, "too short for its label"};
  if (found == label) return {};
  // "holdfast.run.1": what stands before the last dot is the kind, what follows is the version.
  const std::string_view kind = label.substr(0, label.rfind('.') + 1);
  if (found.size() > kind.size() && found.substr(0, kind.size()) == kind) {
    return Error{Errc::TooNew, "version '" + printable(found.substr(kind.size())) + "' is not known to this program"};
  }
  return Error{Errc::Corrupt, "labelled '" + printable(found) + "' instead of '" + std::string(label) + "'"};
}

Bytes sign(ByteWriter out, const crypto::SigningKey& key) {
  out.id(key.sign(out.span()));
  return out.take();
}

Result<SignedParts> split_signed(ByteSpan bytes, std::size_t limit) {
  if (bytes.size() > limit) {
    return Error{Errc::Limit,
                 std::to_string(bytes.size()) + " bytes, more than the " + std::to_string(limit) + " allowed"};
  }
  if (bytes.size() < Signature::kBytes) return Error{Errc::Corrupt, "shorter than a signature"};
  SignedParts parts;
  parts.body = bytes.first(bytes.size() - Signature::kBytes);
  HF_TRY(parts.signature, Signature::from_bytes(bytes.last(Signature::kBytes)));
  return parts;
}

Status check_signature(const SignedParts& parts, const PublicKey& key) {
  if (!crypto::verify(key, parts.body, parts.signature)) return Error{Errc::Corrupt, "the signature does not verify"};
  return {};
}

std::size_t read_count(ByteReader& in, std::size_t item_bytes, std::size_t limit) {
  const std::size_t n = in.u16();
  if (n > limit || n > in.left() / item_bytes) {
    in.fail();
    return 0;
  }
  return n;
}

std::string read_short_text(ByteReader& in, std::size_t limit) {
  const std::size_t n = in.u8();
  if (n > limit) in.fail();
  return std::string(as_text(in.raw(n)));
}

void write_short_text(ByteWriter& out, std::string_view text, std::size_t limit) {
  HF_ASSERT(text.size() <= limit && limit <= 255);
  out.u8(static_cast<std::uint8_t>(text.size())).raw(text);
}

}  // namespace holdfast::snapshot::codec
