#pragma once
// A relay on loopback between a client and a server, over real sockets, that does harm at one place. Places are counted in
// TLS records (RFC 8446, section 5.1), in one direction, over all connections: a frame of ours is one record, or begins
// with one. It reads nothing but the records' lengths.

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace holdfast::support {

/// Thread-safe. Destroyed: every connection is cut.
class Relay {
 public:
  enum class Harm {
    None,
    Cut,        ///< both sides see the connection break
    Delay,      ///< it goes on a little later
    Duplicate,  ///< the client's side breaks, the server's stays as it is; and what the client had sent arrives once more
  };
  enum class Way { ToServer, ToClient };
  struct Place {
    Harm harm = Harm::None;
    Way way = Way::ToServer;
    std::size_t record = 0;  ///< from 0
    bool inside = false;     ///< in the middle of that record, not before it
  };

  /// `server`: 127.0.0.1:PORT
  explicit Relay(std::string server);
  ~Relay();
  Relay(const Relay&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  /// Counts from here on, and does this harm once.
  void arm(const Place& place);
  bool harmed() const { return harmed_; }
  std::size_t records(Way way) const { return records_[static_cast<int>(way)]; }
  std::size_t connections() const { return connections_; }
  /// New connections are refused at once and those that are there are cut, until `open` is called.
  void close();
  void open();
  /// Cuts those whose client's side is gone, too: what Duplicate has left.
  void cut_all();

 private:
  struct Pair;
  void accept_all();
  void pump(Pair& pair, Way way);
  bool forward(Pair& pair, Way way, const std::uint8_t* bytes, std::size_t size);
  bool strikes(Way way, bool inside);
  bool strike(Pair& pair);
  void replay(const std::vector<std::uint8_t>& bytes);
  void reap(bool all);

  const std::string server_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread acceptor_;
  std::mutex mutex_;  // pairs_, place_
  std::list<std::unique_ptr<Pair>> pairs_;
  std::vector<int> replays_;
  Place place_;
  std::atomic<bool> harmed_{false}, closed_{false}, leaving_{false};
  std::atomic<std::size_t> records_[2] = {0, 0}, connections_{0};
};

}  // namespace holdfast::support
