#include "common/crypto/aead.h"

#include <sodium.h>

#include "common/crypto/evp_aead.h"
#include "common/crypto/hash.h"

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace holdfast::crypto {
namespace {

static_assert(kTagBytes == crypto_aead_xchacha20poly1305_ietf_ABYTES);
static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == 32 && crypto_generichash_BYTES == 32);

constexpr std::size_t kGcmNonceBytes = 12;
constexpr std::size_t kXChaChaNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;

bool cpu_has_aes() {
#if defined(__aarch64__)
  return (getauxval(AT_HWCAP) & HWCAP_AES) != 0 && (getauxval(AT_HWCAP) & HWCAP_PMULL) != 0;
#else
  return sodium_runtime_has_aesni() != 0 && sodium_runtime_has_pclmul() != 0;
#endif
}

const EVP_CIPHER* aes_256_gcm() {
  static EVP_CIPHER* const cipher = fetch_cipher("AES-256-GCM");  // fetching costs more than sealing a small message
  return cipher;
}

}  // namespace

std::size_t nonce_bytes(Cipher cipher) {
  HF_ASSERT(is_known(cipher));
  return cipher == Cipher::Aes256Gcm ? kGcmNonceBytes : kXChaChaNonceBytes;
}

bool is_known(Cipher cipher) { return cipher == Cipher::Aes256Gcm || cipher == Cipher::XChaCha20Poly1305; }

Cipher preferred_cipher() {
  init();  // libsodium looks at the CPU then
  static const Cipher preferred = cpu_has_aes() ? Cipher::Aes256Gcm : Cipher::XChaCha20Poly1305;
  return preferred;
}

void seal(Cipher cipher, const Key& key, ByteSpan nonce, ByteSpan associated, ByteSpan plaintext, Bytes& out) {
  HF_ASSERT(nonce.size() == nonce_bytes(cipher));
  init();
  const std::size_t start = out.size();
  out.resize(start + plaintext.size() + kTagBytes);
  const MutableByteSpan sealed = MutableByteSpan(out).subspan(start);
  if (cipher == Cipher::Aes256Gcm) {
    evp_seal(aes_256_gcm(), key, nonce, associated, plaintext, sealed);
    return;
  }
  HF_ASSERT(crypto_aead_xchacha20poly1305_ietf_encrypt(sealed.data(), nullptr, plaintext.data(), plaintext.size(),
                                                       associated.data(), associated.size(), nullptr, nonce.data(),
                                                       key.span().data()) == 0);
}

Result<Bytes> open(Cipher cipher, const Key& key, ByteSpan nonce, ByteSpan associated, ByteSpan sealed) {
  HF_ASSERT(nonce.size() == nonce_bytes(cipher));
  init();
  if (sealed.size() < kTagBytes) return Error{Errc::WrongKey, "open a sealed message: it is shorter than its tag"};
  Bytes plaintext(sealed.size() - kTagBytes);
  bool opened = false;
  if (cipher == Cipher::Aes256Gcm) {
    opened = evp_open(aes_256_gcm(), key, nonce, associated, sealed, plaintext);
  } else {
    opened = crypto_aead_xchacha20poly1305_ietf_decrypt(plaintext.data(), nullptr, nullptr, sealed.data(),
                                                        sealed.size(), associated.data(), associated.size(),
                                                        nonce.data(), key.span().data()) == 0;
  }
  if (opened) return plaintext;
  wipe(plaintext);
  return Error{Errc::WrongKey, "open a sealed message: its tag does not verify: another key, or changed bytes"};
}

}  // namespace holdfast::crypto
