#pragma once
// Why: time and randomness are seams. Production code asks these interfaces; tests hand in FakeClock and SeededRandom.

#include <chrono>
#include <cstdint>
#include <string>

#include "common/base/bytes.h"

namespace holdfast {

using WallTime = std::chrono::sys_time<std::chrono::nanoseconds>;
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;

/// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall() const = 0;            ///< CLOCK_REALTIME
  virtual MonotonicTime monotonic() const = 0;  ///< CLOCK_BOOTTIME: goes on during suspend, never backward in one boot
};

/// The machine's clocks.
const Clock& system_clock();

/// Thread-safe source of unpredictable bytes.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(MutableByteSpan out) = 0;

  template <class Id>
  Id id() {
    Id v{};
    fill(v.bytes);
    return v;
  }
};

/// getrandom(2); stops the program when the kernel has none.
Random& system_random();

std::string rfc3339(WallTime time);  ///< UTC, seconds: 2026-11-21T06:00:00Z
/// Accepts YYYY-MM-DDTHH:MM[:SS]Z. Errors: Usage.
Result<WallTime> parse_rfc3339(std::string_view text);
inline std::int64_t to_ns(WallTime t) { return t.time_since_epoch().count(); }
inline WallTime from_ns(std::int64_t ns) { return WallTime(std::chrono::nanoseconds(ns)); }

}  // namespace holdfast
