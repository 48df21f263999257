#pragma once
// Why: while a pack waits in the trash its blobs may be the only good ones left: the pack that they were copied into is
// damaged or gone, or they should never have been condemned. Condemning is never undone; what is needed goes into a new
// pack.

#include "server/collect/survey.h"

namespace holdfast::collect {

struct Recovered {
  std::uint64_t blobs = 0, bytes = 0;  ///< stand in live packs again
  std::uint64_t left = 0;              ///< what could not be looked at or copied: it must stay in the trash
  std::string first_left;              ///< why, of the first
};

/// Takes back what is alive by `survey` and in no live pack, or only where it does not read well any more. Reads nothing while
/// nothing is missing and every blob of a damaged pack stands elsewhere. Leaves the disk's reserve alone. A survey taken before knows nothing of it, nor of what stands below a segment that came back.
/// Errors: Canceled, the index's, the publisher's.
Result<Recovered> recover_from_trash(tenant::Parts& parts, Survey& survey);

}  // namespace holdfast::collect
