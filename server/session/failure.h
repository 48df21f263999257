#pragma once
// Why: what a peer is told and what the log says carry the same request id, so that one can be found from the other.

#include <string>

#include "common/base/clock.h"

namespace holdfast::session {

/// Eight random hex digits.
inline std::string new_request_id(Random& random) {
  std::array<std::uint8_t, 4> raw{};
  random.fill(raw);
  return to_hex(raw);
}

/// After these the peer is not talked to any further: it breaks the protocol, or may not be here.
inline bool ends_connection(Errc code) { return code == Errc::Protocol || code == Errc::Limit; }

}  // namespace holdfast::session
