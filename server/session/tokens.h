#pragma once
// Why: a one-time token is known to the server by its digest only; one place says how it is made and compared.

#include "common/base/clock.h"
#include "common/base/ids.h"

namespace holdfast::session {

inline constexpr std::size_t kTokenSecretBytes = 32;
inline constexpr std::chrono::hours kTokenLifetime{24};  ///< unless the operator says otherwise
inline constexpr std::chrono::hours kMaxTokenLifetime{24 * 30};

Bytes new_token_secret(Random& random);
Digest token_digest(ByteSpan secret);
/// Constant time. A zero digest ("no token to use") equals nothing.
bool same_token(const Digest& a, const Digest& b);
/// What a repeated Complete must bring again to get the same answer: the CSR and the client certificate.
Digest request_digest(std::string_view request_pem, ByteSpan client_certificate);

}  // namespace holdfast::session
