#include "server/collect/usage.h"

#include "tests/server/collect/collect_world.h"

namespace holdfast::collect {
namespace {

using tenant::Machine;
using tenant::TestRun;
using tenant::Tree;
using tenant::TreeBlob;

constexpr std::int64_t kDayNs = 86'400'000'000'000;

struct UsageWorld : CollectWorld {
  using CollectWorld::CollectWorld;

  /// Each byte is counted once, whatever else is said of it.
  Usage usage() {
    Usage out = must(measure_usage(*tenant, 7 * 24h));
    EXPECT_EQ(out.stored, out.live + out.locked + out.uploading + out.dead + out.copies + out.overhead);
    EXPECT_EQ(out.unlisted, 0u);
    EXPECT_LE(out.shared, out.live);
    EXPECT_EQ(out.missing, 0u);
    std::uint64_t on_disk = 0, returns = 0;
    for (const auto& [name, bytes] : files("packs")) on_disk += bytes.size();
    EXPECT_EQ(out.stored + out.trash, on_disk);
    for (const Usage::Return& day : out.returns) returns += day.trash + day.locked;
    EXPECT_EQ(returns, out.trash + out.locked);
    return out;
  }
  static std::uint64_t bytes_of(const std::vector<TreeBlob>& blobs) {
    std::uint64_t out = 0;
    for (const TreeBlob& b : blobs) out += b.record.size();
    return out;
  }
};

TEST(Usage, OfATenantWithoutSnapshotsIsNothing) {
  UsageWorld world;
  (void)world.enrol("shop");
  const Usage usage = world.usage();
  EXPECT_EQ(usage.stored + usage.logical + usage.trash, 0u);
  EXPECT_TRUE(usage.returns.empty());
}

TEST(Usage, CountsWhatSnapshotsAndClientsShareOnceAndEachSnapshotsOwnLogically) {
  UsageWorld world;
  const Machine shop = world.enrol("shop"), till = world.enrol("till", shop.domain);
  const SnapshotId first = world.back_up(shop, 2, 3);
  const Tree tree = world.last_tree;
  const std::vector<blob::BlobRef> leaves = world.leaves_of(tree, world.last_run);
  const std::vector<TreeBlob> leaf(tree.blobs.begin(), tree.blobs.begin() + 4);  // three data blobs and their leaf
  const std::uint64_t all = UsageWorld::bytes_of(tree.blobs), kept = UsageWorld::bytes_of(leaf);
  EXPECT_EQ(world.usage().live, all);
  EXPECT_EQ(world.usage().logical, all);
  EXPECT_EQ(world.usage().shared, 0u);

  // The same machine takes one leaf up again: nothing is shared between clients.
  (void)world.back_up_on(shop, first, {leaves[0]}, 1, 2);
  const std::uint64_t second = UsageWorld::bytes_of(world.last_tree.blobs);
  Usage usage = world.usage();
  EXPECT_EQ(usage.live, all + second);
  EXPECT_EQ(usage.logical, all + second + kept);
  EXPECT_EQ(usage.shared, 0u);

  const TestRun run = world.begin(till);
  ASSERT_EQ(must(world.tenant->have(till.id, run.opened.session, 1, {leaves[0].blob})).size(), 1u);
  const Tree other = world.tree(till, run, 0, 0, 50, {leaves[0]});
  world.send(till, run, other.blobs);
  usage = world.usage();
  EXPECT_EQ(usage.uploading, UsageWorld::bytes_of(other.blobs));
  EXPECT_EQ(usage.shared, 0u) << "it is not committed";
  (void)must(world.tenant->commit(till.id, run.opened.session, world.core(till, run, other.root), nullptr));
  usage = world.usage();
  EXPECT_EQ(usage.uploading, 0u);
  EXPECT_EQ(usage.shared, kept);
  EXPECT_EQ(usage.live, all + second + UsageWorld::bytes_of(other.blobs));
  EXPECT_EQ(usage.logical, all + second + kept + UsageWorld::bytes_of(other.blobs) + kept);
  EXPECT_EQ(usage.snapshots, 3u);
}

TEST(Usage, CountsABlobInOnePlaceAndItsOthersAsCopies) {
  UsageWorld world;
  const Machine shop = world.enrol("shop");
  (void)world.back_up(shop, 1, 1);  // the newest stays live
  const std::uint64_t other = UsageWorld::bytes_of(world.last_tree.blobs);
  const TestRun run = world.begin(shop);
  const Tree tree = world.tree(shop, run, 2, 3);
  const std::uint64_t all = UsageWorld::bytes_of(tree.blobs);
  world.send(shop, run, tree.blobs);
  // A pack did not read for a while: meanwhile its client has sent some of it again.
  const PackId first =
      world.parts().state.read([&](const tenant::State& s) { return s.session(run.opened.session)->packs[0]; });
  world.parts().report_damage(first, "the disk");
  const std::vector<TreeBlob> again(tree.blobs.begin(), tree.blobs.begin() + 4);
  world.send(shop, run, again);
  world.parts().damage.clear_pack(first);
  const std::uint64_t copies = UsageWorld::bytes_of(again);
  Usage usage = world.usage();
  EXPECT_EQ(usage.uploading, all);
  EXPECT_EQ(usage.copies, copies);
  const Bytes core = world.core(shop, run, tree.root);
  (void)must(world.tenant->commit(shop.id, run.opened.session, core, nullptr));
  usage = world.usage();
  EXPECT_EQ(usage.live, other + all);
  EXPECT_EQ(usage.logical, other + all);
  EXPECT_EQ(usage.shared + usage.dead + usage.uploading, 0u);
  EXPECT_EQ(usage.copies, copies);
  world.lock(snapshot::snapshot_id(core));
  usage = world.usage();
  EXPECT_EQ(usage.live, other);
  EXPECT_EQ(usage.locked, all);
  EXPECT_EQ(usage.copies, copies);
}

TEST(Usage, FollowsASnapshotsBytesFromLiveToBack) {
  UsageWorld world;
  const Machine shop = world.enrol("shop");
  const SnapshotId first = world.back_up(shop, 2, 3);
  const Tree tree = world.last_tree;
  const std::vector<blob::BlobRef> leaves = world.leaves_of(tree, world.last_run);
  const std::uint64_t all = UsageWorld::bytes_of(tree.blobs);
  const std::uint64_t kept = UsageWorld::bytes_of({tree.blobs.begin(), tree.blobs.begin() + 4});
  world.clock.advance(48h);
  const SnapshotId second = world.back_up_on(shop, first, {leaves[0]}, 1, 2);
  const std::uint64_t fresh = UsageWorld::bytes_of(world.last_tree.blobs);
  (void)world.back_up(shop, 1, 1);  // the newest stays live
  const std::uint64_t newest = UsageWorld::bytes_of(world.last_tree.blobs);
  const auto date = [&](const SnapshotId& id) {
    return world.parts().state.read([&](const tenant::State& s) { return s.snapshot(id)->delete_not_before_ns; });
  };

  world.lock(first);
  Usage usage = world.usage();
  EXPECT_EQ(usage.locked_snapshots, 1u);
  EXPECT_EQ(usage.locked, all - kept) << "the second snapshot still needs a leaf";
  ASSERT_EQ(usage.returns.size(), 1u);
  EXPECT_EQ(usage.returns[0].not_before_ns, date(first) + 7 * kDayNs);

  world.lock(second);
  usage = world.usage();
  EXPECT_EQ(usage.live, newest);
  EXPECT_EQ(usage.locked, all + fresh);
  EXPECT_EQ(usage.logical, newest + all + fresh + kept);
  ASSERT_EQ(usage.returns.size(), 2u) << "two days lie between them";
  EXPECT_EQ(usage.returns[0].locked, all - kept);
  EXPECT_EQ(usage.returns[1].locked, fresh + kept) << "what both hold goes with the later one";
  EXPECT_EQ(usage.returns[1].not_before_ns, date(second) + 7 * kDayNs);

  const auto remove = [&](const SnapshotId& id) {
    world.clock.advance(std::chrono::nanoseconds(std::max<std::int64_t>(0, date(id) - world.parts().vault->now_ns())));
    world.publish(journal::Kind::Deleted, journal::encode(journal::DeletedPayload{{id}}));
  };
  remove(first);
  usage = world.usage();
  EXPECT_EQ(usage.snapshots, 2u);
  EXPECT_EQ(usage.dead, all - kept);
  EXPECT_EQ(usage.locked, fresh + kept);
  remove(second);
  EXPECT_EQ(world.usage().dead, all + fresh);
  const std::int64_t condemned = world.parts().vault->now_ns();
  EXPECT_EQ(world.collect().condemned_packs, 2u);
  usage = world.usage();
  EXPECT_EQ(usage.dead, 0u);
  EXPECT_GT(usage.trash, all + fresh);
  ASSERT_EQ(usage.returns.size(), 1u);
  EXPECT_EQ(usage.returns[0].not_before_ns, condemned + 7 * kDayNs);
  world.clock.advance(7 * 24h);
  EXPECT_EQ(world.collect().removed_packs, 2u);
  usage = world.usage();
  EXPECT_EQ(usage.trash, 0u);
  EXPECT_EQ(usage.stored, usage.live + usage.overhead);
}

/// A hostile client names segments in a circle, and nests them so that each level doubles the ways to what is below it.
TEST(Usage, EndsWhateverAClientNames) {
  UsageWorld world;
  const Machine shop = world.enrol("shop");
  const TestRun run = world.begin(shop);
  const auto segment = [&](const BlobId& id, std::vector<blob::BlobRef> children) {
    std::sort(children.begin(), children.end());
    blob::Header header;
    header.type = blob::Type::Index;
    header.domain = shop.domain;
    header.epoch = shop.epoch;
    header.run = run.id;
    header.blob = id;
    return TreeBlob{id, tenant::make_record(world.random, header, children, 50), blob::Type::Index};
  };
  std::vector<TreeBlob> blobs;
  const BlobId a = world.random.id<BlobId>(), b = world.random.id<BlobId>();
  blobs.push_back(segment(a, {{b, run.id}}));
  blobs.push_back(segment(b, {{a, run.id}}));
  BlobId left = a, right = b;
  for (int level = 0; level < 59; ++level) {
    const BlobId next_left = world.random.id<BlobId>(), next_right = world.random.id<BlobId>();
    blobs.push_back(segment(next_left, {{left, run.id}, {right, run.id}}));
    blobs.push_back(segment(next_right, {{left, run.id}, {right, run.id}}));
    left = next_left;
    right = next_right;
  }
  world.send(shop, run, blobs);
  const Tree top = world.tree(shop, run, 0, 0, 50, {{left, run.id}, {right, run.id}});
  world.send(shop, run, top.blobs);
  (void)must(world.tenant->commit(shop.id, run.opened.session, world.core(shop, run, top.root), nullptr));
  const Usage usage = world.usage();
  EXPECT_EQ(usage.live, UsageWorld::bytes_of(blobs) + UsageWorld::bytes_of(top.blobs));
  EXPECT_EQ(usage.logical, usage.live);
}

TEST(Usage, WaitsForNobodyAndSaysWhatIsMissing) {
  UsageWorld world;
  const Machine shop = world.enrol("shop");
  (void)world.back_up(shop);
  {
    const std::lock_guard pass(world.parts().collecting);
    EXPECT_EQ(measure_usage(*world.tenant, 7 * 24h).error().code, Errc::Locked);
  }
  EXPECT_EQ(must(measure_usage(*world.tenant, 7 * 24h)).snapshots, 1u);
  const std::atomic<bool> stop = true;
  EXPECT_EQ(measure_usage(*world.tenant, 7 * 24h, &stop).error().code, Errc::Canceled);
  must(world.fs.disk().unlink(world.path(world.files("packs").begin()->first)));
  (void)world.tenant->rebuild_index();
  const Usage usage = must(measure_usage(*world.tenant, 7 * 24h));
  EXPECT_EQ(usage.missing, 1u) << "of what is below a root that is gone nobody knows";
  EXPECT_EQ(usage.unlisted, usage.stored);
}

}  // namespace
}  // namespace holdfast::collect
