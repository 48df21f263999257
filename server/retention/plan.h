#pragma once
// Why: how long a plan keeps a snapshot, as dates on the vault clock (STORE.md, Retention). The lock date is fixed at
// commit, stands in the signed receipt, and can only be lengthened. Pure: no clock, no time zone of the machine.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace holdfast::retention {

/// Between a snapshot's lock and its end: the time in which an operator can take a lock back.
inline constexpr std::chrono::days kDefaultDeleteDelay{14};
inline constexpr std::chrono::days kMinDeleteDelay{3};

struct Plan {
  std::string name;
  std::chrono::days keep_for{0};                         ///< from the commit to the earliest lock
  std::chrono::days delete_delay = kDefaultDeleteDelay;  ///< from the lock to the end; never less than kMinDeleteDelay
  /// `-max`: the plan promises a date by which everything is gone, so its dates are exact and not rounded up to a day.
  bool gone_by = false;
  /// `-max`: packs that hold something of a deleted snapshot are to be written anew so soon after its end, however little of
  /// them is dead; collection warns when it comes too late. Zero: when they are half dead.
  std::chrono::days max_rewrite_age{0};
};

/// `Nd` keeps N days; `Ny` never less than N calendar years (2y: 731 days); `30d-max` keeps 17 days (delay 5) and `2y-max` 678, which
/// leaves room before the date for everything that follows a lock. 1 ≤ N ≤ 3650 days or 100 years. Errors: Usage.
Result<Plan> builtin_plan(std::string_view name);

/// The earliest lock of a snapshot that was committed at `vault_ns` (nanoseconds since 1970 on the vault clock). It is the
/// end of the calendar day, in UTC−12, that holds the moment `vault_ns + keep_for`: the day "kept until" names is then over
/// everywhere on earth. As a day holds its first moment and not its end, that is the first 12:00:00 UTC *later* than the
/// moment: 1 ns to 24 h of grace, never none. `gone_by` plans: the moment itself. Sums that leave 64 bits: kNeverNs.
std::int64_t lock_date(const Plan& plan, std::int64_t vault_ns);

/// The earliest end of a snapshot that was locked at `lock_ns`. Who locks before `lock_not_before_ns` hides the snapshot,
/// and shortens nothing: the delay counts from the later of the two. A delay below kMinDeleteDelay counts as that.
std::int64_t delete_date(const Plan& plan, std::int64_t lock_ns, std::int64_t lock_not_before_ns);

}  // namespace holdfast::retention
