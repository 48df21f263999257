#pragma once
// Why: after a reboot nobody trustworthy says how long the machine was off, but that it was *on* can be proven: the boot
// clock was seen to advance. The ledger keeps, for each of the latest boots, when a daemon was first and last seen on it.
// Promises: what it calls proven has passed in real time; what it cannot tell, it does not call proven.
// Leaves to others: the file (server/session/uptime_file; its bytes: server/session/FORMAT.md, section 5).

#include <cstdint>
#include <mutex>
#include <vector>

#include "common/base/clock.h"

namespace holdfast::retention {

/// A moment on the boot clock. Comparable within one boot only.
struct Moment {
  BootId boot{};
  std::int64_t boottime_ns = 0;
};
Moment moment(const Clock& clock);

/// One thread at a time.
class UptimeLedger {
 public:
  static constexpr std::size_t kMaxSpans = 1000;
  /// A daemon was seen at both ends, in one boot. Spans follow each other in real time and do not overlap.
  struct Span {
    BootId boot{};
    std::int64_t first_ns = 0, last_ns = 0;
  };

  /// A daemon is seen now. A boot that is not known (zero) is not noted. Of more than kMaxSpans the oldest goes.
  void note(const Moment& now);

  /// Real time that has passed for certain from `since` to `now`: within one boot what the boot clock says; else what was
  /// seen of the boot of `since` after it, and of every boot noted later. 0 where nothing is certain: the boot of `since`
  /// is not in the ledger, or stands in it twice (its clock was set back, as when a virtual machine returns to a saved state).
  std::int64_t proven_ns(const Moment& since, const Moment& now) const;

  Bytes encode() const;
  /// Errors: Corrupt.
  static Result<UptimeLedger> decode(ByteSpan bytes);
  const std::vector<Span>& spans() const { return spans_; }  ///< oldest first

 private:
  std::size_t count(const BootId& boot) const;
  std::vector<Span> spans_;
};

/// The ledger of a running daemon, with its clock. Thread-safe.
class Uptime {
 public:
  explicit Uptime(const Clock& clock, UptimeLedger ledger = {}) : clock_(clock), ledger_(std::move(ledger)) {}
  void note();
  /// As the ledger's.
  std::int64_t proven_ns(const Moment& since, const Moment& now) const;
  Bytes encode() const;

 private:
  const Clock& clock_;
  mutable std::mutex mutex_;  ///< also around reading the clock: moments are noted in the order in which they were read
  UptimeLedger ledger_;
};

}  // namespace holdfast::retention
