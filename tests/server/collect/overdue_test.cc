#include "server/collect/overdue.h"

#include <gtest/gtest.h>

#include "tests/server/collect/collect_world.h"

namespace holdfast::collect {
namespace {

using tenant::Machine;
using tenant::TestRun;
using tenant::Tree;

/// A plan by which packs are rewritten two days after a snapshot's end.
struct OverdueTest : testing::Test {
  CollectWorld world{1, 0, "30d-max"};
  Machine shop = world.enrol("shop");
  std::optional<TestRun> open;
  std::vector<blob::BlobRef> leaves;

  /// Three of its four leaves go on in another.
  SnapshotId back_up_and_keep_most() {
    const SnapshotId first = world.back_up(shop, 4, 3);
    leaves = world.leaves_of(world.last_tree, world.last_run);
    leaves.erase(leaves.begin());
    (void)world.back_up_on(shop, first, leaves, 1);
    return first;
  }
  /// The open session is used daily, and asks for a leaf that is pinned by it.
  void pass_days(int days, const std::vector<BlobId>& ask = {}) {
    for (int day = 0; day < days; ++day) {
      world.clock.advance(24h);
      if (open) (void)must(world.tenant->have(shop.id, open->opened.session, 1, ask));
    }
  }
  void delete_now(const SnapshotId& id) {
    world.publish(journal::Kind::Deleted, journal::encode(journal::DeletedPayload{{id}}));
  }
  PackId pack_of(const BlobId& blob) {
    return must(world.parts().copies(shop.id, shop.domain, 1, blob)).at(0).location.pack;
  }
  /// What a pass holds, of these two words; nothing else is held.
  void expect_held(const std::string& count, const std::string& why) {
    const CollectSummary done = world.collect();
    ASSERT_EQ(done.held.size(), 1u) << (done.held.empty() ? "" : done.held.back());
    EXPECT_TRUE(done.held[0].starts_with(count)) << done.held[0];
    EXPECT_NE(done.held[0].find(why), std::string::npos) << done.held[0];
    EXPECT_EQ(done.rewritten_packs, 0u);
  }
};

TEST_F(OverdueTest, NamesPacksThatASessionPins) {
  world.end(back_up_and_keep_most());
  EXPECT_TRUE(world.collect().held.empty());
  open = world.begin(shop);
  pass_days(1, {leaves[0].blob});
  pass_days(1);
  EXPECT_TRUE(world.collect().held.empty()) << "the time is not over yet";
  pass_days(1);
  expect_held("1 packs", "open sessions use them");
  must(world.tenant->abandon(shop.id, open->opened.session));
  open.reset();
  EXPECT_EQ(world.collect().rewritten_packs, 1u);
  EXPECT_TRUE(world.collect().held.empty());
}

TEST_F(OverdueTest, NamesPacksThatAnOpenSessionHasSent) {
  open = world.begin(shop);
  const Tree held = world.tree(shop, *open, 1, 2);
  ASSERT_EQ(world.send(shop, *open, held.blobs), held.blobs.size());
  const SnapshotId gone = world.back_up_on(shop, {}, world.leaves_of(held, *open), 1);
  world.lock(gone);
  pass_days(40);
  delete_now(gone);
  EXPECT_TRUE(world.collect().held.empty());
  pass_days(3);
  expect_held("1 packs", "open sessions use them");
}

TEST_F(OverdueTest, NamesSnapshotsOnWhichASessionBuilds) {
  const SnapshotId base = back_up_and_keep_most();
  open = world.begin(shop, base);
  world.lock(base);
  pass_days(40);
  delete_now(base);
  pass_days(2);
  EXPECT_TRUE(world.collect().held.empty());
  pass_days(1);
  expect_held("1 deleted snapshots", "open sessions build on them");
  CollectOptions dry;
  dry.dry_run = true;
  EXPECT_EQ(world.collect(dry).held.size(), 1u);
}

TEST_F(OverdueTest, NamesPacksWhoseLiveRecordsAreHurtAndBlamesNoBudget) {
  const SnapshotId first = back_up_and_keep_most();
  const tenant::Copy copy = must(world.parts().copies(shop.id, shop.domain, 1, leaves[0].blob)).at(0);
  const std::string name = pack::object_name(copy.location.pack, copy.location.store_epoch);
  const std::uint64_t at = copy.location.entry.offset + copy.location.entry.length - 1;
  world.write_byte(name, at, static_cast<std::uint8_t>(~world.files("packs").at(name).at(at)));
  (void)world.check();
  world.end(first);
  (void)world.collect();
  pass_days(3);
  expect_held("1 packs", "damage keeps them");
}

TEST_F(OverdueTest, NamesSnapshotsWhosePacksAreHidden) {
  const SnapshotId first = back_up_and_keep_most();
  must(world.fs.disk().unlink(world.path(pack::object_name(pack_of(leaves[0].blob), 2))));
  world.end(first);
  world.reopen();
  (void)world.tenant->rebuild_index();
  const auto said = [&] {
    std::string out;
    for (const std::string& held : world.collect().held) out += held + "\n";
    return out;
  };
  EXPECT_EQ(said().find("damage hides"), std::string::npos);
  pass_days(3);
  EXPECT_NE(said().find("1 deleted snapshots are kept beyond what their plan allows: damage hides"), std::string::npos)
      << said();
}

}  // namespace
}  // namespace holdfast::collect
