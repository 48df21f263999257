#include "server/retention/vault_clock.h"

#include <algorithm>

#include "server/retention/saturate.h"

namespace holdfast::retention {

namespace {

std::int64_t shown_at(const Anchor& anchor, std::int64_t boottime_ns) {
  return plus(anchor.vault_ns, std::max<std::int64_t>(0, minus(boottime_ns, anchor.moment.boottime_ns)));
}

}  // namespace

Resumed resume(const Clock& clock, const std::optional<Anchor>& anchor, std::int64_t recorded_ns,
               const Uptime* uptime) {
  const Moment now = moment(clock);
  if (!anchor) return {{now, recorded_ns}, false};
  const std::int64_t proven =
      uptime != nullptr ? uptime->proven_ns(anchor->moment, now) : UptimeLedger().proven_ns(anchor->moment, now);
  const std::int64_t vault_ns = std::max(recorded_ns, plus(anchor->vault_ns, proven));
  const bool same_boot = now.boot != BootId{} && anchor->moment.boot == now.boot;
  const bool forward = anchor->moment.boottime_ns <= now.boottime_ns;
  return {{now, vault_ns}, same_boot && forward && vault_ns == shown_at(*anchor, now.boottime_ns)};
}

VaultClock::VaultClock(const Clock& clock) : VaultClock(clock, Anchor{moment(clock), to_ns(clock.wall())}) {}

std::int64_t VaultClock::at(std::int64_t boottime_ns) {
  last_ns_ = std::max(last_ns_, shown_at(start_, boottime_ns));
  return last_ns_;
}

std::int64_t VaultClock::now_ns() { return anchor().vault_ns; }

Anchor VaultClock::anchor() {
  const std::lock_guard lock(mutex_);
  const Moment now = moment(clock_);
  return {now, at(now.boottime_ns)};
}

std::int64_t VaultClock::gap_ns() { return minus(to_ns(clock_.wall()), now_ns()); }

void VaultClock::follow(const Anchor& anchor) {
  const std::lock_guard lock(mutex_);
  const std::int64_t boottime_ns = moment(clock_).boottime_ns;
  if (shown_at(anchor, boottime_ns) > at(boottime_ns)) start_ = anchor;
}

}  // namespace holdfast::retention
