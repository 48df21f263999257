#include "tests/support/relay.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>

#include "common/base/result.h"

namespace holdfast::support {
namespace {

constexpr std::size_t kRecordHeader = 5;
constexpr std::chrono::milliseconds kDelay{30};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return out;
}

int dial(const std::string& server) {
  const auto port = static_cast<std::uint16_t>(std::stoi(server.substr(server.rfind(':') + 1)));
  const sockaddr_in to = loopback(port);
  const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(made, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return made;
  ::close(made);
  return -1;
}

bool send_all(int to, const std::uint8_t* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(to, bytes, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

}  // namespace

struct Relay::Pair {
  int client = -1, server = -1;
  std::thread up, down;
  std::atomic<int> running{2};
  std::atomic<bool> keeps_server{false};  // half dead: the client's side alone was cut
  std::mutex mutex;                       // sent
  std::vector<std::uint8_t> sent;         // by the client
  std::size_t header[2] = {0, 0};         // bytes of the record's header that have come, by way
  std::uint8_t length[2][kRecordHeader] = {};
  std::size_t left[2] = {0, 0}, half[2] = {0, 0};  // of the record's body; strike inside when `left` is `half`

  void cut() {
    ::shutdown(client, SHUT_RDWR);
    ::shutdown(server, SHUT_RDWR);
  }
  ~Pair() {
    cut();
    if (up.joinable()) up.join();
    if (down.joinable()) down.join();
    ::close(client);
    ::close(server);
  }
};

Relay::Relay(std::string server) : server_(std::move(server)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at = loopback(0);
  socklen_t size = sizeof at;
  HF_ASSERT(::bind(listener_, reinterpret_cast<const sockaddr*>(&at), size) == 0 && ::listen(listener_, 16) == 0);
  HF_ASSERT(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
  port_ = ntohs(at.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

Relay::~Relay() {
  leaving_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  reap(true);
}

void Relay::accept_all() {
  while (!leaving_) {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    reap(false);
    const int server = closed_ || leaving_ ? -1 : dial(server_);
    if (server < 0) {
      ::close(client);
      continue;
    }
    ++connections_;
    auto pair = std::make_unique<Pair>();
    pair->client = client;
    pair->server = server;
    Pair& one = *pair;
    const std::lock_guard lock(mutex_);
    pairs_.push_back(std::move(pair));
    one.up = std::thread([this, &one] { pump(one, Way::ToServer); });
    one.down = std::thread([this, &one] { pump(one, Way::ToClient); });
  }
}

void Relay::pump(Pair& pair, Way way) {
  const int from = way == Way::ToServer ? pair.client : pair.server;
  std::uint8_t buffer[32768];
  for (;;) {
    const ssize_t got = ::recv(from, buffer, sizeof buffer, 0);
    if (got <= 0 || !forward(pair, way, buffer, static_cast<std::size_t>(got))) break;
  }
  if (!pair.keeps_server) pair.cut();
  --pair.running;
}

/// Passes bytes on, record by record. False: no more.
bool Relay::forward(Pair& pair, Way way, const std::uint8_t* bytes, std::size_t size) {
  const int to = way == Way::ToServer ? pair.server : pair.client;
  const int w = static_cast<int>(way);
  if (way == Way::ToServer) {
    const std::lock_guard lock(pair.mutex);
    pair.sent.insert(pair.sent.end(), bytes, bytes + size);
  }
  std::size_t begun = 0;  // what was not passed on begins here
  for (std::size_t at = 0; at < size;) {
    if (pair.left[w] == 0) {  // in a header
      if (pair.header[w] == 0) {
        const bool struck = strikes(way, false);
        if (struck && (!send_all(to, bytes + begun, at - begun) || !strike(pair))) return false;
        if (struck) begun = at;
        ++records_[w];
      }
      pair.length[w][pair.header[w]++] = bytes[at++];
      if (pair.header[w] < kRecordHeader) continue;
      pair.header[w] = 0;
      pair.left[w] = static_cast<std::size_t>(pair.length[w][3]) << 8 | pair.length[w][4];
      pair.half[w] = pair.left[w] / 2;
      continue;
    }
    const std::size_t until = pair.left[w] > pair.half[w] ? pair.left[w] - pair.half[w] : pair.left[w];
    const std::size_t step = std::min(until, size - at);
    at += step;
    pair.left[w] -= step;
    if (pair.left[w] != pair.half[w] || pair.left[w] == 0 || !strikes(way, true)) continue;
    if (!send_all(to, bytes + begun, at - begun) || !strike(pair)) return false;
    begun = at;
  }
  return send_all(to, bytes + begun, size - begun);
}

bool Relay::strikes(Way way, bool inside) {
  const std::lock_guard lock(mutex_);
  const std::size_t now = inside ? records_[static_cast<int>(way)] - 1 : records_[static_cast<int>(way)].load();
  if (harmed_ || place_.harm == Harm::None || place_.way != way || place_.inside != inside || place_.record != now)
    return false;
  harmed_ = true;
  return true;
}

/// False: the connection is over.
bool Relay::strike(Pair& pair) {
  Harm harm;
  {
    const std::lock_guard lock(mutex_);
    harm = place_.harm;
  }
  if (harm == Harm::Delay) {
    std::this_thread::sleep_for(kDelay);
    return true;
  }
  if (harm == Harm::Duplicate) {
    pair.keeps_server = true;
    ::shutdown(pair.client, SHUT_RDWR);
    std::vector<std::uint8_t> sent;
    {
      const std::lock_guard lock(pair.mutex);
      sent = pair.sent;
    }
    replay(sent);
    return false;
  }
  const linger reset{1, 0};
  (void)::setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  pair.cut();
  return false;
}

void Relay::replay(const std::vector<std::uint8_t>& bytes) {
  const int again = dial(server_);
  if (again < 0) return;
  (void)send_all(again, bytes.data(), bytes.size());
  const std::lock_guard lock(mutex_);
  replays_.push_back(again);
}

void Relay::reap(bool all) {
  std::list<std::unique_ptr<Pair>> gone;
  const std::lock_guard lock(mutex_);
  for (auto pair = pairs_.begin(); pair != pairs_.end();) {
    const auto next = std::next(pair);
    if (all) (*pair)->cut();
    if (all || ((*pair)->running == 0 && !(*pair)->keeps_server)) gone.splice(gone.end(), pairs_, pair);
    pair = next;
  }
  if (!all) return;
  for (const int one : replays_) ::close(one);
  replays_.clear();
}

void Relay::arm(const Place& place) {
  const std::lock_guard lock(mutex_);
  place_ = place;
  harmed_ = false;
  records_[0] = records_[1] = 0;
}

void Relay::cut_all() { reap(true); }

void Relay::close() {
  closed_ = true;
  cut_all();
}

void Relay::open() { closed_ = false; }

}  // namespace holdfast::support
