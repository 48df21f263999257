#include "common/identity/identity.h"
#include "common/identity/openssl.h"

namespace holdfast::identity {
namespace {

constexpr std::string_view kPrefix = "hf1.";
constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kChecksumBytes = 4;
constexpr std::size_t kMaxAddressBytes = 255;
constexpr std::size_t kMaxTokenText = 2048;  ///< > all fields at their limits, in base64

/// The first bytes of SHA-256: tells a mistyped or cut token from a refused one. Not for authenticity.
std::array<std::uint8_t, kChecksumBytes> checksum(ByteSpan body) {
  std::array<std::uint8_t, 32> digest{};
  HF_ASSERT(EVP_Digest(body.data(), body.size(), digest.data(), nullptr, EVP_sha256(), nullptr) == 1);
  std::array<std::uint8_t, kChecksumBytes> out{};
  std::copy_n(digest.begin(), out.size(), out.begin());
  return out;
}

void put_text(ByteWriter& out, std::string_view text) { out.u8(static_cast<std::uint8_t>(text.size())).raw(text); }
std::string get_text(ByteReader& in) { return std::string(as_text(in.raw(in.u8()))); }

Error not_a_token(std::string_view why) {
  return {Errc::Usage, "this is no enrolment token (" + std::string(why) +
                           "): copy the whole text that `holdfastctl client add` printed"};
}

}  // namespace

bool valid_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (text.size() > kMaxAddressBytes || colon == std::string_view::npos || colon == 0) return false;
  const std::string_view port = text.substr(colon + 1);
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != port.npos) return false;
  if (port[0] == '0' || std::stoul(std::string(port)) > 65535) return false;
  return text.substr(0, colon).find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]%") == text.npos;
}

std::string encode_token(const Token& token) {
  HF_ASSERT(valid_address(token.service) && valid_address(token.enrolment));
  HF_ASSERT(token.secret.size() == kSecretBytes && token.name.role != Role::Server);
  ByteWriter out;
  put_text(out, token.service);
  put_text(out, token.enrolment);
  put_text(out, token.name.uri());
  out.id(token.ca_fingerprint).id(token.receipt_key).raw(ByteSpan(token.secret)).i64(token.expires_ns);
  out.raw(ByteSpan(checksum(out.span())));
  return std::string(kPrefix) + to_base64(out.span());
}

Result<Token> decode_token(std::string_view text) {
  if (text.size() > kMaxTokenText) return not_a_token("it is too long");
  if (!text.starts_with(kPrefix)) return not_a_token("it does not begin with hf1.");
  const Result<Bytes> raw = from_base64(text.substr(kPrefix.size()));
  if (!raw) return not_a_token(raw.error().message);
  if (raw->size() < kChecksumBytes) return not_a_token("it is cut short");
  const ByteSpan body = ByteSpan(*raw).first(raw->size() - kChecksumBytes);
  if (!same_bytes(checksum(body), ByteSpan(*raw).last(kChecksumBytes))) {
    return not_a_token("its checksum is wrong: a character is missing or mistyped");
  }
  ByteReader in(body);
  Token token;
  token.service = get_text(in);
  token.enrolment = get_text(in);
  const std::string uri = get_text(in);
  token.ca_fingerprint = in.id<Digest>();
  token.receipt_key = in.id<PublicKey>();
  token.secret = to_bytes(in.raw(kSecretBytes));
  token.expires_ns = in.i64();
  if (!in.finish("token")) return not_a_token("its length is wrong");
  if (!valid_address(token.service) || !valid_address(token.enrolment)) return not_a_token("an address in it is wrong");
  const Result<Name> name = parse_uri(uri);
  if (!name || name->role == Role::Server) return not_a_token("the name in it is wrong");
  token.name = *name;
  return token;
}

}  // namespace holdfast::identity
