#pragma once
// Why: entries leave the walk before their content stands anywhere. This stage waits, in order, until every group of an
// entry stands, turns pieces into extents, and writes manifest, next local state and the account of what is used. A
// thread of its own behind a bounded queue.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <variant>

#include "client/backup/content_assembly.h"

namespace holdfast::backup {

/// An entry on its way. `remembered.entry` is complete, but for extents when its content was read in this run.
struct QueuedEntry {
  state::Remembered remembered;  ///< a recalled entry: with its list, spill, uses
  bool recalled = false;         ///< unchanged since the base snapshot
  bool parted = false;           ///< parts of its content went before
  Part rest;
};

/// `add` and `finish` from one thread.
class EntryStage {
 public:
  /// All references in `targets` must outlive it; nobody else may use them until `finish` has returned.
  explicit EntryStage(const AssemblyTargets& targets);
  ~EntryStage();
  /// Blocks while the queue is full. Errors: what happened behind.
  Status add(QueuedEntry entry) { return push(std::move(entry)); }
  /// A part of the content whose entry follows.
  Status add(Part part) { return push(std::move(part)); }
  /// Waits until everything is written or something fails.
  Status finish();

 private:
  using Item = std::variant<QueuedEntry, Part>;
  // More than what may wait for one open group, and a part beyond it (content_feed.cc): no deadlock. As much again is in
  // the hands of the thread.
  static constexpr std::size_t kMaxQueued = 10000;
  static constexpr std::size_t kMaxQueuedCost = 20u << 20;
  // Fewer are not worth a switch of threads.
  static constexpr std::size_t kWorthWaking = 64;
  static constexpr std::size_t kCostWorthWaking = 256u << 10;
  // A few long files are not many entries: they are written all the same, so that notes are made of them.
  static constexpr std::uint64_t kContentWorthWaking = 8u << 20;
  static constexpr std::chrono::seconds kLongestSleep{1};
  static std::size_t cost(const Item& item);
  static std::uint64_t content_of(const Item& item);
  bool worth_waking() const;  ///< mutex_ held
  Status push(Item item);
  void run();
  Status write(Item item);
  Status write_entry(QueuedEntry entry);

  const AssemblyTargets targets_;
  ContentAssembly content_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> queue_;
  std::size_t queued_cost_ = 0;
  std::uint64_t queued_content_ = 0;
  std::optional<Error> failure_;
  bool closed_ = false, done_ = false, abandoned_ = false;
  std::thread thread_;
};

}  // namespace holdfast::backup
