#pragma once
// Why: the content digest of a file that stands on the disk, as it was made when the file was backed up: cut at the same
// places, its holes where the snapshot says that they are.

#include "client/chunking/splitter.h"
#include "client/restore/plan.h"

namespace holdfast::restore {

/// What content digests are made with. References must outlive it.
struct ContentKeys {
  const crypto::Key& fingerprint;
  const chunking::Chunkers& chunkers;
};

/// Reads all of the file. Nothing: it is shorter, or holds bytes where a hole must be. Errors: Io.
Result<std::optional<Digest>> digest_of_file(int fd, const PlannedEntry& planned, const Plan& plan,
                                             const ContentKeys& keys);

}  // namespace holdfast::restore
