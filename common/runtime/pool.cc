#include <pthread.h>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/base/log.h"
#include "common/runtime/loop_impl.h"

namespace holdfast::runtime {

namespace asio = boost::asio;

struct Pool::Impl {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::function<void()>> jobs;
  bool closing = false;
  std::vector<std::thread> threads;

  void work() {
    for (;;) {
      std::unique_lock lock(mutex);
      wake.wait(lock, [this] { return closing || !jobs.empty(); });
      if (jobs.empty()) return;
      std::function<void()> job = std::move(jobs.front());
      jobs.pop_front();
      lock.unlock();
      run(job);
    }
  }

  static void run(const std::function<void()>& job) {
    try {
      job();
    } catch (const std::exception& e) {
      log::error("a job of the pool threw", {{"what", e.what()}});
    } catch (...) {
      log::error("a job of the pool threw", {{"what", "an unknown type"}});
    }
  }
};

Pool::Pool(std::size_t threads, std::string_view name) : impl_(std::make_unique<Impl>()) {
  HF_ASSERT(threads > 0);
  const std::string thread_name(name.substr(0, 15));  // the kernel's limit
  for (std::size_t i = 0; i < threads; ++i) {
    impl_->threads.emplace_back([impl = impl_.get()] { impl->work(); });
    pthread_setname_np(impl_->threads.back().native_handle(), thread_name.c_str());
  }
}

Pool::~Pool() {
  {
    const std::scoped_lock lock(impl_->mutex);
    impl_->closing = true;
  }
  impl_->wake.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
}

void Pool::post(std::function<void()> work) {
  {
    const std::scoped_lock lock(impl_->mutex);
    HF_ASSERT(!impl_->closing);
    impl_->jobs.push_back(std::move(work));
  }
  impl_->wake.notify_one();
}

namespace {

/// The coroutines of one io_context that wait for a pool. It owns them, so that they end with their loop even while
/// their job still runs: a job holds only a number and this table, never a coroutine.
struct WaitingTable {
  std::mutex mutex;
  bool open = true;
  std::uint64_t next = 0;
  std::unordered_map<std::uint64_t, asio::any_completion_handler<void()>> waiting;

  std::uint64_t add(asio::any_completion_handler<void()> handler) {
    const std::scoped_lock lock(mutex);
    waiting.emplace(next, std::move(handler));
    return next++;
  }

  void resume(std::uint64_t number, const asio::any_io_executor& executor) {
    // Posting happens under the lock: the loop cannot go away between the look and the post.
    const std::scoped_lock lock(mutex);
    if (!open) return;
    auto node = waiting.extract(number);
    asio::post(executor, std::move(node.mapped()));
  }

  void close() {
    std::unordered_map<std::uint64_t, asio::any_completion_handler<void()>> gone;
    {
      const std::scoped_lock lock(mutex);
      open = false;
      gone.swap(waiting);
    }
    // The frames are destroyed here, without the lock: they may own a pool and wait for its jobs.
  }
};

/// Ties a WaitingTable to the life of an io_context.
class WaitingService : public asio::execution_context::service {
 public:
  using key_type = WaitingService;
  inline static asio::execution_context::id id;
  explicit WaitingService(asio::execution_context& context) : service(context) {}
  const std::shared_ptr<WaitingTable>& table() const { return table_; }

 private:
  void shutdown() override { table_->close(); }
  std::shared_ptr<WaitingTable> table_ = std::make_shared<WaitingTable>();  // shared with jobs that outlive the loop
};

}  // namespace

asio::awaitable<void> run_on(Pool& pool, std::function<void()> work) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  asio::execution_context& context = asio::query(executor, asio::execution::context);
  const std::shared_ptr<WaitingTable> table = asio::use_service<WaitingService>(context).table();
  const auto start = [&](auto handler) {
    const std::uint64_t number = table->add(std::move(handler));
    pool.post([table, number, executor, work = std::move(work)]() mutable {
      Pool::Impl::run(work);
      work = nullptr;  // what the job owns dies before its caller goes on
      table->resume(number, executor);
    });
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, asio::use_awaitable);
}

}  // namespace holdfast::runtime
