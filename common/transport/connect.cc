#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include "common/runtime/condition.h"
#include "common/transport/connection.h"
#include "common/transport/options.h"
#include "common/transport/readiness.h"

namespace holdfast::transport {
namespace {

using Clock = std::chrono::steady_clock;

Result<int> new_socket(int family) {
  const int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return errno_error(errno, "make a socket");
  return descriptor;
}

Error unreachable(int errno_value, const SocketAddress& to) {
  return {Errc::Unreachable, address_text(to) + ": " + errno_error(errno_value, "").message.substr(2)};
}

/// One address: a connected descriptor.
runtime::Task<int> dial(runtime::Loop& loop, SocketAddress to, Deadline end) {
  HF_CO_TRY(const int made, new_socket(to.family()));
  Descriptor descriptor(loop, made, to.family());
  if (::connect(descriptor.get(), to.get(), to.size) != 0) {
    if (errno != EINPROGRESS) co_return unreachable(errno, to);
    const Status waited = co_await descriptor.writable(end);
    if (!waited) co_return Error{waited.error().code, address_text(to) + ": no answer in time"};
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(descriptor.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) co_return unreachable(error, to);
  }
  set_tcp_options(descriptor.get());
  co_return descriptor.release();
}

/// Every address in turn; each may use its share of the time that is left.
runtime::Task<std::shared_ptr<Socket>> dial_any(runtime::Loop& loop, std::vector<SocketAddress> addresses,
                                                Deadline end) {
  Error last{Errc::Unreachable, "no address"};
  std::string tried;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const Deadline now = Clock::now();
    const Deadline share = now + std::max(end - now, Clock::duration(0)) / static_cast<long>(addresses.size() - i);
    const Result<int> connected = co_await dial(loop, addresses[i], share);
    if (connected) co_return std::make_shared<Socket>(loop, *connected, addresses[i].family());
    if (connected.error().code == Errc::Canceled) co_return connected.error();
    last = connected.error();
    tried += (tried.empty() ? "" : "; ") + last.message;
  }
  last.message = tried;
  co_return last;
}

runtime::Task<std::unique_ptr<FrameStream>> shake_hands(std::shared_ptr<Socket> socket,
                                                        std::shared_ptr<const TlsContext> tls, std::string address,
                                                        Deadline end) {
  Connection::Setup setup;
  setup.socket = std::move(socket);
  setup.tls = std::move(tls);
  setup.address = address;
  setup.peer_words = "the server at " + address;
  auto connection = std::make_unique<Connection>(std::move(setup));
  const Status shaken = co_await connection->handshake(end);
  if (!shaken) {
    if (shaken.error().code == Errc::Timeout) {
      co_return Error{Errc::Timeout,
                      "the server at " + address + " accepts connections and does not answer (TLS handshake)"};
    }
    co_return shaken.error();
  }
  std::unique_ptr<FrameStream> stream = std::move(connection);
  co_return stream;
}

}  // namespace

runtime::Task<std::unique_ptr<FrameStream>> connect(runtime::Loop& loop, ClientOptions options) {
  const std::string doing = "connect to " + printable(options.address);
  const Deadline end = runtime::deadline_in(options.connect_deadline);
  HF_CO_TRY(const HostPort where, parse_host_port(options.address));
  HF_CO_TRY(std::shared_ptr<const TlsContext> tls, TlsContext::for_client(options).context(doing));
  Result<std::vector<SocketAddress>> addresses = co_await resolve(loop, where, end);
  if (!addresses) co_return std::move(addresses).error().with_context(doing);
  Result<std::shared_ptr<Socket>> socket = co_await dial_any(loop, std::move(*addresses), end);
  if (!socket) co_return std::move(socket).error().with_context(doing);
  Result<std::unique_ptr<FrameStream>> stream =
      co_await shake_hands(std::move(*socket), std::move(tls), options.address, end);
  if (!stream) co_return std::move(stream).error().with_context(doing);
  co_return std::move(*stream);
}

runtime::Task<std::unique_ptr<FrameStream>> connect_unix(runtime::Loop& loop, std::string path) {
  const std::string doing = "connect to the daemon at " + printable(path);
  HF_CO_TRY(const SocketAddress address, unix_address(path).context(doing));
  HF_CO_TRY(const int descriptor, new_socket(AF_UNIX));
  auto socket = std::make_shared<Socket>(loop, descriptor, AF_UNIX);
  // A Unix socket connects at once or not at all.
  if (::connect(descriptor, address.get(), address.size) != 0) {
    const int error = errno;
    if (error == ENOENT || error == ECONNREFUSED) {
      co_return Error{Errc::Unreachable, doing + ": it is not running (" + errno_error(error, "socket").message +
                                             "); start holdfastd with this data directory"};
    }
    if (error == EAGAIN) co_return Error{Errc::Unreachable, doing + ": it has too many connections waiting; try again"};
    co_return errno_error(error, doing);
  }
  Connection::Setup setup;
  setup.socket = std::move(socket);
  setup.address = path;
  setup.peer_words = "the daemon at " + path;
  std::unique_ptr<FrameStream> stream = std::make_unique<Connection>(std::move(setup));
  co_return stream;
}

}  // namespace holdfast::transport
