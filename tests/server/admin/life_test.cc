#include "server/admin/life.h"

#include "tests/server/admin/admin_world.h"

namespace holdfast::admin {
namespace {

class AdminLife : public AdminWorld {
 protected:
  AdminLife() {
    shop.emplace(world.add_member("acme", "shop"));
    session::Requests requests = world.requests(shop->facts);
    for (int i = 0; i < 3; ++i) made.push_back(session::back_up(world, requests, *shop).snapshot);
  }

  v1::PurgeReport purge(bool dry_run = false) {
    v1::AdminRequest request;
    request.mutable_purge()->set_dry_run(dry_run);
    request.mutable_purge()->set_tenant("acme");
    return must(ask(request)).at(0).purge_report();
  }
  static v1::AdminRequest lock(const std::string& spec) {
    v1::AdminRequest request;
    request.mutable_snapshot_lock()->set_snapshot(spec);
    return request;
  }
  static v1::AdminRequest undelete(const std::string& spec) {
    v1::AdminRequest request;
    request.mutable_snapshot_undelete()->set_snapshot(spec);
    return request;
  }
  static v1::AdminRequest explain(const std::string& spec) {
    v1::AdminRequest request;
    request.mutable_snapshot_explain()->set_snapshot(spec);
    return request;
  }
  v1::SnapshotStory story(const v1::AdminRequest& request) { return must(ask(request)).at(0).snapshot_story(); }

  std::optional<session::Member> shop;
  std::vector<SnapshotId> made;
};

TEST_F(AdminLife, PurgesWhatIsDueAndSaysWhatAndWhatNext) {
  world.clock.advance(std::chrono::days(31));
  const v1::PurgeReport told = purge(true);
  EXPECT_TRUE(told.dry_run());
  const v1::PurgeReport done = purge();
  EXPECT_FALSE(done.dry_run());
  for (const v1::PurgeReport* one : {&told, &done}) {
    EXPECT_EQ(one->tenant(), "acme");
    ASSERT_EQ(one->locked_size(), 2);
    EXPECT_EQ(one->locked(0).client(), "acme/shop");
    EXPECT_EQ(one->locked(1).sequence(), 2u);
    EXPECT_EQ(one->paused_size(), 1);
    EXPECT_EQ(one->next_ns(), one->locked(0).date_ns());
    EXPECT_EQ(one->deleted_size() + static_cast<int>(one->held_by_cap() + one->held_by_clock()), 0);
  }
  world.clock.advance(std::chrono::days(14));
  EXPECT_EQ(purge().deleted_size(), 2);
  v1::AdminRequest request;
  request.mutable_purge()->set_tenant("nowhere");
  EXPECT_EQ(error_of(request).code, Errc::NotFound);
}

TEST_F(AdminLife, PurgesAllTenantsAndNamesTheOneThatCannotBe) {
  world.add_tenant("beta");
  const std::string directory = "/srv/tenants/" + must(world.tenants->find("acme"))->id().hex();
  world.stop();
  must(world.fs.disk().unlink(fs::join(directory, "head")));
  must(world.fs.disk().sync_directory(directory));
  world.start();
  start();
  v1::AdminRequest request;
  request.mutable_purge();
  std::vector<v1::PurgeReport> reports;
  const Status done = ask(request, [&](v1::AdminResponse answer) {
    reports.push_back(answer.purge_report());
    return true;
  });
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("'acme'"), std::string::npos) << done.error().message;
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_NE(reports[0].error_code(), 0u);
  EXPECT_EQ(reports[1].tenant(), "beta");
  EXPECT_EQ(reports[1].error_code(), 0u);
}

TEST_F(AdminLife, TellsWhereTheBytesOfEveryTenantAre) {
  world.add_tenant("beta");
  v1::AdminRequest request;
  request.mutable_usage();
  const std::vector<v1::AdminResponse> answers = must(ask(request));
  ASSERT_EQ(answers.size(), 2u);
  const v1::UsageReport &acme = answers[0].usage_report(), &beta = answers[1].usage_report();
  EXPECT_EQ(acme.tenant(), "acme");
  EXPECT_EQ(acme.snapshots(), 3u);
  EXPECT_GT(acme.live_bytes(), 0u);
  EXPECT_EQ(acme.stored_bytes(), acme.live_bytes() + acme.overhead_bytes());
  EXPECT_EQ(beta.tenant(), "beta");
  EXPECT_EQ(beta.stored_bytes() + beta.snapshots(), 0u);
  must(ask(lock("acme/shop/1")));
  request.mutable_usage()->set_tenant("acme");
  const v1::UsageReport one = must(ask(request)).at(0).usage_report();
  EXPECT_EQ(one.locked_snapshots(), 1u);
  EXPECT_EQ(one.locked_bytes() + one.live_bytes(), acme.live_bytes());
  request.mutable_usage()->set_tenant("nowhere");
  EXPECT_EQ(error_of(request).code, Errc::NotFound);
}

TEST_F(AdminLife, LocksTakesBackAndExplainsByNumberAndById) {
  v1::SnapshotStory told = story(lock("acme/shop/2"));
  EXPECT_EQ(told.state(), "locked");
  EXPECT_EQ(told.locked_by(), "eve");
  EXPECT_EQ(told.rule(), "delete-delay");
  EXPECT_EQ(told.client(), "acme/shop");
  EXPECT_NE(error_of(lock("acme/shop/2")).message.find("locked already"), std::string::npos);
  v1::AdminRequest list;
  list.mutable_snapshots()->set_subject("acme/shop");
  const v1::AdminResponse listed = must(ask(list)).at(0);
  EXPECT_EQ(listed.snapshots(1).state(), "locked");
  EXPECT_EQ(listed.snapshots(1).delete_not_before_ns(), told.delete_not_before_ns());
  EXPECT_EQ(listed.snapshots(0).delete_not_before_ns(), 0);
  EXPECT_EQ(story(explain(made[1].hex().substr(0, 16))).state(), "locked");
  EXPECT_EQ(story(undelete(made[1].hex())).state(), "live");
  told = story(explain("acme/shop/3"));
  EXPECT_EQ(told.rule(), "age");
  ASSERT_EQ(told.newest_good_of_size(), 1);
  EXPECT_EQ(told.newest_good_of(0), "the client as a whole");
}

TEST_F(AdminLife, NamesThatFitNothingOrTooMuchAreRefusedWithWhatToDo) {
  for (const char* wrong :
       {"", "12345", "ABCDEF12", "zzzzzz", "acme/3", "acme/shop/", "acme/shop/three", "acme/shop/3x"})
    EXPECT_EQ(error_of(explain(wrong)).code, Errc::Usage) << wrong;
  for (const char* missing : {"acme/shop/9", "acme/nobody/1", "nowhere/shop/1", "000000000000"})
    EXPECT_EQ(error_of(explain(missing)).code, Errc::NotFound) << missing;
}

TEST(OnlyOne, AnAmbiguousBeginningIsAnsweredWithWhatItMayMean) {
  std::vector<FoundSnapshot> found(7);
  for (std::size_t i = 0; i < found.size(); ++i) {
    found[i].tenant_name = "acme";
    found[i].name.client = "shop";
    found[i].name.sequence = i + 1;
    found[i].name.id.bytes[31] = static_cast<std::uint8_t>(i);
  }
  const auto two = only_one({found[0], found[1]}, "000000");
  ASSERT_FALSE(two);
  EXPECT_EQ(two.error().code, Errc::Usage);
  EXPECT_NE(two.error().message.find("any of 2 snapshots: acme/shop/1 ("), std::string::npos) << two.error().message;
  EXPECT_NE(two.error().message.find(found[1].name.id.hex()), std::string::npos);
  EXPECT_EQ(two.error().message.find("…"), std::string::npos);
  EXPECT_NE(only_one(found, "000000").error().message.find(", …"), std::string::npos);
  EXPECT_EQ(only_one({found[3]}, "000000")->name.sequence, 4u);
  EXPECT_EQ(only_one({}, "000000").error().code, Errc::NotFound);
}

TEST_F(AdminLife, SourcesAreListedRegisteredAndRetired) {
  v1::AdminRequest list;
  list.mutable_source_list()->set_subject("acme/shop");
  const auto sources = [&] {
    const v1::AdminResponse answer = must(ask(list)).at(0);
    return std::vector<v1::SourceInfo>(answer.sources().begin(), answer.sources().end());
  };
  const std::vector<v1::SourceInfo> before = sources();
  ASSERT_EQ(before.size(), 2u);
  EXPECT_TRUE(before[0].source().empty() && before[0].registered());
  EXPECT_EQ(before[0].newest_good().sequence(), 3u);
  EXPECT_FALSE(before[1].registered());
  v1::AdminRequest set;
  set.mutable_source_set()->set_client("acme/shop");
  set.mutable_source_set()->set_source(before[1].source());
  set.mutable_source_set()->set_label("files");
  EXPECT_NE(must(ask(set)).at(0).note().find("is registered"), std::string::npos);
  EXPECT_TRUE(sources()[1].registered());
  EXPECT_EQ(sources()[1].label(), "files");
  set.mutable_source_set()->set_retired(true);
  EXPECT_NE(must(ask(set)).at(0).note().find("is retired"), std::string::npos);
  EXPECT_FALSE(sources()[1].registered());
  v1::AdminRequest retire;
  retire.mutable_client_retire()->set_client("acme/shop");
  EXPECT_NE(must(ask(retire)).at(0).note().find("with all its sources"), std::string::npos);
  EXPECT_FALSE(sources()[0].registered());
  set.mutable_source_set()->set_source("short");
  EXPECT_EQ(error_of(set).code, Errc::Usage);
  retire.mutable_client_retire()->set_client("acme/nobody");
  EXPECT_EQ(error_of(retire).code, Errc::NotFound);
  list.mutable_source_list()->set_subject("acme/no such name");
  EXPECT_EQ(error_of(list).code, Errc::Usage);
}

}  // namespace
}  // namespace holdfast::admin
