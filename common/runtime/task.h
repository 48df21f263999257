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

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 takes the coroutine frame's own operator new and delete for a mismatch once it inlines one of them. Not popped:
// the warning is raised at the end of the unit, wherever the coroutine stands.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace holdfast::runtime {

template <class T>
using Task = boost::asio::awaitable<Result<T>>;

/// One thread's event loop. `run` blocks until `stop`; a loop runs once. Destroyed: coroutines that still wait are
/// destroyed where they are. Thread-safe: post, spawn, stop, stopped.
class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  void run();
  void stop();
  bool stopped() const;
  /// Runs `work` on the loop's thread, soon.
  void post(std::function<void()> work);
  /// Starts a root coroutine, soon; what it returns goes to `done` on the loop's thread. An exception becomes Errc::Io,
  /// a cancellation Errc::Canceled.
  void spawn(Task<void> task, std::function<void(Status)> done);
  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// A bounded pool of threads for compute or disk work. `offload` below runs a function there and resumes the caller on
/// its own loop. Destroyed: waits for every job posted so far. `post` never waits: callers bound what they post (a
/// coroutine waits for its one job). A job's exception is logged. Thread-safe.
class Pool {
 public:
  explicit Pool(std::size_t threads, std::string_view name);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  void post(std::function<void()> work);
  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

/// Suspends the calling coroutine until `work` (run on `pool`) has ended; it resumes on its own loop. Exceptions of
/// `work` are logged; `offload` turns them into Errc::Io. The loop may be destroyed while the job runs.
boost::asio::awaitable<void> run_on(Pool& pool, std::function<void()> work);

/// co_await offload(pool, function, arguments…): function returns Result<T>.
template <class F, class... A>
auto offload(Pool& pool, F function, A... arguments) -> boost::asio::awaitable<std::invoke_result_t<F&, A&...>>;

Task<void> sleep_for(std::chrono::nanoseconds time);  ///< Errors: Canceled

}  // namespace holdfast::runtime

#include "common/runtime/offload.inl"
