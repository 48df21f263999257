#pragma once
// Inside runtime/ and transport/ only: what a Loop is made of. Everybody else includes task.h.

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "common/runtime/task.h"

namespace holdfast::runtime {

struct Loop::Impl {
  boost::asio::io_context io{1};  ///< one thread runs it
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
};

/// Starts `task` on `io`'s thread; `done` gets its result or exception there. A terminal signal on `slot` cancels it.
void spawn_on(boost::asio::io_context& io, Task<void> task, std::function<void(Status)> done,
              boost::asio::cancellation_slot slot = {});

}  // namespace holdfast::runtime
