#pragma once
// Why: stages of a pipeline on threads of their own hand one piece of work to the next and wait when it is not taken.

#include <condition_variable>
#include <mutex>
#include <optional>

namespace holdfast::restore {

/// Room for one. Thread-safe; one thread gives, one takes.
template <class T>
class Handover {
 public:
  /// Waits until there is room. False: closed, and `value` is dropped.
  bool give(T value) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !value_; });
    if (closed_) return false;
    value_.emplace(std::move(value));
    changed_.notify_all();
    return true;
  }
  /// Waits for the next. nullopt: closed, and what was given before has been taken.
  std::optional<T> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || value_; });
    std::optional<T> taken = std::move(value_);
    value_.reset();
    changed_.notify_all();
    return taken;
  }
  /// By the giver: no more comes. By the taker: no more is wanted.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<T> value_;
  bool closed_ = false;
};

}  // namespace holdfast::restore
