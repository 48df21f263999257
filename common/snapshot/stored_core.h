#pragma once
// Why: the server verifies a core before it stores it, and then meets it again and again: at each start, at each commit
// that builds on it, in each pass of collection. Two signatures each time, for a million snapshots, are minutes of work
// that prove nothing new. For nobody else: whoever gets a core from a peer verifies it (decode_core).

#include "common/snapshot/records.h"

namespace holdfast::snapshot {

/// A core from the server's own journal. Neither signature nor certificate is looked at. Errors: Corrupt, Limit, TooNew.
Result<Core> decode_stored_core(ByteSpan core);

}  // namespace holdfast::snapshot
