#pragma once
// Why: the two questions that a machine asks on the enrolment listener, each on a connection of its own. The server is
// recognised by the CA fingerprint in the token before the token's secret is sent.

#include <string>

#include "common/identity/identity.h"

namespace holdfast::remote {

struct Prepared {
  TenantId tenant;
  ClientId client;  ///< zero for operators
  std::string plan;
  std::string ca_pem;
  PublicKey receipt_key;
  PublicKey tenant_root;  ///< zero: no client of this tenant has enrolled yet
};
/// Errors: Denied (token), Unreachable, Timeout, Protocol.
Result<Prepared> prepare_enrolment(const identity::Token& token);
/// Returns the TLS certificate (PEM). The same request again gets the same answer.
Result<std::string> complete_enrolment(const identity::Token& token, const std::string& request_pem,
                                       ByteSpan client_certificate);

}  // namespace holdfast::remote
