#pragma once
// Inside transport/ only: a connected socket with bounded buffers, and coroutines that wait for them. Hides Asio.
//
// Reads and writes run as callbacks into buffers that the socket owns; coroutines wait on conditions. So a deadline
// leaves nothing half done: the read goes on, and the next wait finds what it brought.

#include <chrono>
#include <memory>

#include "common/base/bytes.h"
#include "common/runtime/task.h"
#include "common/transport/address.h"

namespace holdfast::transport {

using Deadline = std::chrono::steady_clock::time_point;

/// One thread at a time (its loop's). Any number of coroutines may wait.
class Socket {
 public:
  /// Takes over a connected, non-blocking descriptor of `family`.
  Socket(runtime::Loop& loop, int descriptor, int family);
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  /// What has arrived and was not consumed.
  ByteSpan available() const;
  void consume(std::size_t bytes);
  /// Waits until `available` is not empty. Errors: Unreachable (closed by the peer, broken), Timeout, Canceled (closed here).
  runtime::Task<void> fill(Deadline end);

  /// Bytes to send: append, then `kick`. Nothing may be appended once `write_failed`.
  Bytes& outgoing();
  void kick();
  /// Bytes that the kernel has not taken yet.
  std::size_t unsent() const;
  /// Waits until at most `limit` bytes are unsent. Errors: as fill.
  runtime::Task<void> drain(std::size_t limit, Deadline end);

  /// Nothing more is sent or handed out; waiters wake with Canceled. What the peer still sends can be `discard`ed, so that
  /// the kernel does not answer it with a reset that overtakes our last words.
  void shut();
  runtime::Task<void> discard(Deadline end);
  void close();

  std::uint64_t bytes_sent() const;
  std::uint64_t bytes_received() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the callbacks of reads and writes
};

}  // namespace holdfast::transport
