#include "server/tenant/purge_input.h"

#include <gtest/gtest.h>

namespace holdfast::tenant {
namespace {

using retention::SnapshotState;

constexpr std::int64_t kDay = 86'400'000'000'000;

/// `count` snapshots whose lock date has just come.
struct Due {
  explicit Due(std::uint32_t count) : snapshots(count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      snapshots[i].payload.plan = "30d";
      view.snapshots.push_back(&snapshots[i]);
      view.dates.push_back({i, SnapshotState::Live, 0, kNow - 1, 0});
    }
  }
  void lock(const PurgeStep& step) {
    for (const Snapshot* const one : step.to_lock) {
      const auto i = static_cast<std::size_t>(one - snapshots.data());
      view.dates[i].state = SnapshotState::Locked;
      view.dates[i].delete_not_before_ns = kNow + 14 * kDay;
    }
  }
  static constexpr std::int64_t kNow = 100 * kDay;
  std::vector<Snapshot> snapshots;
  PurgeView view;
};

TEST(PurgeStep, APassOfManyStepsLocksWhatOneOfAnySizeWould) {
  Due due(25);  // all fall into the last day: the cap is 50
  std::uint64_t locked = 0;
  std::vector<std::size_t> sizes;
  for (bool more = true; more;) {
    const PurgeStep step = purge_step(due.view, Due::kNow, 10, locked);
    due.lock(step);
    locked += step.to_lock.size();
    sizes.push_back(step.to_lock.size());
    more = step.more;
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{10, 10, 5}));
}

TEST(PurgeStep, TheStepsOfAPassShareOneCap) {
  Due due(25);
  for (retention::SnapshotDates& one : due.view.dates) one.lock_not_before_ns -= 3 * kDay;  // the cap is ten
  std::uint64_t locked = 0;
  PurgeStep step;
  for (step.more = true; step.more;) {
    step = purge_step(due.view, Due::kNow, 4, locked);
    due.lock(step);
    locked += step.to_lock.size();
  }
  EXPECT_EQ(locked, 10u);
  EXPECT_EQ(step.held_by_cap, 15u);
}

TEST(PurgeStep, EndsComeInStepsToo) {
  Due due(5);
  for (retention::SnapshotDates& one : due.view.dates) {
    one.state = SnapshotState::Locked;
    one.delete_not_before_ns = Due::kNow;
  }
  PurgeStep step = purge_step(due.view, Due::kNow, 3, 0);
  EXPECT_EQ(step.to_delete.size(), 3u);
  EXPECT_TRUE(step.more);
  due.view.dates.erase(due.view.dates.begin(), due.view.dates.begin() + 3);
  for (std::uint32_t i = 0; i < 2; ++i) due.view.dates[i].position = i;
  step = purge_step(due.view, Due::kNow, 3, 0);
  EXPECT_EQ(step.to_delete.size(), 2u);
  EXPECT_FALSE(step.more);
}

TEST(PurgeStep, AnUnknownPlanHasNoTermAndTheUsualDelay) {
  Snapshot snapshot;
  snapshot.payload.plan = "of a later version";
  EXPECT_EQ(plan_of(snapshot).delete_delay, retention::kDefaultDeleteDelay);
  EXPECT_FALSE(plan_of(snapshot).gone_by);
}

TEST(PurgeStep, AClockThatIsALittleBehindHoldsNothingUp) {
  Due due(2);
  due.view.dates[0].lock_not_before_ns = Due::kNow + 1'000'000'000;
  due.snapshots[0].payload.lock_not_before_ns = Due::kNow + 1'000'000'000;
  due.snapshots[1].payload.lock_not_before_ns = Due::kNow - 1;
  EXPECT_EQ(held_by_clock(due.view, Due::kNow, Due::kNow + 60'000'000'000), 0u);
  EXPECT_EQ(held_by_clock(due.view, Due::kNow, Due::kNow + kDay), 1u);
  due.view.paused = {0};
  EXPECT_EQ(held_by_clock(due.view, Due::kNow, Due::kNow + kDay), 0u);
}

}  // namespace
}  // namespace holdfast::tenant
