#include "common/crypto/sign.h"

#include <sodium.h>

#include <algorithm>

#include "common/crypto/hash.h"

namespace holdfast::crypto {

static_assert(crypto_sign_SEEDBYTES == 32 && crypto_sign_SECRETKEYBYTES == 64 && crypto_sign_PUBLICKEYBYTES == 32 &&
              crypto_sign_BYTES == 64 && crypto_scalarmult_BYTES == 32 && crypto_scalarmult_SCALARBYTES == 32);

SigningKey::SigningKey(const Key& seed) : seed_(seed.clone()) {
  HF_ASSERT(crypto_sign_seed_keypair(public_key_.bytes.data(), expanded_.mutable_span().data(), seed_.span().data()) ==
            0);
}

SigningKey SigningKey::generate(Random& random) { return SigningKey(Key::random(random)); }

Signature SigningKey::sign(ByteSpan message) const {
  Signature signature;
  HF_ASSERT(crypto_sign_detached(signature.bytes.data(), nullptr, message.data(), message.size(),
                                 expanded_.span().data()) == 0);
  return signature;
}

bool verify(const PublicKey& key, ByteSpan message, const Signature& signature) {
  init();
  return crypto_sign_verify_detached(signature.bytes.data(), message.data(), message.size(), key.bytes.data()) == 0;
}

WrapKeyPair::WrapKeyPair(const Key& private_key) : private_key_(private_key.clone()) {
  HF_ASSERT(crypto_scalarmult_base(public_key_.bytes.data(), private_key_.span().data()) == 0);
}

WrapKeyPair WrapKeyPair::generate(Random& random) { return WrapKeyPair(Key::random(random)); }

RecipientId WrapKeyPair::recipient() const { return recipient_of(public_key_); }

RecipientId recipient_of(const PublicKey& public_key) {
  const Digest fingerprint = digest(public_key.bytes);
  RecipientId id;
  std::copy_n(fingerprint.bytes.begin(), RecipientId::kBytes, id.bytes.begin());
  return id;
}

}  // namespace holdfast::crypto
