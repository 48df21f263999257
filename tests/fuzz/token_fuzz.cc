// Why: a token is text that a person copies from a mail. Whatever is pasted, nothing but a whole token is taken, and one
// token has one text.

#include <openssl/evp.h>

#include <cstdlib>

#include "common/identity/identity.h"

using namespace holdfast;

namespace {

void check(std::string_view text) {
  const Result<identity::Token> token = identity::decode_token(text);
  if (token && identity::encode_token(*token) != text) std::abort();
}

}  // namespace

// The input as text, and as the body of a token whose checksum is right (a fuzzer does not find SHA-256).
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan in(data, size);
  check(as_text(in));
  std::array<std::uint8_t, 32> digest{};
  EVP_Digest(data, size, digest.data(), nullptr, EVP_sha256(), nullptr);
  Bytes body = to_bytes(in);
  body.insert(body.end(), digest.begin(), digest.begin() + 4);
  check("hf1." + to_base64(body));
  (void)identity::parse_uri(as_text(in));
  (void)identity::parse_client_name(as_text(in));
  return 0;
}
