#include "common/runtime/timer.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>

#include "common/runtime/loop_impl.h"

namespace holdfast::runtime {

struct Timer::Impl {
  explicit Impl(boost::asio::io_context& io) : timer(io) {}
  boost::asio::steady_timer timer;
  std::function<void()> callback;  ///< empty once called or cancelled
};

Timer::Timer() = default;
Timer::Timer(Timer&&) noexcept = default;
Timer& Timer::operator=(Timer&& other) noexcept {
  if (this != &other) {
    cancel();
    impl_ = std::move(other.impl_);
  }
  return *this;
}
Timer::~Timer() { cancel(); }

bool Timer::pending() const { return impl_ && impl_->callback; }

void Timer::cancel() {
  if (!impl_) return;
  const std::shared_ptr<Impl> impl = std::move(impl_);
  impl_ = nullptr;
  impl->callback = nullptr;  // also when the wait has ended and its handler is queued already
  impl->timer.cancel();
}

Timer after(Loop& loop, std::chrono::nanoseconds time, std::function<void()> callback) {
  constexpr std::chrono::nanoseconds kLongest = std::chrono::hours(24 * 365 * 10);  // far from the clock's overflow
  Timer out;
  out.impl_ = std::make_shared<Timer::Impl>(loop.impl().io);
  out.impl_->callback = std::move(callback);
  out.impl_->timer.expires_after(std::clamp(time, std::chrono::nanoseconds(0), kLongest));
  out.impl_->timer.async_wait([impl = out.impl_](const boost::system::error_code&) {
    if (const std::function<void()> call = std::exchange(impl->callback, nullptr)) call();
  });
  return out;
}

}  // namespace holdfast::runtime
