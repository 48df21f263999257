#include <openssl/pem.h>

#include "common/identity/identity.h"
#include "common/identity/openssl.h"

namespace holdfast::identity {
namespace {

constexpr std::size_t kMaxPemBytes = 64u << 10;
constexpr std::size_t kMaxChain = 8;

/// OpenSSL would ask on the terminal; a key with a passphrase is an error here.
int no_passphrase(char*, int, int, void*) { return -1; }

Result<BioPtr> open_pem(const std::string& pem) {
  if (pem.size() > kMaxPemBytes) return Error{Errc::Limit, "a PEM text of " + std::to_string(pem.size()) + " bytes"};
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return openssl_error(Errc::Io, "read PEM");
  return bio;
}

}  // namespace

std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason ? reason : "unknown reason";
}

Result<PkeyPtr> read_key(const std::string& pem) {
  HF_TRY(const BioPtr bio, open_pem(pem));
  PkeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) return openssl_error(Errc::Usage, "read a private key in PEM");
  return key;
}

Result<X509Ptr> read_certificate(const std::string& pem) {
  HF_TRY(const BioPtr bio, open_pem(pem));
  X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
  if (!certificate) return openssl_error(Errc::Usage, "read a certificate in PEM");
  return certificate;
}

Result<std::vector<X509Ptr>> read_certificates(const std::string& pem) {
  HF_TRY(const BioPtr bio, open_pem(pem));
  std::vector<X509Ptr> out;
  for (;;) {
    X509Ptr one(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (!one) break;
    if (out.size() == kMaxChain) return Error{Errc::Limit, "more than 8 certificates in one PEM text"};
    out.push_back(std::move(one));
  }
  if (out.empty()) return openssl_error(Errc::Usage, "read a certificate in PEM");
  ERR_clear_error();  // "no start line" is how a PEM text ends
  return out;
}

Result<std::string> make_key_pem() {
  const PkeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (!key) return openssl_error(Errc::Io, "make an Ed25519 key");
  const BioPtr bio(BIO_new(BIO_s_secmem()));
  if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return openssl_error(Errc::Io, "write an Ed25519 key");
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

}  // namespace holdfast::identity
