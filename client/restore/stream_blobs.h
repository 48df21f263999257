#pragma once
// Why: who writes a stream wants its blobs opened, in the order of the content, and waits for none of them: one thread
// reads extents and fetches, another opens, the caller writes. Each is at most one batch ahead of the next, so memory is
// bounded whatever the stream's size; a blob that comes again later waits in the spool, and is fetched once.

#include <memory>
#include <thread>

#include "client/restore/archive.h"
#include "client/restore/handover.h"
#include "client/restore/last_use.h"
#include "client/restore/spool.h"

namespace holdfast::restore {

/// Calls back with every extent of the content in order. The fetching thread calls it, no other does meanwhile.
using ExtentVisit = std::function<Status(const manifest::Extent&)>;
using ExtentSource = std::function<Status(const ExtentVisit& visit)>;
using OpenedContent = std::shared_ptr<const Bytes>;  ///< shared by batches and by the cache of what was opened last

/// A run of the content, ready to be written.
struct OpenedBatch {
  struct Piece {
    static constexpr std::uint32_t kHole = 0xffffffff;
    std::uint32_t blob = kHole;  ///< place in `blobs`
    std::uint32_t offset = 0;
    std::uint64_t length = 0;
  };
  std::vector<Piece> pieces;
  std::vector<blob::BlobRef> refs;
  std::vector<Result<OpenedContent>> blobs;  ///< of refs; a damaged one has its error
  Status end;                                ///< why nothing follows this batch, if it is an error
};

struct StreamBlobStats {
  std::uint64_t fetched = 0, fetched_again = 0;
};

/// One thread at a time, and threads of its own.
class StreamBlobs {
 public:
  /// Extents are those that `last_use` was made from. All must outlive it.
  StreamBlobs(Archive& archive, const snapshot::Core& core, std::size_t threads, ExtentSource extents,
              LastUse& last_use, Spool& spool);
  /// Waits for what is under way.
  ~StreamBlobs();
  StreamBlobs(const StreamBlobs&) = delete;
  StreamBlobs& operator=(const StreamBlobs&) = delete;

  /// nullopt after the last.
  std::optional<OpenedBatch> next() { return opened_.take(); }
  /// Once `next` has come to its end.
  const StreamBlobStats& stats() const { return stats_; }

 private:
  class Planner;
  class Cache;
  struct FetchedBatch {
    OpenedBatch batch;                                  // without blobs
    std::vector<std::optional<Result<Bytes>>> records;  // nullopt: it is in the spool
    std::vector<blob::BlobRef> done;                    // not needed after this batch
  };

  void fetch_all();
  Status fetch(FetchedBatch batch, std::uint64_t next_extent);
  void open_all();
  void open(FetchedBatch& fetched, Cache& cache);

  Archive& archive_;
  const snapshot::Core& core_;
  const std::size_t threads_;
  const ExtentSource extents_;
  LastUse& last_use_;  // the fetching thread's
  Spool& spool_;
  StreamBlobStats stats_;  // the fetching thread's until it has ended
  std::atomic<bool> ended_{false};
  Handover<FetchedBatch> fetched_;
  Handover<OpenedBatch> opened_;
  std::thread fetcher_, opener_;
};

}  // namespace holdfast::restore
