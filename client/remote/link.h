#pragma once
// Why: one connection to the server, used up when it breaks: requests and their answers, blobs and their
// acknowledgements, blobs that were asked for. A FrameStream on a thread of its own; every wait has a deadline, every
// buffer a bound. Who goes on after its end, and with what, is remote.cc's business.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <thread>

#include "client/remote/messages.h"
#include "common/runtime/condition.h"

namespace holdfast::remote {

inline constexpr std::chrono::nanoseconds kCallDeadline = std::chrono::seconds(120);     ///< covers fsyncs under load
inline constexpr std::chrono::nanoseconds kCommitDeadline = std::chrono::seconds(1800);  ///< walks the whole new tree
inline constexpr std::chrono::nanoseconds kAckDeadline = std::chrono::seconds(300);  ///< no ack while blobs wait for it

/// Thread-safe, but for `open`: once, first. Destroyed: closes the connection and waits for its thread.
class Link {
 public:
  using Record = std::shared_ptr<const Bytes>;  ///< shared with whoever keeps it until its acknowledgement
  /// Both are called on the link's thread, without any lock held.
  struct Events {
    std::function<void(const std::vector<std::uint64_t>& tags)> acked;
    std::function<void()> ended;
  };
  /// Why no more comes.
  struct End {
    Error error;
    bool lost = false;  ///< the network's or the server's leaving, not a refusal: another connection may do better
  };

  Link(std::string address, Events events);
  ~Link();
  Link(const Link&) = delete;

  /// Connects and says hello. Errors: Unreachable, Timeout, Denied, TooNew, …; Canceled as soon as `canceled` says so
  /// (asked a few times a second).
  Status open(transport::ClientOptions options, const std::function<bool()>& canceled);
  TenantId tenant() const { return tenant_; }
  ClientId client() const { return client_; }
  std::chrono::nanoseconds clock_skew() const { return skew_; }

  /// The server's answer, or its refusal; nullopt: the link has ended without one.
  std::optional<Result<v1::Response>> call(const v1::Request& request, std::chrono::nanoseconds deadline);
  /// Queues a blob frame. After the end: nothing.
  void send_blob(std::uint64_t tag, Record record);
  /// One fetch at a time. `got`: index into `wanted`, on the caller's thread. Errors: the server's, or `got`'s; nullopt:
  /// the link has ended before all were answered.
  std::optional<Status> fetch(const Subject& subject, std::span<const WantedBlob> wanted,
                              const std::function<Status(std::size_t, Result<Bytes>)>& got);

  bool ended() const { return ended_; }
  std::optional<End> end() const;
  /// Ends the link from this side. The first end counts.
  void give_up(Error error, bool lost);
  Error timeout(std::string_view doing) const;
  Error protocol_error(std::string_view what) const;

  std::uint64_t bytes_sent() const { return sent_; }
  std::uint64_t bytes_received() const { return received_; }

 private:
  struct Pending;
  struct FetchPart;
  struct Outgoing {
    transport::Frame frame;
    Record record;  ///< of a blob frame: copied into it at the last moment
  };

  // ---- on the link's thread ----
  runtime::Task<void> dial(transport::ClientOptions options);
  void dialed(Status status);
  void coroutine_ended(Status status);
  runtime::Task<void> read_all();
  Status dispatch(transport::Frame frame);
  Status pushed(const v1::Response& response);
  Status take_fetched(transport::Frame frame);
  Status take_answer(std::uint64_t tag, v1::Response response);
  Result<bool> end_fetch(std::uint64_t tag, const v1::Response& response);
  runtime::Task<void> write_all();
  runtime::Task<void> keep_alive();
  void count_bytes();
  void finish(Error error, bool lost);

  // ---- on callers' threads ----
  Status say_hello();
  void enqueue(Outgoing one);  ///< mutex_ held
  std::shared_ptr<FetchPart> start_fetch(const Subject& subject, std::span<const WantedBlob> wanted);
  std::optional<Status> finish_fetch(std::size_t first, FetchPart& part,
                                     const std::function<Status(std::size_t, Result<Bytes>)>& got);
  void drain(FetchPart& part);
  Status refuse(std::string_view what);

  const std::string address_;
  const Events events_;
  runtime::Loop loop_;
  std::thread thread_;
  std::unique_ptr<transport::FrameStream> stream_;  // made and used on the loop's thread
  runtime::Condition leaving_;                      // the loop's thread only: wakes keep_alive

  std::mutex fetch_mutex_;    // one fetch at a time
  mutable std::mutex mutex_;  // everything below, up to the greeting
  std::condition_variable changed_;
  std::optional<End> end_;
  bool open_ = false, closing_ = false, writing_ = false;
  int running_ = 0;                // coroutines on the loop
  std::deque<Outgoing> outgoing_;  // bounded by kMaxUnackedBytes and by callers waiting for their answers
  std::uint64_t next_tag_ = 1;
  std::map<std::uint64_t, std::shared_ptr<Pending>> calls_;
  std::set<std::uint64_t> abandoned_;  // tags whose answer nobody waits for
  std::deque<std::pair<std::uint64_t, std::shared_ptr<FetchPart>>> fetches_;
  std::set<std::uint64_t> unacked_;

  TenantId tenant_;  // the greeting: written by `open`
  ClientId client_;
  std::chrono::nanoseconds skew_{};
  std::atomic<bool> ended_{false};
  std::atomic<std::uint64_t> sent_{0}, received_{0};
};

}  // namespace holdfast::remote
