#pragma once
// Why: retention counts time that nobody can push forward: not by setting the wall clock, not by rebooting (STORE.md,
// Retention). The vault clock starts at the wall clock when a tenant is made, and advances only by time that is proven to
// have passed: by the boot clock within one boot, across reboots by the uptime ledger. What is not proven is a *gap*: held
// back until it is confirmed.
// Promises: never backward; advances no faster than real time. The wall clock plays no part after the tenant's first moment.
// Leaves to others: storing anchors (journal records of kind Clock), and who may confirm a gap.

#include <cstdint>
#include <mutex>
#include <optional>

#include "server/retention/uptime.h"

namespace holdfast::retention {

/// The vault clock showed `vault_ns` at `moment`.
struct Anchor {
  Moment moment;
  std::int64_t vault_ns = 0;
};

struct Resumed {
  Anchor start;           ///< now
  bool anchored = false;  ///< the old anchor is of this boot and holds on; if not, a new one is due
};
/// What a tenant's clock shows when it is opened. `recorded_ns`: vault time of its last record. `uptime` may be nullptr:
/// then nothing is proven across boots. Both the anchor with what is proven since and the record are times that have
/// passed, so the later of them holds; they are not added up, since the record may be newer than the anchor.
Resumed resume(const Clock& clock, const std::optional<Anchor>& anchor, std::int64_t recorded_ns, const Uptime* uptime);

/// Thread-safe.
class VaultClock {
 public:
  /// A new tenant's: starts at the wall clock.
  explicit VaultClock(const Clock& clock);
  /// Goes on from `start`, a moment of this boot.
  VaultClock(const Clock& clock, const Anchor& start) : clock_(clock), start_(start), last_ns_(start.vault_ns) {}

  /// Nanoseconds since 1970; never less than any value before.
  std::int64_t now_ns();
  Anchor anchor();
  /// What the wall clock shows beyond it, for people; negative when the wall clock is behind.
  std::int64_t gap_ns();
  /// A gap was confirmed: goes on from an anchor that this clock gave, its time added. Never backward.
  void follow(const Anchor& anchor);

 private:
  std::int64_t at(std::int64_t boottime_ns);  ///< under mutex_

  const Clock& clock_;
  std::mutex mutex_;
  Anchor start_;
  std::int64_t last_ns_;  ///< value handed out last
};

}  // namespace holdfast::retention
