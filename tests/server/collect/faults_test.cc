// What collection must leave alone, and for how long.

#include <gtest/gtest.h>

#include "server/collect/survey.h"
#include "server/collect/trash.h"
#include "tests/server/collect/collect_world.h"

namespace holdfast::collect {
namespace {

using tenant::Machine;
using tenant::TestRun;

struct SparingWorld : CollectWorld {
  using CollectWorld::CollectWorld;

  bool has_key(const Machine& machine, const RunId& run) {
    const auto row = tenant->run(machine.id, run);
    return row.has_value() && !row->slot.empty();
  }
  std::uint64_t collect_and_wait(std::chrono::nanoseconds wait) {
    const std::uint64_t slots = collect().slots;
    clock.advance(wait);
    return slots;
  }
  /// Eight leaves, of which six die: 75 % of the pack.
  TestRun half_dead_pack(const Machine& machine) {
    const SnapshotId first = back_up(machine, 8, 3, 4000);
    const TestRun run = last_run;
    std::vector<blob::BlobRef> leaves = leaves_of(last_tree, run);
    leaves.resize(2);
    (void)back_up_on(machine, first, leaves, 1, 3, 4000);
    end(first);
    return run;
  }
  void add_file(const std::string& name, const Bytes& bytes) {
    must(fs::make_directories(fs.disk(), fs::parent(path(name)), 0700));
    must(fs::create_file(fs.disk(), path(name), bytes, 0600));
  }
};

/// It sends no blob, so that no pack speaks for its run: its snapshot must.
TEST(Collect, TheKeyOfABackupWithoutChangesStaysAsLongAsItsSnapshot) {
  SparingWorld world;
  const Machine shop = world.enrol("shop");
  (void)world.back_up(shop);
  const TestRun run = world.begin(shop);
  const Bytes core = world.core(shop, run, world.last_tree.root);
  (void)must(world.tenant->commit(shop.id, run.opened.session, core, nullptr));
  const SnapshotId unchanged = snapshot::snapshot_id(core);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(world.collect_and_wait(8 * 24h), 0u);
    EXPECT_TRUE(world.has_key(shop, run.id));
  }
  world.lock(unchanged);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(world.collect_and_wait(8 * 24h), 0u);
    EXPECT_TRUE(world.files("slots").contains(tenant::slot_name(run.id))) << "an operator may take the lock back";
  }
  world.publish(journal::Kind::Undelete,
                journal::encode(journal::UndeletePayload{
                    "test", {{unchanged, world.parts().vault->now_ns() + 90 * 86'400'000'000'000}}}));
  EXPECT_TRUE(world.has_key(shop, run.id));
  world.end(unchanged);
  EXPECT_EQ(world.collect_and_wait(7 * 24h), 1u);
  (void)world.collect();
  EXPECT_FALSE(world.files("slots").contains(tenant::slot_name(run.id)));
  world.expect_tidy();
  world.expect_undamaged();
}

/// No session says whose blobs are in a pack that collection wrote.
TEST(Collect, NoKeyGoesWhileAPackOfCollectionCannotBeRead) {
  SparingWorld world;
  const Machine shop = world.enrol("shop");
  const TestRun first = world.half_dead_pack(shop);
  ASSERT_EQ(world.collect().written_packs, 2u);
  std::map<std::string, Bytes> copies;
  const auto all = world.files("packs");
  world.parts().state.read([&](const tenant::State& s) {
    for (const auto& [id, pack] : s.packs()) {
      const std::string name = pack::object_name(id, pack.note.store_epoch);
      if (pack.session.is_zero()) copies[name] = all.at(name);
    }
  });
  ASSERT_EQ(copies.size(), 2u);
  for (const auto& [name, bytes] : copies) must(world.fs.disk().unlink(world.path(name)));
  world.reopen();
  (void)world.tenant->rebuild_index();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(world.collect_and_wait(8 * 24h), 0u);
  for (const auto& [name, bytes] : copies) world.add_file(name, bytes);
  world.reopen();
  (void)world.tenant->rebuild_index();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(world.collect_and_wait(8 * 24h), 0u);
  EXPECT_TRUE(world.has_key(shop, first.id)) << "it opens what was copied";
  world.expect_undamaged();
}

/// Many orphans may be a lost journal's packs: then the slot that no session names may be theirs.
TEST(Collect, AStraySlotStaysBesideManyOrphans) {
  SparingWorld world;
  (void)world.back_up(world.enrol("shop"));
  std::vector<std::string> orphans;
  for (std::size_t i = 0; i <= kFewOrphans; ++i) {
    orphans.push_back(pack::object_name(world.random.id<PackId>(), 1));
    world.add_file(orphans.back(), Bytes(5));
  }
  const std::string stray = tenant::slot_name(world.random.id<RunId>());
  must(world.parts().store->replace(stray, Bytes(10)));
  EXPECT_FALSE(world.collect().held.empty());
  EXPECT_TRUE(world.files("slots").contains(stray));
  must(world.fs.disk().unlink(world.path(orphans.back())));
  EXPECT_TRUE(world.collect().held.empty());
  EXPECT_FALSE(world.files("slots").contains(stray));
}

TEST(Collect, ACondemnedSlotWaitsAsLongAsAPack) {
  SparingWorld world;
  const Machine shop = world.enrol("shop");
  const SnapshotId first = world.back_up(shop);
  const std::string slot = tenant::slot_name(world.last_run.id);
  (void)world.back_up(shop);
  world.end(first);
  ASSERT_EQ(world.collect_and_wait(7 * 24h - 1ns), 1u);
  (void)world.collect();
  EXPECT_TRUE(world.files("slots").contains(slot));
  world.clock.advance(1ns);
  (void)world.collect();
  EXPECT_FALSE(world.files("slots").contains(slot));
}

TEST(Collect, WithoutRoomForCopiesNothingIsRewrittenAndThatIsSaid) {
  SparingWorld world;
  (void)world.half_dead_pack(world.enrol("shop"));
  std::uint64_t needed = 0;
  {
    Survey survey(world.parts());
    must(survey.take());
    const CollectPlan plan = plan_collect(survey.facts(), {});
    ASSERT_EQ(plan.rewrite.size(), 1u);
    for (const PackId& id : plan.rewrite[0]) needed += survey.packs().at(id).facts.live_bytes;
  }
  ASSERT_GT(needed, 0u);
  const std::uint64_t available = must(world.parts().store->available_bytes());
  world.floor_bytes = (available - needed + 1) * 8;  // one byte too little beside an eighth of the floor
  world.reopen();
  const CollectSummary full = world.collect();
  EXPECT_EQ(full.rewritten_packs + full.written_packs, 0u);
  ASSERT_EQ(full.held.size(), 1u);
  EXPECT_NE(full.held[0].find("too little room"), std::string::npos) << full.held[0];
  world.floor_bytes = (available - needed) * 8;
  world.reopen();
  const CollectSummary done = world.collect();
  EXPECT_EQ(done.rewritten_packs, 1u);
  EXPECT_TRUE(done.held.empty());
}

TEST(Collect, ADryRunEndsNoSession) {
  SparingWorld world;
  const Machine shop = world.enrol("shop");
  const TestRun run = world.begin(shop);
  const tenant::Tree tree = world.tree(shop, run, 1, 2);
  ASSERT_EQ(world.send(shop, run, tree.blobs), tree.blobs.size());
  world.reopen();
  world.clock.advance(7 * 24h + 1h);
  const auto before = world.files();
  CollectOptions dry;
  dry.dry_run = true;
  EXPECT_EQ(world.collect(dry).expired_sessions, 0u);
  EXPECT_EQ(world.files(), before);
  EXPECT_EQ(world.collect().expired_sessions, 1u);
}

}  // namespace
}  // namespace holdfast::collect
