#include "common/transport/socket.h"

#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <optional>

#include "common/runtime/condition.h"
#include "common/runtime/loop_impl.h"

namespace holdfast::transport {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kSmallRead = 16u << 10;   ///< an idle connection holds this much
constexpr std::size_t kLargeRead = 128u << 10;  ///< a busy one: eight TLS records in one system call

Error closed_here() { return {Errc::Canceled, "the connection was closed on this side"}; }

Error broken(const boost::system::error_code& error) {
  if (error == asio::error::eof) return {Errc::Unreachable, "the peer closed the connection"};
  if (error == asio::error::operation_aborted) return closed_here();
  return {Errc::Unreachable, "the connection broke: " + error.message()};
}

std::chrono::nanoseconds left(Deadline end) { return end - std::chrono::steady_clock::now(); }

}  // namespace

struct Socket::Impl {
  Impl(asio::io_context& io, int family, int descriptor) : socket(io) {
    boost::system::error_code error;
    socket.assign(asio::generic::stream_protocol(family, 0), descriptor, error);
    if (error) {
      ::close(descriptor);
      read_error = write_error = broken(error);
      return;
    }
    socket.non_blocking(true, error);  // shut() writes without waiting
    if (error) read_error = write_error = broken(error);
  }

  asio::generic::stream_protocol::socket socket;
  Bytes in;
  std::size_t in_begin = 0, in_end = 0;
  std::size_t next_read = kSmallRead;
  bool reading = false;
  std::optional<Error> read_error;
  runtime::Condition readable;

  Bytes out;      ///< being written
  Bytes pending;  ///< comes next
  bool writing = false;
  std::optional<Error> write_error;
  runtime::Condition written;

  bool shut = false;
  std::uint64_t sent = 0, received = 0;

  static void start_read(const std::shared_ptr<Impl>& self);
  static void start_write(const std::shared_ptr<Impl>& self);
  void read_done(const boost::system::error_code& error, std::size_t bytes);
  void write_done(const boost::system::error_code& error, std::size_t bytes);
};

void Socket::Impl::start_read(const std::shared_ptr<Impl>& self) {
  if (self->reading || self->read_error || self->in_begin != self->in_end) return;
  if (self->in.size() != self->next_read) self->in = Bytes(self->next_read);
  self->in_begin = self->in_end = 0;
  self->reading = true;
  self->socket.async_read_some(asio::buffer(self->in), [self](const boost::system::error_code& error, std::size_t n) {
    self->read_done(error, n);
  });
}

void Socket::Impl::read_done(const boost::system::error_code& error, std::size_t bytes) {
  reading = false;
  received += bytes;
  in_end = bytes;
  if (error) read_error = broken(error);
  if (bytes == in.size()) next_read = kLargeRead;
  if (bytes < kSmallRead / 2) next_read = kSmallRead;
  readable.notify_all();
}

void Socket::Impl::start_write(const std::shared_ptr<Impl>& self) {
  if (self->writing || self->write_error || self->pending.empty()) return;
  self->out.swap(self->pending);
  self->writing = true;
  asio::async_write(self->socket, asio::buffer(self->out),
                    [self](const boost::system::error_code& error, std::size_t n) {
                      self->write_done(error, n);
                      start_write(self);
                    });
}

void Socket::Impl::write_done(const boost::system::error_code& error, std::size_t bytes) {
  writing = false;
  sent += bytes;
  out.clear();
  if (pending.empty() && out.capacity() > kLargeRead) Bytes().swap(out);  // idle connections hold no large buffers
  if (error) {
    write_error = broken(error);
    Bytes().swap(pending);
  }
  written.notify_all();
}

Socket::Socket(runtime::Loop& loop, int descriptor, int family)
    : impl_(std::make_shared<Impl>(loop.impl().io, family, descriptor)) {}

Socket::~Socket() { close(); }

ByteSpan Socket::available() const {
  return ByteSpan(impl_->in).subspan(impl_->in_begin, impl_->in_end - impl_->in_begin);
}

void Socket::consume(std::size_t bytes) { impl_->in_begin += bytes; }

runtime::Task<void> Socket::fill(Deadline end) {
  const std::shared_ptr<Impl> impl = impl_;
  for (;;) {
    if (impl->shut) co_return closed_here();
    if (impl->in_begin != impl->in_end) co_return Status{};
    if (impl->read_error) co_return *impl->read_error;
    Impl::start_read(impl);
    HF_CO_TRY_DO(co_await impl->readable.wait_for(left(end)));
  }
}

Bytes& Socket::outgoing() { return impl_->pending; }

void Socket::kick() { Impl::start_write(impl_); }

std::size_t Socket::unsent() const { return impl_->out.size() + impl_->pending.size(); }

runtime::Task<void> Socket::drain(std::size_t limit, Deadline end) {
  const std::shared_ptr<Impl> impl = impl_;
  for (;;) {
    if (impl->shut) co_return closed_here();
    if (impl->write_error) co_return *impl->write_error;
    if (impl->out.size() + impl->pending.size() <= limit) co_return Status{};
    Impl::start_write(impl);
    HF_CO_TRY_DO(co_await impl->written.wait_for(left(end)));
  }
}

void Socket::shut() {
  if (impl_->shut) return;
  impl_->shut = true;
  boost::system::error_code ignored;  // the peer may be gone: then there is nobody to tell
  if (!impl_->writing && !impl_->pending.empty()) {
    impl_->sent +=
        impl_->socket.write_some(asio::buffer(impl_->pending), ignored);  // non-blocking: a last alert, mostly
  }
  if (!impl_->write_error) impl_->write_error = closed_here();
  Bytes().swap(impl_->pending);
  impl_->socket.shutdown(asio::socket_base::shutdown_send, ignored);
  impl_->readable.notify_all();
  impl_->written.notify_all();
}

runtime::Task<void> Socket::discard(Deadline end) {
  const std::shared_ptr<Impl> impl = impl_;
  while (!impl->read_error) {
    impl->in_begin = impl->in_end;
    Impl::start_read(impl);
    HF_CO_TRY_DO(co_await impl->readable.wait_for(left(end)));
  }
  co_return Status{};
}

void Socket::close() {
  shut();
  boost::system::error_code ignored;
  impl_->socket.close(ignored);
}

std::uint64_t Socket::bytes_sent() const { return impl_->sent; }
std::uint64_t Socket::bytes_received() const { return impl_->received; }

}  // namespace holdfast::transport
