#pragma once
// Why: from a client's signed core to the server's signed receipt. A snapshot exists from the moment its commit record
// is published; before that everything it reaches has been seen to be there.

#include "server/tenant/parts.h"
#include "server/tenant/sessions.h"

namespace holdfast::tenant {

/// Thread-safe.
class Commits {
 public:
  Commits(Parts& parts, Sessions& sessions) : parts_(parts), sessions_(sessions) {}

  Result<Bytes> commit(const ClientId& client, const SessionId& session, ByteSpan core, Refused* refused);

 private:
  /// What must not have moved between the check and the record.
  struct Checked {
    std::uint64_t damage = 0, condemnations = 0;
    bool operator==(const Checked&) const = default;
  };
  Checked checked_now() const;
  Result<snapshot::VerifiedCore> check_core(const ClientId& client, const SessionFacts& session, ByteSpan bytes) const;
  Status check_reachable(const ClientId& client, const SessionFacts& session, const snapshot::Core& core,
                         Refused* refused);
  Result<std::optional<blob::BlobRef>> proven_base(const ClientId& client, const SessionFacts& session,
                                                   const snapshot::Core& core) const;
  /// False: something was found damaged or was condemned meanwhile, check again.
  Result<bool> publish(const ClientId& client, const SessionId& session, const snapshot::VerifiedCore& verified,
                       ByteSpan core, const Checked& version);
  Result<Bytes> receipt(const SnapshotId& snapshot) const;

  Parts& parts_;
  Sessions& sessions_;
};

}  // namespace holdfast::tenant
