#pragma once
// Ed25519 (RFC 8032) signatures over labelled canonical bytes, X25519 key pairs, HPKE mode_psk (RFC 9180) with
// DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305 built on EVP, and Argon2id (RFC 9106) for key files.

#include <optional>
#include <string_view>

#include "common/base/ids.h"
#include "common/crypto/secret.h"

namespace holdfast::crypto {

/// Ed25519 private key. Immutable, thread-safe.
class SigningKey {
 public:
  explicit SigningKey(const Key& seed);
  static SigningKey generate(Random& random);
  const PublicKey& public_key() const { return public_key_; }
  Signature sign(ByteSpan message) const;
  const Key& seed() const { return seed_; }

 private:
  Key seed_;
  Secret<64> expanded_;
  PublicKey public_key_;
};

/// Rejects non-canonical and small-order keys as libsodium does.
bool verify(const PublicKey& key, ByteSpan message, const Signature& signature);

/// X25519 key pair (RFC 7748): recipient of wrapped keys. Immutable, thread-safe.
class WrapKeyPair {
 public:
  explicit WrapKeyPair(const Key& private_key);
  static WrapKeyPair generate(Random& random);
  const PublicKey& public_key() const { return public_key_; }
  const Key& private_key() const { return private_key_; }
  RecipientId recipient() const;

 private:
  Key private_key_;
  PublicKey public_key_;
};
RecipientId recipient_of(const PublicKey& public_key);

struct Wrapped {
  PublicKey encapsulated;  ///< enc
  Bytes ciphertext;        ///< plaintext + 16 bytes
};
struct HpkeContext {
  ByteSpan info;
  ByteSpan associated;
  const Key* psk;   ///< ≥ 32 bytes of entropy, as RFC 9180 asks of mode_psk
  ByteSpan psk_id;  ///< not empty
};
/// HPKE single-shot SealPSK. `random` makes the ephemeral key. Errors: Usage on a low-order public key.
Result<Wrapped> hpke_seal(const PublicKey& recipient, const HpkeContext& context, ByteSpan plaintext, Random& random);
/// Errors: WrongKey when it does not open, whatever the reason.
Result<Bytes> hpke_open(const WrapKeyPair& recipient, const HpkeContext& context, const Wrapped& wrapped);

struct PasswordParameters {
  std::uint32_t passes;      ///< 1…16
  std::uint32_t memory_kib;  ///< 8…1,048,576
};
inline constexpr PasswordParameters kDefaultPassword{3, 256 * 1024};
/// Argon2id, one lane, 16-byte salt. Errors: Limit when the parameters (untrusted: they stand in the file) are out of bounds.
Result<Key> derive_from_password(ByteSpan password, ByteSpan salt16, PasswordParameters parameters);

}  // namespace holdfast::crypto
