#pragma once
// Why: AES-256-GCM (aead.cc) and HPKE's ChaCha20-Poly1305 (hpke.cc) are the same calls of EVP. Private to this folder.

#include <openssl/evp.h>

#include "common/crypto/aead.h"

namespace holdfast::crypto {

/// An AEAD cipher of OpenSSL's default provider; the caller keeps it for the life of the program. Stops the program
/// when OpenSSL lacks it.
EVP_CIPHER* fetch_cipher(const char* name);

/// `out` has plaintext.size() + kTagBytes bytes. Thread-safe (one context per thread); keeps no key afterwards.
void evp_seal(const EVP_CIPHER* cipher, const Key& key, ByteSpan nonce, ByteSpan associated, ByteSpan plaintext,
              MutableByteSpan out);
/// `out` has sealed.size() − kTagBytes bytes, which are not to be used when the answer is false.
bool evp_open(const EVP_CIPHER* cipher, const Key& key, ByteSpan nonce, ByteSpan associated, ByteSpan sealed,
              MutableByteSpan out);

}  // namespace holdfast::crypto
