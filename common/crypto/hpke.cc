// HPKE, RFC 9180, single-shot mode_psk. Numbers of §7: KEM 0x0020, KDF 0x0001, AEAD 0x0003.
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <sodium.h>

#include <memory>

#include "common/crypto/evp_aead.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"

namespace holdfast::crypto {
namespace {

constexpr std::string_view kVersion = "HPKE-v1";
constexpr std::string_view kKemSuite{"KEM\x00\x20", 5};
constexpr std::string_view kHpkeSuite{"HPKE\x00\x20\x00\x01\x00\x03", 10};
constexpr std::uint8_t kModePsk = 0x01;
constexpr std::size_t kNonceBytes = 12;  // Nn
constexpr std::size_t kHashBytes = 32;   // Nh, Nsecret, Nk
using Nonce = std::array<std::uint8_t, kNonceBytes>;

struct FreeKdf {
  void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};

EVP_KDF* hkdf() {
  static EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  HF_ASSERT(kdf != nullptr);
  return kdf;
}

const EVP_CIPHER* chacha20_poly1305() {
  static EVP_CIPHER* const cipher = fetch_cipher("ChaCha20-Poly1305");
  return cipher;
}

OSSL_PARAM octets(const char* name, ByteSpan bytes) {
  // EVP reads only; its type lacks the const.
  return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(bytes.data()), bytes.size());
}

/// One half of HKDF-SHA256 (RFC 5869). `extra` is the salt or the info.
void run_hkdf(int mode, const char* extra_name, ByteSpan key, ByteSpan extra, MutableByteSpan out) {
  const std::unique_ptr<EVP_KDF_CTX, FreeKdf> context(EVP_KDF_CTX_new(hkdf()));
  HF_ASSERT(context != nullptr);
  char digest_name[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest_name, 0),
      octets(OSSL_KDF_PARAM_KEY, key),
      octets(extra_name, extra),
      OSSL_PARAM_construct_end(),
  };
  HF_ASSERT(EVP_KDF_derive(context.get(), out.data(), out.size(), parameters) == 1);
}

/// LabeledExtract of §4. An empty salt is a hash length of zeros (RFC 5869 §2.2).
Key labeled_extract(std::string_view suite, ByteSpan salt, std::string_view label, ByteSpan ikm) {
  static constexpr std::array<std::uint8_t, kHashBytes> kNoSalt{};
  Bytes input;
  input.reserve(kVersion.size() + suite.size() + label.size() + ikm.size());  // no copy of `ikm` left in an old buffer
  for (const ByteSpan part : {as_bytes(kVersion), as_bytes(suite), as_bytes(label), ikm})
    input.insert(input.end(), part.begin(), part.end());
  Key extracted;
  run_hkdf(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, OSSL_KDF_PARAM_SALT, input, salt.empty() ? ByteSpan(kNoSalt) : salt,
           extracted.mutable_span());
  wipe(input);
  return extracted;
}

/// LabeledExpand of §4.
void labeled_expand(std::string_view suite, const Key& prk, std::string_view label, ByteSpan info,
                    MutableByteSpan out) {
  ByteWriter input;
  input.u8(static_cast<std::uint8_t>(out.size() >> 8)).u8(static_cast<std::uint8_t>(out.size()));
  input.raw(kVersion).raw(suite).raw(label).raw(info);
  run_hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, OSSL_KDF_PARAM_INFO, prk.span(), input.span(), out);
}

/// ExtractAndExpand of DHKEM, §4.1: the shared secret of `private_key` and `peer`. Nothing when the peer's key is of low order.
std::optional<Key> shared_secret(const Key& private_key, const PublicKey& peer, const PublicKey& encapsulated,
                                 const PublicKey& recipient) {
  Key dh;
  if (crypto_scalarmult(dh.mutable_span().data(), private_key.span().data(), peer.bytes.data()) != 0)
    return std::nullopt;
  const Key prk = labeled_extract(kKemSuite, {}, "eae_prk", dh.span());
  ByteWriter kem_context;
  kem_context.id(encapsulated).id(recipient);
  Key secret;
  labeled_expand(kKemSuite, prk, "shared_secret", kem_context.span(), secret.mutable_span());
  return secret;
}

struct Schedule {
  Key key;
  Nonce base_nonce{};
};

/// KeySchedule of §5.1 for mode_psk.
Schedule schedule(const Key& secret, const HpkeContext& context) {
  HF_ASSERT(context.psk != nullptr && !context.psk_id.empty());
  const Key psk_id_hash = labeled_extract(kHpkeSuite, {}, "psk_id_hash", context.psk_id);
  const Key info_hash = labeled_extract(kHpkeSuite, {}, "info_hash", context.info);
  ByteWriter schedule_context;
  schedule_context.u8(kModePsk).raw(psk_id_hash.span()).raw(info_hash.span());
  const Key prk = labeled_extract(kHpkeSuite, secret.span(), "secret", context.psk->span());
  Schedule out;
  labeled_expand(kHpkeSuite, prk, "key", schedule_context.span(), out.key.mutable_span());
  labeled_expand(kHpkeSuite, prk, "base_nonce", schedule_context.span(), out.base_nonce);
  return out;
}

}  // namespace

Result<Wrapped> hpke_seal(const PublicKey& recipient, const HpkeContext& context, ByteSpan plaintext, Random& random) {
  const WrapKeyPair ephemeral = WrapKeyPair::generate(random);
  const std::optional<Key> secret =
      shared_secret(ephemeral.private_key(), recipient, ephemeral.public_key(), recipient);
  if (!secret)
    return Error{Errc::Usage, "wrap a key for recipient " + recipient_of(recipient).short_hex() +
                                  ": its public key is of low order and protects nothing"};
  const Schedule keys = schedule(*secret, context);
  Wrapped wrapped{ephemeral.public_key(), Bytes(plaintext.size() + kTagBytes)};
  evp_seal(chacha20_poly1305(), keys.key, keys.base_nonce, context.associated, plaintext, wrapped.ciphertext);
  return wrapped;
}

Result<Bytes> hpke_open(const WrapKeyPair& recipient, const HpkeContext& context, const Wrapped& wrapped) {
  const Error closed{Errc::WrongKey, "unwrap a key for recipient " + recipient.recipient().short_hex() +
                                         ": it does not open: another key or wrap secret, or changed bytes"};
  if (wrapped.ciphertext.size() < kTagBytes) return closed;
  const std::optional<Key> secret =
      shared_secret(recipient.private_key(), wrapped.encapsulated, wrapped.encapsulated, recipient.public_key());
  if (!secret) return closed;
  const Schedule keys = schedule(*secret, context);
  Bytes plaintext(wrapped.ciphertext.size() - kTagBytes);
  if (evp_open(chacha20_poly1305(), keys.key, keys.base_nonce, context.associated, wrapped.ciphertext, plaintext))
    return plaintext;
  wipe(plaintext);
  return closed;
}

}  // namespace holdfast::crypto
