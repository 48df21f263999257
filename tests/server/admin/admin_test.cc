#include "server/admin/care.h"
#include "server/admin/channel.h"
#include "server/tenant/parts.h"
#include "tests/server/admin/admin_world.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::admin {
namespace {

/// The server's state in memory; the files that init makes on a real disk (their modes are looked at).
class AdminTest : public AdminWorld {
 protected:
  AdminTest() {
    const auto made = config::init(fs::real(), world.clock, world.random, {directory / "d", "127.0.0.1:0", "", "", ""});
    EXPECT_TRUE(made);
    // What check reads of the data directory itself, copied beside the tenants.
    for (const char* file : {"ca.key", "ca.pem", "server.key", "server.pem", "receipt.key", "holdfast.version"}) {
      must(fs::create_file(world.fs, std::string("/srv/") + file,
                           must(fs::read_file(fs::real(), directory / "d/" + file, 1 << 20)), 0600));
    }
  }
  std::vector<v1::Finding> check_all(v1::CheckSummary* summary = nullptr) {
    v1::AdminRequest request;
    request.mutable_check()->set_read_data(true);
    std::vector<v1::Finding> findings;
    for (const v1::AdminResponse& answer : must(ask(request))) {
      findings.insert(findings.end(), answer.findings().begin(), answer.findings().end());
      if (summary && answer.has_check_summary()) *summary = answer.check_summary();
    }
    return findings;
  }

  support::TemporaryDirectory directory;
};

TEST_F(AdminTest, AddsTenantsAndSaysWhichPlanItTook) {
  v1::AdminRequest request;
  request.mutable_tenant_add()->set_name("beta");
  request.mutable_tenant_add()->set_quota_bytes(5'000'000);
  const auto answers = must(ask(request));
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].tenants(0).name(), "beta");
  EXPECT_EQ(answers[0].tenants(0).plan(), "30d");
  EXPECT_EQ(answers[0].tenants(0).quota_bytes(), 5'000'000u);
  EXPECT_NE(answers[0].note().find("30d"), std::string::npos);
  EXPECT_EQ(error_of(request).code, Errc::Exists);
  request.mutable_tenant_add()->set_name("gamma");
  request.mutable_tenant_add()->set_plan("2y");
  EXPECT_EQ(must(ask(request))[0].note(), "");
  request.mutable_tenant_add()->set_name("delta");
  request.mutable_tenant_add()->set_plan("for ever");
  EXPECT_EQ(error_of(request).code, Errc::Usage);
  v1::AdminRequest list;
  list.mutable_tenant_list();
  std::vector<std::string> names;
  for (const v1::AdminResponse& answer : must(ask(list))) names.push_back(answer.tenants(0).name());
  EXPECT_EQ(names, (std::vector<std::string>{"acme", "beta", "gamma"}));
}

TEST_F(AdminTest, ATokenCarriesEverythingAndEnrolsItsHolder) {
  v1::AdminRequest request;
  request.mutable_client_add()->set_name("acme/shop");
  const identity::Token token = must(identity::decode_token(must(ask(request))[0].token()));
  EXPECT_EQ(token.service, "backup.example.org:8700");
  EXPECT_EQ(token.enrolment, "backup.example.org:8701");
  EXPECT_EQ(token.name.uri(), "holdfast://acme/shop");
  EXPECT_EQ(token.receipt_key, world.receipt_key.public_key());
  EXPECT_EQ(token.ca_fingerprint, must(identity::certificate_fingerprint(world.ca.certificate_pem)));
  EXPECT_EQ(token.expires_ns, to_ns(world.clock.wall() + std::chrono::hours(24)));
  session::v1::EnrolRequest prepare;
  prepare.set_token_secret(session::text_of(token.secret));
  prepare.set_name(token.name.uri());
  prepare.mutable_prepare();
  EXPECT_TRUE(world.ask_enrolment(prepare));
}

TEST_F(AdminTest, RefusesTokensForNobodyAndForEver) {
  v1::AdminRequest request;
  for (const char* bad : {"", "acme", "acme/", "acme/a/b", "ACME/shop", "operator/olga", "acme/\x1b[2J"}) {
    request.mutable_client_add()->set_name(bad);
    EXPECT_EQ(error_of(request).code, Errc::Usage) << bad;
  }
  request.mutable_client_add()->set_name("nowhere/shop");
  EXPECT_EQ(error_of(request).code, Errc::NotFound);
  request.mutable_client_add()->set_name("acme/shop");
  for (const std::int64_t seconds : {std::int64_t{-1}, std::int64_t{31 * 86400}, INT64_MAX, INT64_MIN}) {
    request.mutable_client_add()->set_token_seconds(seconds);
    EXPECT_EQ(error_of(request).code, Errc::Usage);
  }
  world.add_member("acme", "web");
  request.mutable_client_add()->set_name("acme/web");
  request.mutable_client_add()->set_token_seconds(0);
  EXPECT_EQ(error_of(request).code, Errc::Exists);
  v1::AdminRequest person;
  person.mutable_operator_add()->set_name("Olga Petrova");
  EXPECT_EQ(error_of(person).code, Errc::Usage);
  person.mutable_operator_add()->set_name("olga");
  EXPECT_EQ(must(identity::decode_token(must(ask(person))[0].token())).name.uri(), "holdfast://operator/olga");
}

TEST_F(AdminTest, RevokesClientsAndOperatorsAtOnceAndForGood) {
  const session::Member shop = world.add_member("acme", "shop");
  const identity::CertificateFacts olga = world.add_operator("olga");
  EXPECT_FALSE(world.access->denied(shop.facts));
  v1::AdminRequest request;
  request.mutable_client_revoke()->set_name("acme/shop");
  EXPECT_TRUE(ask(request));
  request.mutable_client_revoke()->set_name("operator/olga");
  EXPECT_TRUE(ask(request));
  request.mutable_client_revoke()->set_name("acme/nobody");
  EXPECT_EQ(error_of(request).code, Errc::NotFound);
  world.restart();
  EXPECT_EQ(world.tenants->open_now("acme"), nullptr);
  EXPECT_TRUE(world.access->denied(shop.facts));  // in the handshake, without opening the tenant
  EXPECT_TRUE(world.access->denied(olga));
}

TEST_F(AdminTest, ARevocationCutsLiveConnections) {
  const session::Member shop = world.add_member("acme", "shop");
  std::promise<void> cut;
  std::optional<session::Sessions::Entry> entry;
  loop.on_loop(
      [&] { entry.emplace(sessions, session::Connection{shop.facts.name, [] {}, [&] { cut.set_value(); }, {}}); });
  v1::AdminRequest request;
  request.mutable_client_revoke()->set_name("acme/shop");
  EXPECT_TRUE(ask(request));
  EXPECT_EQ(cut.get_future().wait_for(session::kPatience), std::future_status::ready);
  loop.on_loop([&] { entry.reset(); });
}

TEST_F(AdminTest, ListsSnapshotsOfAllOfOneTenantOfOneClient) {
  world.add_tenant("beta");
  const session::Member shop = world.add_member("acme", "shop"), web = world.add_member("acme", "web"),
                        db = world.add_member("beta", "db");
  for (const session::Member* member : {&shop, &web, &db, &shop}) {
    session::Requests requests = world.requests(member->facts);
    (void)session::back_up(world, requests, *member);
  }
  const auto listed = [&](const std::string& subject) {
    v1::AdminRequest request;
    request.mutable_snapshots()->set_subject(subject);
    std::vector<std::string> names;
    for (const v1::AdminResponse& answer : must(ask(request))) {
      for (const v1::SnapshotInfo& one : answer.snapshots()) {
        names.push_back(one.client() + "#" + std::to_string(one.sequence()));
        EXPECT_TRUE(one.complete());
        EXPECT_EQ(one.state(), "live");
      }
    }
    return names;
  };
  EXPECT_EQ(listed(""), (std::vector<std::string>{"acme/shop#1", "acme/shop#2", "acme/web#1", "beta/db#1"}));
  EXPECT_EQ(listed("acme"), (std::vector<std::string>{"acme/shop#1", "acme/shop#2", "acme/web#1"}));
  EXPECT_EQ(listed("acme/web"), std::vector<std::string>{"acme/web#1"});
  v1::AdminRequest request;
  request.mutable_snapshots()->set_subject("acme/nobody");
  EXPECT_EQ(error_of(request).code, Errc::NotFound);
  request.mutable_snapshots()->set_subject("nowhere");
  EXPECT_EQ(error_of(request).code, Errc::NotFound);
}

TEST_F(AdminTest, CheckSumsUpAndNamesEveryDamagedFileOfTheServerItself) {
  const session::Member shop = world.add_member("acme", "shop");
  session::Requests requests = world.requests(shop.facts);
  (void)session::back_up(world, requests, shop);
  (void)world.add_operator("olga");
  must(world.denied->add(world.random.id<Digest>(), world.clock.wall() + std::chrono::hours(1)));
  v1::CheckSummary summary;
  EXPECT_TRUE(check_all(&summary).empty());
  EXPECT_EQ(summary.snapshots(), 1u);
  EXPECT_GT(summary.bytes_read(), 0u);
  const std::string name_file = "names/" + must(world.tenants->find("acme"))->id().hex();
  for (const std::string& file :
       {std::string("ca.key"), std::string("ca.pem"), std::string("server.key"), std::string("server.pem"),
        std::string("receipt.key"), std::string("holdfast.version"), std::string("operators/olga.operator"),
        std::string("denied"), name_file}) {
    const Bytes good = must(fs::read_file(world.fs, "/srv/" + file, 1 << 20));
    for (int flip = 0; flip < 5; ++flip) {
      Bytes bad = good;
      bad[world.random.below(bad.size())] ^= static_cast<std::uint8_t>(1u << world.random.below(8));
      must(fs::replace_file(world.fs, "/srv/" + file, bad, 0600));
      const auto found = check_all(&summary);
      ASSERT_EQ(found.size(), 1u) << file;
      EXPECT_EQ(found[0].file(), file);
      EXPECT_FALSE(found[0].note());
      EXPECT_EQ(summary.damaged_files(), 1u);
    }
    must(fs::replace_file(world.fs, "/srv/" + file, good, 0600));
  }
  EXPECT_TRUE(check_all().empty());
}

TEST_F(AdminTest, CheckNamesDamagedPacksWithTheirSnapshots) {
  const session::Member shop = world.add_member("acme", "shop");
  session::Requests requests = world.requests(shop.facts);
  (void)session::back_up(world, requests, shop);
  const std::string root = "/srv/tenants/" + must(world.tenants->find("acme"))->id().hex() + "/packs";
  std::string pack;
  for (const fs::DirectoryEntry& below : must(world.fs.list(root))) {
    for (const fs::DirectoryEntry& entry : must(world.fs.list(root + "/" + below.name)))
      pack = root + "/" + below.name + "/" + entry.name;
  }
  ASSERT_FALSE(pack.empty());
  Bytes bytes = must(fs::read_file(world.fs, pack, 1 << 26));
  bytes[bytes.size() / 3] ^= 0x10;
  must(fs::replace_file(world.fs, pack, bytes, 0600));
  const auto found = check_all();
  ASSERT_FALSE(found.empty());
  EXPECT_EQ("/srv/" + found[0].file(), pack);
  EXPECT_EQ(found[0].tenant(), "acme");
  ASSERT_EQ(found[0].snapshots_size(), 1);
}

TEST_F(AdminTest, RebuildsIndexesAndReportsStatus) {
  const session::Member shop = world.add_member("acme", "shop");
  session::Requests requests = world.requests(shop.facts);
  const session::BackedUp made = session::back_up(world, requests, shop);
  v1::AdminRequest request;
  request.mutable_rebuild_index();
  const v1::RebuildSummary sum = must(ask(request))[0].rebuild_summary();
  EXPECT_EQ(sum.tenants(), 1u);
  EXPECT_EQ(sum.blobs(), made.tree.blobs.size());
  request.mutable_rebuild_index()->set_tenant("nowhere");
  EXPECT_EQ(error_of(request).code, Errc::NotFound);
  v1::AdminRequest status;
  status.mutable_status();
  const v1::StatusReport report = must(ask(status))[0].status_report();
  EXPECT_EQ(report.service(), "backup.example.org:8700");
  EXPECT_EQ(report.sessions(), 3u);
  EXPECT_EQ(report.tenants(0).snapshots(), 1u);
}

TEST_F(AdminTest, CollectsOneTenantOrAllAndReportsEach) {
  world.add_tenant("bolt");
  // A pack that no record names.
  const std::shared_ptr<tenant::Tenant> acme = must(world.tenants->find("acme"));
  const std::string name = pack::object_name(world.random.id<PackId>(), 1);
  auto orphan = must(acme->parts().store->create(name));
  must(orphan->append(Bytes(700)));
  must(orphan->commit());

  v1::AdminRequest request;
  request.mutable_collect()->set_dry_run(true);
  const auto would = must(ask(request));
  ASSERT_EQ(would.size(), 2u);
  EXPECT_EQ(would[0].collect_report().tenant(), "acme");
  EXPECT_TRUE(would[0].collect_report().dry_run());
  EXPECT_EQ(would[0].collect_report().orphans(), 1u);
  EXPECT_EQ(would[0].collect_report().trash_packs(), 0u);
  EXPECT_EQ(would[1].collect_report().tenant(), "bolt");

  request.mutable_collect()->set_dry_run(false);
  request.mutable_collect()->set_tenant("acme");
  const auto done = must(ask(request));
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].collect_report().orphan_bytes(), 700u);
  EXPECT_EQ(done[0].collect_report().trash_bytes(), 700u);
  EXPECT_GT(done[0].collect_report().next_removal_ns(), 0);

  request.mutable_collect()->set_tenant("nobody");
  EXPECT_EQ(error_of(request).code, Errc::NotFound);
  const std::lock_guard other(acme->parts().collecting);
  request.mutable_collect()->set_tenant("acme");
  EXPECT_EQ(static_cast<Errc>(must(ask(request))[0].collect_report().failed_code()), Errc::Locked);
}

TEST_F(AdminTest, RefusesAnEmptyRequest) { EXPECT_EQ(error_of({}).code, Errc::Protocol); }

TEST_F(AdminTest, LongAndShortRequestsDoNotWaitForEachOther) {
  std::promise<void> ended[2];
  const auto connect = [&](std::promise<void>& end) {
    std::unique_ptr<transport::FrameStream> client;
    loop.on_loop([&] {
      support::FramePair pair = support::make_frame_pair();
      client = std::move(pair.client);
      loop.loop().spawn(serve_admin(*context, std::move(pair.server)), [&end](Status) { end.set_value(); });
    });
    return client;
  };
  const auto send = [&](session::Peer& peer, const v1::AdminRequest& request) {
    EXPECT_TRUE(peer.send(transport::FrameType::Control, 5, to_bytes(as_bytes(request.SerializeAsString()))));
  };
  const auto is_answered = [&](session::Peer& peer) {
    for (v1::AdminResponse answer; !answer.done();) {
      const Result<transport::Frame> frame = peer.receive();
      if (!frame || !answer.ParseFromArray(frame->payload.data(), static_cast<int>(frame->payload.size())))
        return false;
    }
    return true;
  };
  v1::AdminRequest status, check;
  status.mutable_status();
  check.mutable_check();
  {
    session::Peer person(loop, connect(ended[0])), keeper(loop, connect(ended[1]));
    {
      std::promise<void> busy;  // as a check of hours is
      care.post([&] { busy.get_future().wait(); });
      send(keeper, check);
      send(person, status);
      EXPECT_TRUE(is_answered(person));
      busy.set_value();
      EXPECT_TRUE(is_answered(keeper));
    }
    {
      std::promise<void> busy;
      pool.post([&] { busy.get_future().wait(); });
      send(person, status);
      send(keeper, check);
      EXPECT_TRUE(is_answered(keeper));
      busy.set_value();
      EXPECT_TRUE(is_answered(person));
    }
    person.close();
    keeper.close();
  }
  for (std::promise<void>& end : ended)
    EXPECT_EQ(end.get_future().wait_for(session::kPatience), std::future_status::ready);
}

TEST_F(AdminTest, StreamsItsAnswersAndEndsEachRequestWithDone) {
  for (int i = 0; i < 70; ++i) world.add_tenant("t" + std::to_string(1000 + i));  // more than the channel holds at once
  std::unique_ptr<transport::FrameStream> client;
  std::promise<void> ended;
  loop.on_loop([&] {
    support::FramePair pair = support::make_frame_pair();
    client = std::move(pair.client);
    loop.loop().spawn(serve_admin(*context, std::move(pair.server)), [&](Status) { ended.set_value(); });
  });
  {
    session::Peer peer(loop, std::move(client));
    const auto ask_over = [&](const v1::AdminRequest& request) {
      EXPECT_TRUE(peer.send(transport::FrameType::Control, 5, to_bytes(as_bytes(request.SerializeAsString()))));
      std::vector<v1::AdminResponse> answers;
      do {
        const transport::Frame frame = must(peer.receive());
        EXPECT_EQ(frame.tag, 5u);
        EXPECT_TRUE(
            answers.emplace_back().ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size())));
      } while (!answers.back().done());
      return answers;
    };
    v1::AdminRequest list;
    list.mutable_tenant_list();
    EXPECT_EQ(ask_over(list).size(), 71u + 1u);
    v1::AdminRequest bad;
    bad.mutable_client_add()->set_name("nowhere/shop");
    const auto refused = ask_over(bad);
    ASSERT_EQ(refused.size(), 1u);
    EXPECT_EQ(refused[0].error_code(), static_cast<std::uint32_t>(Errc::NotFound));
    EXPECT_EQ(refused[0].request_id().size(), 8u);
    // Whoever leaves in the middle does not block the work.
    EXPECT_TRUE(peer.send(transport::FrameType::Control, 6, to_bytes(as_bytes(list.SerializeAsString()))));
    (void)must(peer.receive());
    peer.close();
  }
  EXPECT_EQ(ended.get_future().wait_for(session::kPatience), std::future_status::ready);
}

}  // namespace
}  // namespace holdfast::admin
