// Row 25 at the level of requests: lengths, counts, nonsense. And what each call answers when all is well.
#include "server/session/requests.h"

#include "tests/server/session/service_world.h"

namespace holdfast::session {
namespace {

class RequestsOfAClient : public ::testing::Test {
 protected:
  RequestsOfAClient()
      : tenant_id(world.add_tenant("acme")),
        shop(world.add_member("acme", "shop")),
        requests(world.requests(shop.facts)) {}
  Errc code_of(const v1::Request& request) {
    const auto answer = requests.answer(request);
    EXPECT_FALSE(answer);
    return answer ? Errc::Usage : answer.error().code;
  }
  ServiceWorld world;
  TenantId tenant_id;
  Member shop;
  Requests requests;
};

TEST_F(RequestsOfAClient, RefusesEveryIdOfAnotherLength) {
  for (const std::size_t length : {0u, 1u, 15u, 17u, 31u, 33u, 64u, 1000u}) {
    const std::string id(length, 'x');
    std::vector<v1::Request> hostile(8);
    hostile[0].mutable_have()->set_session_id(id);
    hostile[1].mutable_flush()->set_session_id(id);
    hostile[2].mutable_commit()->set_session_id(id);
    hostile[3].mutable_abandon_session()->set_session_id(id);
    hostile[4].mutable_get_snapshot()->set_snapshot_id(id);
    hostile[5].mutable_get_run()->set_run(id);
    hostile[6].mutable_have()->set_session_id(std::string(16, 's'));
    hostile[6].mutable_have()->add_blobs(id);
    hostile[7].mutable_open_session()->set_base(length == 0 ? "x" : id);
    for (const v1::Request& request : hostile)
      EXPECT_EQ(code_of(request), Errc::Protocol) << request.ShortDebugString().substr(0, 80);
    v1::Request fetch;
    v1::Ref* const ref = fetch.mutable_fetch()->add_refs();
    ref->set_blob(id);
    ref->set_run(std::string(16, 'r'));
    ref->set_domain(std::string(16, 'd'));
    const auto fetching = requests.start_fetch(fetch);
    ASSERT_FALSE(fetching);
    EXPECT_EQ(fetching.error().code, Errc::Protocol);
  }
}

TEST_F(RequestsOfAClient, BoundsWhatOneRequestMayAskFor) {
  v1::Request have;
  have.mutable_have()->set_session_id(std::string(16, 's'));
  for (int i = 0; i <= kMaxHaveIds; ++i) have.mutable_have()->add_blobs(std::string(32, 'b'));
  EXPECT_EQ(code_of(have), Errc::Limit);

  v1::Request fetch;
  for (int i = 0; i <= kMaxFetchRefs; ++i) fetch.mutable_fetch()->add_refs();
  EXPECT_EQ(requests.start_fetch(fetch).error().code, Errc::Limit);

  v1::Request open;
  open.mutable_open_session()->set_run_record(std::string(snapshot::kMaxRunRecordBytes + 1, 'r'));
  EXPECT_EQ(code_of(open), Errc::Limit);
  open.mutable_open_session()->set_run_record("r");
  open.mutable_open_session()->set_slot(std::string(snapshot::kMaxSlotBytes + 1, 's'));
  EXPECT_EQ(code_of(open), Errc::Limit);

  v1::Request commit;
  commit.mutable_commit()->set_session_id(std::string(16, 's'));
  commit.mutable_commit()->set_core(std::string(snapshot::kMaxCoreBytes + 1, 'c'));
  EXPECT_EQ(code_of(commit), Errc::Limit);
}

TEST_F(RequestsOfAClient, RefusesWhatDoesNotParseAndWhatIsTooLongToParse) {
  EXPECT_EQ(parse_request(Bytes(kMaxRequestBytes + 1)).error().code, Errc::Limit);
  EXPECT_EQ(parse_request(Bytes{0xFF, 0xFF, 0xFF}).error().code, Errc::Protocol);
  v1::Request good;
  good.mutable_have()->set_session_id(std::string(16, 's'));
  for (int i = 0; i < 3; ++i) good.mutable_have()->add_blobs(std::string(32, 'b'));
  const std::string bytes = good.SerializeAsString();
  for (std::size_t length = 1; length < bytes.size(); ++length) {
    const auto cut = parse_request(as_bytes(bytes).first(length));  // must not crash; most do not parse
    if (cut) {
      EXPECT_FALSE(requests.answer(*cut));
    }
  }
  EXPECT_EQ(code_of(v1::Request{}), Errc::Protocol);
}

TEST_F(RequestsOfAClient, KeepsBlobsOutUntilASessionIsOpen) {
  const auto put = requests.put(1, Bytes(200));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::Protocol);
  EXPECT_EQ(requests.put(1, Bytes(blob::kMaxRecordBytes + 1)).error().code, Errc::Protocol);
}

TEST_F(RequestsOfAClient, RefusesABlobThatIsNoRecordAndGoesOn) {
  const tenant::TestRun run = world.build("acme").plan_run(shop.machine);
  (void)must(requests.answer(world.opening(shop, run)));
  for (const std::size_t length : {0u, 1u, 83u, 84u, 200u}) EXPECT_FALSE(requests.put(length, Bytes(length, 7)));
  EXPECT_EQ(requests.put(9, Bytes(blob::kMaxRecordBytes + 1)).error().code, Errc::Limit);
  EXPECT_FALSE(requests.pending());
}

TEST_F(RequestsOfAClient, SaysHelloToItsOwnProtocolOnly) {
  v1::Request request;
  for (const std::uint32_t protocol : {0u, 2u, 99u, 0xFFFFFFFFu}) {
    request.mutable_hello()->set_protocol(protocol);
    const auto answer = requests.answer(request);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::TooNew);
    EXPECT_NE(answer.error().message.find("protocol 1"), std::string::npos);
  }
  request.mutable_hello()->set_protocol(1);
  request.mutable_hello()->set_time_ns(INT64_MIN);  // a clock from nowhere is a line in the log
  const v1::Response welcome = must(requests.answer(request));
  EXPECT_EQ(welcome.welcome().protocol(), 1u);
  EXPECT_EQ(welcome.welcome().tenant_id(), text_of(tenant_id));
  EXPECT_EQ(welcome.welcome().client_id(), text_of(shop.machine.id));
  EXPECT_EQ(welcome.welcome().role(), "client");
  EXPECT_EQ(welcome.welcome().time_ns(), to_ns(world.clock.wall()));
}

TEST_F(RequestsOfAClient, BacksUpAndReadsBackEveryRecord) {
  const BackedUp made = back_up(world, requests, shop, 3, 4);
  v1::Request list;
  list.mutable_list_snapshots();
  const v1::Response rows = must(requests.answer(list));
  ASSERT_EQ(rows.snapshot_list().snapshots_size(), 1);
  EXPECT_EQ(rows.snapshot_list().snapshots(0).core(), text_of(made.core));
  EXPECT_FALSE(rows.snapshot_list().more());

  v1::Request one;
  one.mutable_get_snapshot()->set_snapshot_id(text_of(made.snapshot));
  EXPECT_EQ(must(requests.answer(one)).snapshot().core(), text_of(made.core));

  v1::Request run;
  run.mutable_get_run()->set_run(text_of(made.run.id));
  const v1::Response got = must(requests.answer(run));
  EXPECT_EQ(got.run().run_record(), text_of(made.run.record));
  EXPECT_EQ(got.run().slot(), text_of(made.run.slot));
  EXPECT_EQ(got.run().certificate(), text_of(shop.machine.certificate));

  v1::Request fetch;
  for (const tenant::TreeBlob& blob : made.tree.blobs) {
    v1::Ref* const ref = fetch.mutable_fetch()->add_refs();
    ref->set_blob(text_of(blob.id));
    ref->set_run(text_of(made.run.id));
    ref->set_domain(text_of(shop.machine.domain));
    ref->set_epoch(1);
  }
  Fetching fetching = must(requests.start_fetch(fetch));
  std::size_t count = 0;
  while (!fetching.done()) {
    for (const ReadRecord& read : must(requests.read_on(fetching))) {
      ASSERT_TRUE(read.record) << read.record.error().message;
      EXPECT_EQ(*read.record, made.tree.blobs[read.position].record);
      ++count;
    }
  }
  EXPECT_EQ(count, made.tree.blobs.size());
}

TEST_F(RequestsOfAClient, PagesThroughManySnapshots) {
  std::vector<std::string> cores;
  for (int i = 0; i < 40; ++i) cores.push_back(text_of(back_up(world, requests, shop, 1, 1).core));
  std::vector<std::string> got;
  v1::Request list;
  list.mutable_list_snapshots()->set_limit(7);
  for (bool more = true; more;) {
    const v1::Response page = must(requests.answer(list));
    ASSERT_LE(page.snapshot_list().snapshots_size(), 7);
    for (const v1::Snapshot& row : page.snapshot_list().snapshots()) got.push_back(row.core());
    more = page.snapshot_list().more();
    ASSERT_FALSE(got.empty());
    list.mutable_list_snapshots()->set_before_sequence(must(snapshot::decode_core(as_bytes(got.back()))).core.sequence);
  }
  std::ranges::reverse(got);  // they come newest first
  EXPECT_EQ(got, cores);

  list.mutable_list_snapshots()->Clear();
  EXPECT_FALSE(must(requests.answer(list)).snapshot_list().snapshots(0).has_run());
  list.mutable_list_snapshots()->set_with_runs(true);
  const v1::Response all = must(requests.answer(list));
  ASSERT_EQ(all.snapshot_list().snapshots_size(), 40);
  for (const v1::Snapshot& row : all.snapshot_list().snapshots()) {
    v1::Request run;
    run.mutable_get_run()->set_run(text_of(must(snapshot::decode_core(as_bytes(row.core()))).core.run));
    EXPECT_EQ(row.run().SerializeAsString(), must(requests.answer(run)).run().SerializeAsString());
  }
}

TEST_F(RequestsOfAClient, NamesTheBlobsThatACommitLacks) {
  tenant::World& build = world.build("acme");
  tenant::TestRun run = build.plan_run(shop.machine);
  run.opened = opened_of(must(requests.answer(world.opening(shop, run))));
  const tenant::Tree tree = build.tree(shop.machine, run, 1, 2);
  for (std::size_t i = 1; i < tree.blobs.size(); ++i) (void)must(requests.put(i, tree.blobs[i].record));
  v1::Request commit;
  commit.mutable_commit()->set_session_id(text_of(run.opened.session));
  commit.mutable_commit()->set_core(text_of(build.core(shop.machine, run, tree.root)));
  EXPECT_EQ(code_of(commit), Errc::Missing);
  EXPECT_EQ(requests.take_missing(), std::vector<BlobId>{tree.blobs[0].id});
  EXPECT_EQ(requests.take_acks().size(), tree.blobs.size() - 1);  // what did arrive is durable

  // The refused session goes on: the missing blob comes, the commit succeeds, and says the same when it is repeated.
  (void)must(requests.put(100, tree.blobs[0].record));
  const v1::Response receipt = must(requests.answer(commit));
  EXPECT_EQ(must(requests.answer(commit)).committed().receipt(), receipt.committed().receipt());
  EXPECT_TRUE(snapshot::decode_receipt(as_bytes(receipt.committed().receipt()), world.receipt_key.public_key()));
}

TEST_F(RequestsOfAClient, AcknowledgesItsOwnNumbersOnly) {
  tenant::World& build = world.build("acme");
  tenant::TestRun run = build.plan_run(shop.machine);
  run.opened = opened_of(must(requests.answer(world.opening(shop, run))));
  const tenant::Tree tree = build.tree(shop.machine, run, 1, 4);
  Requests second = world.requests(shop.facts);
  v1::Request again = world.opening(shop, run);
  again.mutable_open_session()->set_session_id(text_of(run.opened.session));
  (void)must(requests.put(1, tree.blobs[0].record));
  (void)must(second.answer(again));  // a new connection of the same session
  (void)must(second.put(1, tree.blobs[1].record));
  (void)must(second.put(1, tree.blobs[2].record));  // a client may even repeat its numbers
  EXPECT_EQ(must(second.flush()), (std::vector<std::uint64_t>{1, 1}));
  EXPECT_EQ(must(requests.flush()), std::vector<std::uint64_t>{1});
}

TEST_F(RequestsOfAClient, AcknowledgesUnaskedWhenTooMuchWaits) {
  tenant::World& build = world.build("acme");
  tenant::TestRun run = build.plan_run(shop.machine);
  run.opened = opened_of(must(requests.answer(world.opening(shop, run))));
  const tenant::Tree tree = build.tree(shop.machine, run, 1, 1);
  std::size_t acknowledged = 0;
  for (std::size_t i = 1; i <= kMaxUnacknowledged; ++i) {
    EXPECT_EQ(acknowledged, 0u);
    acknowledged += must(requests.put(i, tree.blobs[0].record)).size();
  }
  EXPECT_EQ(acknowledged, kMaxUnacknowledged);
  EXPECT_FALSE(requests.pending());
}

TEST_F(RequestsOfAClient, SeesLockedSnapshotsOnlyWhileItsReceiptPromisesThem) {
  std::vector<SnapshotId> made;
  for (int i = 0; i < 3; ++i) made.push_back(back_up(world, requests, shop).snapshot);
  Requests olga = world.requests(world.add_operator("olga"));
  const std::shared_ptr<tenant::Tenant> acme = must(world.tenants->find("acme"));
  const auto ask = [&](Requests& who, const SnapshotId* one) {
    v1::Request request;
    v1::Subject* const subject =
        one ? request.mutable_get_snapshot()->mutable_subject() : request.mutable_list_snapshots()->mutable_subject();
    if (one) request.mutable_get_snapshot()->set_snapshot_id(text_of(*one));
    if (&who == &olga) {
      subject->set_tenant("acme");
      subject->set_client("shop");
    }
    return who.answer(request);
  };
  const auto rows = [&](Requests& who) { return must(ask(who, nullptr)).snapshot_list(); };

  must(acme->lock_snapshot(made[2], "eve"));
  EXPECT_EQ(rows(requests).snapshots_size(), 3);
  EXPECT_EQ(rows(requests).snapshots(0).state(), "locked");
  EXPECT_EQ(must(ask(requests, &made[2])).snapshot().state(), "locked");

  world.clock.advance(std::chrono::days(32));
  (void)must(acme->purge(false));  // locks the first by age; the second is the newest good live one
  EXPECT_EQ(rows(requests).snapshots_size(), 1);
  EXPECT_EQ(rows(olga).snapshots_size(), 3);
  EXPECT_EQ(rows(olga).snapshots(2).state(), "locked");
  for (const SnapshotId* hidden : {&made[0], &made[2]}) {
    EXPECT_EQ(ask(requests, hidden).error().code, Errc::NotFound);
    EXPECT_EQ(ask(requests, hidden).error().message, "no such snapshot");
    EXPECT_EQ(must(ask(olga, hidden)).snapshot().state(), "locked");
  }
  EXPECT_TRUE(ask(requests, &made[1]));
}

TEST_F(RequestsOfAClient, EndsWithTheRevocation) {
  v1::Request list;
  list.mutable_list_snapshots();
  EXPECT_TRUE(requests.answer(list));
  must(must(world.tenants->find("acme"))->revoke("shop"));
  EXPECT_EQ(code_of(list), Errc::Denied);
  EXPECT_EQ(requests.put(1, Bytes(200)).error().code, Errc::Denied);
  EXPECT_EQ(requests.start_fetch(v1::Request{}).error().code, Errc::Denied);
  EXPECT_FALSE(world.access->admit(shop.facts));
  EXPECT_TRUE(world.access->denied(shop.facts));
}

TEST_F(RequestsOfAClient, EndsWhenTheCertificateIsReplaced) {
  must(must(world.tenants->find("acme"))->revoke("shop"));
  const Bytes secret = world.invite("acme", "shop");
  const v1::EnrolResponse answer = must(
      world.ask_enrolment(world.completing(secret, ServiceWorld::name_of("acme", "shop"), shop.machine.certificate)));
  const identity::CertificateFacts again = must(identity::inspect(answer.certificate_pem()));
  EXPECT_FALSE(world.access->admit(shop.facts));  // the old certificate verifies, and is refused
  EXPECT_TRUE(world.access->admit(again));
  v1::Request list;
  list.mutable_list_snapshots();
  EXPECT_EQ(code_of(list), Errc::Denied);  // also on the connection that was there before
}

TEST(Access, RefusesServersStrangersAndTheDenied) {
  ServiceWorld world;
  world.add_tenant("acme");
  const Member shop = world.add_member("acme", "shop");
  identity::CertificateFacts facts = shop.facts;
  facts.name.role = identity::Role::Server;
  EXPECT_TRUE(world.access->denied(facts));
  EXPECT_FALSE(world.access->admit(facts));
  facts = shop.facts;
  facts.name.tenant = "nowhere";
  EXPECT_TRUE(world.access->denied(facts));
  const Error unknown_tenant = world.access->admit(facts).error();
  facts = shop.facts;
  facts.name.name = "nobody";
  const Error unknown_client = world.access->admit(facts).error();
  EXPECT_EQ(unknown_tenant.message, unknown_client.message);
  EXPECT_FALSE(world.access->denied(shop.facts));
  must(world.denied->add(shop.facts.fingerprint, shop.facts.not_after));
  EXPECT_TRUE(world.access->denied(shop.facts));
  EXPECT_FALSE(world.access->admit(shop.facts));
  world.restart();
  EXPECT_TRUE(world.access->denied(shop.facts));  // from memory, with the tenant closed
}

TEST(Access, TellsAClientWhoseRecordIsDamagedSoAndNotThatItIsRevoked) {
  ServiceWorld world;
  const TenantId tenant = world.add_tenant("acme");
  const Member shop = world.add_member("acme", "shop");
  world.stop();
  const std::string segment = "/srv/tenants/" + tenant.hex() + "/journal/0000000000000001.seg";
  Bytes journal = must(fs::read_file(world.fs, segment, 1u << 20));
  journal[journal.size() / 2] ^= 1;
  must(fs::replace_file(world.fs, segment, journal, 0600));
  world.start();
  (void)world.tenants->find("acme").has_value();  // open, damaged
  EXPECT_FALSE(world.access->denied(shop.facts));
  const auto admitted = world.access->admit(shop.facts);
  ASSERT_FALSE(admitted);
  EXPECT_EQ(admitted.error().code, Errc::Corrupt);
  EXPECT_NE(admitted.error().message.find("damaged"), std::string::npos) << admitted.error().message;
}

}  // namespace
}  // namespace holdfast::session
