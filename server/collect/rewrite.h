#pragma once
// Why: packs of which little lives, and many small ones, cost space and time. What lives of them is copied, as it is and
// checked against its digest, into packs of their own kind; the copies and the condemnation of the originals are one publish.

#include "server/collect/condemn.h"

namespace holdfast::collect {

struct Rewritten {
  std::vector<PackId> condemned;
  std::uint64_t written_packs = 0, written_bytes = 0;
  std::unordered_set<RunId> runs;  ///< of what was copied
};

/// One group. A pack of which something that lives cannot be read is left as it is, and reported as damaged. Nothing
/// remains of copies that were not published. One that is pinned, or of which a commit takes up more, while it is copied
/// would stand twice: the group is read once more by what is known then. Errors: those of condemn; the disk's.
Result<Rewritten> rewrite(tenant::Parts& parts, Survey& survey, const std::vector<PackId>& group);

}  // namespace holdfast::collect
