// Random stores, planned twice: by plan_purge, and by a model that asks every question anew, in the slowest way.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "server/retention/newest_good.h"
#include "server/retention/purge.h"
#include "tests/support/seeded_random.h"

namespace holdfast::retention {
namespace {

constexpr std::int64_t kHour = 3'600'000'000'000;

struct Case {
  std::vector<SnapshotDates> snapshots;
  std::vector<SourceRow> rows;
  std::uint32_t registered = 0;
  std::int64_t now_ns = 0;
};

Case any_case(support::SeededRandom& random) {
  Case out;
  out.registered = static_cast<std::uint32_t>(random.below(4));
  out.now_ns = static_cast<std::int64_t>(random.below(1000)) * kHour;
  const std::uint64_t count = random.below(60), spread = 1 + random.below(1000);
  for (std::uint32_t i = 0; i < count; ++i) {
    SnapshotDates s;
    s.position = i * 3;
    s.state = random.below(3) == 0 ? SnapshotState::Locked : SnapshotState::Live;
    s.vault_ns = static_cast<std::int64_t>(random.below(5));
    s.lock_not_before_ns = static_cast<std::int64_t>(random.below(spread)) * kHour;
    s.delete_not_before_ns = s.lock_not_before_ns + static_cast<std::int64_t>(random.below(spread)) * kHour;
    out.snapshots.push_back(s);
    for (std::uint32_t source = 0; source < 6; ++source) {
      if (random.below(3) == 0) out.rows.push_back({source, s.position, random.below(2) == 0, s.state});
    }
  }
  for (std::size_t i = out.snapshots.size(); i > 1; --i)
    std::swap(out.snapshots[i - 1], out.snapshots[random.below(i)]);
  return out;
}

/// Is there a registered source for which this snapshot is good, and no other one is better?
bool naive_paused(const Case& c, const SnapshotDates& s) {
  return std::any_of(c.rows.begin(), c.rows.end(), [&](const SourceRow& row) {
    if (row.position != s.position || !row.good || row.source >= c.registered) return false;
    return std::none_of(c.rows.begin(), c.rows.end(), [&](const SourceRow& other) {
      if (other.source != row.source || !other.good) return false;
      const bool live = row.state == SnapshotState::Live, other_live = other.state == SnapshotState::Live;
      return live == other_live ? other.position > row.position : other_live;
    });
  });
}

bool due(const Case& c, const SnapshotDates& s) {
  return (s.state == SnapshotState::Live ? s.lock_not_before_ns : s.delete_not_before_ns) <= c.now_ns;
}

std::uint64_t naive_cap(const Case& c) {
  std::uint64_t forecast = 0;
  for (const SnapshotDates& s : c.snapshots) {
    const std::int64_t ago = c.now_ns - s.lock_not_before_ns;
    if (ago >= 0 && ago < 24 * kHour) ++forecast;
  }
  return 2 * forecast < 10 ? 10 : 2 * forecast;
}

/// How many are to be locked before this one? Then: does it fit under the cap?
bool naive_locked_now(const Case& c, const SnapshotDates& s) {
  std::uint64_t before = 0;
  for (const SnapshotDates& o : c.snapshots) {
    if (o.state != SnapshotState::Live || !due(c, o) || naive_paused(c, o)) continue;
    if (o.lock_not_before_ns != s.lock_not_before_ns)
      before += o.lock_not_before_ns < s.lock_not_before_ns ? 1 : 0;
    else if (o.vault_ns != s.vault_ns)
      before += o.vault_ns < s.vault_ns ? 1 : 0;
    else
      before += o.position < s.position ? 1 : 0;
  }
  return before < naive_cap(c);
}

Rule naive_rule(const Case& c, const SnapshotDates& s) {
  const bool live = s.state == SnapshotState::Live;
  if (!due(c, s)) return live ? Rule::Age : Rule::DeleteDelay;
  if (naive_paused(c, s)) return Rule::Pause;
  return !live || naive_locked_now(c, s) ? Rule::NextPass : Rule::Cap;
}

TEST(PurgeModel, TwelveThousandRandomStoresArePlannedAlike) {
  support::SeededRandom random(52);
  const Plan plan = *builtin_plan("30d");
  std::uint64_t capped = 0, held = 0;
  for (int i = 0; i < 12'000; ++i) {
    const Case c = any_case(random);
    NewestGood newest(c.registered);
    for (const SourceRow& row : c.rows) newest.add(row);
    const std::vector<std::uint32_t> paused = newest.positions();
    const PurgeInput input{c.snapshots, paused, c.now_ns};
    const PurgePlan made = plan_purge(input);

    std::set<std::uint32_t> to_lock, to_delete;
    std::uint64_t by_cap = 0, by_pause = 0;
    std::optional<std::int64_t> next;
    for (const SnapshotDates& s : c.snapshots) {
      const Rule rule = naive_rule(c, s);
      if (i % 20 == 0) {
        ASSERT_EQ(explain(input, s.position, plan)->rule, rule);
      }
      if (rule == Rule::NextPass) (s.state == SnapshotState::Live ? to_lock : to_delete).insert(s.position);
      by_cap += rule == Rule::Cap ? 1 : 0;
      by_pause += rule == Rule::Pause ? 1 : 0;
      if (due(c, s) || naive_paused(c, s)) continue;
      const std::int64_t date = s.state == SnapshotState::Live ? s.lock_not_before_ns : s.delete_not_before_ns;
      next = next ? std::min(*next, date) : date;
    }
    ASSERT_EQ(std::set<std::uint32_t>(made.to_lock.begin(), made.to_lock.end()), to_lock) << "case " << i;
    ASSERT_EQ(made.to_lock.size(), to_lock.size());
    ASSERT_EQ(std::set<std::uint32_t>(made.to_delete.begin(), made.to_delete.end()), to_delete) << "case " << i;
    ASSERT_EQ(made.to_delete.size(), to_delete.size());
    ASSERT_EQ(made.held_by_cap, by_cap) << "case " << i;
    ASSERT_EQ(made.held_by_pause, by_pause) << "case " << i;
    ASSERT_EQ(made.lock_cap, naive_cap(c));
    ASSERT_EQ(made.next_due_ns, next) << "case " << i;
    capped += by_cap != 0 ? 1 : 0;
    held += by_pause != 0 ? 1 : 0;
  }
  EXPECT_GT(capped, 500u);  // else the cases are too tame to show anything
  EXPECT_GT(held, 500u);
}

}  // namespace
}  // namespace holdfast::retention
