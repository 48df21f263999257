#pragma once
// BLAKE2b (RFC 7693), 256-bit output, plain and keyed, over libsodium. Key derivation:
// derive(K, label, context) = BLAKE2b-256(key = K, u8 length of label ‖ label ‖ context).
// Labels are listed in common/crypto/FORMAT.md; one label, one use.

#include <string_view>

#include "common/base/ids.h"
#include "common/crypto/secret.h"

namespace holdfast::crypto {

/// Must succeed before anything else of this module is used; idempotent, thread-safe (sodium_init).
void init();

/// Incremental BLAKE2b-256. One thread at a time. A copy goes on from where the original stood; wiped when destroyed.
class Hasher {
 public:
  Hasher();
  explicit Hasher(const Key& key);
  Hasher(const Hasher&) = default;
  Hasher& operator=(const Hasher&) = default;
  ~Hasher();
  Hasher& update(ByteSpan bytes);
  Digest finish();  ///< once

 private:
  alignas(64) std::array<std::uint8_t, 384> state_;  // crypto_generichash_state
};

Digest digest(ByteSpan bytes);
Digest digest(std::initializer_list<ByteSpan> parts);
Digest keyed_digest(const Key& key, ByteSpan bytes);
/// SipHash-2-4 with 128 bits of output (Aumasson, Bernstein; libsodium's siphashx24) under the first 16 bytes of `key`: a
/// keyed image for tables, not a digest.
std::array<std::uint8_t, 16> short_hash(const Key& key, ByteSpan bytes);
Key derive(const Key& parent, std::string_view label, ByteSpan context = {});

}  // namespace holdfast::crypto
