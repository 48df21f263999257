// The client's end of a connection against a server that does not keep to the protocol, over real TLS on loopback.
#include "client/remote/remote.h"

#include <gtest/gtest.h>

#include "common/crypto/sign.h"
#include "common/snapshot/records.h"
#include "tests/support/seeded_random.h"
#include "tests/support/tls_server.h"

namespace holdfast::remote {
namespace {

using namespace std::chrono_literals;
using runtime::Task;
using test::control_frame;
using test::kSoon;
using test::request_in;
using test::welcome;
using transport::Frame;
using transport::FrameStream;
using transport::FrameType;

/// Welcomes everybody, and answers a Fetch with one record again and again, as long as anybody takes it.
Task<void> flood(std::unique_ptr<FrameStream> stream, int) {
  for (;;) {
    HF_CO_TRY(Frame frame, co_await stream->receive(kSoon));
    HF_CO_TRY(const v1::Request request, request_in(frame));
    while (request.has_fetch()) {
      Frame blob;
      blob.type = FrameType::Blob;
      blob.payload.resize(1000);
      HF_CO_TRY_DO(co_await stream->send(std::move(blob), kSoon));
    }
    Frame answer = control_frame(frame.tag, welcome());
    HF_CO_TRY_DO(co_await stream->send(std::move(answer), kSoon));
  }
}

using Pages = std::vector<v1::SnapshotList>;

/// Welcomes everybody, and answers ListSnapshots with one page after another.
Task<void> list_pages(std::unique_ptr<FrameStream> stream, std::shared_ptr<const Pages> pages) {
  for (std::size_t next = 0;;) {
    HF_CO_TRY(Frame frame, co_await stream->receive(kSoon));
    HF_CO_TRY(const v1::Request request, request_in(frame));
    v1::Response response = welcome();
    if (request.has_list_snapshots() && next < pages->size()) *response.mutable_snapshot_list() = (*pages)[next++];
    Frame answer = control_frame(frame.tag, response);
    HF_CO_TRY_DO(co_await stream->send(std::move(answer), kSoon));
  }
}

/// A core that decodes, numbered `sequence`.
std::string core_of(std::uint64_t sequence) {
  support::SeededRandom random(sequence);
  const auto key = crypto::SigningKey::generate(random), root = crypto::SigningKey::generate(random);
  snapshot::ClientCertificate certificate{
      random.id<TenantId>(), random.id<ClientId>(), key.public_key(), random.id<DomainId>(), 0, root.public_key()};
  snapshot::Core core;
  core.tenant = certificate.tenant;
  core.domain = certificate.domain;
  core.epoch = 1;
  core.client = certificate.client;
  core.sequence = sequence;
  core.root = {random.id<RunId>(), random.id<BlobId>(), random.id<Digest>()};
  core.run = core.root.run;
  core.sources = {{random.id<SourceId>(), snapshot::SourceResult::Complete}};
  core.certificate = snapshot::encode_signed(certificate, root);
  core.sealed = random.bytes(40);
  return std::string(as_text(snapshot::encode_signed(core, key)));
}

TEST(Remote, TakesNoMoreBlobsThanItAskedFor) {
  const test::TlsServer server(&flood);
  const Result<std::unique_ptr<Remote>> remote = server.connect();
  ASSERT_TRUE(remote) << remote.error().message;
  const std::vector<WantedBlob> wanted(40);  // more than one request's worth: the others are waited for
  const MonotonicTime begun = system_clock().monotonic();
  const Status fetched = (*remote)->fetch({}, wanted, [](std::size_t, Result<Bytes>) { return Status{}; });
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, Errc::Protocol);
  EXPECT_LT(system_clock().monotonic() - begun, kSoon);  // nothing is waited for that could go on for ever
}

/// What a server that lists `pages` makes of one call.
Result<std::vector<SnapshotRow>> listed(Pages pages) {
  const auto shared = std::make_shared<const Pages>(std::move(pages));  // with every connection
  const test::TlsServer server(
      [shared](std::unique_ptr<FrameStream> stream, int) { return list_pages(std::move(stream), shared); });
  HF_TRY(const std::unique_ptr<Remote> remote, server.connect());
  return remote->snapshots({});
}

TEST(Remote, ListsNoMoreSnapshotsThanItsBound) {
  Pages pages(1);
  for (std::size_t i = 0; i < kMaxSnapshots; ++i) pages[0].add_snapshots();
  const auto most = listed(pages);
  ASSERT_TRUE(most) << most.error().message;
  EXPECT_EQ(most->size(), kMaxSnapshots);
  pages[0].add_snapshots();
  const auto refused = listed(pages);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Protocol);
}

TEST(Remote, ListsNoMoreBytesOfSnapshotsThanItsBound) {
  constexpr std::size_t kFilled = transport::kMaxControlBytes - (16u << 10);  // a page holds a core beside it
  Pages pages(kMaxSnapshotBytes / kFilled + 1);
  for (std::size_t i = 0; i < pages.size(); ++i) {
    pages[i].add_snapshots()->set_core(std::string(kFilled, 'x'));
    pages[i].add_snapshots()->set_core(
        core_of(pages.size() - i));  // the client asks for what is older than the last row
    pages[i].set_more(i + 1 < pages.size());
  }
  const auto refused = listed(pages);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Protocol);
  EXPECT_NE(refused.error().message.find("more snapshots"), std::string::npos) << refused.error().message;
  pages.pop_back();
  pages.back().set_more(false);
  const auto most = listed(std::move(pages));
  EXPECT_TRUE(most) << most.error().message;
}

TEST(Remote, IsGoneAtOnceWhenItIsDestroyed) {
  const test::TlsServer server(&flood);
  std::chrono::nanoseconds best = kSoon;
  for (int i = 0; i < 3; ++i) {  // the best of three: the machine may be busy
    Result<std::unique_ptr<Remote>> remote = server.connect();
    ASSERT_TRUE(remote) << remote.error().message;
    const MonotonicTime begun = system_clock().monotonic();
    remote->reset();
    best = std::min<std::chrono::nanoseconds>(best, system_clock().monotonic() - begun);
  }
  EXPECT_LT(best, 500ms);
}

TEST(Messages, NoSnapshotHasNumberZero) {
  v1::SessionOpened message;
  message.set_session_id(std::string(SessionId::kBytes, 'a'));
  message.set_head_digest(std::string(Digest::kBytes, 'b'));
  const Result<Opened> refused = decode(message);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Protocol);
  message.set_next_sequence(1);
  EXPECT_TRUE(decode(message));
}

}  // namespace
}  // namespace holdfast::remote
