#pragma once
// Why: who is at the other end, as the certificate and the journal say. Everything that a request may touch starts here:
// the tenant is never taken from a message.

#include <memory>
#include <string>

#include "common/identity/identity.h"
#include "server/tenant/tenant.h"

namespace holdfast::session {

/// Roles that can hold a connection to the service. The table of rights: authorisation.h.
enum class Role { Client, Operator };

/// Immutable after admission.
struct Caller {
  identity::CertificateFacts facts;
  Role role = Role::Client;
  std::shared_ptr<tenant::Tenant> tenant;  ///< a client's own; null for operators. Shared with Tenants
  ClientId client;                         ///< a client's own
  Bytes certificate_pem;  ///< as recorded at enrolment; another one recorded later ends this caller's rights
};

}  // namespace holdfast::session
