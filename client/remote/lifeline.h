#pragma once
// Why: a connection that breaks is not the end of a run. Owns the connection of the moment; when it is lost, the next
// caller dials again, with growing pauses, opens the session again, asks what of the unacknowledged has arrived, sends
// the rest again, and repeats its own call; the others wait. Everything that goes through here may be repeated: questions
// change nothing, a session is opened again by its run, a repeated commit returns the first receipt (PROTOCOL.md, 3).
// What the server refuses is never asked again.

#include "client/remote/link.h"
#include "client/remote/remote.h"
#include "common/base/clock.h"

namespace holdfast::remote {

/// Thread-safe, but for `open`: once, first.
class Lifeline {
 public:
  Lifeline(transport::ClientOptions options, Patience patience);
  ~Lifeline();
  Lifeline(const Lifeline&) = delete;

  /// The first connection. It may break in its making, so it is tried three times, within half a second: a server that is not
  /// there at all is to be said soon.
  Status open();

  /// The server's answer. Errors: its refusal; Canceled; the loss, when patience has ended.
  Result<v1::Response> ask(const v1::Request& request, std::chrono::nanoseconds deadline);
  /// The same for an OpenSession: from now on this session belongs to every connection.
  Result<v1::Response> open_session(const v1::Request& request);
  /// Kept until its acknowledgement; blocks while more than kMaxUnackedBytes are.
  Status put(Bytes record);
  /// Repeats `request`, a Flush, until everything put before is acknowledged.
  Status flush(const v1::Request& request);
  /// As Remote::fetch; what was answered once is not asked for again.
  Status fetch(const Subject& subject, const std::vector<WantedBlob>& wanted,
               const std::function<Status(std::size_t, Result<Bytes>)>& got);
  void cancel();

  TenantId tenant() const { return tenant_; }
  ClientId client() const { return client_; }
  std::chrono::nanoseconds clock_skew() const { return skew_; }
  std::uint64_t bytes_sent() const;  ///< all connections together
  std::uint64_t bytes_received() const;
  Error protocol_error(std::string_view what) const;

 private:
  using LinkPtr = std::shared_ptr<Link>;  ///< shared by the calls that are under way on it
  /// A time without a connection that got anything done.
  struct Trouble {
    MonotonicTime since;
    int attempts = 0;
  };

  Result<LinkPtr> current();
  Result<LinkPtr> revive(Error why);
  Result<LinkPtr> dial(std::chrono::nanoseconds limit, bool* lost);
  std::optional<Status> go_on(Link& link, std::chrono::nanoseconds limit);
  std::optional<Status> settle(Link& link, const std::string& session);
  void count(const Link& link);  ///< mutex_ held
  Status pause(std::chrono::nanoseconds time) const;
  std::chrono::nanoseconds pause_before(int attempt) const;
  void adopt(const LinkPtr& link);
  void progress(const LinkPtr& link);
  void acknowledged(const std::vector<std::uint64_t>& tags);
  void tell(const std::string& what) const;
  bool stopped() const { return canceled_ || (patience_.stop != nullptr && *patience_.stop); }

  const transport::ClientOptions options_;
  const Patience patience_;
  std::atomic<bool> canceled_{false};

  mutable std::mutex mutex_;  // everything below; never held while a link is dialled, asked or destroyed
  std::condition_variable changed_;
  LinkPtr link_;
  bool reviving_ = false;
  std::optional<Error> failure_;
  std::optional<Trouble> trouble_;
  std::optional<v1::OpenSession> session_;  // as it is opened again
  std::uint64_t next_blob_ = 1, ack_count_ = 0;
  std::map<std::uint64_t, Link::Record> unacked_;
  std::size_t unacked_bytes_ = 0;
  std::uint64_t past_sent_ = 0, past_received_ = 0;  // of connections that are no more

  TenantId tenant_;  // written by `open`
  ClientId client_;
  std::chrono::nanoseconds skew_{};
};

}  // namespace holdfast::remote
