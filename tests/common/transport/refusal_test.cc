// Who is not let in (ACCEPTANCE 33): a raw client tries, no byte of ours comes back, the refusal is logged with its
// reason, and the next honest client is served.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "common/transport/transport.h"
#include "tests/common/transport/pki.h"
#include "tests/common/transport/raw_peer.h"

namespace holdfast::transport {
namespace {

using namespace std::chrono_literals;
using namespace testing_pki;
using Psk = RawOptions::Psk;

struct Authorities {
  KeyAndCertificate built_in = *identity::make_ca(system_clock(), "built in");
  KeyAndCertificate stranger = *identity::make_ca(system_clock(), "built in");  // same name, other key
  KeyAndCertificate vendor = make(authority("vendor root"));
  KeyAndCertificate middle = make(authority("vendor intermediate"), &vendor);
  KeyAndCertificate lower = make(authority("vendor lower intermediate"), &middle);
};
const Authorities& cas() {
  static const Authorities all;
  return all;
}

constexpr std::size_t kGreetingBytes = 100;

/// Says something at once: whoever is let in hears it.
runtime::Task<void> greet(std::unique_ptr<FrameStream> stream, std::atomic<int>& sessions) {
  ++sessions;
  Frame greeting;
  greeting.payload.resize(kGreetingBytes);
  co_return co_await stream->send(std::move(greeting), 10s);
}

/// A listener on a thread of its own, which trusts the built-in CA and the vendor's root.
class Refusal : public testing::Test {
 protected:
  void SetUp() override {
    testing::internal::CaptureStderr();
    start({});
  }

  void start(ServerOptions options) {
    stop();
    options.listen = "127.0.0.1:0";
    options.certificate = certified(cas().built_in, kServerName);
    options.ca_pem = cas().built_in.certificate_pem + cas().vendor.certificate_pem;
    options.alpn = "holdfast/1";
    options.denied = [this](const identity::CertificateFacts& facts) {
      if (deny_list_broken_) throw std::runtime_error("no list");
      return facts.name.name == "stolen";
    };
    loop_ = std::make_unique<runtime::Loop>();
    Result<std::unique_ptr<Listener>> made = listen(
        *loop_, options, [this](std::unique_ptr<FrameStream> stream) { return greet(std::move(stream), sessions_); });
    ASSERT_TRUE(made) << made.error().message;
    listener_ = std::move(*made);
    address_ = listener_->address();
    thread_ = std::thread([this] { loop_->run(); });
  }

  /// Gives up soon on those who say nothing.
  void start_hasty() {
    hasty_ = true;
    ServerOptions options;
    options.handshake_deadline = 50ms;
    start(options);
  }

  void stop() {
    if (!loop_) return;
    loop_->stop();
    thread_.join();
    listener_.reset();
    loop_.reset();
  }

  void TearDown() override {
    // The harness lets an honest client in: what was refused was refused for its own sake.
    deny_list_broken_ = false;
    if (hasty_) start({});
    sessions_ = 0;
    const Seen seen = talk(address_, honest());
    EXPECT_TRUE(seen.connected);
    EXPECT_GE(seen.application_bytes, kGreetingBytes);
    EXPECT_EQ(sessions_, 1);
    stop();
    const std::string log = testing::internal::GetCapturedStderr();
    if (reason_.empty()) return;
    EXPECT_NE(log.find("event=\"handshake refused\""), std::string::npos) << log;
    EXPECT_NE(log.find(reason_), std::string::npos) << log;
    EXPECT_NE(log.find("address=127.0.0.1:"), std::string::npos) << log;
  }

  /// `alert` -1: any or none.
  void expect_refused(const RawOptions& client, const std::string& reason, int alert = -1) {
    reason_ = reason;
    const Seen seen = talk(address_, client);
    EXPECT_EQ(seen.application_bytes, 0u);
    if (alert >= 0) {
      EXPECT_EQ(seen.alert, alert);
    }
    EXPECT_EQ(sessions_, 0);
  }
  void expect_refused(const KeyAndCertificate& identity, const std::string& reason, int alert = -1) {
    RawOptions client;
    client.identity = identity;
    expect_refused(client, reason, alert);
  }
  void expect_raw_refused(std::string_view bytes, bool then_close, const std::string& reason) {
    reason_ = reason;
    RawSocket socket(dial_raw(address_));
    socket.send_text(bytes);
    if (then_close) socket.finish_sending();
    const std::string answer = socket.read_all();
    EXPECT_LE(answer.size(), 7u);  // at most one TLS alert
    EXPECT_EQ(sessions_, 0);
  }
  static RawOptions honest() {
    RawOptions client;
    client.identity = certified(cas().built_in, kClientName);
    return client;
  }

  std::unique_ptr<runtime::Loop> loop_;
  std::unique_ptr<Listener> listener_;
  std::string address_, reason_;
  std::thread thread_;
  std::atomic<int> sessions_ = 0;
  std::atomic<bool> deny_list_broken_ = false;
  bool hasty_ = false;
};

// ---- certificates ----

TEST_F(Refusal, WithoutACertificate) {
  expect_refused(RawOptions{}, "it shows no certificate", SSL_AD_CERTIFICATE_REQUIRED);
}
TEST_F(Refusal, FromAnotherCaOfTheSameName) {
  expect_refused(certified(cas().stranger, kClientName), "certificate", SSL_AD_UNKNOWN_CA);
}
TEST_F(Refusal, SelfSigned) { expect_refused(make(leaf("URI:holdfast://acme/web")), "self-signed", SSL_AD_UNKNOWN_CA); }
TEST_F(Refusal, Expired) {
  Wish wish = leaf("URI:holdfast://acme/web");
  wish.from_seconds = -7200;
  wish.to_seconds = -60;
  expect_refused(make(wish, &cas().built_in), "expired", SSL_AD_CERTIFICATE_EXPIRED);
}
TEST_F(Refusal, NotYetValid) {
  Wish wish = leaf("URI:holdfast://acme/web");
  wish.from_seconds = 600;
  expect_refused(make(wish, &cas().built_in), "not yet valid", SSL_AD_BAD_CERTIFICATE);
}
TEST_F(Refusal, RevokedClient) {
  expect_refused(certified(cas().built_in, {identity::Role::Client, "acme", "stolen"}),
                 "holdfast://acme/stolen is revoked", SSL_AD_CERTIFICATE_REVOKED);
}
TEST_F(Refusal, RevokedOperator) {
  expect_refused(certified(cas().built_in, {identity::Role::Operator, "", "stolen"}), "is revoked",
                 SSL_AD_CERTIFICATE_REVOKED);
}
TEST_F(Refusal, EverybodyWhenTheDenyListCannotBeRead) {
  deny_list_broken_ = true;
  expect_refused(honest(), "is revoked");
}
TEST_F(Refusal, ServersCertificateUsedByAClient) {
  expect_refused(certified(cas().built_in, kServerName), "purpose", SSL_AD_UNSUPPORTED_CERTIFICATE);
}
TEST_F(Refusal, ServersNameWithAClientsUsage) {
  expect_refused(make(leaf("URI:holdfast://server/vault"), &cas().built_in), "extended key usage does not fit");
}
TEST_F(Refusal, ServerAuthInAClientsName) {
  expect_refused(make(leaf("URI:holdfast://acme/web", "serverAuth"), &cas().built_in), "purpose");
}
TEST_F(Refusal, BothUsages) {
  expect_refused(make(leaf("URI:holdfast://acme/web", "serverAuth,clientAuth"), &cas().built_in),
                 "extended key usage does not fit");
}
TEST_F(Refusal, AnyUsage) {
  expect_refused(make(leaf("URI:holdfast://acme/web", "clientAuth,anyExtendedKeyUsage"), &cas().built_in),
                 "extended key usage does not fit");
}
TEST_F(Refusal, NoUsage) {
  expect_refused(make(leaf("URI:holdfast://acme/web", ""), &cas().built_in),
                 "does not say what its key may be used for");
}
TEST_F(Refusal, AnotherSchemeInTheName) {
  expect_refused(make(leaf("URI:https://acme/web"), &cas().built_in), "no name of ours");
}
TEST_F(Refusal, TwoNames) {
  expect_refused(make(leaf("URI:holdfast://acme/web,URI:holdfast://other/web"), &cas().built_in),
                 "has 2 subject alternative names");
}
TEST_F(Refusal, AUriBesideADnsName) {
  expect_refused(make(leaf("URI:holdfast://acme/web,DNS:web.acme.example"), &cas().built_in),
                 "has 2 subject alternative names");
}
TEST_F(Refusal, ADnsNameAlone) { expect_refused(make(leaf("DNS:web.acme.example"), &cas().built_in), "is no URI"); }
TEST_F(Refusal, ANameOnlyInTheSubject) {
  Wish wish = leaf("");
  wish.common_name = "holdfast://acme/web";
  expect_refused(make(wish, &cas().built_in), "no subject alternative name");
}
TEST_F(Refusal, TwoListsOfNames) {
  Wish wish = leaf("URI:holdfast://acme/web");
  wish.extensions.emplace_back(NID_subject_alt_name, "URI:holdfast://other/web");
  expect_refused(make(wish, &cas().built_in), "issuer");  // OpenSSL takes no part of such a certificate for good
}
TEST_F(Refusal, NamesOutsideTheAlphabet) {
  expect_refused(make(leaf("URI:holdfast://acme/../other"), &cas().built_in), "is no name");
}
TEST_F(Refusal, NamesInCapitals) {
  expect_refused(make(leaf("URI:holdfast://ACME/web"), &cas().built_in), "is no name");
}
TEST_F(Refusal, TheCasOwnCertificate) { expect_refused(cas().built_in, "unsuitable certificate purpose"); }
TEST_F(Refusal, ACaWithAClientsName) {
  Wish wish = authority("a CA");
  wish.extensions.emplace_back(NID_ext_key_usage, "clientAuth");
  wish.extensions.emplace_back(NID_subject_alt_name, "URI:holdfast://acme/web");
  expect_refused(make(wish, &cas().vendor), "unsuitable certificate purpose");
}
TEST_F(Refusal, AnIntermediateUnderTheBuiltInCa) {
  const KeyAndCertificate middle = make(authority("not allowed"), &cas().built_in);
  RawOptions client;
  client.identity = make(leaf("URI:holdfast://acme/web"), &middle);
  client.chain = {middle.certificate_pem};
  expect_refused(client, "path length constraint exceeded");
}
TEST_F(Refusal, AClientThatSignsClients) {
  const KeyAndCertificate client_as_ca = certified(cas().built_in, kClientName);
  RawOptions client;
  client.identity = make(leaf("URI:holdfast://acme/other"), &client_as_ca);
  client.chain = {client_as_ca.certificate_pem};
  expect_refused(client, "invalid CA certificate");
}
TEST_F(Refusal, AChainDeeperThanOneIntermediate) {
  RawOptions client;
  client.identity = make(leaf("URI:holdfast://acme/web"), &cas().lower);
  client.chain = {cas().lower.certificate_pem, cas().middle.certificate_pem};
  expect_refused(client, "certificate chain too long");
}
TEST_F(Refusal, ButNotAChainOfOneIntermediate) {
  RawOptions client;
  client.identity = make(leaf("URI:holdfast://acme/web"), &cas().middle);
  client.chain = {cas().middle.certificate_pem};
  EXPECT_GE(talk(address_, client).application_bytes, kGreetingBytes);
}
TEST_F(Refusal, AChainOf50KiB) {
  Wish wish = leaf("URI:holdfast://acme/web");
  wish.extensions.emplace_back(NID_netscape_comment, std::string(25'000, 'x'));
  RawOptions client;
  client.identity = make(wish, &cas().built_in);
  client.chain = {client.identity->certificate_pem};
  expect_refused(client, "more than 16 KiB");
}
TEST_F(Refusal, AnInnocentLeafBehindAHugeChain) {
  RawOptions client = honest();
  Wish wish = authority("padding");
  wish.extensions.emplace_back(NID_netscape_comment, std::string(10'000, 'x'));
  for (int i = 0; i < 5; ++i) client.chain.push_back(make(wish).certificate_pem);
  expect_refused(client, "more than 16 KiB");
}

// ---- the protocol ----

TEST_F(Refusal, Tls12) {
  RawOptions client = honest();
  client.least = client.most = TLS1_2_VERSION;
  expect_refused(client, "does not offer TLS 1.3", SSL_AD_PROTOCOL_VERSION);
}
TEST_F(Refusal, Tls10And11) {
  RawOptions client = honest();
  client.least = TLS1_VERSION;
  client.most = TLS1_1_VERSION;
  expect_refused(client, "does not offer TLS 1.3");
}
TEST_F(Refusal, AResumedSession) {
  RawOptions client = honest();
  client.psk = Psk::Resume;
  expect_refused(client, "tries to resume a session", SSL_AD_ILLEGAL_PARAMETER);
}
TEST_F(Refusal, EarlyData) {
  RawOptions client = honest();
  client.psk = Psk::EarlyData;
  expect_refused(client, "sends early data", SSL_AD_ILLEGAL_PARAMETER);
}
TEST_F(Refusal, NoAlpn) {
  RawOptions client = honest();
  client.alpn.clear();
  expect_refused(client, "names no protocol (ALPN)", SSL_AD_NO_APPLICATION_PROTOCOL);
}
TEST_F(Refusal, AnotherAlpn) {
  RawOptions client = honest();
  for (const char* other : {"h2", "holdfast/10", "holdfast/", "HOLDFAST/1"}) {
    client.alpn = other;
    expect_refused(client, "speaks another protocol", SSL_AD_NO_APPLICATION_PROTOCOL);
  }
}
TEST_F(Refusal, NoCipherInCommon) {
  RawOptions client = honest();
  client.ciphers = "TLS_AES_128_CCM_8_SHA256";
  expect_refused(client, "no shared cipher", SSL_AD_HANDSHAKE_FAILURE);
}

// ---- no TLS at all ----

TEST_F(Refusal, AnHttpRequest) {
  expect_raw_refused("GET / HTTP/1.1\r\nHost: vault\r\n\r\n", false, "does not speak TLS");
}
TEST_F(Refusal, Garbage) { expect_raw_refused(std::string(5000, '\xA5'), false, "does not speak TLS"); }
TEST_F(Refusal, OurOwnFramesWithoutTls) {
  const Bytes frame = encode_frame_header(FrameType::Control, 1, 0);
  expect_raw_refused(as_text(frame), false, "does not speak TLS");
}
TEST_F(Refusal, AClientHelloThatEnds) {
  expect_raw_refused(std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00", 12), true,
                     "closed the connection");
}
TEST_F(Refusal, AClientHelloOfEndlessLength) {
  std::string record("\x16\x03\x01\x40\x00\x01\xff\xff\xff", 9);
  record.resize(5 + 16384, 'x');
  expect_raw_refused(record, false, "more than 16 KiB");
}
TEST_F(Refusal, SilenceAfterTheFirstByte) {
  start_hasty();
  expect_raw_refused("\x16", false, "not finished in time");
}
TEST_F(Refusal, SilenceInsteadOfACertificate) {
  start_hasty();
  reason_ = "not finished in time";
  // Everything up to the server's flight, then nothing: a client that reads and never answers.
  RawSocket socket(dial_raw(address_));
  const ContextPtr context = raw_context(honest(), false);
  const SslPtr ssl(SSL_new(context.get()));
  const Bytes wire = alpn_wire("holdfast/1");
  SSL_set_alpn_protos(ssl.get(), wire.data(), static_cast<unsigned>(wire.size()));
  BIO* const memory = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), memory);
  SSL_connect(ssl.get());
  char* hello = nullptr;
  const long size = BIO_get_mem_data(memory, &hello);
  socket.send_text({hello, static_cast<std::size_t>(size)});
  EXPECT_GT(socket.read_all().size(), 500u);  // the handshake's, encrypted; then the end
  EXPECT_EQ(sessions_, 0);
}

}  // namespace
}  // namespace holdfast::transport
