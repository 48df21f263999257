#pragma once
// Why: takes groups of chunks in order, asks the server which it has, seals the others on all cores, uploads them
// without waiting, and says for each group where it stands. Bounded: at most kMaxWaiting groups wait in each queue.

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_set>
#include <vector>

#include "client/chunking/chunker.h"
#include "client/dedup/recent.h"
#include "client/manifest/manifest.h"
#include "client/remote/remote.h"
#include "client/sealing/sealing.h"

namespace holdfast::backup {

inline constexpr std::size_t kMaxWaiting = 12;  ///< groups (target 1 MiB, at most 4 MiB each) per queue

/// Neighbouring chunks that become one blob.
struct Group {
  Bytes raw;
  std::vector<std::uint32_t> chunk_bytes;
  std::vector<chunking::Fingerprint> fingerprints;
};

/// Where a group stands.
struct Standing {
  blob::BlobRef ref;
  std::uint32_t raw_bytes = 0;
};
inline constexpr std::uint64_t kMaxGoBack = 2 * dedup::kRecentGroups;  ///< groups that `resolve` still knows

struct PipelineStats {
  std::uint64_t blobs_sent = 0, blobs_known = 0, raw_bytes_sent = 0, sealed_bytes_sent = 0;
};

/// `submit` from one thread, `resolve` and `store_segment` from one (other) thread.
class BlobPipeline {
 public:
  /// All references must outlive it.
  BlobPipeline(remote::Remote& remote, SessionId session, sealing::Space space, RunId run, const crypto::Key& blob_key,
               const sealing::Sealer& sealer, std::size_t seal_threads);
  ~BlobPipeline();
  BlobPipeline(const BlobPipeline&) = delete;

  /// Returns the group's ordinal (0, 1, …); blocks while the queue is full. Errors: of sealing or of the connection.
  Result<std::uint64_t> submit(Group group);
  /// Waits until group `ordinal` stands somewhere; then no failure changes that. Forgets groups that lie kMaxGoBack before the latest that was asked for.
  Result<Standing> resolve(std::uint64_t ordinal);
  /// Seals and sends a manifest segment under this run; returns its record digest.
  Result<Digest> store_segment(const manifest::Segment& segment);
  /// Waits until everything submitted has been handed to the connection.
  Status drain();
  PipelineStats stats() const;
  /// The run has failed: whoever waits here wakes with `error`, also for a group that will never be submitted.
  void abandon(const Error& error) { fail(error); }

 private:
  struct Job {
    std::uint64_t ordinal = 0;
    BlobId id;
    Group group;
  };
  void ask_all();
  void seal_all();
  Status ask(std::vector<Job> batch);
  Status seal(Job job);
  void stand(std::uint64_t ordinal, const Standing& standing);  ///< mutex_ held
  void fail(Error error);

  remote::Remote& remote_;
  const SessionId session_;
  const sealing::Space space_;
  const RunId run_;
  const crypto::Key& blob_key_;
  const sealing::Sealer& sealer_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Error> failure_;
  bool stopping_ = false;
  std::deque<Job> to_ask_, to_seal_;
  std::size_t asking_ = 0, sealing_ = 0;  // jobs in the hands of a thread
  std::uint64_t next_ordinal_ = 0, first_kept_ = 0;
  std::deque<std::optional<Standing>> standing_;  // from first_kept_ on
  std::unordered_set<BlobId> sent_;               // ids of this run, the latest ones
  PipelineStats stats_;
  std::vector<std::thread> threads_;
};

}  // namespace holdfast::backup
