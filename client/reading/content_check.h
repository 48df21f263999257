#pragma once
// Why: does a live file hold the bytes that a snapshot's entry stands for? Answered by the entry's digest. It covers where
// holes were when the file was backed up; the live file's own may lie elsewhere without its bytes being others.

#include <functional>

#include "client/chunking/splitter.h"
#include "client/manifest/entry.h"
#include "client/sources/files.h"

namespace holdfast::reading {

/// `entry` with its extents. `on_read` gets the number of bytes as they come and says whether to go on. Errors: Io from the
/// file, Canceled.
Result<bool> has_content_of(const manifest::Entry& entry, sources::FileContent& file, const chunking::Chunker& chunker,
                            const crypto::Key& fingerprint_key, const std::function<bool(std::uint64_t)>& on_read);

}  // namespace holdfast::reading
