#pragma once
// Why: every coroutine has an owner that awaits it. A TaskGroup owns children and is joined before it goes.

#include "common/runtime/task.h"

namespace holdfast::runtime {

/// One thread at a time (its loop's). Destroyed with living children only when the loop has been stopped (HF_ASSERT):
/// children may refer to what their owner's frame holds, so the owner joins first.
class TaskGroup {
 public:
  explicit TaskGroup(Loop& loop);
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  /// Starts a child, soon. Its exceptions become Errc::Io.
  void spawn(Task<void> task);
  /// Suspended children come back with Canceled; at their next co_await they end (an exception that the group catches).
  /// A job that already runs on a pool is waited for.
  void cancel();
  /// Waits until every child has ended; the first error of a child that is not Canceled. Errors: also Canceled itself.
  Task<void> join();
  std::size_t size() const;

 private:
  struct Impl;
  static void cancel_all(Impl& impl);
  std::shared_ptr<Impl> impl_;  // shared with the children's completion
};

}  // namespace holdfast::runtime
