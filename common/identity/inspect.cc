// Reading certificates that others may have made: bounded, and nothing is taken on trust but what is checked here.
#include <openssl/pem.h>

#include <algorithm>

#include "common/identity/identity.h"
#include "common/identity/openssl.h"

namespace holdfast::identity {
namespace {

constexpr std::size_t kMaxDerBytes = 16u << 10;
constexpr int kMaxSerialBytes = 20;  // RFC 5280, section 4.1.2.2

using GeneralNamesPtr = OpensslPtr<GENERAL_NAMES, GENERAL_NAMES_free>;
using BignumPtr = OpensslPtr<BIGNUM, BN_free>;

/// Exactly one subject alternative name, a URI of our scheme. The subject (CN) is never looked at.
Result<Name> name_of(const X509* certificate) {
  int state = 0;  // -1: no such extension, -2: more than one
  const GeneralNamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, &state, nullptr)));
  if (!names) {
    ERR_clear_error();
    return Error{Errc::Denied, state == -1   ? "the certificate has no subject alternative name"
                               : state == -2 ? "the certificate has two lists of subject alternative names"
                                             : "the certificate's subject alternative names cannot be read"};
  }
  if (sk_GENERAL_NAME_num(names.get()) != 1) {
    return Error{Errc::Denied, "the certificate has " + std::to_string(sk_GENERAL_NAME_num(names.get())) +
                                   " subject alternative names, and must have one"};
  }
  const GENERAL_NAME* one = sk_GENERAL_NAME_value(names.get(), 0);
  if (one->type != GEN_URI) return Error{Errc::Denied, "the certificate's subject alternative name is no URI"};
  const ASN1_IA5STRING* uri = one->d.uniformResourceIdentifier;
  Result<Name> name = parse_uri(
      {reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)), static_cast<std::size_t>(ASN1_STRING_length(uri))});
  if (!name) return Error{Errc::Denied, "the certificate's subject alternative name: " + name.error().message};
  return name;
}

/// A server's certificate says serverAuth and not clientAuth; a client's or an operator's the reverse. Nothing said is a
/// refusal too: such a certificate could play both parts.
Status check_usage(X509* certificate, Role role) {
  if ((X509_get_extension_flags(certificate) & (EXFLAG_INVALID | EXFLAG_XKUSAGE)) != EXFLAG_XKUSAGE) {
    return Error{Errc::Denied, "the certificate does not say what its key may be used for (extended key usage)"};
  }
  const std::uint32_t usage = X509_get_extended_key_usage(certificate);
  const std::uint32_t wanted = role == Role::Server ? XKU_SSL_SERVER : XKU_SSL_CLIENT;
  const std::uint32_t other = role == Role::Server ? XKU_SSL_CLIENT : XKU_SSL_SERVER;
  if ((usage & XKU_ANYEKU) != 0 || (usage & wanted) == 0 || (usage & other) != 0) {
    return Error{Errc::Denied, "the certificate's extended key usage does not fit its name"};
  }
  if (X509_check_ca(certificate) != 0) return Error{Errc::Denied, "the certificate is that of a CA"};
  return {};
}

Result<WallTime> time_of(const ASN1_TIME* time) {
  tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) {
    ERR_clear_error();
    return Error{Errc::Corrupt, "a date in the certificate cannot be read"};
  }
  // WallTime ends in 2262 and begins in 1678; "99991231235959Z" (no end, RFC 5280 4.1.2.5) is as good as its end.
  constexpr std::chrono::seconds kFirst = std::chrono::ceil<std::chrono::seconds>(WallTime::min().time_since_epoch());
  constexpr std::chrono::seconds kLast = std::chrono::floor<std::chrono::seconds>(WallTime::max().time_since_epoch());
  return WallTime(std::clamp(std::chrono::seconds(timegm(&parts)), kFirst, kLast));
}

Result<std::string> serial_of(const X509* certificate) {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  if (ASN1_STRING_length(serial) > kMaxSerialBytes || ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER) {
    return Error{Errc::Corrupt, "a certificate's serial is a positive number of at most 20 bytes"};
  }
  return to_hex({ASN1_STRING_get0_data(serial), static_cast<std::size_t>(ASN1_STRING_length(serial))});
}

Result<Digest> fingerprint_of(const X509* certificate) {
  Digest digest;
  unsigned int size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest.bytes.data(), &size) != 1 || size != digest.bytes.size()) {
    return openssl_error(Errc::Io, "a certificate's fingerprint");
  }
  return digest;
}

Result<CertificateFacts> facts_of(X509* certificate) {
  CertificateFacts facts;
  HF_TRY(facts.name, name_of(certificate));
  HF_TRY_DO(check_usage(certificate, facts.name.role));
  HF_TRY(facts.not_before, time_of(X509_get0_notBefore(certificate)));
  HF_TRY(facts.not_after, time_of(X509_get0_notAfter(certificate)));
  HF_TRY(facts.serial_hex, serial_of(certificate));
  HF_TRY(facts.fingerprint, fingerprint_of(certificate));
  return facts;
}

}  // namespace

Result<Digest> certificate_fingerprint(const std::string& certificate_pem) {
  HF_TRY(const X509Ptr certificate, read_certificate(certificate_pem));
  return fingerprint_of(certificate.get());
}

Result<CertificateFacts> inspect(const std::string& certificate_pem) {
  HF_TRY(const X509Ptr certificate, read_certificate(certificate_pem));
  return facts_of(certificate.get());
}

Result<CertificateFacts> inspect_der(ByteSpan der) {
  if (der.size() > kMaxDerBytes) return Error{Errc::Limit, "a certificate of more than 16 KiB"};
  const unsigned char* at = der.data();
  const X509Ptr certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!certificate) return openssl_error(Errc::Corrupt, "read a certificate");
  if (at != der.data() + der.size()) return Error{Errc::Corrupt, "bytes are left over behind a certificate"};
  return facts_of(certificate.get());
}

}  // namespace holdfast::identity
