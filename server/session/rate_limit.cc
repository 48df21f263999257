#include "server/session/rate_limit.h"

#include <arpa/inet.h>

#include <algorithm>

#include "common/base/bytes.h"

namespace holdfast::session {

std::string rate_key(std::string_view peer_address) {
  std::string host(peer_address);
  if (host.starts_with('[')) {
    host = host.substr(1, host.find(']') - 1);
  } else if (const std::size_t colon = host.find(':'); colon != std::string::npos && colon == host.rfind(':')) {
    host.resize(colon);
  }
  in6_addr v6{};
  if (::inet_pton(AF_INET6, host.c_str(), &v6) != 1) return host;
  // An IPv4 client of a dual-stack listener (RFC 4291 §2.5.5.2) is one address, not a share of one /64.
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return to_hex({v6.s6_addr + 12, 4});
  return to_hex({v6.s6_addr, 8});
}

RateLimit::RateLimit(const Clock& clock, std::uint64_t per_address_per_minute, std::uint64_t total_per_minute)
    : clock_(clock),
      per_address_(static_cast<double>(per_address_per_minute)),
      total_(static_cast<double>(total_per_minute)),
      all_{total_, clock.monotonic()} {}

void RateLimit::refill(Bucket& bucket, double most, MonotonicTime now) const {
  const double minutes = std::chrono::duration<double, std::ratio<60>>(now - bucket.at).count();
  bucket.filled = std::min(most, bucket.filled + std::max(0.0, minutes) * most);
  bucket.at = now;
}

RateLimit::Bucket& RateLimit::bucket_of(const std::string& address, MonotonicTime now) {
  if (const auto found = addresses_.find(address); found != addresses_.end()) return found->second;
  if (addresses_.size() >= kMaxAddresses) {
    std::erase_if(addresses_, [&](const auto& item) {
      Bucket bucket = item.second;
      refill(bucket, per_address_, now);
      return bucket.filled >= per_address_;
    });
  }
  const std::string key = addresses_.size() >= kMaxAddresses ? "others" : address;
  return addresses_.try_emplace(key, Bucket{per_address_, now}).first->second;
}

bool RateLimit::allow(std::string_view peer_address) {
  const MonotonicTime now = clock_.monotonic();
  Bucket& mine = bucket_of(rate_key(peer_address), now);
  refill(mine, per_address_, now);
  refill(all_, total_, now);
  if (mine.filled < 1 || all_.filled < 1) return false;
  mine.filled -= 1;
  all_.filled -= 1;
  return true;
}

}  // namespace holdfast::session
