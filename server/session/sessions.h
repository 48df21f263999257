#pragma once
// Why: who is connected right now: to cut the revoked, to end in order on SIGTERM, to let a client that comes back take
// over from its own dead connection, and to bound what all of them together hold in memory.

#include <functional>
#include <list>
#include <optional>

#include "common/base/ids.h"
#include "common/identity/identity.h"
#include "common/runtime/condition.h"

namespace holdfast::session {

/// What one connection lets others do to it.
struct Connection {
  identity::Name name;
  std::function<void()> finish;     ///< end after what has arrived; from drain
  std::function<void()> cut;        ///< end now
  std::optional<SessionId> upload;  ///< the session that its blobs go to
};

/// One thread at a time: the loop's.
class Sessions {
 public:
  /// In the list from construction to destruction.
  class Entry {
   public:
    Entry(Sessions& sessions, Connection connection);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    /// Blobs of `session` come through this connection from now on; an older connection of the same session is cut.
    void claim(const SessionId& session);

   private:
    Sessions& sessions_;
    std::list<Connection>::iterator self_;
  };

  std::size_t size() const { return connections_.size(); }
  std::size_t size(const identity::Name& name) const;  ///< of that name
  /// Cuts everybody of that name; how many there were.
  std::size_t cut(const identity::Name& name);
  /// Ends every connection in order, those too that come later; what is left after `deadline` is cut.
  runtime::Task<void> drain(std::chrono::nanoseconds deadline);

  // ---- memory of frames that wait to be handled, all connections together ----
  static constexpr std::size_t kMaxWaitingBytes = 256u << 20;
  void add_waiting(std::size_t bytes) { waiting_bytes_ += bytes; }
  void handled(std::size_t bytes);
  bool room() const { return waiting_bytes_ < kMaxWaitingBytes; }
  std::size_t waiting_bytes() const { return waiting_bytes_; }
  runtime::Condition& changed() { return changed_; }

 private:
  std::list<Connection> connections_;
  bool draining_ = false;
  std::size_t waiting_bytes_ = 0;
  runtime::Condition changed_;  ///< a connection has gone, or waiting frames were handled
};

}  // namespace holdfast::session
