#pragma once
// Why: a server that replays a million commits wants to know which sources each of them has, and not to verify a million
// signatures again: the bytes were verified before they were stored. Nothing else of an unverified core is handed out.

#include <vector>

#include "common/snapshot/records.h"

namespace holdfast::snapshot {

/// Sorted by id, unique. Neither signature nor certificate is looked at. Errors: Corrupt, Limit, TooNew.
Result<std::vector<SourceNote>> core_sources_unverified(ByteSpan core);

}  // namespace holdfast::snapshot
