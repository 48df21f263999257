#pragma once
// Why: a new machine or operator brings a one-time token to a second, tiny listener and leaves with a certificate. The
// token authenticates; until then nobody learns anything, not even whether the tenant exists.
// Idempotent per request: the same CSR and client certificate again get the same answer, anything else is refused.

#include <memory>

#include "common/transport/transport.h"
#include "proto/holdfast/v1/enrol.pb.h"
#include "server/session/operators.h"
#include "server/session/rate_limit.h"
#include "server/session/tenants.h"

namespace holdfast::session {

namespace v1 = ::holdfast::v1;

inline constexpr std::size_t kMaxEnrolBytes = 64u << 10;  ///< a request
inline constexpr std::size_t kMaxRequestPemBytes = 8u << 10;

/// What a certificate needs. Thread-safe: immutable.
struct Issuer {
  const identity::KeyAndCertificate& ca;
  PublicKey receipt_key;
  std::chrono::hours lifetime = std::chrono::hours(24 * 90);
};

struct EnrolmentContext {
  runtime::Loop& loop;
  runtime::Pool& disk;
  Tenants& tenants;
  Operators& operators;
  const Issuer issuer;
  const Clock& clock;
  Random& random;
  RateLimit rate;  ///< the loop's thread only
  std::chrono::nanoseconds deadline = std::chrono::seconds(30);
};

/// Answers one request. Blocking. Errors: Denied (token wrong, used, expired: always the same words), Protocol, Limit,
/// and what the tenant says about the client certificate.
Result<v1::EnrolResponse> enrol(Tenants& tenants, Operators& operators, const Issuer& issuer, const Clock& clock,
                                const v1::EnrolRequest& request);

/// Serves one connection: one request, one answer. Runs on the loop's thread.
runtime::Task<void> serve_enrolment(EnrolmentContext& context, std::unique_ptr<transport::FrameStream> stream);

}  // namespace holdfast::session
