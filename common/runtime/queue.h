#pragma once
// Why: the stages of a pipeline are joined by bounded queues; a full queue is the back-pressure.

#include <deque>
#include <optional>

#include "common/runtime/condition.h"

namespace holdfast::runtime {

/// First in, first out, at most `capacity` items. One thread at a time; any number of coroutines of that loop.
template <class T>
class Queue {
 public:
  explicit Queue(std::size_t capacity) : capacity_(capacity) { HF_ASSERT(capacity > 0); }

  /// Waits while the queue is full. Errors: Canceled when it is or gets closed, or the coroutine is canceled.
  Task<void> push(T item) {
    while (items_.size() >= capacity_ && !closed_) HF_CO_TRY_DO(co_await changed_.wait());
    if (!try_push(std::move(item))) co_return Error{Errc::Canceled, "the queue is closed"};
    co_return Status{};
  }
  /// As push. Errors: also Timeout when it stays full for `deadline`; `item` is then lost.
  Task<void> push_within(T item, std::chrono::nanoseconds deadline) {
    const auto end = deadline_in(deadline);
    while (items_.size() >= capacity_ && !closed_) {
      HF_CO_TRY_DO(co_await changed_.wait_for(end - std::chrono::steady_clock::now()));
    }
    if (!try_push(std::move(item))) co_return Error{Errc::Canceled, "the queue is closed"};
    co_return Status{};
  }
  /// False when the queue is full or closed; `item` is then lost.
  bool try_push(T item) {
    if (closed_ || items_.size() >= capacity_) return false;
    items_.push_back(std::move(item));
    changed_.notify_all();
    return true;
  }

  /// The oldest item, or nullopt once the queue is closed and empty. Errors: Canceled.
  Task<std::optional<T>> pop() {
    while (items_.empty() && !closed_) HF_CO_TRY_DO(co_await changed_.wait());
    co_return take();
  }
  /// As pop. Errors: Timeout when nothing came within `deadline`, Canceled.
  Task<std::optional<T>> pop_within(std::chrono::nanoseconds deadline) {
    const auto end = deadline_in(deadline);
    while (items_.empty() && !closed_) HF_CO_TRY_DO(co_await changed_.wait_for(end - std::chrono::steady_clock::now()));
    co_return take();
  }
  std::optional<T> try_pop() { return take(); }

  /// No item gets in any more; what is inside can still be popped. Wakes everybody.
  void close() {
    closed_ = true;
    changed_.notify_all();
  }
  bool closed() const { return closed_; }
  std::size_t size() const { return items_.size(); }

 private:
  std::optional<T> take() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    changed_.notify_all();
    return item;
  }

  const std::size_t capacity_;
  std::deque<T> items_;
  bool closed_ = false;
  Condition changed_;
};

}  // namespace holdfast::runtime
