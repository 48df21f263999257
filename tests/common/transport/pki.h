#pragma once
// Certificates as a hostile or clumsy CA might make them: every field at the test's choice. The good ones come from
// identity/ itself.

#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <string>
#include <vector>

#include "common/identity/identity.h"
#include "common/identity/openssl.h"

namespace holdfast::transport::testing_pki {

using identity::KeyAndCertificate;
using identity::PkeyPtr;
using identity::X509Ptr;

struct Wish {
  std::string common_name = "rogue";
  std::vector<std::pair<int, std::string>> extensions;  ///< nid, value as in openssl.cnf
  long from_seconds = -600, to_seconds = 3600;          ///< relative to now
  long version = X509_VERSION_3;
};

inline std::string pem_of(X509* certificate) {
  const identity::BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

/// Signed by `issuer`, or by itself.
inline KeyAndCertificate make(const Wish& wish, const KeyAndCertificate* issuer = nullptr) {
  KeyAndCertificate out;
  out.key_pem = *identity::make_key_pem();
  const PkeyPtr key = *identity::read_key(out.key_pem);
  const X509Ptr made(X509_new());
  X509_set_version(made.get(), wish.version);
  static long serial = 1000;
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), wish.from_seconds);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), wish.to_seconds);
  X509_set_pubkey(made.get(), key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(wish.common_name.data()),
                             static_cast<int>(wish.common_name.size()), -1, 0);
  const X509Ptr issuer_certificate = issuer ? *identity::read_certificate(issuer->certificate_pem) : X509Ptr();
  const PkeyPtr issuer_key = issuer ? *identity::read_key(issuer->key_pem) : PkeyPtr();
  X509* const by = issuer ? issuer_certificate.get() : made.get();
  X509_set_issuer_name(made.get(), X509_get_subject_name(by));
  for (const auto& [nid, value] : wish.extensions) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, by, made.get(), nullptr, nullptr, 0);
    const identity::OpensslPtr<X509_EXTENSION, X509_EXTENSION_free> extension(
        X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    EXPECT_TRUE(extension && X509_add_ext(made.get(), extension.get(), -1) == 1) << value;
  }
  EXPECT_GT(X509_sign(made.get(), issuer ? issuer_key.get() : key.get(), nullptr), 0);
  out.certificate_pem = pem_of(made.get());
  return out;
}

inline Wish leaf(const std::string& names, const std::string& usage = "clientAuth") {
  Wish wish;
  wish.extensions = {{NID_basic_constraints, "critical,CA:FALSE"}};
  if (!usage.empty()) wish.extensions.emplace_back(NID_ext_key_usage, usage);
  if (!names.empty()) wish.extensions.emplace_back(NID_subject_alt_name, names);
  return wish;
}

inline Wish authority(const std::string& name, const std::string& constraints = "critical,CA:TRUE") {
  Wish wish;
  wish.common_name = name;
  wish.extensions = {{NID_basic_constraints, constraints},
                     {NID_key_usage, "critical,keyCertSign,cRLSign"},
                     {NID_subject_key_identifier, "hash"}};
  return wish;
}

/// As the product makes them.
inline KeyAndCertificate certified(const KeyAndCertificate& ca, const identity::Name& name,
                                   const Clock& clock = system_clock()) {
  KeyAndCertificate out;
  out.key_pem = *identity::make_key_pem();
  out.certificate_pem =
      *identity::certify(ca, *identity::make_request_pem(out.key_pem, name), name, clock, std::chrono::hours(24));
  return out;
}

inline const identity::Name kServerName{identity::Role::Server, "", "vault"};
inline const identity::Name kClientName{identity::Role::Client, "acme", "web"};
inline const identity::Name kOperatorName{identity::Role::Operator, "", "alice"};

}  // namespace holdfast::transport::testing_pki
