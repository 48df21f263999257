#include "server/collect/plan.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/seeded_random.h"

namespace holdfast::collect {
namespace {

constexpr std::int64_t kDay = 86'400'000'000'000;

struct CollectPlanTest : testing::Test {
  support::SeededRandom random;
  PackFacts pack(std::uint64_t live, std::uint64_t dead) {
    PackFacts out;
    out.id = random.id<PackId>();
    out.bytes = live + dead;
    out.live_bytes = live;
    out.dead_bytes = dead;
    out.live_blobs = live > 0 ? 1 : 0;
    out.dead_blobs = dead > 0 ? 1 : 0;
    out.listed = true;
    return out;
  }
};
constexpr std::uint64_t kMiB = 1u << 20;

TEST_F(CollectPlanTest, CondemnsWhatIsDeadAndNothingElse) {
  PackFacts dead = pack(0, 16 * kMiB), alive = pack(16 * kMiB, 0), pinned = pack(0, kMiB), unreadable = pack(0, 0),
            unreadable_alive = pack(0, 0);
  pinned.untouchable = true;
  unreadable.listed = unreadable_alive.listed = false;
  unreadable.run_marked = false;
  const CollectPlan plan = plan_collect({dead, alive, pinned, unreadable, unreadable_alive}, {});
  EXPECT_EQ(std::set<PackId>(plan.condemn.begin(), plan.condemn.end()), (std::set<PackId>{dead.id, unreadable.id}));
  EXPECT_TRUE(plan.rewrite.empty());
}

TEST_F(CollectPlanTest, RewritesFromHalfDeadOnMostDeadBytesFirst) {
  const PackFacts half = pack(8 * kMiB, 8 * kMiB), most = pack(kMiB, 15 * kMiB), less = pack(9 * kMiB, 7 * kMiB);
  const CollectPlan plan = plan_collect({half, most, less}, {});
  ASSERT_EQ(plan.rewrite.size(), 1u);
  EXPECT_EQ(plan.rewrite[0], (std::vector<PackId>{most.id, half.id}));
  EXPECT_EQ(plan.rewrite_bytes, 9 * kMiB);
}

TEST_F(CollectPlanTest, RewritesWhatHasLittleTimeLeftHoweverLittleOfItIsDead) {
  PackFacts soon = pack(8 * kMiB, kMiB), late = pack(8 * kMiB, 1), alive = pack(16 * kMiB, 0),
            pinned = pack(8 * kMiB, kMiB);
  soon.time_left_ns = kDay;
  late.time_left_ns = -kDay;
  alive.time_left_ns = pinned.time_left_ns = kDay / 2;
  pinned.untouchable = true;
  const CollectPlan plan = plan_collect({alive, soon, late, pinned}, {});
  ASSERT_EQ(plan.rewrite.size(), 1u);
  EXPECT_EQ(plan.rewrite[0], (std::vector<PackId>{late.id, soon.id}));
  EXPECT_EQ(plan.late, 1u);
}

TEST_F(CollectPlanTest, LeavesAQuarterOfItsBudgetToHalfDeadPacks) {
  std::vector<PackFacts> packs;
  for (int i = 0; i < 8; ++i) {
    packs.push_back(pack(8 * kMiB, 1));
    packs.back().time_left_ns = i;
  }
  PlanOptions options;
  options.rewrite_bytes = 32 * kMiB;
  EXPECT_EQ(plan_collect(packs, options).rewrite[0].size(), 4u);
  packs.push_back(pack(8 * kMiB, 8 * kMiB));
  const CollectPlan plan = plan_collect(packs, options);
  ASSERT_EQ(plan.rewrite.size(), 1u);
  EXPECT_EQ(plan.rewrite[0], (std::vector<PackId>{packs[0].id, packs[1].id, packs[2].id, packs[8].id}));
  EXPECT_EQ(plan.postponed_bytes, 40 * kMiB);
}

TEST_F(CollectPlanTest, KeepsToItsBudgetAndSaysWhatIsLeft) {
  std::vector<PackFacts> packs;
  for (int i = 0; i < 10; ++i) packs.push_back(pack(8 * kMiB, 8 * kMiB));
  PlanOptions options;
  options.rewrite_bytes = 40 * kMiB;
  options.group_bytes = 16 * kMiB;
  const CollectPlan plan = plan_collect(packs, options);
  EXPECT_EQ(plan.rewrite_bytes, 40 * kMiB);
  EXPECT_EQ(plan.postponed_bytes, 40 * kMiB);
  ASSERT_EQ(plan.rewrite.size(), 3u);
  EXPECT_EQ(plan.rewrite[0].size(), 2u);
  EXPECT_EQ(plan.rewrite[2].size(), 1u);
}

TEST_F(CollectPlanTest, ChargesWhatIsReadWithTheLittleThatLives) {
  std::vector<PackFacts> packs;
  for (int i = 0; i < 10; ++i) {
    packs.push_back(pack(160 << 10, 16 * kMiB - (160 << 10)));
    packs.back().bytes += 1000;  // its footer
    packs.back().live_blobs = 10;
  }
  const std::uint64_t each = 1000 + (160 << 10) + 9 * kReadThroughBytes;
  PlanOptions options;
  options.rewrite_bytes = 3 * each;
  const CollectPlan scattered = plan_collect(packs, options);
  ASSERT_EQ(scattered.rewrite.size(), 1u);
  EXPECT_EQ(scattered.rewrite[0].size(), 3u);
  EXPECT_EQ(scattered.rewrite_bytes, 3 * each);
  EXPECT_EQ(scattered.postponed_bytes, 7 * each);
  // So many that all of the pack may have to be read.
  for (PackFacts& one : packs) one.live_blobs = 1000;
  options.rewrite_bytes = 40 * kMiB;
  const CollectPlan dense = plan_collect(packs, options);
  ASSERT_EQ(dense.rewrite.size(), 1u);
  EXPECT_EQ(dense.rewrite[0].size(), 2u);
  EXPECT_EQ(dense.rewrite_bytes, 2 * (16 * kMiB + 1000));
}

TEST_F(CollectPlanTest, TakesAllDamagedPacksLast) {
  PackFacts worst = pack(kMiB, 15 * kMiB), soon = pack(8 * kMiB, kMiB), half = pack(8 * kMiB, 8 * kMiB);
  worst.damaged = soon.damaged = true;
  soon.time_left_ns = -kDay;
  std::vector<PackFacts> packs{worst, soon, half};
  for (int i = 0; i < 64; ++i) packs.push_back(pack(kMiB, 0));
  PackFacts small = pack(kMiB, 0);
  small.damaged = true;
  packs.push_back(small);
  const CollectPlan plan = plan_collect(packs, {});
  ASSERT_EQ(plan.rewrite.size(), 3u);
  EXPECT_EQ(plan.rewrite[0], std::vector<PackId>{half.id});
  EXPECT_EQ(plan.rewrite[1].size(), 64u);
  EXPECT_EQ(plan.rewrite[2], (std::vector<PackId>{soon.id, worst.id, small.id})) << "what is hurt may stand elsewhere";
  PlanOptions options;
  options.rewrite_bytes = 8 * kMiB;
  EXPECT_EQ(plan_collect({worst, soon, half}, options).rewrite, (std::vector<std::vector<PackId>>{{half.id}}));
}

TEST_F(CollectPlanTest, MergesSmallPacksOfOneAgeAndKindWhenThereAreEnough) {
  std::vector<PackFacts> packs;
  for (int i = 0; i < 63; ++i) packs.push_back(pack(kMiB, 0));
  EXPECT_TRUE(plan_collect(packs, {}).rewrite.empty());
  packs.push_back(pack(4 * kMiB, 0));  // not small
  PackFacts older = pack(kMiB, 0), segments = pack(kMiB, 0);
  older.age_ns = 9 * kDay;
  segments.segments = true;
  packs.push_back(older);
  packs.push_back(segments);
  EXPECT_TRUE(plan_collect(packs, {}).rewrite.empty());
  packs.push_back(pack(kMiB, 0));
  const CollectPlan plan = plan_collect(packs, {});
  ASSERT_EQ(plan.rewrite.size(), 1u);
  EXPECT_EQ(plan.rewrite[0].size(), 64u);
}

TEST_F(CollectPlanTest, BoundsAGroupByBytesPacksAndBlobs) {
  std::vector<PackFacts> packs;
  for (int i = 0; i < 1000; ++i) packs.push_back(pack(100, 0));
  PlanOptions options;
  options.group_packs = 300;
  EXPECT_EQ(plan_collect(packs, options).rewrite.size(), 4u);
  options.group_packs = 1000;
  options.group_blobs = 250;
  EXPECT_EQ(plan_collect(packs, options).rewrite.size(), 4u);
}

TEST_F(CollectPlanTest, TouchesEachPackAtMostOnceWhateverTheFacts) {
  for (int round = 0; round < 200; ++round) {
    std::vector<PackFacts> packs;
    for (std::uint64_t n = random.below(200); n > 0; --n) {
      PackFacts one = pack(random.below(3) * kMiB, random.below(3) * kMiB);
      one.untouchable = random.below(5) == 0;
      one.listed = random.below(9) != 0;
      one.damaged = random.below(7) == 0;
      one.run_marked = random.below(2) == 0;
      one.age_ns = static_cast<std::int64_t>(random.below(40)) * kDay;
      packs.push_back(one);
    }
    PlanOptions options;
    options.merge_at = 5;
    options.rewrite_bytes = random.below(200) * kMiB;
    const CollectPlan plan = plan_collect(packs, options);
    std::set<PackId> touched(plan.condemn.begin(), plan.condemn.end());
    std::size_t count = plan.condemn.size();
    for (const auto& group : plan.rewrite) {
      EXPECT_FALSE(group.empty());
      touched.insert(group.begin(), group.end());
      count += group.size();
    }
    EXPECT_EQ(touched.size(), count);
    EXPECT_LE(plan.rewrite_bytes, options.rewrite_bytes);
    for (const PackFacts& one : packs) {
      const bool condemned = std::find(plan.condemn.begin(), plan.condemn.end(), one.id) != plan.condemn.end();
      EXPECT_EQ(condemned, !one.untouchable && (one.listed ? one.live_blobs == 0 : !one.run_marked));
      EXPECT_FALSE(one.untouchable && touched.contains(one.id));
    }
  }
}

}  // namespace
}  // namespace holdfast::collect
