#pragma once
// Why: time and randomness are seams. Production code asks these interfaces; tests hand in FakeClock and SeededRandom.

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "common/base/bytes.h"

namespace holdfast {

using WallTime = std::chrono::sys_time<std::chrono::nanoseconds>;
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;

/// One start of the machine. Zero: not known.
using BootId = std::array<std::uint8_t, 16>;

/// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall() const = 0;            ///< CLOCK_REALTIME
  virtual MonotonicTime monotonic() const = 0;  ///< CLOCK_BOOTTIME: goes on during suspend, never backward in one boot
  /// The boot that `monotonic` counts from. Zero, as here: two starts of a program cannot be told to be in one boot.
  virtual BootId boot_id() const { return {}; }
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
