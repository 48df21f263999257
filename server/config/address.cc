#include <arpa/inet.h>

#include <charconv>

#include "common/base/bytes.h"
#include "server/config/config.h"

namespace holdfast::config {
namespace {

Result<Address> parse(std::string_view text, bool port_needed) {
  const Error bad{Errc::Usage,
                  "not an address such as backup.example.org:8700 or [2001:db8::1]:8700: '" + printable(text) + "'"};
  constexpr std::size_t kMaxHost = 253;  // RFC 1035 §2.3.4
  Address address;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return bad;
    address.host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
  } else {
    const std::size_t colon = text.find(':');
    if (colon != text.rfind(':')) return bad;  // IPv6 without brackets: which part would be the port?
    address.host = text.substr(0, colon);
    if (colon != std::string_view::npos) rest = text.substr(colon);
  }
  for (const char c : address.host) {
    if (c <= ' ' || c == '/' || static_cast<unsigned char>(c) >= 0x7F) return bad;
  }
  if (address.host.size() > kMaxHost) return bad;
  if (rest.empty()) return port_needed ? Result<Address>(bad) : Result<Address>(std::move(address));
  if (rest[0] != ':' || rest.size() < 2) return bad;
  const char* const end = rest.data() + rest.size();
  const auto [at, failure] = std::from_chars(rest.data() + 1, end, address.port);
  if (failure != std::errc{} || at != end) return bad;
  return address;
}

}  // namespace

std::string Address::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool Address::wildcard() const {
  in_addr v4{};
  in6_addr v6{};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return v4.s_addr == INADDR_ANY;
  return ::inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6);
}

bool Address::numeric() const {
  in_addr v4{};
  in6_addr v6{};
  return ::inet_pton(AF_INET, host.c_str(), &v4) == 1 || ::inet_pton(AF_INET6, host.c_str(), &v6) == 1;
}

Result<Address> parse_address(std::string_view text) {
  HF_TRY(Address address, parse(text, true));
  if (address.host.empty() || address.host == "*") address.host = "0.0.0.0";
  return address;
}

Result<Address> parse_public(std::string_view text) {
  HF_TRY(Address address, parse(text, false));
  if (address.host.empty()) return Error{Errc::Usage, "no host name in '" + printable(text) + "'"};
  return address;
}

}  // namespace holdfast::config
