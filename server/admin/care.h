#pragma once
// Why: the long questions: is everything what was stored (check), and make the index anew (rebuild-index).

#include "server/admin/admin.h"

namespace holdfast::admin {

/// Every tenant, or one: findings as they come, then the summary. Damage is an answer, not an error.
Status check(AdminContext& context, const v1::Check& call, const Emit& emit);
Status rebuild_index(AdminContext& context, const v1::RebuildIndex& call, const Emit& emit);

}  // namespace holdfast::admin
