#pragma once
// Why: the enrolment listener answers strangers; one address must not starve the others, and all of them together must
// not keep the server busy.

#include <map>
#include <string>

#include "common/base/clock.h"

namespace holdfast::session {

/// Token buckets, one per address and one for all; a bucket holds a minute's worth. One thread at a time.
class RateLimit {
 public:
  /// More addresses than this are not told apart: the newcomers share one bucket until others have become full again.
  static constexpr std::size_t kMaxAddresses = 4096;

  RateLimit(const Clock& clock, std::uint64_t per_address_per_minute, std::uint64_t total_per_minute);
  /// Takes one from both buckets, or refuses and takes none. `peer_address` may carry a port; IPv6 counts by /64.
  bool allow(std::string_view peer_address);

 private:
  struct Bucket {
    double filled;
    MonotonicTime at;
  };
  void refill(Bucket& bucket, double most, MonotonicTime now) const;
  Bucket& bucket_of(const std::string& address, MonotonicTime now);

  const Clock& clock_;
  const double per_address_, total_;
  Bucket all_;
  std::map<std::string, Bucket> addresses_;
};

/// ADDR of ADDR:PORT or [V6]:PORT; the first four groups of an IPv6 address as they are written.
std::string rate_key(std::string_view peer_address);

}  // namespace holdfast::session
