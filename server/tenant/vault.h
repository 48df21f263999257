#pragma once
// Why: a tenant's vault clock and its journal: where the clock goes on when the tenant is opened, the records that anchor
// it, and what it takes to add a gap that has been confirmed. The clock itself: server/retention/vault_clock.h.

#include "server/tenant/parts.h"

namespace holdfast::tenant {

coordinator::NewRecord clock_record(const retention::Anchor& anchor, std::int64_t added_ns = 0,
                                    std::int64_t since_ns = 0);

/// Where the clock of a tenant with these records goes on now.
retention::Resumed resume_vault(const Environment& env, const State& state);
/// Publishes a new anchor. Errors: the publisher's.
Status publish_anchor(Parts& parts);
/// As Tenant::confirm_gap.
Status confirm_gap(Parts& parts, std::int64_t gap_ns, std::optional<std::int64_t> since_ns);

}  // namespace holdfast::tenant
