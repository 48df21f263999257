#include "server/retention/uptime.h"

#include <algorithm>

#include "server/retention/saturate.h"

namespace holdfast::retention {
namespace {

constexpr std::size_t kSpanBytes = 32;

bool known(const BootId& boot) { return boot != BootId{}; }
std::int64_t passed(std::int64_t from, std::int64_t to) { return std::max<std::int64_t>(0, minus(to, from)); }

}  // namespace

Moment moment(const Clock& clock) { return {clock.boot_id(), clock.monotonic().time_since_epoch().count()}; }

void UptimeLedger::note(const Moment& now) {
  if (!known(now.boot) || now.boottime_ns < 0) return;
  if (!spans_.empty() && spans_.back().boot == now.boot && spans_.back().last_ns <= now.boottime_ns) {
    spans_.back().last_ns = now.boottime_ns;
    return;
  }
  if (spans_.size() == kMaxSpans) spans_.erase(spans_.begin());
  spans_.push_back({now.boot, now.boottime_ns, now.boottime_ns});
}

std::size_t UptimeLedger::count(const BootId& boot) const {
  return static_cast<std::size_t>(
      std::count_if(spans_.begin(), spans_.end(), [&](const Span& s) { return s.boot == boot; }));
}

std::int64_t UptimeLedger::proven_ns(const Moment& since, const Moment& now) const {
  if (!known(since.boot) || !known(now.boot)) return 0;
  if (since.boot == now.boot) return count(since.boot) > 1 ? 0 : passed(since.boottime_ns, now.boottime_ns);
  if (count(since.boot) != 1) return 0;
  const auto at = std::find_if(spans_.begin(), spans_.end(), [&](const Span& s) { return s.boot == since.boot; });
  std::int64_t total = passed(since.boottime_ns, at->last_ns);
  for (auto later = at + 1; later != spans_.end(); ++later) {
    if (count(later->boot) > 1) continue;
    const bool current = later + 1 == spans_.end() && later->boot == now.boot;
    total = plus(total, passed(later->first_ns, current ? std::max(later->last_ns, now.boottime_ns) : later->last_ns));
  }
  return total;
}

Bytes UptimeLedger::encode() const {
  ByteWriter out;
  out.u32(static_cast<std::uint32_t>(spans_.size()));
  for (const Span& span : spans_) out.raw(ByteSpan(span.boot)).i64(span.first_ns).i64(span.last_ns);
  return out.take();
}

Result<UptimeLedger> UptimeLedger::decode(ByteSpan bytes) {
  ByteReader in(bytes);
  const std::size_t count = in.count(kSpanBytes);
  if (count > kMaxSpans) in.fail();
  UptimeLedger ledger;
  for (std::size_t i = 0; in.ok() && i < count; ++i) {
    Span span;
    const ByteSpan boot = in.raw(span.boot.size());
    if (in.ok()) std::copy(boot.begin(), boot.end(), span.boot.begin());
    span.first_ns = in.i64();
    span.last_ns = in.i64();
    if (!known(span.boot) || span.first_ns < 0 || span.last_ns < span.first_ns) in.fail();
    ledger.spans_.push_back(span);
  }
  HF_TRY_DO(in.finish("uptime ledger"));
  return ledger;
}

void Uptime::note() {
  const std::lock_guard lock(mutex_);
  ledger_.note(moment(clock_));
}

std::int64_t Uptime::proven_ns(const Moment& since, const Moment& now) const {
  const std::lock_guard lock(mutex_);
  return ledger_.proven_ns(since, now);
}

Bytes Uptime::encode() const {
  const std::lock_guard lock(mutex_);
  return ledger_.encode();
}

}  // namespace holdfast::retention
