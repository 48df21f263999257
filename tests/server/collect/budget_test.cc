// What a pass reads, writes and leaves undone when the disk is slow, damaged, full or in use.

#include <gtest/gtest.h>

#include "server/collect/survey.h"
#include "tests/server/collect/collect_world.h"
#include "tests/server/collect/watched_store.h"

namespace holdfast::collect {
namespace {

using tenant::Machine;

struct BudgetTest : testing::Test {
  CollectWorld world;
  Machine shop = world.enrol("shop");

  /// A snapshot of `leaves` leaves with a data blob each, of which only those at `kept` are in the one that stays.
  void back_up_and_keep(std::size_t leaves, const std::vector<std::size_t>& kept, std::size_t body_bytes) {
    const SnapshotId first = world.back_up(shop, leaves, 1, body_bytes);
    ended_tree = world.last_tree;
    ended_run = world.last_run.id;
    const std::vector<blob::BlobRef> all = world.leaves_of(world.last_tree, world.last_run);
    std::vector<blob::BlobRef> some;
    for (const std::size_t at : kept) some.push_back(all[at]);
    kept_leaves.insert(kept_leaves.end(), some.begin(), some.end());
    (void)world.back_up_on(shop, first, some, 1, 1, 100);
    ended.push_back(first);
  }
  void end_all() {
    for (const SnapshotId& id : ended) world.lock(id);
    world.end(world.back_up(shop, 1, 1, 10));
    world.publish(journal::Kind::Deleted, journal::encode(journal::DeletedPayload{ended}));
  }
  CollectPlan plan() {
    Survey survey(world.parts());
    must(survey.take());
    return plan_collect(survey.facts(), {});
  }
  std::string name_of(const PackId& id) {
    return world.parts().state.read(
        [&](const tenant::State& s) { return pack::object_name(id, s.pack(id)->note.store_epoch); });
  }
  std::vector<std::string> names_of(const CollectPlan& plan) {
    std::vector<std::string> out;
    for (const auto& group : plan.rewrite)
      for (const PackId& id : group) out.push_back(name_of(id));
    return out;
  }
  std::set<PackId> live_packs() {
    return world.parts().state.read([](const tenant::State& s) {
      std::set<PackId> out;
      for (const auto& [id, pack] : s.packs()) out.insert(id);
      return out;
    });
  }
  /// The pack that holds this blob, damaged where the blob stands, and noticed.
  PackId damage(const BlobId& blob) {
    const tenant::Copy copy = must(world.parts().copies(shop.id, shop.domain, 1, blob)).at(0);
    const std::string name = name_of(copy.location.pack);
    const std::uint64_t at = copy.location.entry.offset + copy.location.entry.length - 1;
    world.write_byte(name, at, static_cast<std::uint8_t>(~world.files("packs").at(name).at(at)));
    (void)world.check();
    EXPECT_TRUE(world.parts().damage.pack_is_damaged(copy.location.pack));
    return copy.location.pack;
  }
  /// Of any one blob.
  std::size_t most_copies() {
    std::map<std::pair<BlobId, RunId>, std::size_t> copies;
    must(world.parts().index->for_each([&](const index::Location& location) -> Status {
      copies[{location.entry.blob, location.entry.run}] += 1;
      return {};
    }));
    std::size_t most = 0;
    for (const auto& [ref, count] : copies) most = std::max(most, count);
    return most;
  }
  void expect_kept_leaves() {
    for (const blob::BlobRef& leaf : kept_leaves)
      EXPECT_TRUE(world.tenant->read_blob(shop.id, shop.domain, 1, leaf).has_value());
    world.expect_undamaged();
  }

  std::vector<SnapshotId> ended;
  tenant::Tree ended_tree;  ///< of the last of them
  RunId ended_run;
  std::vector<blob::BlobRef> kept_leaves;
};

TEST_F(BudgetTest, OfAPackThatIsNearlyAllDeadLittleIsRead) {
  back_up_and_keep(100, {0, 1, 50}, 100'000);
  end_all();
  const CollectPlan planned = plan();
  const std::vector<std::string> names = names_of(planned);
  WatchedStore& store = WatchedStore::put_before(world.parts());
  const CollectSummary done = world.collect();
  EXPECT_EQ(done.rewritten_packs, 2u) << "data and segments";
  std::uint64_t read = 0;
  for (const std::string& name : names) read += store.bytes_read(name);
  EXPECT_GT(done.rewritten_bytes, 10'000'000u);
  EXPECT_LT(read, done.rewritten_bytes / 20);
  EXPECT_LE(read, planned.rewrite_bytes);
  expect_kept_leaves();
}

TEST_F(BudgetTest, NoMoreIsReadThanWasPlannedWhereverItLives) {
  for (int round = 0; round < 8; ++round) {
    std::vector<std::size_t> kept;
    for (std::size_t at = 0; at < 60; ++at) {
      if (world.random.below(3 + static_cast<std::uint64_t>(round) * 4) == 0) kept.push_back(at);
    }
    back_up_and_keep(60, kept, 20'000 + world.random.below(30'000));
  }
  end_all();
  const CollectPlan planned = plan();
  const std::vector<std::string> names = names_of(planned);
  WatchedStore& store = WatchedStore::put_before(world.parts());
  EXPECT_GT(world.collect().rewritten_packs, 8u);
  std::uint64_t read = 0;
  for (const std::string& name : names) read += store.bytes_read(name);
  EXPECT_LE(read, planned.rewrite_bytes);
  expect_kept_leaves();
}

TEST_F(BudgetTest, ADamagedPackIsRewrittenWhenWhatLivesOfItIsWhole) {
  back_up_and_keep(20, {0, 1}, 4000);
  const PackId pack = damage(ended_tree.blobs[10].id);  // of the sixth leaf
  end_all();
  EXPECT_EQ(world.collect().rewritten_packs, 1u);
  EXPECT_FALSE(live_packs().contains(pack));
  EXPECT_EQ(world.tenant->account().health, "ok");
  expect_kept_leaves();
  world.reopen();
  EXPECT_EQ(world.tenant->account().health, "ok");
  expect_kept_leaves();
  world.expect_tidy();
}

TEST_F(BudgetTest, ADamagedPackWhoseLiveRecordIsHurtStaysAndKeepsNoOtherFromBeingRewritten) {
  back_up_and_keep(40, {0, 1}, 4000);
  const BlobId hurt = ended_tree.blobs[0].id;
  const PackId damaged = damage(hurt);
  back_up_and_keep(20, {0, 1}, 4000);
  end_all();
  CollectOptions options;
  options.plan.rewrite_bytes = 200'000;  // for one of them, and the damaged one has more to give
  EXPECT_EQ(world.collect(options).rewritten_packs, 1u);
  const std::set<PackId> left = live_packs();
  EXPECT_TRUE(left.contains(damaged));
  for (int i = 0; i < 2; ++i) {
    const CollectSummary done = world.collect();
    EXPECT_EQ(done.rewritten_packs, 0u);
    EXPECT_EQ(done.written_packs, 0u);
    world.clock.advance(8 * 24h);
  }
  EXPECT_EQ(live_packs(), left);
  world.expect_tidy();
  world.reopen();
  EXPECT_TRUE(world.parts().damage.pack_is_damaged(damaged));
  EXPECT_TRUE(tenant::names(world.check().findings, name_of(damaged)));
  EXPECT_FALSE(world.tenant->read_blob(shop.id, shop.domain, 1, {hurt, ended_run}).has_value());
}

TEST_F(BudgetTest, WhatIsPinnedWhileItIsCopiedIsNotStoredTwice) {
  for (int i = 0; i < 3; ++i) back_up_and_keep(20, {0, 1}, 4000);
  end_all();
  const CollectPlan planned = plan();
  ASSERT_EQ(planned.rewrite.size(), 1u);
  ASSERT_EQ(planned.rewrite[0].size(), 3u);
  const SessionId session = world.random.id<SessionId>();
  WatchedStore& store = WatchedStore::put_before(world.parts());
  store.before_create = [&](const std::string&) { world.parts().pins.add(session, planned.rewrite[0][0]); };
  const CollectSummary done = world.collect();
  EXPECT_EQ(done.rewritten_packs, 2u);
  EXPECT_EQ(most_copies(), 1u);
  world.expect_tidy();
  const CollectSummary again = world.collect();
  EXPECT_EQ(again.rewritten_packs, 0u);
  EXPECT_EQ(again.written_packs, 0u);
  world.parts().pins.drop(session);
  store.before_create = nullptr;
  EXPECT_EQ(world.collect().rewritten_packs, 1u);
  EXPECT_EQ(most_copies(), 1u);
  expect_kept_leaves();
  world.expect_index_right();
}

TEST_F(BudgetTest, WhatACommitTakesUpWhileItIsCopiedIsCopiedToo) {
  back_up_and_keep(20, {0, 1}, 4000);
  const blob::BlobRef taken_up = world.leaves_of(ended_tree, {ended_run, {}, {}, {}})[7];
  back_up_and_keep(20, {0, 1}, 4000);
  end_all();
  WatchedStore& store = WatchedStore::put_before(world.parts());
  bool once = true;
  store.before_create = [&](const std::string&) {
    if (std::exchange(once, false)) (void)world.back_up_on(shop, {}, {taken_up}, 0);
  };
  EXPECT_EQ(world.collect().rewritten_packs, 2u);
  kept_leaves.push_back(taken_up);
  EXPECT_EQ(most_copies(), 1u);
  expect_kept_leaves();
  world.expect_tidy();
}

/// Both tries are in vain: nothing is published, nothing is left behind.
TEST_F(BudgetTest, AGroupThatIsPinnedAgainAndAgainWaitsForTheNextPass) {
  for (int i = 0; i < 2; ++i) back_up_and_keep(20, {0, 1}, 4000);
  end_all();
  std::vector<PackId> group = plan().rewrite.at(0);
  ASSERT_EQ(group.size(), 2u);
  const SessionId session = world.random.id<SessionId>();
  WatchedStore& store = WatchedStore::put_before(world.parts());
  int begun = 0;
  store.before_create = [&](const std::string&) {
    if (begun++ % 2 != 0) return;  // each try begins two packs, the first for data
    world.parts().pins.add(session, group.front());
    group.erase(group.begin());
  };
  const CollectSummary done = world.collect();
  EXPECT_EQ(done.rewritten_packs, 0u);
  EXPECT_EQ(done.written_packs, 0u);
  EXPECT_EQ(most_copies(), 1u);
  world.expect_tidy();
  world.parts().pins.drop(session);
  store.before_create = nullptr;
  EXPECT_EQ(world.collect().rewritten_packs, 2u);
  expect_kept_leaves();
}

/// A floor of 8 MiB: uploads end at 2 MiB, copies at 1 MiB.
struct FullDiskTest : BudgetTest {
  void leave_free(std::uint64_t bytes) {
    constexpr std::uint64_t kMuch = 1ull << 40;
    world.fs.disk().set_capacity(kMuch);
    world.fs.disk().set_capacity(kMuch - free() + bytes);
  }
  std::uint64_t free() { return must(world.parts().store->available_bytes()); }
  /// `packs` half-dead ones, of each of which half a MB lives.
  void fill(int packs) {
    for (int i = 0; i < packs; ++i) back_up_and_keep(11, {1, 2, 3, 4, 5}, 90'000);
    end_all();
    world.clock.advance(24h);
    world.floor_bytes = 8u << 20;
    world.reopen();
  }
};

TEST_F(FullDiskTest, HalfDeadSpaceComesBackWhereUploadsHaveEnded) {
  fill(3);
  leave_free((1u << 20) + 1'700'000);
  EXPECT_EQ(world.collect().rewritten_packs, 3u);
  const std::uint64_t before = free();
  world.clock.advance(24h);
  EXPECT_GE(world.collect().removed_packs, 3u);
  EXPECT_GT(free(), before + 2'500'000);
  expect_kept_leaves();
  world.expect_tidy();
}

TEST_F(FullDiskTest, PacksAreRewrittenOneByOneWhereAGroupDoesNotFit) {
  fill(4);
  leave_free((1u << 20) + 1'200'000);
  const CollectSummary first = world.collect();
  EXPECT_EQ(first.rewritten_packs, 2u);
  ASSERT_EQ(first.held.size(), 1u);
  EXPECT_TRUE(first.held[0].starts_with("2 packs are not rewritten")) << first.held[0];
  world.clock.advance(24h);
  const CollectSummary second = world.collect();
  EXPECT_EQ(second.rewritten_packs, 2u);
  EXPECT_TRUE(second.held.empty());
  expect_kept_leaves();
}

TEST_F(FullDiskTest, SmallPacksAreNotCopiedOneByOne) {
  for (int i = 0; i < 64; ++i) (void)world.back_up(shop, 1, 2, 1000);
  world.floor_bytes = 8u << 20;
  world.reopen();
  leave_free((1u << 20) + 100'000);
  for (int i = 0; i < 2; ++i) {
    const CollectSummary done = world.collect();
    EXPECT_EQ(done.rewritten_packs, 0u);
    EXPECT_EQ(done.written_packs, 0u);
    ASSERT_EQ(done.held.size(), 1u);
  }
  leave_free(2u << 20);
  EXPECT_EQ(world.collect().rewritten_packs, 64u);
}

TEST_F(FullDiskTest, APassGoesOnWhenTheRoomForCopiesEndsSoonerThanItSeemed) {
  fill(2);
  leave_free(600'000);
  WatchedStore::put_before(world.parts()).pretended_free = 1u << 30;
  const CollectSummary done = world.collect();
  EXPECT_EQ(done.rewritten_packs, 0u);
  ASSERT_EQ(done.held.size(), 1u);
  EXPECT_TRUE(done.held[0].starts_with("2 packs are not rewritten")) << done.held[0];
  EXPECT_EQ(world.tenant->account().health, "ok");
  expect_kept_leaves();
  world.expect_tidy();
}

}  // namespace
}  // namespace holdfast::collect
