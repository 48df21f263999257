#pragma once
// Inside transport/ only: waiting for a descriptor that no Socket owns yet (listening, connecting). Hides Asio.

#include <functional>
#include <memory>

#include "common/transport/socket.h"

namespace holdfast::transport {

/// Owns a non-blocking descriptor. One thread at a time (its loop's).
class Descriptor {
 public:
  Descriptor(runtime::Loop& loop, int descriptor, int family);
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const;
  /// Gives the descriptor away.
  int release();
  /// Calls `ready` on the loop once there is something to accept. Not called any more once closed.
  void when_readable(std::function<void()> ready);
  /// Waits until connected or refused. Errors: Timeout, Canceled.
  runtime::Task<void> writable(Deadline end);
  void close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the pending wait
};

}  // namespace holdfast::transport
