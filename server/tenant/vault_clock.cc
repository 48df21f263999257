#include "server/tenant/vault_clock.h"

#include <algorithm>
#include <limits>

namespace holdfast::tenant {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

/// a − b without overflow: the numbers come from a journal and from a clock that anybody may have set.
std::int64_t difference(std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  if (__builtin_sub_overflow(a, b, &out)) return a > b ? kMost : std::numeric_limits<std::int64_t>::min();
  return out;
}

std::int64_t plus(std::int64_t a, std::int64_t positive) { return a > kMost - positive ? kMost : a + positive; }

/// What the time without us is worth: what the wall clock moved since the last record, never beyond the wall clock.
std::int64_t resume(std::int64_t vault_ns, std::int64_t recorded_wall_ns, std::int64_t wall_now_ns) {
  const std::int64_t away = std::max<std::int64_t>(0, difference(wall_now_ns, recorded_wall_ns));
  return std::max(vault_ns, std::min(plus(vault_ns, away), wall_now_ns));
}

}  // namespace

VaultClock::VaultClock(const Clock& clock)
    : clock_(clock),
      start_ns_(to_ns(clock.wall())),
      wall_start_(clock.wall()),
      monotonic_start_(clock.monotonic()),
      last_ns_(start_ns_) {}

VaultClock::VaultClock(const Clock& clock, std::int64_t vault_ns, std::int64_t wall_ns)
    : clock_(clock),
      start_ns_(resume(vault_ns, wall_ns, to_ns(clock.wall()))),
      wall_start_(clock.wall()),
      monotonic_start_(clock.monotonic()),
      last_ns_(start_ns_) {}

std::int64_t VaultClock::now_ns() {
  const std::lock_guard lock(mutex_);
  // Totals since the start, not steps: a wall clock that was set back and then right again costs nothing in the end.
  const std::int64_t by_wall = difference(to_ns(clock_.wall()), to_ns(wall_start_));
  const std::int64_t by_boot = (clock_.monotonic() - monotonic_start_).count();
  const std::int64_t passed = std::max<std::int64_t>(0, std::min(by_wall, by_boot));
  last_ns_ = std::max(last_ns_, plus(start_ns_, passed));
  return last_ns_;
}

}  // namespace holdfast::tenant
