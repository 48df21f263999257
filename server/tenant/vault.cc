#include "server/tenant/vault.h"

#include "server/retention/saturate.h"

namespace holdfast::tenant {

coordinator::NewRecord clock_record(const retention::Anchor& anchor, std::int64_t added_ns, std::int64_t since_ns) {
  journal::ClockPayload payload;
  payload.boot_id = anchor.moment.boot;
  payload.boottime_ns = anchor.moment.boottime_ns;
  payload.vault_ns = anchor.vault_ns;
  payload.added_ns = added_ns;
  payload.since_ns = since_ns;
  return new_record(journal::Kind::Clock, journal::encode(payload));
}

retention::Resumed resume_vault(const Environment& env, const State& state) {
  return retention::resume(env.clock, state.anchor(), state.vault_ns(), env.uptime);
}

Status publish_anchor(Parts& parts) {
  const auto propose = [&](const State&, const Stamp&) -> Result<std::vector<coordinator::NewRecord>> {
    return std::vector{clock_record(parts.vault->anchor())};
  };
  HF_TRY_DO(parts.publisher->publish(Publisher::kAlone, propose));
  return {};
}

Status confirm_gap(Parts& parts, std::int64_t gap_ns, std::optional<std::int64_t> since_ns) {
  const auto propose = [&](const State&, const Stamp& stamp) -> Result<std::vector<coordinator::NewRecord>> {
    if (gap_ns <= 0 || gap_ns > parts.vault->gap_ns())
      return Error{Errc::Usage, "the vault clock is not that far behind the wall clock"};
    if (since_ns > stamp.vault_ns) return Error{Errc::Usage, "the vault clock has not come to that time yet"};
    retention::Anchor anchor = parts.vault->anchor();
    anchor.vault_ns = retention::plus(anchor.vault_ns, gap_ns);
    return std::vector{clock_record(anchor, gap_ns, since_ns.value_or(retention::kEarliestNs))};
  };
  HF_TRY_DO(parts.publisher->publish(Publisher::kAlone, propose));
  return {};
}

}  // namespace holdfast::tenant
