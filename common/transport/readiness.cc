#include "common/transport/readiness.h"

#include <unistd.h>

#include <boost/asio/generic/stream_protocol.hpp>

#include "common/runtime/condition.h"
#include "common/runtime/loop_impl.h"

namespace holdfast::transport {

struct Descriptor::Impl {
  using Socket = boost::asio::generic::stream_protocol::socket;
  explicit Impl(boost::asio::io_context& io) : socket(io) {}
  Socket socket;
  int descriptor = -1;
  bool ready = false;
  runtime::Condition changed;
};

Descriptor::Descriptor(runtime::Loop& loop, int descriptor, int family)
    : impl_(std::make_shared<Impl>(loop.impl().io)) {
  boost::system::error_code error;
  impl_->socket.assign(boost::asio::generic::stream_protocol(family, 0), descriptor, error);
  impl_->descriptor = descriptor;
  if (error) {
    ::close(descriptor);  // every later call on it fails with EBADF
    impl_->descriptor = -1;
  }
}

Descriptor::~Descriptor() { close(); }

int Descriptor::get() const { return impl_->descriptor; }

int Descriptor::release() {
  boost::system::error_code error;
  impl_->descriptor = -1;
  const int descriptor = impl_->socket.release(error);
  return error ? -1 : descriptor;
}

void Descriptor::when_readable(std::function<void()> ready) {
  impl_->socket.async_wait(Impl::Socket::wait_read,
                           [impl = impl_, ready = std::move(ready)](const boost::system::error_code& error) {
                             if (!error && impl->descriptor >= 0) ready();
                           });
}

runtime::Task<void> Descriptor::writable(Deadline end) {
  const std::shared_ptr<Impl> impl = impl_;
  impl->socket.async_wait(Impl::Socket::wait_write, [impl](const boost::system::error_code&) {
    impl->ready = true;
    impl->changed.notify_all();
  });
  while (!impl->ready) HF_CO_TRY_DO(co_await impl->changed.wait_for(end - std::chrono::steady_clock::now()));
  co_return Status{};
}

void Descriptor::close() {
  boost::system::error_code ignored;
  impl_->descriptor = -1;
  impl_->socket.close(ignored);
}

}  // namespace holdfast::transport
