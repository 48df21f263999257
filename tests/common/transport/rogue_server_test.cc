// Servers that our client must not talk to (ACCEPTANCE B3): it ends in the handshake, has sent neither a byte of ours nor
// its certificate, and says why. And what it says when an honest server refuses *it*.
#include <gtest/gtest.h>

#include <atomic>

#include "common/runtime/task_group.h"
#include "common/transport/transport.h"
#include "tests/common/transport/pki.h"
#include "tests/common/transport/raw_peer.h"

namespace holdfast::transport {
namespace {

using namespace std::chrono_literals;
using namespace testing_pki;
using runtime::Loop;
using runtime::Task;

struct Authorities {
  KeyAndCertificate ours = *identity::make_ca(system_clock(), "ours");
  KeyAndCertificate stranger = *identity::make_ca(system_clock(), "ours");
  KeyAndCertificate client = certified(ours, kClientName);
};
const Authorities& cas() {
  static const Authorities all;
  return all;
}

ClientOptions client_options(const std::string& address) {
  ClientOptions options;
  options.address = address;
  options.certificate = cas().client;
  options.ca_pem = cas().ours.certificate_pem;
  options.alpn = "holdfast/1";
  options.connect_deadline = 20s;
  return options;
}

/// What a client got: nothing, or why not. `Errc{}` when all went well.
struct Outcome {
  Errc connect{}, send{}, receive{};
  std::string words;  ///< of the first error
};

Task<void> attempt(Loop& loop, ClientOptions options, Outcome& out) {
  const Result<std::unique_ptr<FrameStream>> stream = co_await connect(loop, options);
  if (!stream) {
    out.connect = stream.error().code;
    out.words = stream.error().message;
    co_return Status{};
  }
  Frame hello;
  hello.payload = to_bytes(as_bytes("hello"));
  const Status sent = co_await (*stream)->send(std::move(hello), 20s);
  if (!sent) out.send = sent.error().code;
  const Result<Frame> answer = co_await (*stream)->receive(20s);
  if (!answer) {
    out.receive = answer.error().code;
    out.words = answer.error().message;
  }
  if (!sent) out.words = sent.error().message;
  co_return Status{};
}

Outcome try_to_connect(const ClientOptions& options) {
  Loop loop;
  Outcome out;
  loop.spawn(attempt(loop, options, out), [&](const Status& status) {
    EXPECT_TRUE(status) << status.error().message;
    loop.stop();
  });
  loop.run();
  return out;
}

/// What a rogue server has got out of a client.
struct Loot {
  std::atomic<int> application_bytes = 0;
  std::atomic<bool> certificate = false;
};

int accept_any(X509_STORE_CTX*, void*) { return 1; }

int choose_alpn(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned int,
                void* wanted) {
  const auto& alpn = *static_cast<const std::string*>(wanted);
  if (alpn.empty()) return SSL_TLSEXT_ERR_NOACK;
  *out = reinterpret_cast<const unsigned char*>(alpn.data());
  *size = static_cast<unsigned char>(alpn.size());
  (void)in;
  return SSL_TLSEXT_ERR_OK;
}

/// A TLS server that asks for a certificate, takes whatever comes and counts it.
void loot(RawSocket& socket, const RawOptions& options, Loot& got) {
  const ContextPtr context = raw_context(options, true);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context.get(), accept_any, nullptr);
  SSL_CTX_set_alpn_select_cb(context.get(), choose_alpn, const_cast<std::string*>(&options.alpn));
  const SslPtr ssl(SSL_new(context.get()));
  SSL_set_fd(ssl.get(), socket.get());
  if (SSL_accept(ssl.get()) == 1) {
    char buffer[4096];
    int n = 0;
    while ((n = SSL_read(ssl.get(), buffer, sizeof buffer)) > 0) got.application_bytes += n;
  }
  if (SSL_get0_peer_certificate(ssl.get()) != nullptr) got.certificate = true;
  ERR_clear_error();
}

class RogueServer : public testing::Test {
 protected:
  /// The client refuses this server: `words` say why, and the server has got nothing.
  void expect_refused(const RawOptions& options, const std::string& words, Errc code = Errc::Denied,
                      const std::function<void(ClientOptions&)>& adjust = {}) {
    Loot got;
    Outcome outcome;
    {
      RawServer server([&](RawSocket& socket) { loot(socket, options, got); });
      ClientOptions client = client_options(server.address());
      if (adjust) adjust(client);
      outcome = try_to_connect(client);
      EXPECT_NE(outcome.words.find(server.address()), std::string::npos) << outcome.words;
    }
    EXPECT_EQ(errc_name(outcome.connect), errc_name(code)) << outcome.words;
    EXPECT_NE(outcome.words.find(words), std::string::npos) << outcome.words;
    EXPECT_EQ(got.application_bytes, 0);
    EXPECT_FALSE(got.certificate);
  }
  void expect_refused(const KeyAndCertificate& identity, const std::string& words, Errc code = Errc::Denied) {
    RawOptions options;
    options.identity = identity;
    expect_refused(options, words, code);
  }
  void expect_raw(const std::function<void(RawSocket&)>& handle, Errc code, const std::string& words) {
    RawServer server(handle);
    ClientOptions client = client_options(server.address());
    if (code == Errc::Timeout) client.connect_deadline = 50ms;
    const Outcome outcome = try_to_connect(client);
    EXPECT_EQ(errc_name(outcome.connect), errc_name(code)) << outcome.words;
    EXPECT_NE(outcome.words.find(words), std::string::npos) << outcome.words;
    EXPECT_NE(outcome.words.find(server.address()), std::string::npos) << outcome.words;
  }
};

KeyAndCertificate server_like(const std::string& names, const std::string& usage = "serverAuth") {
  return make(leaf(names, usage), &cas().ours);
}

TEST_F(RogueServer, AnHonestOneWouldBeTalkedTo) {
  Loot got;
  {
    RawOptions options;
    options.identity = certified(cas().ours, kServerName);
    RawServer server([&](RawSocket& socket) {
      const ContextPtr context = raw_context(options, true);
      SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
      SSL_CTX_set_cert_verify_callback(context.get(), accept_any, nullptr);
      SSL_CTX_set_alpn_select_cb(context.get(), choose_alpn, &options.alpn);
      const SslPtr ssl(SSL_new(context.get()));
      SSL_set_fd(ssl.get(), socket.get());
      EXPECT_EQ(SSL_accept(ssl.get()), 1);
      got.certificate = SSL_get0_peer_certificate(ssl.get()) != nullptr;
      char buffer[100];
      got.application_bytes = SSL_read(ssl.get(), buffer, sizeof buffer);
    });
    const Outcome outcome = try_to_connect(client_options(server.address()));
    EXPECT_EQ(outcome.connect, Errc{}) << outcome.words;
  }
  EXPECT_EQ(got.application_bytes, 21);  // one frame
  EXPECT_TRUE(got.certificate);
}

TEST_F(RogueServer, FromAnotherCaOfTheSameName) {
  expect_refused(certified(cas().stranger, kServerName), "is not the server that we trust");
}
TEST_F(RogueServer, SelfSigned) {
  expect_refused(make(leaf("URI:holdfast://server/vault", "serverAuth")), "self-signed");
}
TEST_F(RogueServer, AClientsCertificate) { expect_refused(certified(cas().ours, kClientName), "purpose"); }
TEST_F(RogueServer, AClientsNameWithAServersUsage) {
  expect_refused(server_like("URI:holdfast://acme/web"), "extended key usage does not fit");
}
TEST_F(RogueServer, AServersNameWithAClientsUsage) {
  expect_refused(server_like("URI:holdfast://server/vault", "clientAuth"), "purpose");
}
TEST_F(RogueServer, AnOperatorsName) {
  expect_refused(server_like("URI:holdfast://operator/alice"), "extended key usage does not fit");
}
TEST_F(RogueServer, TwoNames) {
  expect_refused(server_like("URI:holdfast://server/vault,URI:holdfast://server/other"), "2 subject alternative names");
}
TEST_F(RogueServer, NoName) { expect_refused(server_like(""), "no subject alternative name"); }
TEST_F(RogueServer, ADnsName) { expect_refused(server_like("DNS:localhost"), "is no URI"); }
TEST_F(RogueServer, Expired) {
  Wish wish = leaf("URI:holdfast://server/vault", "serverAuth");
  wish.from_seconds = -7200;
  wish.to_seconds = -60;
  expect_refused(make(wish, &cas().ours), "expired");
}
TEST_F(RogueServer, NotYetValid) {
  Wish wish = leaf("URI:holdfast://server/vault", "serverAuth");
  wish.from_seconds = 600;
  expect_refused(make(wish, &cas().ours), "not yet valid");
}
TEST_F(RogueServer, SignedByAClient) {
  RawOptions options;
  options.identity = make(leaf("URI:holdfast://server/vault", "serverAuth"), &cas().client);
  options.chain = {cas().client.certificate_pem};
  expect_refused(options, "invalid CA certificate");
}
TEST_F(RogueServer, AHugeChain) {
  RawOptions options;
  options.identity = certified(cas().ours, kServerName);
  Wish wish = authority("padding");
  wish.extensions.emplace_back(NID_netscape_comment, std::string(10'000, 'x'));
  for (int i = 0; i < 5; ++i) options.chain.push_back(make(wish).certificate_pem);
  expect_refused(options, "more than 16 KiB", Errc::Limit);
}
TEST_F(RogueServer, Tls12) {
  RawOptions options;
  options.identity = certified(cas().ours, kServerName);
  options.least = options.most = TLS1_2_VERSION;
  expect_refused(options, "TLS 1.3");
}
TEST_F(RogueServer, AnotherAlpn) {
  RawOptions options;
  options.identity = certified(cas().ours, kServerName);
  options.alpn = "h2";
  expect_refused(options, "bad extension", Errc::Protocol);  // it was not offered (RFC 7301, section 3.1)
}
TEST_F(RogueServer, NoAlpn) {
  RawOptions options;
  options.identity = certified(cas().ours, kServerName);
  options.alpn.clear();
  expect_refused(options, "does not speak holdfast/1");
}

// ---- no TLS ----

TEST_F(RogueServer, AMailServer) {
  expect_raw(
      [](RawSocket& socket) {
        socket.send_text("220 mail.example ESMTP ready\r\n");
        socket.read_all();
      },
      Errc::Protocol, "does not speak TLS");
}
TEST_F(RogueServer, AWebServer) {
  expect_raw(
      [](RawSocket& socket) {
        socket.send_text("HTTP/1.1 400 Bad Request\r\n\r\n");
        socket.read_all();
      },
      Errc::Protocol, "does not speak TLS");
}
TEST_F(RogueServer, OneThatCloses) {
  expect_raw([](RawSocket&) {}, Errc::Unreachable, "");
}
TEST_F(RogueServer, OneThatSaysNothing) {
  expect_raw([](RawSocket& socket) { socket.read_all(); }, Errc::Timeout, "does not answer");
}

// ---- enrolment: only the CA's fingerprint is known ----

TEST_F(RogueServer, AnotherCaThanTheTokens) {
  RawOptions options;
  options.identity = certified(cas().stranger, kServerName);
  options.chain = {cas().stranger.certificate_pem};
  expect_refused(options, "not the one named in the token", Errc::Denied, [](ClientOptions& client) {
    client.certificate.reset();
    client.ca_pem.clear();
    client.ca_fingerprint = *identity::certificate_fingerprint(cas().ours.certificate_pem);
  });
}
TEST_F(RogueServer, TheTokensCaBesideAChainOfAnother) {
  RawOptions options;
  options.identity = certified(cas().stranger, kServerName);
  options.chain = {cas().stranger.certificate_pem, cas().ours.certificate_pem};
  expect_refused(options, "is not the server that we trust", Errc::Denied, [](ClientOptions& client) {
    client.certificate.reset();
    client.ca_pem.clear();
    client.ca_fingerprint = *identity::certificate_fingerprint(cas().ours.certificate_pem);
  });
}
TEST_F(RogueServer, OurCaWithAnotherFingerprintInTheToken) {
  RawOptions options;
  options.identity = certified(cas().ours, kServerName);
  expect_refused(options, "not the one named in the token", Errc::Denied, [](ClientOptions& client) {
    client.ca_fingerprint = *identity::certificate_fingerprint(cas().stranger.certificate_pem);
  });
}

// ---- what our client says when our server refuses it ----

Task<void> answer_once(std::unique_ptr<FrameStream> stream) {
  HF_CO_TRY(Frame frame, co_await stream->receive(20s));
  co_return co_await stream->send(std::move(frame), 20s);
}

Outcome against_our_server(const std::function<void(ServerOptions&)>& server,
                           const std::function<void(ClientOptions&)>& client) {
  testing::internal::CaptureStderr();
  Loop loop;
  ServerOptions options;
  options.listen = "127.0.0.1:0";
  options.certificate = certified(cas().ours, kServerName);
  options.ca_pem = cas().ours.certificate_pem;
  options.alpn = "holdfast/1";
  if (server) server(options);
  const auto listener = listen(loop, options, answer_once);
  EXPECT_TRUE(listener);
  ClientOptions wanted = client_options((*listener)->address());
  if (client) client(wanted);
  Outcome out;
  loop.spawn(attempt(loop, wanted, out), [&](const Status&) { loop.stop(); });
  loop.run();
  (void)testing::internal::GetCapturedStderr();
  return out;
}

void expect_denied(const Outcome& outcome, const std::string& words) {
  const bool denied =
      outcome.connect == Errc::Denied || outcome.send == Errc::Denied || outcome.receive == Errc::Denied;
  EXPECT_TRUE(denied) << outcome.words;
  EXPECT_NE(outcome.words.find(words), std::string::npos) << outcome.words;
  EXPECT_NE(outcome.words.find("127.0.0.1:"), std::string::npos) << outcome.words;
}

TEST(Refused, NobodyWhoIsHonest) {
  const Outcome outcome = against_our_server({}, {});
  EXPECT_EQ(outcome.connect, Errc{});
  EXPECT_EQ(outcome.receive, Errc{}) << outcome.words;
}
TEST(Refused, SaysThatTheCertificateIsRevoked) {
  expect_denied(against_our_server([](ServerOptions& o) { o.denied = [](const auto&) { return true; }; }, {}),
                "revoked");
}
TEST(Refused, SaysThatTheCertificateHasExpired) {
  Wish wish = leaf("URI:holdfast://acme/web");
  wish.to_seconds = -60;
  expect_denied(against_our_server({}, [&](ClientOptions& o) { o.certificate = make(wish, &cas().ours); }),
                "has expired");
}
TEST(Refused, SaysThatTheCaIsAnother) {
  expect_denied(
      against_our_server({}, [](ClientOptions& o) { o.certificate = certified(cas().stranger, kClientName); }),
      "another CA");
}
TEST(Refused, SaysThatACertificateIsNeeded) {
  expect_denied(against_our_server({}, [](ClientOptions& o) { o.certificate.reset(); }), "has none");
}
TEST(Refused, SaysThatThePortSpeaksSomethingElse) {
  expect_denied(against_our_server({}, [](ClientOptions& o) { o.alpn = "holdfast-enrol/1"; }), "right port");
}

// ---- what an uploading client says ----

/// What each side of an upload got at its end.
struct UploadOutcome {
  Status writer, reader;
  std::vector<Frame> heard;
};

/// Until it fails. The kernel and a server that discards take a good deal before.
Task<void> upload(FrameStream& stream, UploadOutcome& out) {
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (out.writer && std::chrono::steady_clock::now() < end) {
    Frame blob;
    blob.type = FrameType::Blob;
    blob.payload.resize(500'000);
    out.writer = co_await stream.send(std::move(blob), 20s);
  }
  co_return Status{};
}

Task<void> hear_all(FrameStream& stream, UploadOutcome& out) {
  while (out.reader) {
    Result<Frame> frame = co_await stream.receive(20s);
    if (frame)
      out.heard.push_back(*std::move(frame));
    else
      out.reader = std::move(frame).error();
  }
  co_return Status{};
}

enum class Reads { Meanwhile, Afterwards };

Task<void> upload_and_hear(Loop& loop, ClientOptions options, Reads reads, UploadOutcome& out) {
  HF_CO_TRY(const std::unique_ptr<FrameStream> stream, co_await connect(loop, std::move(options)));
  runtime::TaskGroup group(loop);
  group.spawn(upload(*stream, out));
  if (reads == Reads::Afterwards) HF_CO_TRY_DO(co_await group.join());
  group.spawn(hear_all(*stream, out));
  co_return co_await group.join();
}

UploadOutcome run_upload(Loop& loop, const std::string& address, Reads reads) {
  UploadOutcome out;
  loop.spawn(upload_and_hear(loop, client_options(address), reads, out), [&](const Status& status) {
    EXPECT_TRUE(status) << status.error().message;
    loop.stop();
  });
  loop.run();
  return out;
}

void expect_revoked(const Status& end) {
  ASSERT_FALSE(end);
  EXPECT_EQ(errc_name(end.error().code), "denied") << end.error().message;
  EXPECT_NE(end.error().message.find("revoked"), std::string::npos) << end.error().message;
  EXPECT_NE(end.error().message.find("127.0.0.1:"), std::string::npos) << end.error().message;
}

class RefusedUpload : public testing::TestWithParam<Reads> {};

TEST_P(RefusedUpload, IsToldSoByWriterAndReader) {
  testing::internal::CaptureStderr();
  Loop loop;
  ServerOptions options;
  options.listen = "127.0.0.1:0";
  options.certificate = certified(cas().ours, kServerName);
  options.ca_pem = cas().ours.certificate_pem;
  options.alpn = "holdfast/1";
  options.denied = [](const auto&) { return true; };
  const auto listener = listen(loop, options, answer_once);
  ASSERT_TRUE(listener);
  const UploadOutcome out = run_upload(loop, (*listener)->address(), GetParam());
  (void)testing::internal::GetCapturedStderr();
  expect_revoked(out.writer);
  expect_revoked(out.reader);
}

/// A server that speaks TLS with whoever comes, says `words` once the first bytes are there, and breaks the connection.
void break_off(RawSocket& socket, const Bytes& words) {
  RawOptions options;
  options.identity = certified(cas().ours, kServerName);
  const ContextPtr context = raw_context(options, true);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context.get(), accept_any, nullptr);
  SSL_CTX_set_alpn_select_cb(context.get(), choose_alpn, &options.alpn);
  const SslPtr ssl(SSL_new(context.get()));
  SSL_set_fd(ssl.get(), socket.get());
  EXPECT_EQ(SSL_accept(ssl.get()), 1);
  char byte = 0;
  EXPECT_EQ(SSL_read(ssl.get(), &byte, 1), 1);
  EXPECT_GT(SSL_write(ssl.get(), words.data(), static_cast<int>(words.size())), 0);
}  // closed with unread bytes: the kernel sends a reset

TEST(BrokenUpload, StillReadsWhatTheServerSaidBefore) {
  Bytes words = encode_frame_header(FrameType::Control, 7, 3);
  words.insert(words.end(), {'w', 'h', 'y'});
  RawServer server([&](RawSocket& socket) { break_off(socket, words); });
  Loop loop;
  const UploadOutcome out = run_upload(loop, server.address(), Reads::Meanwhile);
  ASSERT_EQ(out.heard.size(), 1u);
  EXPECT_EQ(out.heard[0].tag, 7u);
  EXPECT_EQ(out.heard[0].payload, to_bytes(as_bytes("why")));
  ASSERT_FALSE(out.reader);
  EXPECT_EQ(errc_name(out.reader.error().code), "unreachable") << out.reader.error().message;
  EXPECT_FALSE(out.writer);
}

std::string reads_name(const testing::TestParamInfo<Reads>& info) {
  return info.param == Reads::Meanwhile ? "WhoReadsMeanwhile" : "WhoReadsAfterwards";
}
INSTANTIATE_TEST_SUITE_P(Client, RefusedUpload, testing::Values(Reads::Meanwhile, Reads::Afterwards), reads_name);

void as_enrolment(ServerOptions& options) {
  options.require_peer = false;
  options.alpn = "holdfast-enrol/1";
}
void as_new_machine(ClientOptions& options) {
  options.certificate.reset();
  options.ca_pem.clear();
  options.ca_fingerprint = *identity::certificate_fingerprint(cas().ours.certificate_pem);
  options.alpn = "holdfast-enrol/1";
}

TEST(Enrolment, KnowsItsServerByTheFingerprintOfItsCa) {
  const Outcome outcome = against_our_server(as_enrolment, as_new_machine);
  EXPECT_EQ(outcome.connect, Errc{}) << outcome.words;
  EXPECT_EQ(outcome.receive, Errc{}) << outcome.words;
}

Task<void> send_too_much(Loop& loop, ClientOptions options, Status& end) {
  HF_CO_TRY(const std::unique_ptr<FrameStream> stream, co_await connect(loop, options));
  Frame frame;
  frame.payload.resize(100'000);
  (void)co_await stream->send(std::move(frame), 20s);
  const Result<Frame> answer = co_await stream->receive(20s);
  if (!answer) end = answer.error();
  co_return Status{};
}

TEST(Enrolment, TakesNoLargeFramesFromStrangers) {
  Loop loop;
  ServerOptions options;
  options.listen = "127.0.0.1:0";
  options.certificate = certified(cas().ours, kServerName);
  options.ca_pem = cas().ours.certificate_pem;
  as_enrolment(options);
  const auto listener = listen(loop, options, answer_once);
  ASSERT_TRUE(listener);
  ClientOptions client = client_options((*listener)->address());
  as_new_machine(client);
  Status end;
  loop.spawn(send_too_much(loop, client, end), [&](const Status& status) {
    EXPECT_TRUE(status);
    loop.stop();
  });
  loop.run();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Errc::Unreachable);
}

}  // namespace
}  // namespace holdfast::transport
