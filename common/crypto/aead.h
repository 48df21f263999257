#pragma once
// Authenticated encryption of one message. AES-256-GCM (NIST SP 800-38D) through OpenSSL's EVP where the CPU has AES,
// else XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) through libsodium. The cipher's number is stored: frozen.

#include "common/crypto/secret.h"

namespace holdfast::crypto {

enum class Cipher : std::uint8_t { Aes256Gcm = 1, XChaCha20Poly1305 = 2 };

inline constexpr std::size_t kTagBytes = 16;
std::size_t nonce_bytes(Cipher cipher);  ///< 12 or 24
bool is_known(Cipher cipher);
Cipher preferred_cipher();  ///< by CPU

/// Appends ciphertext ‖ tag to `out`. (key, nonce) must never repeat; HF_ASSERTs on a wrong nonce length.
void seal(Cipher cipher, const Key& key, ByteSpan nonce, ByteSpan associated, ByteSpan plaintext, Bytes& out);
/// `sealed` = ciphertext ‖ tag. Errors: WrongKey when the tag does not verify (nothing is returned then).
Result<Bytes> open(Cipher cipher, const Key& key, ByteSpan nonce, ByteSpan associated, ByteSpan sealed);

}  // namespace holdfast::crypto
