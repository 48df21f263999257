// One connection from hello to its end, with real tenants on a disk in memory, over a pair of streams.
#include "server/session/session.h"

#include "common/base/clock.h"
#include "tests/server/session/service_world.h"

namespace holdfast::session {
namespace {

using std::chrono::milliseconds;

Deadlines quick() {
  Deadlines deadlines;
  deadlines.idle_flush = milliseconds(20);
  deadlines.linger = milliseconds(200);
  return deadlines;
}

class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest() : tenant_id(world.add_tenant("acme")), shop(world.add_member("acme", "shop")) {}
  /// A peer that has said hello.
  std::unique_ptr<Peer> greeted(Service& service, const identity::CertificateFacts& facts) {
    std::unique_ptr<Peer> peer = service.connect(facts);
    EXPECT_TRUE(must(peer->hello()).has_welcome());
    return peer;
  }
  tenant::TestRun open(Peer& peer, const Member& member) {
    tenant::TestRun run = world.build(member.tenant).plan_run(member.machine);
    run.opened = opened_of(must(peer.call(world.opening(member, run))));
    return run;
  }
  v1::Request flush_of(const tenant::TestRun& run) {
    v1::Request request;
    request.mutable_flush()->set_session_id(text_of(run.opened.session));
    return request;
  }
  v1::Request commit_of(const Member& member, const tenant::TestRun& run, const tenant::Tree& tree) {
    v1::Request request;
    request.mutable_commit()->set_session_id(text_of(run.opened.session));
    request.mutable_commit()->set_core(text_of(world.build(member.tenant).core(member.machine, run, tree.root)));
    return request;
  }
  v1::Request have_of(const tenant::TestRun& run, const std::vector<tenant::TreeBlob>& blobs) {
    v1::Request request;
    request.mutable_have()->set_session_id(text_of(run.opened.session));
    request.mutable_have()->set_epoch(1);
    for (const tenant::TreeBlob& blob : blobs) request.mutable_have()->add_blobs(text_of(blob.id));
    return request;
  }
  ServiceWorld world;
  TenantId tenant_id;
  Member shop;
};

TEST_F(ServiceTest, BacksUpAndFetchesEverythingBack) {
  Service service(world, quick());
  const auto peer = greeted(service, shop.facts);
  const tenant::TestRun run = open(*peer, shop);
  const tenant::Tree tree = world.build("acme").tree(shop.machine, run, 4, 8, 20'000);
  std::uint64_t number = 100;
  for (const tenant::TreeBlob& blob : tree.blobs) ASSERT_TRUE(peer->send_blob(number++, blob.record));
  EXPECT_TRUE(must(peer->call(flush_of(run))).has_flushed());
  std::sort(peer->acked.begin(), peer->acked.end());
  ASSERT_EQ(peer->acked.size(), tree.blobs.size());  // all before Flushed, each once
  for (std::size_t i = 0; i < peer->acked.size(); ++i) EXPECT_EQ(peer->acked[i], 100 + i);
  EXPECT_TRUE(must(peer->call(commit_of(shop, run, tree))).has_committed());

  v1::Request fetch;
  for (const tenant::TreeBlob& blob : tree.blobs) {
    v1::Ref* const ref = fetch.mutable_fetch()->add_refs();
    ref->set_blob(text_of(blob.id));
    ref->set_run(text_of(run.id));
    ref->set_domain(text_of(shop.machine.domain));
    ref->set_epoch(1);
  }
  fetch.mutable_fetch()->add_refs()->CopyFrom(fetch.fetch().refs(0));
  fetch.mutable_fetch()
      ->mutable_refs(fetch.fetch().refs_size() - 1)
      ->set_blob(std::string(32, 'x'));  // one that is not there
  ASSERT_TRUE(peer->send(77, fetch));
  std::vector<bool> got(tree.blobs.size(), false);
  for (;;) {
    const transport::Frame frame = must(peer->receive());
    if (frame.type == transport::FrameType::Control) {
      EXPECT_EQ(frame.tag, 77u);
      v1::Response end;
      ASSERT_TRUE(end.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size())));
      ASSERT_EQ(end.fetch_end().bad_size(), 1);
      EXPECT_EQ(end.fetch_end().bad(0).position(), tree.blobs.size());
      EXPECT_EQ(end.fetch_end().bad(0).code(), static_cast<std::uint32_t>(Errc::NotFound));
      break;
    }
    ASSERT_LT(frame.tag, tree.blobs.size());
    EXPECT_EQ(frame.payload, tree.blobs[frame.tag].record);
    EXPECT_FALSE(got[frame.tag]);
    got[frame.tag] = true;
  }
  EXPECT_EQ(std::count(got.begin(), got.end(), true), static_cast<std::ptrdiff_t>(tree.blobs.size()));
  peer->close();
}

TEST_F(ServiceTest, AnswersRequestsInTheirOrder) {
  Service service(world, quick());
  const auto peer = greeted(service, shop.facts);
  v1::Request status;
  status.mutable_account_status();
  for (std::uint64_t tag = 10; tag < 13; ++tag) ASSERT_TRUE(peer->send(tag, status));
  for (std::uint64_t tag = 10; tag < 13; ++tag) {
    std::uint64_t got = 0;
    EXPECT_TRUE(must(peer->receive_response(&got)).has_account_report());
    EXPECT_EQ(got, tag);
  }
  peer->close();
}

TEST_F(ServiceTest, BlobsThatNobodyFlushesBecomeDurableByThemselves) {
  Service service(world, quick());
  const auto peer = greeted(service, shop.facts);
  const tenant::TestRun run = open(*peer, shop);
  const tenant::Tree tree = world.build("acme").tree(shop.machine, run, 1, 1);
  ASSERT_TRUE(peer->send_blob(5, tree.blobs[0].record));
  const v1::Response push = must(peer->receive_response());
  ASSERT_EQ(push.put_acks().tags_size(), 1);
  EXPECT_EQ(push.put_acks().tags(0), 5u);
  peer->close();
}

TEST_F(ServiceTest, ADisconnectKeepsWhatHadArrived) {
  Service service(world);
  tenant::TestRun run;
  tenant::Tree tree;
  {
    const auto peer = greeted(service, shop.facts);
    run = open(*peer, shop);
    tree = world.build("acme").tree(shop.machine, run, 1, 3);
    for (std::size_t i = 0; i < tree.blobs.size(); ++i) ASSERT_TRUE(peer->send_blob(i + 1, tree.blobs[i].record));
    // An answer behind the blobs shows that they have arrived; nothing was flushed.
    EXPECT_TRUE(must(peer->call(have_of(run, tree.blobs))).has_have_answer());
    peer->close();
    service.wait_for_end();
  }
  const auto peer = greeted(service, shop.facts);
  v1::Request again = world.opening(shop, run);
  again.mutable_open_session()->set_session_id(text_of(run.opened.session));
  EXPECT_EQ(opened_of(must(peer->call(again))).session, run.opened.session);
  EXPECT_EQ(must(peer->call(have_of(run, tree.blobs))).have_answer().known_size(), static_cast<int>(tree.blobs.size()));
  peer->close();
}

TEST_F(ServiceTest, TheFirstRequestMustBeHelloAndOnlyTheFirst) {
  Service service(world, quick());
  {
    const auto peer = service.connect(shop.facts);
    v1::Request status;
    status.mutable_account_status();
    EXPECT_EQ(must(peer->call(status)).error().code(), static_cast<std::uint32_t>(Errc::Protocol));
    service.wait_for_end();
  }
  {
    const auto peer = service.connect(shop.facts);
    ASSERT_TRUE(peer->send_blob(1, Bytes(300)));
    EXPECT_EQ(must(peer->receive_response()).error().code(), static_cast<std::uint32_t>(Errc::Protocol));
    service.wait_for_end();
  }
  {
    const auto peer = greeted(service, shop.facts);
    EXPECT_EQ(must(peer->hello()).error().code(), static_cast<std::uint32_t>(Errc::Protocol));
    service.wait_for_end();
  }
  {
    const auto peer = service.connect(shop.facts);
    const v1::Response refused = must(peer->hello(99));
    EXPECT_EQ(refused.error().code(), static_cast<std::uint32_t>(Errc::TooNew));
    EXPECT_EQ(refused.error().request_id().size(), 8u);
    service.wait_for_end();
  }
}

TEST_F(ServiceTest, HostileFramesEndTheirOwnConnectionOnly) {
  Service service(world, quick());
  const auto honest = greeted(service, shop.facts);
  const std::uint64_t seed = 20261121;
  RecordProperty("seed", std::to_string(seed));
  support::SeededRandom random(seed);
  std::vector<std::pair<transport::FrameType, Bytes>> hostile = {
      {transport::FrameType::Control, {}},
      {transport::FrameType::Control, random.bytes(100)},
      {transport::FrameType::Control, Bytes(kMaxRequestBytes + 1, 1)},
      {transport::FrameType::Control, to_bytes(as_bytes(std::string("\x7a\x00", 2)))},  // a call from the future
      {transport::FrameType::Control, to_bytes(as_bytes(std::string("\x1a\xff\xff\xff\xff\x0f", 6)))},
      {transport::FrameType::Blob, {}},
      {transport::FrameType::Blob, random.bytes(84)},
      {transport::FrameType::Blob, random.bytes(100'000)},
  };
  for (int i = 0; i < 12; ++i) hostile.emplace_back(transport::FrameType::Control, random.bytes(random.below(300)));
  for (const auto& [type, payload] : hostile) {
    const auto peer = greeted(service, shop.facts);
    ASSERT_TRUE(peer->send(type, 9, payload));
    const v1::Response answer = must(peer->receive_response());
    ASSERT_TRUE(answer.has_error());
    peer->close();
    service.wait_for_end();
  }
  v1::Request status;
  status.mutable_account_status();
  EXPECT_TRUE(must(honest->call(status)).has_account_report());
  honest->close();
}

TEST_F(ServiceTest, ARequestWithoutANumberIsRefused) {
  Service service(world, quick());
  const auto peer = greeted(service, shop.facts);
  v1::Request status;
  status.mutable_account_status();
  ASSERT_TRUE(peer->send(0, status));
  EXPECT_EQ(must(peer->receive_response()).error().code(), static_cast<std::uint32_t>(Errc::Protocol));
  service.wait_for_end();
}

TEST_F(ServiceTest, AFailedRequestLeavesTheConnectionUsable) {
  Service service(world, quick());
  const auto peer = greeted(service, shop.facts);
  v1::Request request;
  request.mutable_get_snapshot()->set_snapshot_id(std::string(32, 'x'));
  const v1::Response refused = must(peer->call(request));
  EXPECT_EQ(refused.error().code(), static_cast<std::uint32_t>(Errc::NotFound));
  EXPECT_EQ(refused.error().request_id().size(), 8u);
  v1::Request status;
  status.mutable_account_status();
  EXPECT_TRUE(must(peer->call(status)).has_account_report());
  peer->close();
}

TEST_F(ServiceTest, ACommitThatLacksBlobsNamesThem) {
  Service service(world, quick());
  const auto peer = greeted(service, shop.facts);
  const tenant::TestRun run = open(*peer, shop);
  const tenant::Tree tree = world.build("acme").tree(shop.machine, run, 1, 2);
  for (std::size_t i = 1; i < tree.blobs.size(); ++i) ASSERT_TRUE(peer->send_blob(i, tree.blobs[i].record));
  const v1::Response refused = must(peer->call(commit_of(shop, run, tree)));
  EXPECT_EQ(refused.error().code(), static_cast<std::uint32_t>(Errc::Missing));
  ASSERT_EQ(refused.error().missing_size(), 1);
  EXPECT_EQ(refused.error().missing(0), text_of(tree.blobs[0].id));
  ASSERT_TRUE(peer->send_blob(50, tree.blobs[0].record));
  EXPECT_TRUE(must(peer->call(commit_of(shop, run, tree))).has_committed());
  peer->close();
}

TEST_F(ServiceTest, ARevokedClientIsCutAndTurnedAway) {
  Service service(world, quick());
  const auto peer = greeted(service, shop.facts);
  must(must(world.tenants->find("acme"))->revoke("shop"));
  std::size_t cut = 0;
  service.loop().on_loop([&] { cut = service.sessions().cut(shop.facts.name); });
  EXPECT_EQ(cut, 1u);
  service.wait_for_end();
  EXPECT_EQ(peer->receive().error().code, Errc::Unreachable);
  const auto again = service.connect(shop.facts);  // the handshake would have refused it; so does the session
  const v1::Response refused = must(again->hello());
  EXPECT_EQ(refused.error().code(), static_cast<std::uint32_t>(Errc::Denied));
  again->close();
}

TEST_F(ServiceTest, OneClientCannotTakeAllPlaces) {
  Service service(world);
  const Member other = world.add_member("acme", "other");
  std::vector<std::unique_ptr<Peer>> peers;
  for (std::size_t i = 0; i < kMaxConnectionsOfOne; ++i) peers.push_back(greeted(service, shop.facts));
  const auto refused = service.connect(shop.facts);
  EXPECT_EQ(must(refused->hello()).error().code(), static_cast<std::uint32_t>(Errc::Limit));
  refused->close();
  peers.push_back(greeted(service, other.facts));
  for (const auto& peer : peers) peer->close();
}

TEST_F(ServiceTest, AnOlderConnectionOfTheSameSessionIsCut) {
  Service service(world, quick());
  const auto old = greeted(service, shop.facts);
  const tenant::TestRun run = open(*old, shop);
  const auto fresh = greeted(service, shop.facts);
  v1::Request again = world.opening(shop, run);
  again.mutable_open_session()->set_session_id(text_of(run.opened.session));
  EXPECT_TRUE(must(fresh->call(again)).has_session_opened());
  EXPECT_EQ(old->receive().error().code, Errc::Unreachable);
  v1::Request status;
  status.mutable_account_status();
  EXPECT_TRUE(must(fresh->call(status)).has_account_report());
  fresh->close();
}

TEST_F(ServiceTest, DrainingKeepsWhatArrivedAndEndsEverybody) {
  Service service(world);
  const auto peer = greeted(service, shop.facts), idle = greeted(service, shop.facts);
  const tenant::TestRun run = open(*peer, shop);
  const tenant::Tree tree = world.build("acme").tree(shop.machine, run, 1, 3);
  for (std::size_t i = 0; i < tree.blobs.size(); ++i) ASSERT_TRUE(peer->send_blob(i + 1, tree.blobs[i].record));
  EXPECT_TRUE(must(peer->call(have_of(run, tree.blobs))).has_have_answer());
  EXPECT_TRUE(service.loop().wait(service.sessions().drain(kPatience)));
  EXPECT_EQ(
      must(must(world.tenants->find("acme"))->have(shop.machine.id, run.opened.session, 1, {tree.blobs[0].id})).size(),
      1u);
  const auto late = service.connect(shop.facts);  // nobody new stays
  EXPECT_FALSE(late->hello());
}

TEST_F(ServiceTest, ASilentConnectionIsClosed) {
  Deadlines deadlines = quick();
  deadlines.idle = milliseconds(40);
  Service service(world, deadlines);
  const auto peer = greeted(service, shop.facts);
  world.clock.advance(std::chrono::minutes(1));
  EXPECT_EQ(peer->receive().error().code, Errc::Unreachable);
  service.wait_for_end();
}

TEST_F(ServiceTest, FramesThatWaitAreCountedAndBounded) {
  Service service(world, quick());
  {
    const auto peer = greeted(service, shop.facts);
    const tenant::TestRun run = open(*peer, shop);
    const tenant::Tree tree = world.build("acme").tree(shop.machine, run, 1, 6, 50'000);
    for (std::size_t i = 0; i < tree.blobs.size(); ++i) ASSERT_TRUE(peer->send_blob(i + 1, tree.blobs[i].record));
    // The pair of streams holds four frames, the queue two, one is being handled: more than that cannot have been taken.
    std::size_t waiting = 0;
    service.loop().on_loop([&] { waiting = service.sessions().waiting_bytes(); });
    EXPECT_LE(waiting, (kMaxWaitingFrames + 2) * 51'000u);
    EXPECT_TRUE(must(peer->call(flush_of(run))).has_flushed());
    peer->close();
    service.wait_for_end();
  }
  std::size_t waiting = 1;
  service.loop().on_loop([&] { waiting = service.sessions().waiting_bytes(); });
  EXPECT_EQ(waiting, 0u);
}

TEST_F(ServiceTest, ADiskThatFailsIsToldBeforeTheConnectionEnds) {
  Service service(world, quick());
  const auto peer = greeted(service, shop.facts);
  const tenant::TestRun run = open(*peer, shop);
  const tenant::Tree tree = world.build("acme").tree(shop.machine, run, 1, 1);
  world.fs.fail_from(0, Errc::DiskFull);
  ASSERT_TRUE(peer->send_blob(1, tree.blobs[0].record));
  // Either the blob itself or the flush that follows by itself finds the disk full; the client is told on the push tag.
  std::uint64_t tag = 1;
  const v1::Response push = must(peer->receive_response(&tag));
  EXPECT_EQ(tag, 0u);
  EXPECT_EQ(push.error().code(), static_cast<std::uint32_t>(Errc::DiskFull));
  service.wait_for_end();
  world.fs.clear_faults();
}

TEST_F(ServiceTest, ManyClientsAtOnceDoNotMixTheirAnswers) {
  Service service(world, quick());
  std::vector<Member> members;
  for (int i = 0; i < 8; ++i) members.push_back(world.add_member("acme", "m" + std::to_string(i)));
  std::vector<std::unique_ptr<Peer>> peers;
  for (const Member& member : members) peers.push_back(greeted(service, member.facts));
  std::vector<tenant::TestRun> runs;
  std::vector<tenant::Tree> trees;
  for (std::size_t i = 0; i < peers.size(); ++i) {
    runs.push_back(open(*peers[i], members[i]));
    trees.push_back(world.build("acme").tree(members[i].machine, runs[i], 2, 3, 5'000));
  }
  for (std::size_t b = 0; b < trees[0].blobs.size(); ++b) {
    for (std::size_t i = 0; i < peers.size(); ++i) ASSERT_TRUE(peers[i]->send_blob(b + 1, trees[i].blobs[b].record));
  }
  for (std::size_t i = 0; i < peers.size(); ++i)
    EXPECT_TRUE(must(peers[i]->call(commit_of(members[i], runs[i], trees[i]))).has_committed());
  for (const auto& peer : peers) {
    EXPECT_EQ(peer->acked.size(), trees[0].blobs.size());
    peer->close();
  }
}

}  // namespace
}  // namespace holdfast::session
