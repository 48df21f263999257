#pragma once
// Why: a certificate that verifies is not yet a right. Three gates: the handshake (memory only), admission (the journal's
// word), and every request (memory only, so that a revocation bites at once).

#include "server/session/caller.h"
#include "server/session/deny_list.h"
#include "server/session/operators.h"
#include "server/session/tenants.h"

namespace holdfast::session {

/// Thread-safe. What it refers to must outlive it.
class Access {
 public:
  Access(Tenants& tenants, Operators& operators, DenyList& denied);

  /// For transport::ServerOptions::denied. Never blocks on a disk: a tenant that is not open is judged at admission.
  bool denied(const identity::CertificateFacts& facts) const;
  /// Blocking. Errors: Denied (unknown, revoked or superseded certificate: always the same words).
  Result<Caller> admit(const identity::CertificateFacts& facts) const;
  /// Before every request. Errors: Denied.
  Status still_allowed(const Caller& caller) const;

 private:
  Tenants& tenants_;
  Operators& operators_;
  DenyList& denied_;
};

}  // namespace holdfast::session
