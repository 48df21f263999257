#include "server/retention/purge.h"

#include <algorithm>
#include <tuple>

#include "common/base/result.h"
#include "server/retention/saturate.h"

namespace holdfast::retention {
namespace {

constexpr std::uint64_t kLeastLockCap = 10;
constexpr std::uint64_t kLockCapOfForecast = 2;

/// The date that moves a snapshot on from the state that it is in.
std::int64_t next_date(const SnapshotDates& s) {
  return s.state == SnapshotState::Live ? s.lock_not_before_ns : s.delete_not_before_ns;
}

bool paused(const PurgeInput& input, std::uint32_t position) {
  return std::binary_search(input.paused.begin(), input.paused.end(), position);
}

/// What the dates fixed at commit let expect of one day.
std::uint64_t lock_cap(const PurgeInput& input) {
  const std::int64_t yesterday = minus(input.now_ns, in_ns(std::chrono::days(1)));
  const auto falls_in = [&](const SnapshotDates& s) {
    return s.lock_not_before_ns > yesterday && s.lock_not_before_ns <= input.now_ns;
  };
  const auto forecast = std::count_if(input.snapshots.begin(), input.snapshots.end(), falls_in);
  return std::max(kLeastLockCap, kLockCapOfForecast * static_cast<std::uint64_t>(forecast));
}

/// Indexes of what is due for a lock → positions of the oldest `cap` of them, in order.
void keep_oldest(const PurgeInput& input, std::uint64_t cap, std::vector<std::uint32_t>& due) {
  const auto older = [&](std::uint32_t left, std::uint32_t right) {
    const SnapshotDates& a = input.snapshots[left];
    const SnapshotDates& b = input.snapshots[right];
    return std::tie(a.lock_not_before_ns, a.vault_ns, a.position) <
           std::tie(b.lock_not_before_ns, b.vault_ns, b.position);
  };
  if (due.size() > cap) {
    std::nth_element(due.begin(), due.begin() + static_cast<std::ptrdiff_t>(cap), due.end(), older);
    due.resize(cap);
  }
  std::sort(due.begin(), due.end(), older);
  for (std::uint32_t& one : due) one = input.snapshots[one].position;
}

Rule rule_of(const PurgeInput& input, const SnapshotDates& s, bool newest_good) {
  const bool live = s.state == SnapshotState::Live;
  if (next_date(s) > input.now_ns) return live ? Rule::Age : Rule::DeleteDelay;
  if (newest_good) return Rule::Pause;
  if (!live) return Rule::NextPass;
  const PurgePlan plan = plan_purge(input);
  const bool fits = std::find(plan.to_lock.begin(), plan.to_lock.end(), s.position) != plan.to_lock.end();
  return fits ? Rule::NextPass : Rule::Cap;
}

}  // namespace

PurgePlan plan_purge(const PurgeInput& input) {
  HF_ASSERT(input.snapshots.size() <= std::numeric_limits<std::uint32_t>::max());
  PurgePlan out;
  for (std::uint32_t i = 0; i < input.snapshots.size(); ++i) {
    const SnapshotDates& s = input.snapshots[i];
    const std::int64_t date = next_date(s);
    const bool due = date <= input.now_ns;
    if (!due && out.next_due_ns && *out.next_due_ns <= date) continue;
    if (paused(input, s.position))
      out.held_by_pause += due ? 1 : 0;
    else if (!due)
      out.next_due_ns = date;
    else if (s.state == SnapshotState::Live)
      out.to_lock.push_back(i);
    else
      out.to_delete.push_back(s.position);
  }
  out.lock_cap = lock_cap(input);
  out.held_by_cap = out.to_lock.size() > out.lock_cap ? out.to_lock.size() - out.lock_cap : 0;
  keep_oldest(input, out.lock_cap, out.to_lock);
  return out;
}

std::optional<Explanation> explain(const PurgeInput& input, std::uint32_t position, const Plan& plan) {
  const auto found = std::find_if(input.snapshots.begin(), input.snapshots.end(),
                                  [&](const SnapshotDates& s) { return s.position == position; });
  if (found == input.snapshots.end()) return std::nullopt;
  Explanation out;
  out.state = found->state;
  out.newest_good = paused(input, position);
  out.rule = rule_of(input, *found, out.newest_good);
  out.lock_ns = found->lock_not_before_ns;
  out.delete_ns = found->state == SnapshotState::Locked ? found->delete_not_before_ns
                                                        : delete_date(plan, input.now_ns, found->lock_not_before_ns);
  return out;
}

}  // namespace holdfast::retention
