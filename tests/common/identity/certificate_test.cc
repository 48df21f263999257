#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <fstream>
#include <sstream>

#include "common/identity/identity.h"
#include "common/identity/openssl.h"
#include "tests/support/fake_clock.h"

namespace holdfast::identity {
namespace {

using namespace std::chrono_literals;

const Name kClient{Role::Client, "acme", "web"};
const Name kServer{Role::Server, "", "vault"};
const Name kOperator{Role::Operator, "", "alice"};

struct Authority {
  support::FakeClock clock;
  KeyAndCertificate ca = *make_ca(clock, "test CA");

  Result<std::string> certify_new(const Name& name, std::chrono::hours lifetime = 24h) const {
    HF_TRY(const std::string key, make_key_pem());
    HF_TRY(const std::string request, make_request_pem(key, name));
    return certify(ca, request, name, clock, lifetime);
  }
};

Bytes der_of(const std::string& pem) {
  const X509Ptr certificate = *read_certificate(pem);
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

/// What an independent reader (OpenSSL's own verification) says, at the clock's time.
int verify_as(const std::string& ca_pem, const std::string& pem, int purpose, WallTime at) {
  const X509Ptr ca = *read_certificate(ca_pem), leaf = *read_certificate(pem);
  const OpensslPtr<X509_STORE, X509_STORE_free> store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), ca.get());
  const OpensslPtr<X509_STORE_CTX, X509_STORE_CTX_free> context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), nullptr);
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_purpose(param, purpose);
  X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
  X509_VERIFY_PARAM_set_time(param, std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch()).count());
  X509_verify_cert(context.get());
  return X509_STORE_CTX_get_error(context.get());
}

TEST(Certify, MakesCertificatesThatSayWhoAndForWhat) {
  const Authority authority;
  for (const Name& name : {kClient, kServer, kOperator}) {
    const Result<std::string> pem = authority.certify_new(name, 48h);
    ASSERT_TRUE(pem) << pem.error().message;
    const Result<CertificateFacts> facts = inspect(*pem);
    ASSERT_TRUE(facts) << facts.error().message;
    EXPECT_EQ(facts->name, name);
    EXPECT_EQ(facts->not_before, authority.clock.wall() - 10min);
    EXPECT_EQ(facts->not_after, authority.clock.wall() + 48h);
    EXPECT_EQ(facts->serial_hex.size(), 32u);
    EXPECT_EQ(facts->fingerprint, *certificate_fingerprint(*pem));
    const bool server = name.role == Role::Server;
    EXPECT_EQ(verify_as(authority.ca.certificate_pem, *pem, server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT,
                        authority.clock.wall()),
              X509_V_OK);
    EXPECT_EQ(verify_as(authority.ca.certificate_pem, *pem, server ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER,
                        authority.clock.wall()),
              X509_V_ERR_INVALID_PURPOSE);
  }
}

TEST(Certify, IsBackDatedTenMinutesAndEnds) {
  const Authority authority;
  const std::string pem = *authority.certify_new(kClient, 24h);
  const std::string& ca = authority.ca.certificate_pem;
  const WallTime now = authority.clock.wall();
  EXPECT_EQ(verify_as(ca, pem, X509_PURPOSE_SSL_CLIENT, now - 10min), X509_V_OK);
  EXPECT_EQ(verify_as(ca, pem, X509_PURPOSE_SSL_CLIENT, now - 10min - 2s), X509_V_ERR_CERT_NOT_YET_VALID);
  EXPECT_EQ(verify_as(ca, pem, X509_PURPOSE_SSL_CLIENT, now + 24h - 2s), X509_V_OK);
  EXPECT_EQ(verify_as(ca, pem, X509_PURPOSE_SSL_CLIENT, now + 24h + 2s), X509_V_ERR_CERT_HAS_EXPIRED);
}

TEST(Certify, NeverOutlivesItsCa) {
  Authority authority;
  const std::string pem = *authority.certify_new(kServer, 24h * 365 * 20);
  EXPECT_EQ(inspect(pem)->not_after, authority.clock.wall() + 24h * 3653);
  authority.clock.advance(24h * 3653);
  const Result<std::string> late = authority.certify_new(kClient);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::Denied);
}

TEST(Certify, IgnoresTheNamesInTheRequest) {
  const Authority authority;
  const std::string key = *make_key_pem();
  const std::string request = *make_request_pem(key, kOperator);
  EXPECT_EQ(inspect(*certify(authority.ca, request, kClient, authority.clock, 24h))->name, kClient);
}

TEST(Certify, RefusesARequestThatItsKeyHasNotSigned) {
  const Authority authority;
  const std::string pem = *make_request_pem(*make_key_pem(), kClient);
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const RequestPtr request(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  const PkeyPtr other = *read_key(*make_key_pem());
  X509_REQ_set_pubkey(request.get(), other.get());  // a thief's try to have somebody else's key certified
  const BioPtr out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_REQ(out.get(), request.get());
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  const Result<std::string> refused =
      certify(authority.ca, std::string(text, static_cast<std::size_t>(size)), kClient, authority.clock, 24h);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Denied);
}

TEST(Certify, RefusesOtherKindsOfKeys) {
  const Authority authority;
  const PkeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  const RequestPtr request(X509_REQ_new());
  X509_REQ_set_pubkey(request.get(), key.get());
  ASSERT_GT(X509_REQ_sign(request.get(), key.get(), EVP_sha256()), 0);
  const BioPtr out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_REQ(out.get(), request.get());
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  const Result<std::string> refused =
      certify(authority.ca, std::string(text, static_cast<std::size_t>(size)), kClient, authority.clock, 24h);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("Ed25519"), std::string::npos);
}

TEST(Certify, SurvivesARequestCutOrBentAnywhere) {
  const Authority authority;
  const std::string request = *make_request_pem(*make_key_pem(), kClient);
  for (std::size_t size = 0; size < request.size(); ++size) {
    const Result<std::string> made = certify(authority.ca, request.substr(0, size), kClient, authority.clock, 24h);
    if (size + 1 < request.size()) {
      EXPECT_FALSE(made) << size;  // only the last newline may be missing
    }
  }
  for (std::size_t i = 0; i < request.size(); ++i) {
    std::string bent = request;
    bent[i] = bent[i] == 'A' ? 'B' : 'A';
    const Result<std::string> made = certify(authority.ca, bent, kClient, authority.clock, 24h);
    if (made) {
      EXPECT_TRUE(inspect(*made));
    }
  }
  EXPECT_EQ(certify(authority.ca, std::string(100'000, 'x'), kClient, authority.clock, 24h).error().code, Errc::Limit);
}

TEST(Certify, RefusesAKeyThatIsNotTheCas) {
  const Authority authority;
  KeyAndCertificate mixed = authority.ca;
  mixed.key_pem = *make_key_pem();
  const Result<std::string> made =
      certify(mixed, *make_request_pem(*make_key_pem(), kClient), kClient, authority.clock, 24h);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::WrongKey);
}

TEST(Certify, RefusesNamesThatCouldBendTheCertificate) {
  const Authority authority;
  const std::string request = *make_request_pem(*make_key_pem(), kClient);
  for (const char* bad : {"", "web,URI:holdfast://other/web", "web\nDNS:x", "WEB", "a/b"}) {
    EXPECT_FALSE(certify(authority.ca, request, {Role::Client, "acme", bad}, authority.clock, 24h)) << bad;
    EXPECT_FALSE(certify(authority.ca, request, {Role::Client, bad, "web"}, authority.clock, 24h)) << bad;
  }
}

TEST(Certify, GivesEveryCertificateAnotherSerial) {
  const Authority authority;
  EXPECT_NE(inspect(*authority.certify_new(kClient))->serial_hex, inspect(*authority.certify_new(kClient))->serial_hex);
}

TEST(Keys, AreNeverAskedForAPassphrase) {
  const PkeyPtr key = *read_key(*make_key_pem());
  const BioPtr bio(BIO_new(BIO_s_mem()));
  char secret[] = "secret";
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), EVP_aes_256_cbc(), secret, 6, nullptr, nullptr);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  EXPECT_FALSE(read_key(std::string(text, static_cast<std::size_t>(size))));
}

// ---- reading what others have made ----

TEST(Inspect, RefusesEveryTruncation) {
  const Authority authority;
  const Bytes der = der_of(*authority.certify_new(kClient));
  ASSERT_TRUE(inspect_der(der));
  for (std::size_t size = 0; size < der.size(); ++size) EXPECT_FALSE(inspect_der(ByteSpan(der).first(size))) << size;
  Bytes longer = der;
  longer.push_back(0);
  EXPECT_FALSE(inspect_der(longer));
  EXPECT_EQ(inspect_der(Bytes(20'000)).error().code, Errc::Limit);
}

TEST(Inspect, SurvivesEveryFlippedBit) {
  const Authority authority;
  const Bytes der = der_of(*authority.certify_new(kClient));
  const Digest original = inspect_der(der)->fingerprint;
  for (std::size_t i = 0; i < der.size() * 8; ++i) {
    Bytes bad = der;
    bad[i / 8] ^= static_cast<std::uint8_t>(1u << (i % 8));
    const Result<CertificateFacts> facts = inspect_der(bad);
    if (facts) {
      EXPECT_TRUE(valid_name(facts->name.name)) << i;
    }
    if (facts) {
      EXPECT_NE(facts->fingerprint, original) << i;
    }
  }
}

/// Kept certificates, good and bad, each with the expected name or error.
TEST(Inspect, ReadsItsVectors) {
  const std::string directory = std::string(HF_SOURCE_DIR) + "/tests/vectors/certificate/";
  std::ifstream index(directory + "index.txt");
  ASSERT_TRUE(index);
  int seen = 0;
  for (std::string line; std::getline(index, line);) {
    if (line.empty() || line[0] == '#') continue;
    ++seen;
    std::istringstream in(line);
    std::string file, outcome, rest;
    in >> file >> outcome;
    std::getline(in >> std::ws, rest);
    std::ifstream hex_file(directory + file);
    ASSERT_TRUE(hex_file) << file;
    std::stringstream hex;
    hex << hex_file.rdbuf();
    std::string digits = hex.str();
    std::erase(digits, '\n');
    const Result<CertificateFacts> facts = inspect_der(*from_hex(digits));
    if (outcome == "ok") {
      ASSERT_TRUE(facts) << file << ": " << facts.error().message;
      EXPECT_EQ(facts->name.uri(), rest) << file;
    } else {
      ASSERT_FALSE(facts) << file;
      EXPECT_EQ(errc_name(facts.error().code), outcome) << file << ": " << facts.error().message;
      EXPECT_NE(facts.error().message.find(rest), std::string::npos) << file << ": " << facts.error().message;
    }
  }
  EXPECT_GE(seen, 8);
}

}  // namespace
}  // namespace holdfast::identity
