// What a start could not look at, and what a refused session leaves behind.

#include <gtest/gtest.h>

#include "tests/server/collect/collect_world.h"
#include "tests/server/collect/watched_store.h"

namespace holdfast::collect {
namespace {

using tenant::Machine;
using tenant::TestRun;
using tenant::Tree;

struct ListingTest : testing::Test {
  CollectWorld world;
  Machine shop = world.enrol("shop");

  void reopen_without_listing(const std::string& unreadable = "/packs") {
    world.close();
    world.fs.fail_reads_of(unreadable);
    world.open();
  }
  Result<CollectSummary> try_collect() { return collect::collect(*world.tenant, {}); }
  void write_pack(std::uint64_t epoch) {
    const std::string path = world.path(pack::object_name(world.random.id<PackId>(), epoch));
    must(fs::make_directories(world.fs.disk(), fs::parent(path), 0700));
    must(fs::create_file(world.fs.disk(), path, Bytes(500), 0600));
  }
};

TEST_F(ListingTest, NothingIsCollectedUntilTheDirectoryCouldBeListed) {
  world.end(world.back_up(shop));
  for (const char* const unreadable : {"/packs", "/slots"}) {
    reopen_without_listing(unreadable);
    const Result<CollectSummary> refused = try_collect();
    ASSERT_FALSE(refused.has_value()) << unreadable;
    EXPECT_EQ(refused.error().code, Errc::Io);
    EXPECT_NE(refused.error().message.find("nothing is collected"), std::string::npos) << refused.error().message;
    EXPECT_NE(refused.error().message.find("older journal"), std::string::npos) << refused.error().message;
    const auto purged = world.tenant->purge(false);
    ASSERT_FALSE(purged.has_value()) << unreadable;
    EXPECT_NE(purged.error().message.find("nothing is purged"), std::string::npos) << purged.error().message;
    EXPECT_OK(world.tenant->purge(true));
    world.fs.clear_faults();
  }
  EXPECT_OK(world.tenant->purge(false));
  EXPECT_EQ(world.collect().condemned_packs, 1u);
  EXPECT_EQ(world.tenant->account().health, "ok");
  world.expect_tidy();
}

TEST_F(ListingTest, ALaterOwnersPackIsNoticedWhenTheListingSucceeds) {
  world.end(world.back_up(shop));
  for (const std::uint64_t ahead : {0, 1, 7}) {
    SCOPED_TRACE(ahead);
    const auto before = world.files();
    reopen_without_listing();
    const std::uint64_t epoch = world.parts().epoch.counter;
    write_pack(epoch + ahead);
    EXPECT_FALSE(try_collect().has_value());
    world.fs.clear_faults();
    const Result<CollectSummary> refused = try_collect();
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().message.find("rolled back"), std::string::npos) << refused.error().message;
    EXPECT_NE(world.tenant->account().health.find("rolled back"), std::string::npos);
    world.reopen();
    EXPECT_FALSE(try_collect().has_value()) << "for good";
    world.close();
    world.replace_all(before);
    world.open();
  }
}

TEST_F(ListingTest, WhatThisOwnerHasWrittenMeanwhileIsNoSignOfAnother) {
  world.end(world.back_up(shop));
  reopen_without_listing();
  world.fs.clear_faults();
  (void)world.back_up(shop);
  const Tree tree = world.last_tree;
  const TestRun run = world.last_run;
  // A pack that became durable, that the journal had no room to name, and that could not be removed.
  const TestRun failing = world.begin(shop);
  const Tree lost = world.tree(shop, failing, 1, 2);
  for (const tenant::TreeBlob& b : lost.blobs) (void)world.tenant->put(shop.id, failing.opened.session, 1, b.record);
  WatchedStore& store = WatchedStore::put_before(world.parts());
  store.removes = false;
  world.fs.fail_on(support::Operation::Write, "journal", Errc::DiskFull);
  EXPECT_FALSE(world.tenant->flush(shop.id, failing.opened.session).has_value());
  store.removes = true;
  const CollectSummary done = world.collect();
  EXPECT_EQ(done.orphans, 1u);
  EXPECT_EQ(done.condemned_packs, 1u);
  EXPECT_TRUE(world.reads(shop, run, tree));
  EXPECT_EQ(world.tenant->account().health, "ok");
}

TEST_F(ListingTest, AMissingPackIsNoticedLateToo) {
  (void)world.back_up(shop);
  const std::string name = world.files("packs").begin()->first;
  must(world.fs.disk().unlink(world.path(name)));
  reopen_without_listing();
  EXPECT_TRUE(world.parts().damage.none());
  world.fs.clear_faults();
  (void)world.back_up(shop);
  (void)world.collect();
  EXPECT_NE(world.parts().damage.summary().value_or("").find("1 damaged pack(s)"), std::string::npos);
  EXPECT_NE(world.parts().damage.summary().value_or("").find("is missing"), std::string::npos);
}

/// Journal and head of the same epoch, from before the last backup: what it has sent looks like a crash's traces, but for
/// its run.
TEST_F(ListingTest, FewPacksOfARunThatTheJournalDoesNotKnowAreNoTracesOfACrash) {
  (void)world.back_up(shop);
  const Tree first = world.last_tree;
  const TestRun first_run = world.last_run;
  const auto old = world.files();
  (void)world.back_up(shop);
  const Tree second = world.last_tree;
  const TestRun second_run = world.last_run;
  world.close();
  const auto right = world.files();
  std::map<std::string, Bytes> mixed = right;
  for (auto& [name, bytes] : mixed) {
    const auto before = old.find(name);
    if (!name.starts_with("packs/") && !name.starts_with("slots/") && before != old.end()) bytes = before->second;
  }
  world.replace_all(mixed);
  world.open();
  for (int i = 0; i < 3; ++i) {
    const CollectSummary done = world.collect();
    EXPECT_EQ(done.orphans, 0u);
    EXPECT_EQ(done.removed_packs, 0u);
    ASSERT_EQ(done.held.size(), 1u);
    EXPECT_NE(done.held[0].find("a run that no record names"), std::string::npos) << done.held[0];
    world.clock.advance(8 * 24h);
  }
  EXPECT_TRUE(world.reads(shop, first_run, first));
  const auto left = world.object_files();
  for (const auto& [name, bytes] : right) {
    const bool object = name.starts_with("packs/") || name.starts_with("slots/");
    EXPECT_TRUE(!object || left.contains(name)) << name;
  }
  world.close();
  world.replace_all(right);
  world.open();
  EXPECT_TRUE(world.reads(shop, second_run, second));
}

struct RefusedSessionTest : testing::Test {
  CollectWorld world;
  Machine shop = world.enrol("shop");
  TestRun run = world.plan_run(shop);
  Status open() {
    const auto opened = world.tenant->open_session(shop.id, run.record, run.slot, {}, std::nullopt);
    return opened ? Status{} : Status{opened.error()};
  }
};

TEST_F(RefusedSessionTest, LeavesNoSlotWhenTheClientIsRevokedAtTheLastMoment) {
  WatchedStore::put_before(world.parts()).after_replace = [&](const std::string&) {
    must(world.tenant->revoke("shop"));
  };
  EXPECT_EQ(open().error().code, Errc::Denied);
  EXPECT_TRUE(world.files("slots").empty());
}

TEST_F(RefusedSessionTest, LeavesNoSlotWhenTheJournalHasNoRoom) {
  world.fs.fail_on(support::Operation::Write, "journal", Errc::DiskFull);
  EXPECT_EQ(open().error().code, Errc::DiskFull);
  EXPECT_TRUE(world.files("slots").empty());
  EXPECT_OK(open());
  EXPECT_EQ(world.files("slots").size(), 1u);
  world.expect_undamaged();
}

/// Its record may be durable, and the next start may know it.
TEST_F(RefusedSessionTest, KeepsTheSlotWhileTheOutcomeIsUnknown) {
  world.fs.fail_on(support::Operation::Sync, "journal");
  EXPECT_FALSE(open());
  EXPECT_EQ(world.files("slots").size(), 1u);
}

}  // namespace
}  // namespace holdfast::collect
