#pragma once
// Why: "do this in two seconds, unless …" without a coroutine.

#include "common/runtime/task.h"

namespace holdfast::runtime {

/// Owns one pending call. Destroyed or cancelled: the call does not happen. One thread at a time (its loop's).
class Timer {
 public:
  Timer();  ///< nothing pending
  Timer(Timer&&) noexcept;
  Timer& operator=(Timer&&) noexcept;
  ~Timer();
  void cancel();
  bool pending() const;

 private:
  friend Timer after(Loop& loop, std::chrono::nanoseconds time, std::function<void()> callback);
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the pending wait
};

/// Calls `callback` on the loop's thread once `time` has passed, unless the Timer goes first. Call on the loop's thread.
[[nodiscard]] Timer after(Loop& loop, std::chrono::nanoseconds time, std::function<void()> callback);

}  // namespace holdfast::runtime
