#pragma once
// Why: dates are computed from numbers that stand in a journal or come from a clock that anybody may have set. Sums that
// leave 64 bits stay at the end of the range: "never" instead of "long ago".

#include <chrono>
#include <cstdint>
#include <limits>

namespace holdfast::retention {

/// The date that never comes: where sums of times end.
inline constexpr std::int64_t kNeverNs = std::numeric_limits<std::int64_t>::max();
inline constexpr std::int64_t kEarliestNs = std::numeric_limits<std::int64_t>::min();

/// a + b, or the end of the range on that side.
constexpr std::int64_t plus(std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  if (__builtin_add_overflow(a, b, &out)) return b > 0 ? kNeverNs : kEarliestNs;
  return out;
}

/// a − b, or the end of the range on that side.
constexpr std::int64_t minus(std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  if (__builtin_sub_overflow(a, b, &out)) return b < 0 ? kNeverNs : kEarliestNs;
  return out;
}

/// Days in nanoseconds; 64 bits hold 106,751 of them.
constexpr std::int64_t in_ns(std::chrono::days days) {
  std::int64_t out = 0;
  if (__builtin_mul_overflow(static_cast<std::int64_t>(days.count()), 86'400'000'000'000, &out))
    return days.count() > 0 ? kNeverNs : kEarliestNs;
  return out;
}

}  // namespace holdfast::retention
