#pragma once
// Why: who may use this tenant: invitations, enrolment (a one-time token, used exactly once), revocation.

#include "server/tenant/parts.h"

namespace holdfast::tenant {

/// Thread-safe.
class Clients {
 public:
  explicit Clients(Parts& parts) : parts_(parts) {}

  /// A new client, or a new token for one that is not enrolled; a revoked client keeps its id and its snapshots.
  /// Errors: Exists (enrolled), Usage (name).
  Result<journal::ClientPayload> invite(const std::string& name, const Digest& token_digest, std::int64_t expires_ns);
  Result<journal::ClientPayload> by_name(const std::string& name) const;
  std::vector<journal::ClientPayload> all() const;
  Result<journal::ClientPayload> enrol(const std::string& name, const Digest& token_digest,
                                       const Digest& request_digest, ByteSpan client_certificate,
                                       const std::function<Result<std::string>()>& issue_certificate);
  Status revoke(const std::string& name);

 private:
  /// All changes of clients share one subject: which root is pinned depends on who came first.
  Result<journal::ClientPayload> publish(
      const std::function<Result<std::optional<journal::ClientPayload>>(const State&, const Stamp&)>& change,
      const std::string& name);
  Parts& parts_;
};

}  // namespace holdfast::tenant
