#pragma once
// Why: retention counts time that nobody can push forward. The vault clock starts where the journal left it and then
// advances only as far as both the wall clock and the boot clock have advanced (STORE.md, Retention).
// Promises: never backward; never ahead of the wall clock by more than it already was at the start; a wall clock that
// jumps forward while we run is not believed. While the process was away it is credited at most what the wall clock
// moved since the last record. Leaves to others: storing the value (every journal record carries it).

#include <cstdint>
#include <mutex>

#include "common/base/clock.h"

namespace holdfast::tenant {

/// Thread-safe.
class VaultClock {
 public:
  /// A tenant without records: starts at the wall clock.
  explicit VaultClock(const Clock& clock);
  /// Goes on after a record that was stamped `vault_ns` while the wall clock showed `wall_ns`.
  VaultClock(const Clock& clock, std::int64_t vault_ns, std::int64_t wall_ns);

  /// Nanoseconds since 1970; never less than any value before.
  std::int64_t now_ns();

 private:
  const Clock& clock_;
  std::mutex mutex_;
  std::int64_t start_ns_;  ///< value at construction
  WallTime wall_start_;
  MonotonicTime monotonic_start_;
  std::int64_t last_ns_;  ///< value handed out last
};

}  // namespace holdfast::tenant
