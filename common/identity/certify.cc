// Making certificates (RFC 5280 profile, Ed25519 by RFC 8410).
#include <openssl/pem.h>

#include <algorithm>

#include "common/identity/identity.h"
#include "common/identity/openssl.h"

namespace holdfast::identity {
namespace {

constexpr std::chrono::minutes kBackDate{10};         ///< a client whose clock is a little behind may connect at once
constexpr std::chrono::hours kCaLifetime{24 * 3653};  ///< ten years
constexpr std::size_t kMaxCommonName = 64;            ///< RFC 5280, appendix A: ub-common-name

using ExtensionPtr = OpensslPtr<X509_EXTENSION, X509_EXTENSION_free>;
using BignumPtr = OpensslPtr<BIGNUM, BN_free>;

template <class Write, class Object>
Result<std::string> to_pem(Write write, const Object* object) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || write(bio.get(), object) != 1) return openssl_error(Errc::Io, "write PEM");
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

Status set_subject(X509_NAME* subject, const char* field, std::string_view value) {
  const std::string text(value.substr(0, kMaxCommonName));
  if (X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(text.data()),
                                 static_cast<int>(text.size()), -1, 0) != 1) {
    return openssl_error(Errc::Usage, "a certificate's subject");
  }
  return {};
}

Status set_subject(X509_NAME* subject, const Name& name) {
  if (name.role == Role::Client) HF_TRY_DO(set_subject(subject, "O", name.tenant));
  return set_subject(subject, "CN", name.name);
}

Status add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return openssl_error(Errc::Io, "a certificate's extension");
  }
  return {};
}

Status set_serial(X509* certificate) {
  std::array<std::uint8_t, 16> bytes{};
  system_random().fill(bytes);
  bytes[0] |= 1;  // never zero, never a short number
  const BignumPtr number(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  if (!number || !BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate))) {
    return openssl_error(Errc::Io, "a certificate's serial");
  }
  return {};
}

Status set_times(X509* certificate, WallTime not_before, WallTime not_after) {
  const auto seconds = [](WallTime t) {
    return static_cast<time_t>(std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count());
  };
  if (!ASN1_TIME_set(X509_getm_notBefore(certificate), seconds(not_before)) ||
      !ASN1_TIME_set(X509_getm_notAfter(certificate), seconds(not_after))) {
    return openssl_error(Errc::Io, "a certificate's dates");
  }
  return {};
}

/// Version 3, serial, dates and key: what every certificate of ours has.
Result<X509Ptr> begin_certificate(EVP_PKEY* key, WallTime not_before, WallTime not_after) {
  X509Ptr certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      X509_set_pubkey(certificate.get(), key) != 1) {
    return openssl_error(Errc::Io, "make a certificate");
  }
  HF_TRY_DO(set_serial(certificate.get()));
  HF_TRY_DO(set_times(certificate.get(), not_before, not_after));
  return certificate;
}

Status sign(X509* certificate, EVP_PKEY* key) {
  if (X509_sign(certificate, key, nullptr) <= 0) return openssl_error(Errc::Io, "sign a certificate");
  return {};
}

WallTime end_of(X509* certificate) {
  tm parts{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) return WallTime::min();
  return WallTime(std::chrono::seconds(timegm(&parts)));
}

/// The request's key, once its own signature has shown that the sender holds it.
Result<PkeyPtr> checked_key(const std::string& request_pem) {
  constexpr std::size_t kMaxRequestBytes = 8u << 10;
  if (request_pem.size() > kMaxRequestBytes) return Error{Errc::Limit, "a certificate request of more than 8 KiB"};
  const BioPtr bio(BIO_new_mem_buf(request_pem.data(), static_cast<int>(request_pem.size())));
  const RequestPtr request(bio ? PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr) : nullptr);
  if (!request) return openssl_error(Errc::Usage, "read a certificate request");
  PkeyPtr key(X509_REQ_get_pubkey(request.get()));
  if (!key || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_ED25519) {
    ERR_clear_error();
    return Error{Errc::Usage, "a certificate request must be for an Ed25519 key"};
  }
  if (X509_REQ_verify(request.get(), key.get()) != 1) {
    ERR_clear_error();
    return Error{Errc::Denied, "a certificate request that is not signed by its own key"};
  }
  return key;
}

Status add_leaf_extensions(X509* certificate, X509* ca, const Name& name) {
  const bool server = name.role == Role::Server;
  HF_TRY_DO(add_extension(certificate, ca, NID_basic_constraints, "critical,CA:FALSE"));
  HF_TRY_DO(add_extension(certificate, ca, NID_key_usage, "critical,digitalSignature"));
  HF_TRY_DO(add_extension(certificate, ca, NID_ext_key_usage, server ? "serverAuth" : "clientAuth"));
  HF_TRY_DO(add_extension(certificate, ca, NID_subject_key_identifier, "hash"));
  HF_TRY_DO(add_extension(certificate, ca, NID_authority_key_identifier, "keyid:always"));
  // Names hold no comma and no colon (valid_name), so that the text form cannot be bent into a second SAN.
  return add_extension(certificate, ca, NID_subject_alt_name, "URI:" + name.uri());
}

Status check_name(const Name& name) {
  if (!valid_name(name.name) || (name.role == Role::Client && !valid_name(name.tenant))) {
    return Error{Errc::Usage, "'" + printable(name.uri()) + "' is no name that can be certified"};
  }
  return {};
}

}  // namespace

Result<KeyAndCertificate> make_ca(const Clock& clock, std::string_view common_name) {
  HF_TRY(std::string key_pem, make_key_pem());
  HF_TRY(const PkeyPtr key, read_key(key_pem));
  const WallTime now = clock.wall();
  HF_TRY(const X509Ptr ca, begin_certificate(key.get(), now - kBackDate, now + kCaLifetime));
  HF_TRY_DO(set_subject(X509_get_subject_name(ca.get()), "CN", common_name));
  if (X509_set_issuer_name(ca.get(), X509_get_subject_name(ca.get())) != 1) return openssl_error(Errc::Io, "make a CA");
  HF_TRY_DO(add_extension(ca.get(), ca.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  HF_TRY_DO(add_extension(ca.get(), ca.get(), NID_key_usage, "critical,keyCertSign,cRLSign"));
  HF_TRY_DO(add_extension(ca.get(), ca.get(), NID_subject_key_identifier, "hash"));
  HF_TRY_DO(sign(ca.get(), key.get()));
  HF_TRY(std::string certificate_pem, to_pem(PEM_write_bio_X509, ca.get()));
  return KeyAndCertificate{std::move(key_pem), std::move(certificate_pem)};
}

Result<std::string> make_request_pem(const std::string& key_pem, const Name& name) {
  HF_TRY_DO(check_name(name));
  HF_TRY(const PkeyPtr key, read_key(key_pem));
  const RequestPtr request(X509_REQ_new());
  if (!request || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(request.get(), key.get()) != 1) {
    return openssl_error(Errc::Io, "make a certificate request");
  }
  HF_TRY_DO(set_subject(X509_REQ_get_subject_name(request.get()), name));
  if (X509_REQ_sign(request.get(), key.get(), nullptr) <= 0) {
    return openssl_error(Errc::Io, "sign a certificate request");
  }
  return to_pem(PEM_write_bio_X509_REQ, request.get());
}

Result<std::string> certify(const KeyAndCertificate& ca, const std::string& request_pem, const Name& name,
                            const Clock& clock, std::chrono::hours lifetime) {
  HF_TRY_DO(check_name(name));
  HF_TRY(const PkeyPtr key, checked_key(request_pem));
  HF_TRY(const PkeyPtr ca_key, read_key(ca.key_pem));
  HF_TRY(const X509Ptr ca_certificate, read_certificate(ca.certificate_pem));
  if (X509_check_private_key(ca_certificate.get(), ca_key.get()) != 1) {
    return openssl_error(Errc::WrongKey, "the CA's key does not belong to its certificate");
  }
  const WallTime now = clock.wall();
  const WallTime end = std::min(now + lifetime, end_of(ca_certificate.get()));  // a longer one would not verify anyway
  if (end <= now) return Error{Errc::Denied, "the CA's certificate has expired: it cannot certify " + name.uri()};
  HF_TRY(const X509Ptr certificate, begin_certificate(key.get(), now - kBackDate, end));
  HF_TRY_DO(set_subject(X509_get_subject_name(certificate.get()), name));
  if (X509_set_issuer_name(certificate.get(), X509_get_subject_name(ca_certificate.get())) != 1) {
    return openssl_error(Errc::Io, "make a certificate");
  }
  HF_TRY_DO(add_leaf_extensions(certificate.get(), ca_certificate.get(), name));
  HF_TRY_DO(sign(certificate.get(), ca_key.get()));
  return to_pem(PEM_write_bio_X509, certificate.get());
}

}  // namespace holdfast::identity
