#pragma once
// Why: coroutines of one loop wait for each other ("the queue is not empty", "the write has ended") with a deadline.
// Leaves to others: the predicate. Waiters look again after every wake-up, as with a condition variable.

#include "common/runtime/task.h"

namespace holdfast::runtime {

/// `time` from now; never in the past, and never so far that the clock overflows.
std::chrono::steady_clock::time_point deadline_in(std::chrono::nanoseconds time);

/// One thread at a time (its loop's). May be destroyed while coroutines wait: they go on waiting until their deadline.
class Condition {
 public:
  Condition();
  ~Condition();
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  void notify_all();
  /// Errors: Canceled.
  Task<void> wait();
  /// `deadline` from now. Errors: Timeout, Canceled.
  Task<void> wait_for(std::chrono::nanoseconds deadline);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the frames that wait
};

}  // namespace holdfast::runtime
