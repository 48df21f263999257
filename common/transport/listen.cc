#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <list>
#include <set>

#include "common/base/log.h"
#include "common/runtime/condition.h"
#include "common/runtime/timer.h"
#include "common/transport/connection.h"
#include "common/transport/options.h"
#include "common/transport/readiness.h"

namespace holdfast::transport {
namespace {

constexpr int kBacklog = 512;
constexpr int kAcceptAtOnce = 64;                            ///< then others get their turn on the loop
constexpr std::chrono::milliseconds kOutOfDescriptors{200};  ///< pause when the process has none left
constexpr std::chrono::seconds kLastWords{1};                ///< to read a refusal or the end of a session

/// What a listener and its connections share; lives until the last of them has ended.
struct State : std::enable_shared_from_this<State> {
  State(runtime::Loop& l, Serve s) : loop(l), serve(std::move(s)) {}

  runtime::Loop& loop;
  Serve serve;
  std::shared_ptr<const TlsContext> tls;  ///< none: Unix socket
  std::chrono::nanoseconds handshake_deadline{};
  std::size_t max_connections = 0;
  std::unique_ptr<Descriptor> listening;
  std::string address;
  std::string unix_path;
  std::pair<dev_t, ino_t> unix_file{};
  runtime::Timer retry;
  std::set<std::shared_ptr<Socket>> sockets;     ///< shared with the connections; here to close them all
  std::list<std::shared_ptr<Socket>> strangers;  ///< those that have not finished the handshake, oldest first
  std::size_t connections = 0;
  runtime::Condition ended;

  void wait();
  void accept_some();
  void accepted(int descriptor, const SocketAddress& from);
  void make_room_for_stranger();
  void close();
};

void log_refusal(std::string_view why, const std::string& address) {
  log::warning("handshake refused", {{"reason", why}, {"address", address}});
}

// ---- one connection ----

/// Our last words (an alert, a failure) get out, and what the peer still sends is read: else the kernel's reset could
/// overtake them.
runtime::Task<void> last_words(std::shared_ptr<Socket> socket) {
  const Deadline end = runtime::deadline_in(kLastWords);
  socket->kick();
  (void)co_await socket->drain(0, end);
  socket->shut();
  (void)co_await socket->discard(end);
  socket->close();
  co_return Status{};
}

runtime::Task<void> serve_one(std::shared_ptr<State> state, std::shared_ptr<Socket> socket,
                              std::unique_ptr<Connection> connection) {
  const std::string address = connection->peer_address();
  if (state->tls) {
    const Status shaken = co_await connection->handshake(runtime::deadline_in(state->handshake_deadline));
    state->strangers.remove(socket);
    if (!shaken) {
      const bool late = shaken.error().code == Errc::Timeout;
      // Canceled is our own stop.
      if (shaken.error().code != Errc::Canceled) {
        log_refusal(late ? "the handshake was not finished in time" : shaken.error().message, address);
      }
      co_return Status{};
    }
  }
  std::unique_ptr<FrameStream> stream = std::move(connection);
  runtime::Task<void> session = state->serve(std::move(stream));
  const Status served = co_await std::move(session);
  if (!served) log::debug("connection ended", {{"reason", served.error().message}, {"address", address}});
  co_return Status{};
}

runtime::Task<void> run_connection(std::shared_ptr<State> state, std::shared_ptr<Socket> socket, std::string address,
                                   std::optional<std::uint32_t> uid) {
  Connection::Setup setup;
  setup.socket = socket;
  setup.tls = state->tls;
  setup.address = address;
  setup.uid = uid;
  setup.peer_words = "the peer at " + address;
  setup.lingers = true;
  auto connection = std::make_unique<Connection>(std::move(setup));
  try {
    runtime::Task<void> one = serve_one(state, socket, std::move(connection));
    (void)co_await std::move(one);
  } catch (const std::exception& e) {
    log::error("a session ended by an exception", {{"what", e.what()}, {"address", address}});
  } catch (...) {
    log::error("a session ended by an exception", {{"what", "an unknown type"}, {"address", address}});
  }
  co_return co_await last_words(socket);
}

// ---- accepting ----

/// Unix sockets: root and our own user. The mode of the file says so too; this holds when the file was opened up.
bool may_use(int descriptor, std::string& who, std::optional<std::uint32_t>& uid) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  who = "unix uid " + std::to_string(peer.uid) + " pid " + std::to_string(peer.pid);
  uid = peer.uid;
  return peer.uid == 0 || peer.uid == geteuid();
}

void State::wait() {
  listening->when_readable([weak = weak_from_this()] {
    if (const std::shared_ptr<State> self = weak.lock()) self->accept_some();
  });
}

void State::accept_some() {
  for (int i = 0; i < kAcceptAtOnce; ++i) {
    SocketAddress from;
    from.size = sizeof from.storage;
    const int descriptor = accept4(listening->get(), from.get(), &from.size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor >= 0) {
      accepted(descriptor, from);
      continue;
    }
    if (errno == EAGAIN) break;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      log::error("cannot accept connections", {{"reason", errno_error(errno, "accept").message}, {"address", address}});
      retry = runtime::after(loop, kOutOfDescriptors, [weak = weak_from_this()] {
        if (const std::shared_ptr<State> self = weak.lock(); self && self->listening) self->wait();
      });
      return;
    }
    // Everything else concerns that one connection (accept(2)): it was gone before we came.
  }
  wait();
}

void State::accepted(int descriptor, const SocketAddress& from) {
  std::string who = address_text(from);
  std::optional<std::uint32_t> uid;
  if (!tls && !may_use(descriptor, who, uid)) {
    log::warning("connection refused", {{"reason", "another user"}, {"address", who}});
    ::close(descriptor);
    return;
  }
  if (connections >= max_connections) {
    log::warning("connection refused",
                 {{"reason", "too many connections"}, {"limit", max_connections}, {"address", who}});
    ::close(descriptor);
    return;
  }
  if (tls) set_tcp_options(descriptor);
  ++connections;
  const auto socket = std::make_shared<Socket>(loop, descriptor, from.family());
  sockets.insert(socket);
  if (tls) {
    make_room_for_stranger();
    strangers.push_back(socket);
  }
  loop.spawn(run_connection(shared_from_this(), socket, who, uid), [self = shared_from_this(), socket](Status) {
    self->sockets.erase(socket);
    --self->connections;
    self->ended.notify_all();
  });
}

/// Whoever opens connections and says nothing must not keep those out that have a certificate: a healthy handshake takes
/// a few round trips, so the one that has waited longest goes.
void State::make_room_for_stranger() {
  if (strangers.size() < std::max<std::size_t>(1, max_connections / 4)) return;
  log::warning("handshake refused", {{"reason", "too many handshakes at once; this one was the oldest"},
                                     {"limit", max_connections / 4},
                                     {"address", address}});
  strangers.front()->close();
  strangers.pop_front();
}

void State::close() {
  retry.cancel();
  if (!listening) return;
  listening.reset();
  if (unix_path.empty()) return;
  struct stat now{};  // only if it is still ours: another daemon may have put its own there
  if (lstat(unix_path.c_str(), &now) == 0 && unix_file == std::pair(now.st_dev, now.st_ino)) unlink(unix_path.c_str());
}

class ListenerImpl final : public Listener {
 public:
  explicit ListenerImpl(std::shared_ptr<State> state) : state_(std::move(state)) {}
  ~ListenerImpl() override { state_->close(); }
  std::string address() const override { return state_->address; }
  void close() override { state_->close(); }
  std::size_t connections() const override { return state_->connections; }
  void close_connections() override {
    for (const std::shared_ptr<Socket>& socket : state_->sockets) socket->shut();
  }
  runtime::Task<void> drained(std::chrono::nanoseconds deadline) override { return wait_drained(state_, deadline); }

 private:
  static runtime::Task<void> wait_drained(std::shared_ptr<State> state, std::chrono::nanoseconds deadline) {
    const Deadline end = runtime::deadline_in(deadline);
    while (state->connections > 0) HF_CO_TRY_DO(co_await state->ended.wait_for(end - std::chrono::steady_clock::now()));
    co_return Status{};
  }
  std::shared_ptr<State> state_;  // shared with the connections
};

Result<std::unique_ptr<Listener>> start(std::shared_ptr<State> state) {
  if (state->listening->get() < 0) return Error{Errc::Io, "listen on " + state->address + ": no event queue"};
  // Posted: the listener belongs to the loop's thread, which may not run yet.
  state->loop.post([weak = std::weak_ptr<State>(state)] {
    if (const std::shared_ptr<State> self = weak.lock(); self && self->listening) self->wait();
  });
  return std::unique_ptr<Listener>(std::make_unique<ListenerImpl>(std::move(state)));
}

/// Closes on every way out but release().
struct Holder {
  int descriptor;
  ~Holder() {
    if (descriptor >= 0) ::close(descriptor);
  }
  int release() { return std::exchange(descriptor, -1); }
};

Result<int> bind_tcp(const SocketAddress& address) {
  Holder holder{socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (holder.descriptor < 0) return errno_error(errno, "make a socket");
  const int on = 1, off = 0;
  (void)setsockopt(holder.descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.family() == AF_INET6) (void)setsockopt(holder.descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (bind(holder.descriptor, address.get(), address.size) != 0) return errno_error(errno, "bind");
  if (::listen(holder.descriptor, kBacklog) != 0) return errno_error(errno, "listen");
  return holder.release();
}

/// A socket file that nobody answers on is left over from a daemon that died.
Status remove_stale(const std::string& path, const SocketAddress& address) {
  struct stat found{};
  if (lstat(path.c_str(), &found) != 0) return {};
  if (!S_ISSOCK(found.st_mode)) return Error{Errc::Exists, printable(path) + " exists and is no socket"};
  const Holder probe{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (probe.descriptor < 0) return errno_error(errno, "make a socket");
  if (connect(probe.descriptor, address.get(), address.size) == 0 || errno == EAGAIN) {
    return Error{Errc::Locked, "another daemon answers on " + printable(path) + ": stop it first"};
  }
  if (errno != ECONNREFUSED) return errno_error(errno, "look at " + printable(path));
  if (unlink(path.c_str()) != 0) return errno_error(errno, "remove " + printable(path));
  return {};
}

Result<int> bind_unix(const std::string& path, const SocketAddress& address) {
  Holder holder{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (holder.descriptor < 0) return errno_error(errno, "make a socket");
  if (bind(holder.descriptor, address.get(), address.size) != 0) return errno_error(errno, "bind");
  // Nobody can connect between bind and listen, so the mode is never too wide, whatever the umask.
  if (chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0) return errno_error(errno, "chmod");
  if (::listen(holder.descriptor, kBacklog) != 0) return errno_error(errno, "listen");
  return holder.release();
}

}  // namespace

Result<std::unique_ptr<Listener>> listen(runtime::Loop& loop, ServerOptions options, Serve serve) {
  const std::string doing = "listen on " + printable(options.listen);
  HF_TRY(const HostPort where, parse_host_port(options.listen));
  HF_TRY(const SocketAddress address, numeric_address(where).context(doing));
  auto state = std::make_shared<State>(loop, std::move(serve));
  HF_TRY(state->tls, TlsContext::for_server(options).context(doing));
  state->handshake_deadline = options.handshake_deadline;
  state->max_connections = options.max_connections;
  HF_TRY(const int descriptor, bind_tcp(address).context(doing));
  SocketAddress bound;
  bound.size = sizeof bound.storage;
  getsockname(descriptor, bound.get(), &bound.size);
  state->address = address_text(bound);
  state->listening = std::make_unique<Descriptor>(loop, descriptor, address.family());
  return start(std::move(state));
}

Result<std::unique_ptr<Listener>> listen_unix(runtime::Loop& loop, const std::string& path, Serve serve) {
  constexpr std::size_t kMaxUnixConnections = 64;
  const std::string doing = "listen on " + printable(path);
  HF_TRY(const SocketAddress address, unix_address(path).context(doing));
  HF_TRY_DO(remove_stale(path, address).context(doing));
  HF_TRY(const int descriptor, bind_unix(path, address).context(doing));
  auto state = std::make_shared<State>(loop, std::move(serve));
  state->max_connections = kMaxUnixConnections;
  state->address = path;
  state->unix_path = path;
  struct stat made{};
  if (lstat(path.c_str(), &made) == 0) state->unix_file = {made.st_dev, made.st_ino};
  state->listening = std::make_unique<Descriptor>(loop, descriptor, AF_UNIX);
  return start(std::move(state));
}

}  // namespace holdfast::transport
