#include "server/retention/purge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "server/retention/newest_good.h"
#include "server/retention/saturate.h"

namespace holdfast::retention {
namespace {

using std::chrono::days;
using Positions = std::vector<std::uint32_t>;

constexpr std::int64_t kDay = in_ns(days(1));
constexpr std::int64_t kNow = 20'000 * kDay + 5;

SnapshotDates live(std::uint32_t position, std::int64_t lock_ns) {
  return {position, SnapshotState::Live, lock_ns - 30 * kDay, lock_ns, 0};
}
SnapshotDates locked(std::uint32_t position, std::int64_t delete_ns) {
  return {position, SnapshotState::Locked, delete_ns - 44 * kDay, delete_ns - 14 * kDay, delete_ns};
}
PurgePlan plan(const std::vector<SnapshotDates>& snapshots, const Positions& paused = {}, std::int64_t now = kNow) {
  return plan_purge({snapshots, paused, now});
}
Explanation why(const std::vector<SnapshotDates>& snapshots, const Positions& paused, std::uint32_t position) {
  const auto found = explain({snapshots, paused, kNow}, position, *builtin_plan("30d"));
  EXPECT_TRUE(found.has_value());
  return found.value_or(Explanation{});
}

TEST(Purge, LocksWhatIsDueToTheNanosecondAndNothingBefore) {
  EXPECT_EQ(plan({live(1, kNow), live(2, kNow + 1)}).to_lock, Positions{1});
  EXPECT_TRUE(plan({live(1, kNow)}, {}, kNow - 1).to_lock.empty());
}

TEST(Purge, FollowsTheDatesOfAPlanToTheNanosecond) {
  for (const char* const name : {"30d", "731d", "2y", "30d-max", "2y-max"}) {
    const Plan kept = *builtin_plan(name);
    const std::int64_t lock = lock_date(kept, kNow), gone = delete_date(kept, lock, lock);
    const std::vector<SnapshotDates> one{{0, SnapshotState::Live, kNow, lock, 0}};
    const std::vector<SnapshotDates> same{{0, SnapshotState::Locked, kNow, lock, gone}};
    EXPECT_TRUE(plan(one, {}, lock - 1).to_lock.empty()) << name;
    EXPECT_EQ(plan(one, {}, lock).to_lock, Positions{0}) << name;
    EXPECT_TRUE(plan(same, {}, gone - 1).to_delete.empty()) << name;
    EXPECT_EQ(plan(same, {}, gone).to_delete, Positions{0}) << name;
  }
}

TEST(Purge, EndsWhatIsLockedOnItsDateAndNeverWhatIsLive) {
  const PurgePlan made = plan({locked(1, kNow), locked(2, kNow + 1), live(3, kNow - 400 * kDay)});
  EXPECT_EQ(made.to_delete, Positions{1});
  EXPECT_EQ(made.to_lock, Positions{3});
}

TEST(Purge, LocksTheOldestFirst) {
  EXPECT_EQ(plan({live(1, kNow - 5), live(2, kNow - 9), live(3, kNow - 7), live(4, kNow - 7)}).to_lock,
            (Positions{2, 3, 4, 1}));
}

TEST(Purge, TheNewestGoodSnapshotOfARegisteredSourceStays) {
  const PurgePlan made = plan({live(1, kNow - 9), live(2, kNow - 8), locked(3, kNow - 7), locked(4, kNow - 6)}, {2, 3});
  EXPECT_EQ(made.to_lock, Positions{1});
  EXPECT_EQ(made.to_delete, Positions{4});
  EXPECT_EQ(made.held_by_pause, 2u);
  EXPECT_EQ(made.held_by_cap, 0u);
}

TEST(Purge, OnePassLocksTenEvenIfNothingWasForecast) {
  std::vector<SnapshotDates> many;
  for (std::uint32_t i = 0; i < 25; ++i) many.push_back(live(i, kNow - 40 * kDay + i));
  const PurgePlan made = plan(many);
  EXPECT_EQ(made.lock_cap, 10u);
  EXPECT_EQ(made.to_lock, (Positions{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(made.held_by_cap, 15u);
}

TEST(Purge, OnePassLocksTwiceWhatTheDatesForecastForADay) {
  std::vector<SnapshotDates> many;
  for (std::uint32_t i = 0; i < 30; ++i)
    many.push_back(live(i, kNow - kDay - i));  // at the border: not in (now − 24 h, now]
  for (std::uint32_t i = 30; i < 37; ++i) many.push_back(live(i, kNow - kDay + 1 + i));
  many.push_back(live(37, kNow));
  for (std::uint32_t i = 38; i < 42; ++i) many.push_back(locked(i, kNow - i + 14 * kDay));  // what a pass locked today
  const PurgePlan made = plan(many);
  EXPECT_EQ(made.lock_cap, 24u);
  EXPECT_EQ(made.to_lock.size(), 24u);
  EXPECT_EQ(made.held_by_cap, 14u);
  EXPECT_EQ(made.to_lock.front(), 29u);
}

TEST(Purge, PausedOnesTakeNoRoomUnderTheCap) {
  std::vector<SnapshotDates> many;
  Positions paused;
  for (std::uint32_t i = 0; i < 30; ++i) many.push_back(live(i, kNow - 50 * kDay + i));
  for (std::uint32_t i = 0; i < 20; ++i) paused.push_back(i);
  const PurgePlan made = plan(many, paused);
  EXPECT_EQ(made.to_lock.size(), 10u);
  EXPECT_EQ(made.to_lock.front(), 20u);
  EXPECT_EQ(made.held_by_cap, 0u);
  EXPECT_EQ(made.held_by_pause, 20u);
}

TEST(Purge, EndsHaveNoCap) {
  std::vector<SnapshotDates> many;
  for (std::uint32_t i = 0; i < 1000; ++i) many.push_back(locked(i, kNow - i));
  EXPECT_EQ(plan(many).to_delete.size(), 1000u);
}

TEST(Purge, PassAfterPassWorksOffAnyBacklog) {
  std::vector<SnapshotDates> many;
  for (std::uint32_t i = 0; i < 333; ++i) many.push_back(live(i, kNow - 60 * kDay + i));
  std::size_t passes = 0;
  for (std::size_t done = 0; done < many.size(); ++passes) {
    const PurgePlan made = plan(many);
    ASSERT_FALSE(made.to_lock.empty());
    for (const std::uint32_t p : made.to_lock)
      many[p].state = SnapshotState::Locked, many[p].delete_not_before_ns = kNeverNs;
    done += made.to_lock.size();
    EXPECT_EQ(made.held_by_cap, many.size() - done);
  }
  EXPECT_EQ(passes, 34u);
}

TEST(Purge, SaysWhenTheNextDateComes) {
  EXPECT_EQ(plan({live(1, kNow), live(2, kNow + 50), locked(3, kNow + 40), locked(4, kNow - 1)}).next_due_ns,
            kNow + 40);
  EXPECT_EQ(plan({live(1, kNow + 30), live(2, kNow + 50)}, {1}).next_due_ns, kNow + 50);  // nothing happens to 1
  EXPECT_EQ(plan({live(1, kNow - 30)}).next_due_ns, std::nullopt);
  EXPECT_EQ(plan({}).next_due_ns, std::nullopt);
}

TEST(Purge, SurvivesTimesAtTheEndsOfTheirRange) {
  const std::vector<SnapshotDates> odd{{0, SnapshotState::Live, kEarliestNs, kEarliestNs, kEarliestNs},
                                       {1, SnapshotState::Live, kNeverNs, kNeverNs, kNeverNs},
                                       {2, SnapshotState::Locked, kEarliestNs, kNeverNs, kEarliestNs},
                                       {3, SnapshotState::Locked, kNeverNs, kEarliestNs, kNeverNs}};
  EXPECT_EQ(plan(odd, {}, kEarliestNs).to_lock, Positions{0});
  EXPECT_EQ(plan(odd, {}, kEarliestNs).to_delete, Positions{2});
  EXPECT_EQ(plan(odd, {}, kNeverNs).to_lock, (Positions{0, 1}));
  EXPECT_EQ(plan(odd, {}, kNeverNs - 1).to_lock, Positions{0});
  EXPECT_EQ(plan(odd, {}, kNeverNs - 1).next_due_ns, kNeverNs);
}

TEST(Purge, ForecastsADayThatBeginsBeforeTimeDoes) {
  std::vector<SnapshotDates> many;
  for (std::uint32_t i = 0; i < 7; ++i) many.push_back({i, SnapshotState::Live, kEarliestNs, kEarliestNs + 1 + i, 0});
  EXPECT_EQ(plan(many, {}, kEarliestNs + 8).lock_cap, 14u);
}

// ---- which snapshot pauses ----

Positions newest_good(std::uint32_t registered, const std::vector<SourceRow>& rows) {
  NewestGood out(registered);
  for (const SourceRow& row : rows) out.add(row);
  return out.positions();
}
constexpr auto Live = SnapshotState::Live;
constexpr auto Locked = SnapshotState::Locked;

TEST(NewestGood, IsTheLatestGoodLiveOneOfEachRegisteredSource) {
  EXPECT_EQ(
      newest_good(
          2, {{0, 3, true, Live}, {0, 8, true, Live}, {0, 9, false, Live}, {0, 5, true, Live}, {1, 4, true, Live}}),
      (Positions{4, 8}));
}

TEST(NewestGood, ALockedOneCountsOnlyWhereNoneIsLive) {
  EXPECT_EQ(
      newest_good(
          2,
          {{0, 3, true, Live}, {0, 7, true, Locked}, {1, 5, true, Locked}, {1, 6, true, Locked}, {1, 9, false, Live}}),
      (Positions{3, 6}));
}

TEST(NewestGood, IgnoresSourcesThatAreNotRegistered) {
  EXPECT_EQ(newest_good(1, {{0, 3, true, Live}, {1, 8, true, Live}, {kNoSource, 9, true, Live}}), Positions{3});
  EXPECT_TRUE(newest_good(0, {{0, 3, true, Live}}).empty());
}

TEST(NewestGood, OneSnapshotMayHoldSeveralSources) {
  EXPECT_EQ(newest_good(3, {{0, 0, true, Live}, {1, 0, true, Live}, {2, 4'294'967'295u, true, Live}}),
            (Positions{0, 4'294'967'295u}));
}

// ---- hostile clients (nothing that they say is an input; what they can do is send many snapshots, of many sources) ----

TEST(Purge, JunkAndFreshSourceNamesTakeNothingLegitimateEarlier) {
  std::vector<SnapshotDates> honest;
  std::vector<SourceRow> rows;
  for (std::uint32_t i = 0; i < 100; ++i) {
    honest.push_back(live(i, kNow + (std::int64_t{i} - 50) * kDay));  // one a day, half of them due
    rows.push_back({0, i, i < 40, Live});                             // the last good one is due
  }
  std::vector<SnapshotDates> all = honest;
  std::vector<SourceRow> all_rows = rows;
  for (std::uint32_t i = 100; i < 10'100; ++i) {
    all.push_back(live(i, kNow + 30 * kDay));
    all_rows.push_back({1 + i, i, true, Live});  // a name of its own in each
  }
  for (std::int64_t day = -60; day < 100; ++day) {
    const std::int64_t now = kNow + day * kDay;
    const PurgePlan alone = plan(honest, newest_good(1, rows), now);
    PurgePlan beside = plan(all, newest_good(1, all_rows), now);
    std::erase_if(beside.to_lock, [](std::uint32_t p) { return p >= 100; });
    EXPECT_TRUE(std::find(beside.to_lock.begin(), beside.to_lock.end(), 39u) == beside.to_lock.end());
    for (const std::uint32_t p : beside.to_lock) EXPECT_LE(honest[p].lock_not_before_ns, now);
    if (day < 30) {
      EXPECT_EQ(beside.to_lock, alone.to_lock) << day;
    }
  }
}

TEST(Purge, OldGoodSnapshotsGoByAgeOnlyHoweverManyNewerThereAre) {
  const std::vector<SnapshotDates> old{live(0, kNow + 1), live(1, kNow)};
  std::vector<SnapshotDates> all = old;
  for (std::uint32_t i = 2; i < 10'002; ++i) all.push_back(live(i, kNow + 30 * kDay));
  EXPECT_EQ(plan(all, {10'001}).to_lock, Positions{1});
}

// ---- explain ----

TEST(Explain, NamesTheRuleAndTheDates) {
  std::vector<SnapshotDates> some{live(1, kNow + 9),      live(2, kNow - 9 * kDay), live(3, kNow - 8 * kDay),
                                  locked(4, kNow + kDay), locked(5, kNow),          locked(6, kNow - 1)};
  const Positions paused{2, 6};
  EXPECT_EQ(why(some, paused, 1).rule, Rule::Age);
  EXPECT_EQ(why(some, paused, 1).lock_ns, kNow + 9);
  EXPECT_EQ(why(some, paused, 1).delete_ns, kNow + 9 + 14 * kDay);
  EXPECT_FALSE(why(some, paused, 1).newest_good);
  EXPECT_EQ(why(some, paused, 2).rule, Rule::Pause);
  EXPECT_TRUE(why(some, paused, 2).newest_good);
  EXPECT_EQ(why(some, paused, 3).rule, Rule::NextPass);
  EXPECT_EQ(why(some, paused, 3).delete_ns, kNow + 14 * kDay);
  EXPECT_EQ(why(some, paused, 4).rule, Rule::DeleteDelay);
  EXPECT_EQ(why(some, paused, 4).state, SnapshotState::Locked);
  EXPECT_EQ(why(some, paused, 4).delete_ns, kNow + kDay);
  EXPECT_EQ(why(some, paused, 5).rule, Rule::NextPass);
  EXPECT_EQ(why(some, paused, 6).rule, Rule::Pause);
  EXPECT_FALSE(explain({some, paused, kNow}, 7, *builtin_plan("30d")).has_value());
}

TEST(Explain, NamesTheCapForWhatIsLeftForAnotherPass) {
  std::vector<SnapshotDates> many;
  for (std::uint32_t i = 0; i < 11; ++i) many.push_back(live(i, kNow - 40 * kDay + i));
  EXPECT_EQ(why(many, {}, 9).rule, Rule::NextPass);
  EXPECT_EQ(why(many, {}, 10).rule, Rule::Cap);
}

}  // namespace
}  // namespace holdfast::retention
