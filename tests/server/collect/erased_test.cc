// "Erased" is said of bytes: of every copy that the store may still have, wherever it is.
#include <gtest/gtest.h>

#include "server/collect/trash.h"
#include "tests/server/collect/collect_world.h"

namespace holdfast::collect {
namespace {

using support::Operation;
using tenant::Life;
using tenant::Machine;

TEST(CollectErased, IsNotSaidWhileAnOlderPackInTheTrashHoldsTheSameBytes) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  const SnapshotId first = world.back_up(shop, 8, 3, 4000);
  std::vector<blob::BlobRef> leaves = world.leaves_of(world.last_tree, world.last_run);
  leaves.resize(2);
  const SnapshotId second = world.back_up_on(shop, first, leaves, 1, 3, 4000);
  world.end(first);
  ASSERT_EQ(world.collect().rewritten_packs, 1u);
  const PackId original = world.parts().state.read([](const tenant::State& s) { return s.trash().begin()->first; });
  const auto collect_where_it_stays = [&] {
    world.fs.fail_on(Operation::Unlink, original.hex());
    const CollectSummary done = world.collect();
    EXPECT_FALSE(done.held.empty());
    return done;
  };
  world.end(second);
  world.clock.advance(8 * 24h);
  EXPECT_GT(collect_where_it_stays().condemned_packs, 0u);
  world.clock.advance(8 * 24h);
  EXPECT_GT(collect_where_it_stays().removed_packs, 0u) << "the copies";
  EXPECT_EQ(world.life(second), Life::Deleted);
  EXPECT_EQ(world.collect().removed_packs, 1u);
  EXPECT_EQ(world.life(second), Life::Erased);
  world.expect_tidy();
}

TEST(CollectErased, IsNotSaidWhileNobodyKnowsWhatOrphansHold) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  world.end(world.back_up(shop));
  std::vector<std::string> orphans;
  for (std::size_t i = 0; i <= kFewOrphans; ++i) {
    orphans.push_back(world.path(pack::object_name(world.random.id<PackId>(), 1)));
    must(fs::make_directories(world.fs.disk(), fs::parent(orphans.back()), 0700));
    must(fs::create_file(world.fs.disk(), orphans.back(), Bytes(5), 0600));
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(world.collect().erased, 0u);
    world.clock.advance(8 * 24h);
  }
  must(world.fs.disk().unlink(orphans.back()));
  for (int i = 0; i < 2; ++i) {
    const CollectSummary done = world.collect();
    EXPECT_EQ(done.erased, i == 0 ? 0u : 1u) << "they wait in the trash";
    world.clock.advance(8 * 24h);
  }
  world.expect_tidy();
}

}  // namespace
}  // namespace holdfast::collect
