#pragma once
// Why: the coroutine vocabulary of Holdfast: a Task<T> is an Asio awaitable of Result<T>.
// Rules (STYLE.md): coroutine lambdas capture nothing; name aggregates before a co_await; every coroutine has an owner
// that awaits it; every network wait has a deadline; no lock and no iterator across co_await.
// This header includes only <boost/asio/awaitable.hpp>; the rest of Asio stays inside runtime/ and transport/.

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "common/base/result.h"

namespace holdfast::runtime {

template <class T>
using Task = boost::asio::awaitable<Result<T>>;

/// One thread's event loop with its pools. `run` blocks until `stop`. Thread-safe: post, stop.
class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  void run();
  void stop();
  /// Runs `work` on the loop's thread, soon.
  void post(std::function<void()> work);
  /// Starts a root coroutine; what it returns or throws goes to `done` on the loop's thread.
  void spawn(Task<void> task, std::function<void(Status)> done);
  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// A bounded pool of threads for compute or disk work. `offload` below runs a function there and resumes the caller on
/// its own loop. Destroyed: waits for what runs. Thread-safe.
class Pool {
 public:
  explicit Pool(std::size_t threads, std::string_view name);
  ~Pool();
  void post(std::function<void()> work);
  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

/// Suspends the calling coroutine until `work` (run on `pool`) has ended. Exceptions become Errc::Io.
boost::asio::awaitable<void> run_on(Pool& pool, std::function<void()> work);

/// co_await offload(pool, function, arguments…): function returns Result<T>.
template <class F, class... A>
auto offload(Pool& pool, F function, A... arguments)
    -> boost::asio::awaitable<std::invoke_result_t<F&, A&...>>;

Task<void> sleep_for(std::chrono::nanoseconds time);   ///< Errors: Canceled

}  // namespace holdfast::runtime

#include "common/runtime/offload.inl"
