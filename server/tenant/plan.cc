#include "server/tenant/plan.h"

#include <charconv>

#include "common/base/bytes.h"

namespace holdfast::tenant {

Result<std::chrono::days> keep_days(std::string_view plan) {
  if (plan == "30d-max") return std::chrono::days(17);
  if (plan == "2y-max") return std::chrono::days(678);
  int n = 0;
  const char* const end = plan.data() + plan.size();
  const auto [rest, failed] = std::from_chars(plan.data(), end, n);
  const bool one_unit = failed == std::errc{} && rest + 1 == end && plan.front() != '0';
  if (one_unit && *rest == 'd' && n >= 1 && n <= 3650) return std::chrono::days(n);
  // N years in a row hold at most ⌈N / 4⌉ leap days.
  if (one_unit && *rest == 'y' && n >= 1 && n <= 100) return std::chrono::days(365 * n + (n + 3) / 4);
  return Error{Errc::Usage, "no such plan: '" + printable(plan) +
                                "' (known: 30d, 2y, any number of days or years, 30d-max, 2y-max)"};
}

}  // namespace holdfast::tenant
