#pragma once
// Why: the coordinator of one machine. One directory per tenant: `journal/<first number>.seg`, `head` (two checksummed
// slots) and `lock`. FORMAT.md beside this file specifies the bytes, the order of writes and the rules of recovery.

#include <memory>
#include <string>

#include "common/fs/file_system.h"
#include "server/coordinator/coordinator.h"

namespace holdfast::coordinator {

/// Of one publish, encoded. With journal::kSegmentBytes it bounds the length of a segment.
inline constexpr std::uint64_t kMaxPublishBytes = 64u << 20;
inline constexpr std::size_t kMaxPublishRecords = 65536;
/// Bytes set aside by recovery are kept for people to look at, the newest so many files.
inline constexpr std::size_t kMaxSetAsideFiles = 8;

/// Touches nothing yet: acquire() makes the directory (0700) where it is missing, takes its lock and keeps it as long
/// as the coordinator lives. `fs`, `clock` and `random` must outlive it. Every call blocks.
/// `segment_bytes`: a new segment starts after so many; smaller only in tests.
/// head() and read() also work without an epoch, on a directory that nobody else holds; damage up to the head fails
/// them after what is good has been handed out.
Result<std::unique_ptr<Coordinator>> open_local_coordinator(fs::FileSystem& fs, const Clock& clock, Random& random,
                                                            std::string directory,
                                                            std::uint64_t segment_bytes = journal::kSegmentBytes);

}  // namespace holdfast::coordinator
