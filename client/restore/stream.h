#pragma once
// Why: gives a stream's bytes back where the caller wants them, usually a pipe to another program. Bytes go out as they
// are fetched: each blob has been opened and authenticated by then, but only the content digest at the end says that
// they are the stream, whole and in order. Until then nothing of it may be believed.

#include <string>

#include "client/restore/restore.h"
#include "client/restore/spool.h"

namespace holdfast::restore {

struct StreamOptions {
  std::string name;
  int descriptor = 1;  ///< open for writing; stays the caller's
  std::size_t threads = 2;
  const std::atomic<bool>* stop = nullptr;
  Progress* progress = nullptr;
  SpoolOptions spool;  ///< where sealed blobs wait that come again later; without directories only in memory
};

struct StreamReport {
  std::uint64_t bytes = 0, blobs_fetched = 0;
  std::uint64_t blobs_fetched_again = 0;  ///< of those: not for the first time, for want of room in the spool
  std::uint64_t spool_bytes = 0;          ///< most that stood in the spool's file
};

/// The extents are read twice, the first time to learn where each blob is needed last. Memory is bounded whatever the
/// stream's size: about 100 MiB. Calls `archive` from threads of its own.
/// Errors: NotFound naming the streams that the snapshot holds (nothing was written then); Corrupt when a blob or the
/// digest at the end is wrong, and any other error that came after the first byte, say that the output must not be used;
/// Io (a reader that went away, too), DiskFull, Canceled.
Result<StreamReport> restore_stream(Archive& archive, const SnapshotInfo& snapshot, const StreamOptions& options);

}  // namespace holdfast::restore
