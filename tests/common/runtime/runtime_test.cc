// Asio's awaitables are slow to compile: one unit holds all tests of runtime/.
#include <gtest/gtest.h>

#include <csignal>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "common/runtime/queue.h"
#include "common/runtime/signals.h"
#include "common/runtime/task.h"
#include "common/runtime/task_group.h"
#include "common/runtime/timer.h"

namespace holdfast::runtime {
namespace {

using namespace std::chrono_literals;

/// Runs `task` to its end on a loop of its own.
Status run(Loop& loop, Task<void> task) {
  Status out = Error{Errc::Io, "never ended"};
  loop.spawn(std::move(task), [&](Status status) {
    out = std::move(status);
    loop.stop();
  });
  loop.run();
  return out;
}

Errc code_of(const Status& status) { return status ? Errc{} : status.error().code; }

// ---- Loop ----

Task<void> returns(Error error) { co_return error; }
Task<void> throws() {
  throw std::runtime_error("a library threw");
  co_return Status{};
}

TEST(Loop, HandsOverWhatARootCoroutineReturns) {
  Loop loop;
  const Status status = run(loop, returns(Error{Errc::Quota, "full"}));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Errc::Quota);
}

TEST(Loop, TurnsAnExceptionOfARootIntoAnError) {
  Loop loop;
  const Status status = run(loop, throws());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Errc::Io);
  EXPECT_NE(status.error().message.find("a library threw"), std::string::npos);
}

TEST(Loop, RunsPostedWorkOnItsThread) {
  Loop loop;
  std::thread::id where;
  std::thread runner([&] { loop.run(); });
  const std::thread::id expected = runner.get_id();
  loop.post([&] {
    where = std::this_thread::get_id();
    loop.stop();
  });
  runner.join();
  EXPECT_EQ(where, expected);
  EXPECT_TRUE(loop.stopped());
}

Task<void> keep_and_sleep(std::shared_ptr<int> kept) {
  (void)(co_await sleep_for(24h)).has_value();
  *kept = 1;
  co_return Status{};
}

TEST(Loop, DestroysCoroutinesThatStillWait) {
  const auto kept = std::make_shared<int>(0);
  {
    Loop loop;
    loop.spawn(keep_and_sleep(kept), [](Status) { FAIL() << "it must not go on"; });
    loop.post([&] { loop.post([&] { loop.stop(); }); });
    loop.run();
  }
  EXPECT_EQ(kept.use_count(), 1);
  EXPECT_EQ(*kept, 0);
}

TEST(Loop, DropsATaskThatNeverBegan) {
  const auto kept = std::make_shared<int>(0);
  {
    Loop loop;
    loop.spawn(keep_and_sleep(kept), nullptr);
  }
  EXPECT_EQ(kept.use_count(), 1);
}

Task<void> sleep_task(std::chrono::nanoseconds time) { co_return co_await sleep_for(time); }

TEST(Loop, SleepsShortlyAndNotAtAllForTimesGoneBy) {
  Loop first, second;
  EXPECT_TRUE(run(first, sleep_task(1ms)));
  EXPECT_TRUE(run(second, sleep_task(-1h)));
}

// ---- Pool and offload ----

Result<std::string> join_words(const std::string& a, const std::string& b) { return a + b; }
Result<std::string> refuse(int) { return Error{Errc::Corrupt, "bad"}; }
Result<std::string> explode(int) { throw std::runtime_error("no memory"); }
Result<std::unique_ptr<int>> give(std::unique_ptr<int>& in) { return std::move(in); }

Task<void> offload_all(Pool& pool) {
  const std::thread::id home = std::this_thread::get_id();
  HF_CO_TRY(const std::string joined, co_await offload(pool, &join_words, std::string("seal"), std::string("ed")));
  EXPECT_EQ(joined, "sealed");
  EXPECT_EQ(std::this_thread::get_id(), home);

  const Result<std::string> refused = co_await offload(pool, &refuse, 1);
  EXPECT_TRUE(!refused && refused.error().code == Errc::Corrupt);
  testing::internal::CaptureStderr();
  const Result<std::string> exploded = co_await offload(pool, &explode, 1);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("no memory"), std::string::npos);
  EXPECT_TRUE(!exploded && exploded.error().code == Errc::Io);

  auto owned = std::make_unique<int>(7);
  HF_CO_TRY(const std::unique_ptr<int> back, co_await offload(pool, &give, std::move(owned)));
  EXPECT_EQ(*back, 7);
  co_return Status{};
}

TEST(Offload, BringsValuesErrorsAndExceptionsBackToTheCallersThread) {
  Pool pool(2, "compute");
  Loop loop;
  EXPECT_TRUE(run(loop, offload_all(pool)));
}

/// The job waits for `gate`, so that the test decides when it ends.
Result<std::string> wait_for_gate(std::shared_future<void>& gate, std::shared_ptr<int>&) {
  gate.wait();
  return std::string("late");
}
Task<void> offload_gate(Pool& pool, std::shared_future<void> gate, std::shared_ptr<int> kept, Loop& loop) {
  loop.post([&loop] { loop.stop(); });
  const Result<std::string> text = co_await offload(pool, &wait_for_gate, gate, kept);
  ADD_FAILURE() << "it must not go on" << text.has_value();
  co_return Status{};
}

TEST(Offload, OutlivesALoopThatIsDestroyedWhileTheJobRuns) {
  std::promise<void> gate;
  const auto kept = std::make_shared<int>(0);
  {
    Pool pool(1, "disk");
    {
      Loop loop;
      loop.spawn(offload_gate(pool, gate.get_future().share(), kept, loop), nullptr);
      loop.run();
    }
    EXPECT_GE(kept.use_count(), 2);  // the job has its arguments still
    gate.set_value();
  }
  EXPECT_EQ(kept.use_count(), 1);
}

Result<int> add_one(int value) { return value + 1; }
Task<void> count_up(Pool& pool, int rounds, int& total) {
  for (int i = 0; i < rounds; ++i) {
    HF_CO_TRY(const int next, co_await offload(pool, &add_one, i));
    total += next - i;
  }
  co_return Status{};
}
Task<void> count_in_group(Loop& loop, Pool& pool, int& total) {
  TaskGroup group(loop);
  for (int i = 0; i < 20; ++i) group.spawn(count_up(pool, 50, total));
  co_return co_await group.join();
}

TEST(Offload, ServesManyCoroutinesOfOneLoop) {
  Pool pool(3, "compute");
  Loop loop;
  int total = 0;  // one thread touches it: the loop's
  EXPECT_TRUE(run(loop, count_in_group(loop, pool, total)));
  EXPECT_EQ(total, 1000);
}

TEST(Pool, RunsEveryPostedJobBeforeItGoes) {
  std::atomic<int> ran = 0;
  {
    Pool pool(2, "a name longer than the kernel takes");
    for (int i = 0; i < 100; ++i) pool.post([&] { ++ran; });
  }
  EXPECT_EQ(ran, 100);
}

// ---- Condition, Queue ----

Task<void> produce(Queue<int>& queue, int count, std::size_t& most) {
  for (int i = 0; i < count; ++i) {
    HF_CO_TRY_DO(co_await queue.push(i));
    most = std::max(most, queue.size());
  }
  queue.close();
  co_return Status{};
}
Task<void> consume(Queue<int>& queue, std::vector<int>& got) {
  for (;;) {
    HF_CO_TRY(const std::optional<int> item, co_await queue.pop());
    if (!item) co_return Status{};
    got.push_back(*item);
  }
}
Task<void> pipeline(Loop& loop, std::vector<int>& got, std::size_t& most) {
  Queue<int> queue(3);
  TaskGroup group(loop);
  group.spawn(produce(queue, 100, most));
  group.spawn(consume(queue, got));
  co_return co_await group.join();
}

TEST(Queue, KeepsOrderAndItsBoundAndEndsWhenClosed) {
  Loop loop;
  std::vector<int> got;
  std::size_t most = 0;
  ASSERT_TRUE(run(loop, pipeline(loop, got, most)));
  ASSERT_EQ(got.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i)], i);
  EXPECT_EQ(most, 3u);
}

Task<void> pop_nothing(Queue<std::unique_ptr<int>>& queue) {
  const Result<std::optional<std::unique_ptr<int>>> item = co_await queue.pop_within(1ms);
  if (!item) co_return item.error();
  co_return Status{};
}

TEST(Queue, SaysTimeoutWhenNothingComes) {
  Loop loop;
  Queue<std::unique_ptr<int>> queue(1);
  EXPECT_EQ(code_of(run(loop, pop_nothing(queue))), Errc::Timeout);
}

Task<void> push_one(Queue<int>& queue) { co_return co_await queue.push(1); }

TEST(Queue, RefusesAPushOnceClosed) {
  Loop loop;
  Queue<int> queue(1);
  queue.close();
  EXPECT_EQ(code_of(run(loop, push_one(queue))), Errc::Canceled);
  EXPECT_FALSE(queue.try_push(2));
  EXPECT_EQ(queue.try_pop(), std::nullopt);
}

Task<void> push_into_full(Loop& loop, Queue<int>& queue) {
  TaskGroup group(loop);
  group.spawn(push_one(queue));
  queue.close();
  HF_CO_TRY_DO(co_await group.join());  // Canceled is no error of a group
  EXPECT_EQ(queue.try_pop(), 7);
  EXPECT_EQ(queue.try_pop(), std::nullopt);
  co_return Status{};
}

TEST(Queue, WakesAWaitingPushWhenClosedAndKeepsWhatWasInside) {
  Loop loop;
  Queue<int> queue(1);
  ASSERT_TRUE(queue.try_push(7));
  EXPECT_TRUE(run(loop, push_into_full(loop, queue)));
}

TEST(Queue, MayHoldTheCoroutineThatWaitsForItWhenTheLoopGoes) {
  const auto queue = std::make_shared<Queue<std::shared_ptr<int>>>(1);
  {
    Loop loop;
    auto wait = [](std::shared_ptr<Queue<std::shared_ptr<int>>> q) -> Task<void> {
      HF_CO_TRY(const auto item, co_await q->pop());
      co_return item ? Status{} : Status{};
    };
    loop.spawn(wait(queue), nullptr);
    loop.post([&] { loop.post([&] { loop.stop(); }); });
    loop.run();
  }
  EXPECT_EQ(queue.use_count(), 1);
}

// ---- TaskGroup ----

Task<void> sleep_then_note(std::string& note) {
  const Status slept = co_await sleep_for(24h);
  note = slept ? "slept" : std::string(errc_name(slept.error().code));
  (void)(co_await sleep_for(24h)).has_value();  // a canceled child ends at its next wait
  note += " and went on";
  co_return Status{};
}
Task<void> cancel_group(Loop& loop, std::string& note) {
  TaskGroup group(loop);
  group.spawn(sleep_then_note(note));
  group.cancel();
  co_return co_await group.join();
}

TEST(TaskGroup, CancelsWhatSleeps) {
  Loop loop;
  std::string note;
  EXPECT_TRUE(run(loop, cancel_group(loop, note)));
  EXPECT_EQ(note, "canceled");
}

Task<void> one_fails(Loop& loop) {
  TaskGroup group(loop);
  group.spawn(sleep_task(0ms));
  group.spawn(returns(Error{Errc::DiskFull, "first"}));
  group.spawn(throws());
  EXPECT_EQ(group.size(), 3u);
  const Status joined = co_await group.join();
  EXPECT_EQ(group.size(), 0u);
  co_return joined;
}

TEST(TaskGroup, ReportsTheFirstErrorOfItsChildren) {
  Loop loop;
  EXPECT_EQ(code_of(run(loop, one_fails(loop))), Errc::DiskFull);
}

Task<void> group_left_behind(Loop& loop) {
  TaskGroup group(loop);
  group.spawn(sleep_task(24h));
  loop.post([&loop] { loop.stop(); });
  co_return co_await group.join();
}

TEST(TaskGroup, GoesWithItsLoop) {
  Loop loop;
  loop.spawn(group_left_behind(loop), nullptr);
  loop.run();
}

TEST(TaskGroupDeathTest, RefusesToGoBeforeItsChildren) {
  EXPECT_DEATH(
      {
        Loop loop;
        TaskGroup group(loop);
        group.spawn(sleep_task(24h));
      },
      "children.empty");
}

// ---- Timer, Signals ----

TEST(Timer, CallsOnceAndNotWhenCancelled) {
  Loop loop;
  std::string order;
  Timer first = after(loop, 0ms, [&] { order += "first "; });
  Timer second = after(loop, 0ms, [&] { order += "second "; });
  Timer moved = std::move(second);
  second = after(loop, 0ms, [&] { order += "never "; });
  second.cancel();
  EXPECT_FALSE(second.pending());
  EXPECT_TRUE(moved.pending());
  Timer last = after(loop, 2ms, [&] { loop.stop(); });
  loop.run();
  EXPECT_TRUE(order == "first second " || order == "second first ") << order;
  EXPECT_FALSE(first.pending());
}

TEST(Signals, ArriveAsCallsOnTheLoop) {
  Loop loop;
  std::vector<int> got;
  Signals signals(loop, {SIGHUP, SIGUSR1}, [&](int number) {
    got.push_back(number);
    if (got.size() == 2)
      loop.stop();
    else
      std::raise(SIGHUP);
  });
  loop.post([] { std::raise(SIGUSR1); });
  loop.run();
  EXPECT_EQ(got, (std::vector<int>{SIGUSR1, SIGHUP}));
}

}  // namespace
}  // namespace holdfast::runtime
