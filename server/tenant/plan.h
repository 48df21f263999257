#pragma once
// Why: the earliest lock date is fixed at commit, from the plan's name (STORE.md, Retention). Pure.

#include <chrono>
#include <string_view>

#include "common/base/result.h"

namespace holdfast::tenant {

/// Days from a commit to the earliest lock: `Nd` N days; `Ny` never less than N calendar years (2y: 731 days);
/// `30d-max` 17 and `2y-max` 678, so that the last byte is gone by the date. 1 ≤ N ≤ 3650 days or 100 years.
/// Errors: Usage.
Result<std::chrono::days> keep_days(std::string_view plan);

}  // namespace holdfast::tenant
