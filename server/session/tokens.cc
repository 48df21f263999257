#include "server/session/tokens.h"

#include "common/crypto/hash.h"

namespace holdfast::session {

Bytes new_token_secret(Random& random) {
  Bytes secret(kTokenSecretBytes);
  random.fill(secret);
  return secret;
}

Digest token_digest(ByteSpan secret) { return crypto::digest({as_bytes("holdfast.token.1"), secret}); }

bool same_token(const Digest& a, const Digest& b) {
  unsigned difference = 0, any = 0;
  for (std::size_t i = 0; i < Digest::kBytes; ++i) {
    difference |= static_cast<unsigned>(a.bytes[i] ^ b.bytes[i]);
    any |= a.bytes[i];
  }
  return difference == 0 && any != 0;
}

Digest request_digest(std::string_view request_pem, ByteSpan client_certificate) {
  ByteWriter text;
  text.raw("holdfast.enrol.1").sized(request_pem).sized(client_certificate);
  return crypto::digest(text.span());
}

}  // namespace holdfast::session
