#pragma once
// Why: a client numbers its blobs per connection, a tenant's session outlives connections. In between stand numbers of
// our own, so that an acknowledgement never reaches a connection that did not send that blob.

#include <atomic>
#include <map>
#include <memory>
#include <vector>

#include "server/tenant/tenant.h"

namespace holdfast::session {

/// Blobs of one connection that wait for their acknowledgement; then they are made durable unasked. One that comes again
/// and again fills no pack and no quota, only memory. Clients of ours have at most 48 MiB under way, 4 KiB or more each.
inline constexpr std::size_t kMaxUnacknowledged = 1u << 14;

/// The blobs of one connection on their way into one session. Blocking; one thread at a time.
class Upload {
 public:
  Upload(std::shared_ptr<tenant::Tenant> tenant, const ClientId& client, const SessionId& session);

  const SessionId& session() const { return session_; }
  /// Blobs that are not durable yet.
  bool pending() const { return !numbers_.empty(); }
  /// Returns the client's numbers whose blobs are durable now. Errors: the tenant's.
  Result<std::vector<std::uint64_t>> put(std::uint64_t number, ByteSpan record);
  /// Makes everything durable; returns all numbers that were still open.
  Result<std::vector<std::uint64_t>> flush();

 private:
  std::vector<std::uint64_t> translate(const std::vector<std::uint64_t>& ours);

  std::shared_ptr<tenant::Tenant> tenant_;  ///< shared with Tenants and the connection's caller
  ClientId client_;
  SessionId session_;
  std::map<std::uint64_t, std::uint64_t> numbers_;  ///< ours → the client's
};

}  // namespace holdfast::session
