#include "server/session/sessions.h"

#include <algorithm>

#include "common/base/log.h"

namespace holdfast::session {

Sessions::Entry::Entry(Sessions& sessions, Connection connection)
    : sessions_(sessions), self_(sessions.connections_.insert(sessions.connections_.end(), std::move(connection))) {
  if (sessions_.draining_) self_->finish();
}

Sessions::Entry::~Entry() {
  sessions_.connections_.erase(self_);
  sessions_.changed_.notify_all();
}

void Sessions::Entry::claim(const SessionId& session) {
  for (auto other = sessions_.connections_.begin(); other != sessions_.connections_.end(); ++other) {
    if (other == self_ || other->upload != session) continue;
    log::info("older connection of a session cut", {{"session", session.short_hex()}, {"peer", other->name.uri()}});
    other->upload.reset();
    other->cut();
  }
  self_->upload = session;
}

std::size_t Sessions::size(const identity::Name& name) const {
  return static_cast<std::size_t>(std::count_if(connections_.begin(), connections_.end(),
                                                [&](const Connection& connection) { return connection.name == name; }));
}

std::size_t Sessions::cut(const identity::Name& name) {
  std::size_t count = 0;
  for (Connection& connection : connections_) {
    if (connection.name != name) continue;
    connection.cut();  // closes the stream; the connection leaves the list when its coroutine ends
    ++count;
  }
  return count;
}

runtime::Task<void> Sessions::drain(std::chrono::nanoseconds deadline) {
  draining_ = true;
  for (Connection& connection : connections_) connection.finish();
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!connections_.empty()) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left <= left.zero()) break;
    const Status waited = co_await changed_.wait_for(left);
    if (!waited && waited.error().code != Errc::Timeout) break;
  }
  if (connections_.empty()) co_return Status{};
  const std::size_t left = connections_.size();
  for (Connection& connection : connections_) connection.cut();
  co_return Error{Errc::Timeout, std::to_string(left) + " connections did not end in time and were cut"};
}

void Sessions::handled(std::size_t bytes) {
  waiting_bytes_ -= bytes;
  changed_.notify_all();
}

}  // namespace holdfast::session
