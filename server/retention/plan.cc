#include "server/retention/plan.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "common/base/bytes.h"
#include "server/retention/saturate.h"

namespace holdfast::retention {
namespace {

using std::chrono::days;

constexpr std::int64_t kDayNs = in_ns(days(1));

std::optional<days> counted(std::string_view name) {
  int n = 0;
  const char* const end = name.data() + name.size();
  const auto [rest, failed] = std::from_chars(name.data(), end, n);
  const bool one_unit = failed == std::errc{} && rest + 1 == end && name.front() != '0';
  if (one_unit && *rest == 'd' && n >= 1 && n <= 3650) return days(n);
  // N years in a row hold at most ⌈N / 4⌉ leap days.
  if (one_unit && *rest == 'y' && n >= 1 && n <= 100) return days(365 * n + (n + 3) / 4);
  return std::nullopt;
}

/// The first noon, UTC, that is later than `ns`: midnight in UTC−12.
std::int64_t end_of_last_time_zone_s_day(std::int64_t ns) {
  const std::int64_t since_midnight = ((ns % kDayNs) + kDayNs) % kDayNs;
  const std::int64_t since_noon = (since_midnight + kDayNs / 2) % kDayNs;
  return plus(ns, kDayNs - since_noon);
}

}  // namespace

Result<Plan> builtin_plan(std::string_view name) {
  if (name == "30d-max") return Plan{std::string(name), days(17), days(5), true, days(2)};
  if (name == "2y-max") return Plan{std::string(name), days(678), kDefaultDeleteDelay, true, days(7)};
  if (const std::optional<days> keep = counted(name)) return Plan{std::string(name), *keep, kDefaultDeleteDelay, false};
  return Error{Errc::Usage, "no such plan: '" + printable(name) +
                                "' (known: 30d, 2y, any number of days or years, 30d-max, 2y-max)"};
}

std::int64_t lock_date(const Plan& plan, std::int64_t vault_ns) {
  const std::int64_t moment = plus(vault_ns, in_ns(std::max(plan.keep_for, days(0))));
  return plan.gone_by ? moment : end_of_last_time_zone_s_day(moment);
}

std::int64_t delete_date(const Plan& plan, std::int64_t lock_ns, std::int64_t lock_not_before_ns) {
  return plus(std::max(lock_ns, lock_not_before_ns), in_ns(std::max(plan.delete_delay, kMinDeleteDelay)));
}

}  // namespace holdfast::retention
