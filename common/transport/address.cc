#include "common/transport/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "common/base/bytes.h"

namespace holdfast::transport {
namespace {

/// Names and numeric addresses, a v6 zone (%eth0) included.
constexpr std::string_view kHostAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%";

Error bad_address(std::string_view text) {
  return {Errc::Usage, "'" + printable(text.substr(0, 300)) + "' is no address: HOST:PORT or [V6ADDRESS]:PORT"};
}

}  // namespace

Result<HostPort> parse_host_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos || colon == 0 || text.size() > 300) return bad_address(text);
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return bad_address(text);
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != host.npos) {
    return bad_address(text);  // a v6 address without brackets: where would the port begin?
  }
  if (host.find_first_not_of(kHostAlphabet) != host.npos) return bad_address(text);
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != port.npos) return bad_address(text);
  const unsigned long number = std::stoul(std::string(port));
  if (number > 65535) return bad_address(text);
  return HostPort{std::string(host), static_cast<std::uint16_t>(number)};
}

std::string address_text(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.family() == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &address.storage, sizeof in);
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(in.sin_port));
  }
  if (address.family() == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &address.storage, sizeof in);
    const std::string port = ":" + std::to_string(ntohs(in.sin6_port));
    if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) {
      inet_ntop(AF_INET, &in.sin6_addr.s6_addr[12], text, sizeof text);
      return text + port;
    }
    inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]" + port;
  }
  return "unix";
}

Result<SocketAddress> numeric_address(const HostPort& where) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int rc = getaddrinfo(where.host.c_str(), std::to_string(where.port).c_str(), &hints, &found);
  if (rc != 0) return Error{Errc::Usage, "'" + printable(where.host) + "' is no numeric address"};
  SocketAddress out;
  out.size = found->ai_addrlen;
  std::memcpy(&out.storage, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return out;
}

Result<SocketAddress> unix_address(const std::string& path) {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof un.sun_path || path.find('\0') != path.npos) {
    return Error{Errc::Limit, "the path of a Unix socket has 1 to " + std::to_string(sizeof un.sun_path - 1) +
                                  " bytes: " + printable(path)};
  }
  std::memcpy(un.sun_path, path.data(), path.size());
  SocketAddress out;
  out.size = sizeof un;
  std::memcpy(&out.storage, &un, sizeof un);
  return out;
}

}  // namespace holdfast::transport
