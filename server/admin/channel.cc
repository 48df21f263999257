#include "server/admin/channel.h"

namespace holdfast::admin {

bool Channel::push(v1::AdminResponse answer) {
  std::unique_lock lock(mutex_);
  room_.wait(lock, [this] { return abandoned_ || waiting_.size() < kMaxWaiting; });
  if (abandoned_) return false;
  waiting_.push_back(std::move(answer));
  lock.unlock();
  wake();
  return true;
}

void Channel::finish() {
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
  }
  wake();
}

void Channel::abandon() {
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    waiting_.clear();
  }
  room_.notify_all();
}

void Channel::wake() {
  loop_.post([self = shared_from_this()] { self->arrived_.notify_all(); });
}

runtime::Task<std::optional<v1::AdminResponse>> Channel::pop() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (!waiting_.empty()) {
        std::optional<v1::AdminResponse> answer(std::move(waiting_.front()));
        waiting_.pop_front();
        room_.notify_one();
        co_return answer;
      }
      if (finished_) co_return std::optional<v1::AdminResponse>();
    }
    HF_CO_TRY_DO(co_await arrived_.wait());
  }
}

}  // namespace holdfast::admin
