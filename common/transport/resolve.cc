#include <boost/asio/ip/tcp.hpp>

#include "common/base/bytes.h"
#include "common/runtime/condition.h"
#include "common/runtime/loop_impl.h"
#include "common/transport/address.h"

namespace holdfast::transport {
namespace {

using boost::asio::ip::tcp;
constexpr std::size_t kMaxAddresses = 16;

/// Shared with the resolver's handler, which may come after the caller has given up.
struct Lookup {
  explicit Lookup(boost::asio::io_context& io) : resolver(io) {}
  tcp::resolver resolver;
  bool done = false;
  boost::system::error_code error;
  std::vector<SocketAddress> found;
  runtime::Condition ended;
};

void start(const std::shared_ptr<Lookup>& lookup, const HostPort& where) {
  lookup->resolver.async_resolve(
      where.host, std::to_string(where.port),
      [lookup](const boost::system::error_code& error, const tcp::resolver::results_type& results) {
        lookup->done = true;
        lookup->error = error;
        for (const auto& entry : results) {
          if (lookup->found.size() == kMaxAddresses) break;
          SocketAddress address;
          address.size = static_cast<socklen_t>(entry.endpoint().size());
          std::memcpy(&address.storage, entry.endpoint().data(), entry.endpoint().size());
          lookup->found.push_back(address);
        }
        lookup->ended.notify_all();
      });
}

}  // namespace

runtime::Task<std::vector<SocketAddress>> resolve(runtime::Loop& loop, HostPort where,
                                                  std::chrono::steady_clock::time_point end) {
  const Result<SocketAddress> numeric = numeric_address(where);
  if (numeric) {
    std::vector<SocketAddress> one(1, *numeric);
    co_return one;
  }
  const auto lookup = std::make_shared<Lookup>(loop.impl().io);
  start(lookup, where);
  while (!lookup->done) {
    const Status waited = co_await lookup->ended.wait_for(end - std::chrono::steady_clock::now());
    if (!waited) {
      lookup->resolver.cancel();
      co_return Error{waited.error().code, "look up the name " + printable(where.host) + ": " + waited.error().message};
    }
  }
  if (lookup->error || lookup->found.empty()) {
    co_return Error{Errc::Unreachable, "the name " + printable(where.host) + " has no address (" +
                                           lookup->error.message() + "): check the spelling and the name server"};
  }
  co_return std::move(lookup->found);
}

}  // namespace holdfast::transport
