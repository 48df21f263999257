#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <vector>

#include "common/runtime/condition.h"
#include "common/runtime/loop_impl.h"

namespace holdfast::runtime {

namespace asio = boost::asio;

namespace {

/// What left a coroutine as an exception, for the owner: cancellation, or what a library threw.
Status as_status(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const boost::system::system_error& e) {
    if (e.code() == asio::error::operation_aborted) return Error{Errc::Canceled, "canceled"};
    return Error{Errc::Io, std::string("ended by an exception: ") + e.what()};
  } catch (const std::exception& e) {
    return Error{Errc::Io, std::string("ended by an exception: ") + e.what()};
  } catch (...) {
    return Error{Errc::Io, "ended by an exception of an unknown type"};
  }
}

}  // namespace

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() { stop(); }  // says to those that are destroyed with it that nobody will wake them
void Loop::run() { impl_->io.run(); }
void Loop::stop() { impl_->io.stop(); }
void Loop::post(std::function<void()> work) { asio::post(impl_->io, std::move(work)); }
bool Loop::stopped() const { return impl_->io.stopped(); }

void Loop::spawn(Task<void> task, std::function<void(Status)> done) {
  spawn_on(impl_->io, std::move(task), std::move(done));
}

void spawn_on(asio::io_context& io, Task<void> task, std::function<void(Status)> done, asio::cancellation_slot slot) {
  auto finish = [done = std::move(done)](std::exception_ptr thrown, Status status) {
    if (thrown) status = as_status(thrown);
    if (done) done(std::move(status));
  };
  // Posted, not begun at once: a coroutine never starts in the middle of its owner's statement.
  asio::post(io, [&io, task = std::move(task), finish = std::move(finish), slot]() mutable {
    asio::co_spawn(io, std::move(task), asio::bind_cancellation_slot(slot, std::move(finish)));
  });
}

// ---- waiting ----

namespace {

using Timer = asio::steady_timer;

/// Suspends until the timer ends or is cancelled. Canceled only when the coroutine itself was.
Task<void> wait_on(Timer& timer) {
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) co_return Error{Errc::Canceled, "canceled"};
  co_return Status{};
}

/// Far enough, and far from overflowing the clock.
constexpr std::chrono::hours kForever{24 * 365 * 10};

std::chrono::nanoseconds bounded(std::chrono::nanoseconds time) {
  return std::clamp<std::chrono::nanoseconds>(time, std::chrono::nanoseconds(0), kForever);
}

}  // namespace

std::chrono::steady_clock::time_point deadline_in(std::chrono::nanoseconds time) {
  return std::chrono::steady_clock::now() + bounded(time);
}

Task<void> sleep_for(std::chrono::nanoseconds time) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  Timer timer(executor);
  timer.expires_after(bounded(time));
  co_return co_await wait_on(timer);
}

struct Condition::Impl {
  std::vector<Timer*> waiting;
};

Condition::Condition() : impl_(std::make_shared<Impl>()) {}
Condition::~Condition() = default;

void Condition::notify_all() {
  for (Timer* timer : impl_->waiting) {
    timer->expires_at(Timer::time_point::min());  // tells a notification from a deadline, and cancels the wait
  }
}

Task<void> Condition::wait_for(std::chrono::nanoseconds deadline) {
  // Every waiter has a timer of its own: its deadline, its wake-up, and the owner of its frame when the loop ends.
  struct Place {
    Place(std::shared_ptr<Impl> i, const asio::any_io_executor& executor) : impl(std::move(i)), timer(executor) {
      impl->waiting.push_back(&timer);
    }
    ~Place() { std::erase(impl->waiting, &timer); }
    std::shared_ptr<Impl> impl;
    Timer timer;
  };
  std::shared_ptr<Impl> impl = impl_;
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  Place place(std::move(impl), executor);
  place.timer.expires_after(bounded(deadline));
  HF_CO_TRY_DO(co_await wait_on(place.timer));
  if (place.timer.expiry() != Timer::time_point::min()) co_return Error{Errc::Timeout, "the deadline has passed"};
  co_return Status{};
}

Task<void> Condition::wait() { return wait_for(kForever); }

}  // namespace holdfast::runtime
