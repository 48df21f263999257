#pragma once
// Why: entries leave the walk before their content stands anywhere. This stage waits, in order, until every group of an
// entry stands, turns pieces into extents, and writes manifest and next local state. A thread of its own behind a
// bounded queue.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "client/backup/content_feed.h"
#include "client/state/local_state.h"

namespace holdfast::backup {

struct QueuedEntry {
  manifest::Entry entry;  ///< complete, but for extents when there are pieces
  manifest::StatIdentity stat;
  bool remember = false;  ///< its stat identity proves that it is unchanged later
  std::vector<Piece> pieces;
};

/// `add` and `finish` from one thread.
class EntryStage {
 public:
  using Resolve = std::function<Result<blob::BlobRef>(std::uint64_t group)>;
  /// All references must outlive it; nobody else may use them until `finish` has returned.
  EntryStage(Resolve resolve, manifest::ManifestWriter& manifest, state::StateWriter& state);
  ~EntryStage();
  /// Blocks while kMaxQueued entries wait. Errors: what happened behind.
  Status add(QueuedEntry entry);
  Status finish();

 private:
  static constexpr std::size_t kMaxQueued = 16384;  // twice the entries that may wait for one open group: no deadlock
  void run();
  Status write(QueuedEntry entry);

  Resolve resolve_;
  manifest::ManifestWriter& manifest_;
  state::StateWriter& state_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<QueuedEntry> queue_;
  std::optional<Error> failure_;
  bool closed_ = false, done_ = false, abandoned_ = false;
  std::thread thread_;
};

}  // namespace holdfast::backup
