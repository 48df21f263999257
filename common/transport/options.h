#pragma once
// Inside transport/ only: what every TCP connection of ours is set to.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace holdfast::transport {

/// No delay: frames are written whole. Keepalive: a peer that vanished is noticed after 60 + 4 × 15 s even by a session
/// that has nothing to send. Best effort: a kernel that refuses one of them still carries the connection.
inline void set_tcp_options(int descriptor) {
  const auto set = [descriptor](int level, int name, int value) {
    (void)setsockopt(descriptor, level, name, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 15);
  set(IPPROTO_TCP, TCP_KEEPCNT, 4);
}

}  // namespace holdfast::transport
