// The trash is the last place where a blob can be: what is needed comes back from it, and until it has it stays.
#include <gtest/gtest.h>

#include "server/collect/trash.h"
#include "server/collect/usage.h"
#include "tests/server/collect/collect_world.h"

namespace holdfast::collect {
namespace {

using tenant::Machine;
using tenant::TestRun;
using tenant::Tree;

/// A pack was half dead and has been rewritten; what it was waits in the trash.
struct RewrittenWorld : CollectWorld {
  RewrittenWorld() {
    const SnapshotId first = back_up(shop, 8, 3, 4000);
    leaves = leaves_of(last_tree, last_run);
    first_run = last_run;
    leaves.resize(2);
    (void)back_up_on(shop, first, leaves, 1, 3, 4000);
    second_tree = last_tree;
    second_run = last_run;
    end(first);
    const std::set<std::string> before = object_files();
    HF_ASSERT(collect().rewritten_packs == 1);
    for (const std::string& name : object_files()) {
      if (!before.contains(name)) copies.push_back(name);
    }
    HF_ASSERT(copies.size() == 2);
  }

  bool reads_all() {
    const bool kept = std::all_of(leaves.begin(), leaves.end(), [&](const blob::BlobRef& leaf) {
      return tenant->read_blob(shop.id, shop.domain, 1, leaf).has_value();
    });
    return kept && reads(shop, second_run, second_tree);
  }
  Bytes bytes_of(const std::string& name) { return must(fs::read_file(fs.disk(), path(name), 1u << 30)); }
  void replace(const std::string& name, const Bytes& bytes) {
    must(fs.disk().unlink(path(name)));
    must(fs::create_file(fs.disk(), path(name), bytes, 0600));
  }
  /// In the middle of its first record.
  void spoil(const std::string& name) {
    Bytes bytes = bytes_of(name);
    bytes[200] ^= 1;
    replace(name, bytes);
  }
  std::vector<std::string> trashed() {
    return parts().state.read([](const tenant::State& s) {
      std::vector<std::string> out;
      for (const auto& [id, pack] : s.trash()) out.push_back(pack::object_name(id, pack.store_epoch));
      return out;
    });
  }
  /// The week goes by, and the next.
  void empty_trash() {
    for (int i = 0; i < 2; ++i) {
      clock.advance(8 * 24h);
      (void)collect();
    }
    EXPECT_TRUE(trashed().empty());
  }

  const Machine shop = enrol("shop");
  std::vector<blob::BlobRef> leaves;
  Tree second_tree;
  TestRun first_run, second_run;
  std::vector<std::string> copies;  ///< object names
};

TEST(CollectRecover, TakesBackWhatADamagedCopyHasLost) {
  RewrittenWorld world;
  for (const std::string& name : world.copies) world.spoil(name);
  EXPECT_FALSE(world.reads_all());
  EXPECT_FALSE(world.check().findings.empty()) << "finds the other one";
  EXPECT_EQ(world.collect().recovered_blobs, world.copies.size()) << "one in each; the others read well where they are";
  EXPECT_TRUE(world.reads_all());
  EXPECT_EQ(must(measure_usage(*world.tenant, 7 * 24h)).copies, 0u) << "nothing stands twice";
  EXPECT_EQ(world.tenant->account().health, "ok") << "the damaged packs are replaced";
  EXPECT_EQ(world.collect().recovered_blobs, 0u) << "once is enough";
  world.empty_trash();
  EXPECT_TRUE(world.reads_all());
  world.expect_undamaged();
  world.expect_tidy();
}

TEST(CollectRecover, TakesBackWholePacksThatAreGone) {
  RewrittenWorld world;
  for (const std::string& name : world.copies) must(world.fs.disk().unlink(world.path(name)));
  world.reopen();
  EXPECT_FALSE(world.reads_all());
  const CollectSummary done = world.collect();
  EXPECT_GE(done.recovered_blobs, world.leaves.size());
  EXPECT_FALSE(done.held.empty());
  EXPECT_TRUE(world.reads_all());
  EXPECT_EQ(world.collect().recovered_blobs, 0u) << "once is enough";
  world.empty_trash();
  EXPECT_TRUE(world.reads_all());
  (void)must(world.tenant->rebuild_index());
  EXPECT_TRUE(world.reads_all());
  world.reopen();
  EXPECT_TRUE(world.reads_all());
}

/// Nothing in the index says what is below them: what a segment refers to is known when it is back.
TEST(CollectRecover, FindsWhatStandsBelowASegmentThatIsGone) {
  RewrittenWorld world;
  for (const std::string& name : world.copies) must(world.fs.disk().unlink(world.path(name)));
  world.reopen();
  (void)world.tenant->rebuild_index();
  const CollectSummary done = world.collect();
  EXPECT_GE(done.recovered_blobs, world.leaves.size());
  EXPECT_EQ(done.removed_packs, 0u);
  EXPECT_TRUE(world.reads_all());
  world.empty_trash();
  EXPECT_TRUE(world.reads_all());
}

TEST(CollectRecover, TakesBackWhatShouldNeverHaveBeenCondemned) {
  RewrittenWorld world;
  journal::CondemnPayload wrong;
  world.parts().state.read([&](const tenant::State& s) {
    for (const auto& [id, pack] : s.packs())
      wrong.packs.push_back({id, pack.note.store_epoch, pack.note.bytes, journal::CondemnPayload::Why::Unreferenced});
  });
  wrong.slots = {world.first_run.id};
  world.publish(journal::Kind::Condemn, journal::encode(wrong));
  world.reopen();
  EXPECT_FALSE(world.reads_all());
  EXPECT_GT(world.collect().recovered_blobs, 0u);
  EXPECT_TRUE(world.reads_all());
  world.empty_trash();
  EXPECT_TRUE(world.reads_all());
  EXPECT_TRUE(world.object_files().contains(tenant::slot_name(world.first_run.id))) << "it opens what came back";
  world.expect_undamaged();
  world.expect_tidy();
}

/// The journal named them, and the pass that unlinked them could not say so any more.
TEST(CollectRecover, WhatIsGoneFromTheTrashHoldsNothing) {
  RewrittenWorld world;
  world.end(world.back_up(world.shop));
  EXPECT_GT(world.collect().condemned_packs, 0u);
  for (const std::string& name : world.trashed()) must(world.fs.disk().unlink(world.path(name)));
  for (const std::string& name : world.copies) must(world.fs.disk().unlink(world.path(name)));
  world.reopen();
  world.empty_trash();
}

TEST(CollectRecover, DamageThatHasLostNothingHoldsNoTrash) {
  RewrittenWorld world;
  for (const std::string& name : world.copies) must(world.fs.disk().unlink(world.path(name)));
  world.reopen();
  EXPECT_GT(world.collect().recovered_blobs, 0u);
  EXPECT_NE(world.tenant->account().health, "ok") << "their files are missing still";
  const std::vector<std::string> originals = world.trashed();
  for (const std::string& name : originals) world.replace(name, Bytes(world.bytes_of(name).size()));
  world.empty_trash();
  EXPECT_TRUE(world.reads_all());
}

TEST(CollectRecover, NothingIsUnlinkedOnceThereIsDamageThatNobodyHasLookedAt) {
  RewrittenWorld world;
  const std::uint64_t version = world.parts().damage.version();
  world.clock.advance(8 * 24h);
  for (const std::string& name : world.copies) world.spoil(name);
  EXPECT_FALSE(world.reads_all());
  CollectSummary summary;
  must(empty_trash(world.parts(), 7 * 24h, {}, version, summary));
  EXPECT_EQ(summary.removed_packs, 0u);
  EXPECT_EQ(summary.held.size(), 1u);
  EXPECT_GT(world.collect().recovered_blobs, 0u);
  (void)world.check();
  (void)world.collect();
  EXPECT_TRUE(world.reads_all());
}

TEST(CollectRecover, AFullDiskKeepsTheTrashAndEndsNoPass) {
  for (const bool at_the_floor : {false, true}) {
    SCOPED_TRACE(at_the_floor ? "no reserve is left" : "the disk takes nothing more");
    RewrittenWorld world;
    for (const std::string& name : world.copies) must(world.fs.disk().unlink(world.path(name)));
    if (at_the_floor) world.floor_bytes = ~std::uint64_t{0} >> 1;
    world.reopen();
    bool copying = false;
    world.fs.watch([&](std::optional<support::Operation> operation, const std::string& path) {
      if (at_the_floor || operation != support::Operation::Create || path.find("/tmp/") == std::string::npos) return;
      copying = true;
      world.fs.fail_on(support::Operation::Write, "/tmp/", Errc::DiskFull);
    });
    world.clock.advance(8 * 24h);
    const CollectSummary full = world.collect();
    world.fs.watch(nullptr);
    EXPECT_EQ(copying, !at_the_floor);
    EXPECT_EQ(full.recovered_blobs, 0u);
    EXPECT_EQ(full.removed_packs, 0u);
    EXPECT_FALSE(full.held.empty());
    world.fs.clear_faults();
    world.floor_bytes = 0;
    world.reopen();
    EXPECT_GT(world.collect().recovered_blobs, 0u);
    EXPECT_TRUE(world.reads_all());
  }
}

TEST(CollectRecover, KeepsTheTrashWhileItCannotBeReadBack) {
  RewrittenWorld world;
  const std::vector<std::string> originals = world.trashed();
  ASSERT_EQ(originals.size(), 1u);
  const Bytes original = world.bytes_of(originals[0]);
  for (const std::string& name : world.copies) must(world.fs.disk().unlink(world.path(name)));
  world.replace(originals[0], Bytes(original.size()));
  world.reopen();
  for (int i = 0; i < 2; ++i) {
    const CollectSummary done = world.collect();
    EXPECT_EQ(done.removed_packs, 0u);
    EXPECT_EQ(done.recovered_blobs, 0u);
    EXPECT_FALSE(done.held.empty());
    world.clock.advance(30 * 24h);
  }
  // The disk has an answer again.
  world.replace(originals[0], original);
  EXPECT_GT(world.collect().recovered_blobs, 0u);
  EXPECT_TRUE(world.reads_all());
}

}  // namespace
}  // namespace holdfast::collect
