#pragma once
// Why: a check runs for hours on a pool and finds things one by one; the person at the other end of the socket wants to
// see them as they come. Bounded: whoever reads slowly slows the work down, whoever leaves lets it end in silence.

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "common/runtime/condition.h"
#include "proto/holdfast/v1/admin.pb.h"

namespace holdfast::admin {

namespace v1 = ::holdfast::v1;

/// From a pool's thread to one coroutine of the loop.
class Channel : public std::enable_shared_from_this<Channel> {
 public:
  static constexpr std::size_t kMaxWaiting = 64;

  explicit Channel(runtime::Loop& loop) : loop_(loop) {}

  /// Any thread but the loop's. Waits while the channel is full; false once nobody listens any more.
  bool push(v1::AdminResponse answer);
  /// Any thread: no more answers.
  void finish();
  /// Loop's thread: nobody listens any more.
  void abandon();
  /// Loop's thread. The next answer; nullopt after the last.
  runtime::Task<std::optional<v1::AdminResponse>> pop();

 private:
  void wake();
  runtime::Loop& loop_;
  std::mutex mutex_;  ///< guards the next four
  std::condition_variable room_;
  std::deque<v1::AdminResponse> waiting_;
  bool finished_ = false, abandoned_ = false;
  runtime::Condition arrived_;  ///< the loop's thread only
};

}  // namespace holdfast::admin
