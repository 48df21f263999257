#pragma once
// Why: SIGTERM, SIGINT, SIGHUP arrive as calls on a loop, where they can do anything.

#include <vector>

#include "common/runtime/task.h"

namespace holdfast::runtime {

/// From construction to destruction the named signals no longer end the process; each calls `callback` with its number
/// on the loop's thread. At most one object a process and signal. One thread at a time (the loop's, or before run).
class Signals {
 public:
  Signals(Loop& loop, const std::vector<int>& numbers, std::function<void(int)> callback);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the pending wait
};

}  // namespace holdfast::runtime
