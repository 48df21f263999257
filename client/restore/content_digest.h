#pragma once
// Why: the content digest of a file that stands on the disk, as it was made when the file was backed up: cut at the same
// places, its holes where the snapshot says that they are.

#include <functional>

#include "client/chunking/splitter.h"
#include "client/restore/plan.h"

namespace holdfast::restore {

/// What content digests are made with. References must outlive it.
struct ContentKeys {
  const crypto::Key& fingerprint;
  const chunking::Chunkers& chunkers;
};

/// Bytes of a file on their way to its digest.
using TakeBytes = std::function<Status(std::uint64_t offset, ByteSpan bytes)>;

/// Reads all of the file. `take`: gets everything that is no hole, in order, and may be empty. Nothing: the file is shorter,
/// or holds bytes where a hole must be. Errors: Io; those of `take`.
Result<std::optional<Digest>> digest_of_file(int fd, const PlannedEntry& planned, const Plan& plan,
                                             const ContentKeys& keys, const TakeBytes& take = {});

}  // namespace holdfast::restore
