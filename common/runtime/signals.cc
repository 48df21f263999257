#include "common/runtime/signals.h"

#include <boost/asio/signal_set.hpp>

#include "common/runtime/loop_impl.h"

namespace holdfast::runtime {

struct Signals::Impl : std::enable_shared_from_this<Impl> {
  Impl(boost::asio::io_context& io, std::function<void(int)> call) : set(io), callback(std::move(call)) {}

  void wait() {
    set.async_wait([self = shared_from_this()](const boost::system::error_code& ec, int number) {
      if (ec || !self->callback) return;
      self->wait();  // first, so that none is missed while the callback works
      const std::function<void(int)> call = self->callback;
      call(number);
    });
  }

  boost::asio::signal_set set;
  std::function<void(int)> callback;
};

Signals::Signals(Loop& loop, const std::vector<int>& numbers, std::function<void(int)> callback)
    : impl_(std::make_shared<Impl>(loop.impl().io, std::move(callback))) {
  for (const int number : numbers) impl_->set.add(number);
  impl_->wait();
}

Signals::~Signals() {
  impl_->callback = nullptr;
  boost::system::error_code ignored;  // closing down: there is nobody to tell
  impl_->set.cancel(ignored);
  impl_->set.clear(ignored);
}

}  // namespace holdfast::runtime
