#pragma once
// Why: draws the progress line from a thread of its own while long work runs; gone when destroyed.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "common/console/progress.h"

namespace holdfast::cli {

class Watch {
 public:
  Watch(const console::Options& options, std::function<console::ProgressState()> look)
      : progress_(options, system_clock()), thread_([this, look = std::move(look)] {
          std::unique_lock lock(mutex_);
          while (!changed_.wait_for(lock, std::chrono::milliseconds(200), [this] { return ended_; }))
            progress_.update(look());
        }) {}
  ~Watch() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
    progress_.finish();
  }
  Watch(const Watch&) = delete;

 private:
  console::Progress progress_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace holdfast::cli
