#pragma once
// HOST:PORT and [V6]:PORT, in text and for the kernel.

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/runtime/task.h"

namespace holdfast::transport {

struct HostPort {
  std::string host;  ///< a name or a numeric address, without brackets
  std::uint16_t port = 0;
};
/// Port 0…65535. Errors: Usage.
Result<HostPort> parse_host_port(std::string_view text);

/// A socket address of any family. Value type.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};
/// 127.0.0.1:80, [::1]:80; a v4 address mapped into v6 is shown as v4.
std::string address_text(const SocketAddress& address);
/// Errors: Usage when `host` is no numeric address.
Result<SocketAddress> numeric_address(const HostPort& where);
/// Path of a Unix socket. Errors: Limit when it is longer than the kernel takes (107 bytes).
Result<SocketAddress> unix_address(const std::string& path);
/// Every address of the name, v6 and v4, in the system's order (RFC 6724), at most 16. Errors: Unreachable, Timeout.
runtime::Task<std::vector<SocketAddress>> resolve(runtime::Loop& loop, HostPort where,
                                                  std::chrono::steady_clock::time_point end);

}  // namespace holdfast::transport
