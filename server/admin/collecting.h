#pragma once
// Why: collection by command and on the daemon's own schedule, and what there is to collect: one tenant after the other,
// whatever becomes of one of them.

#include "server/admin/admin.h"

namespace holdfast::admin {

/// Every tenant, or one: a report each, also of those that failed. Errors: NotFound (the one), Canceled.
Status collect(AdminContext& context, const v1::Collect& call, const Emit& emit);

/// Where the bytes of every tenant, or of one, are. Errors: those of collect.
Status usage(AdminContext& context, const v1::Usage& call, const Emit& emit);

/// The daemon's round over all tenants: what was done and what was held goes to the log. Ends early once
/// `options.stop` is set.
void collect_round(session::Tenants& tenants, const collect::CollectOptions& options);

}  // namespace holdfast::admin
