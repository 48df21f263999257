// Why: certificates come from any peer before it has proven anything, and requests from whoever holds a token.
// First byte even: a certificate in DER; odd: a certificate request in PEM, to be certified.

#include <cstdlib>

#include "common/identity/identity.h"

using namespace holdfast;

namespace {

const identity::KeyAndCertificate& authority() {
  static const identity::KeyAndCertificate ca = *identity::make_ca(system_clock(), "fuzz CA");
  return ca;
}

void require(bool holds) {
  if (!holds) std::abort();
}

void inspect(ByteSpan der) {
  const Result<identity::CertificateFacts> facts = identity::inspect_der(der);
  if (!facts) return;
  const Result<identity::Name> name = identity::parse_uri(facts->name.uri());
  require(name && *name == facts->name);
  require(facts->serial_hex.size() <= 40);
}

void certify(std::string_view request) {
  const identity::Name name{identity::Role::Client, "acme", "web"};
  const Result<std::string> made =
      identity::certify(authority(), std::string(request), name, system_clock(), std::chrono::hours(24));
  if (!made) return;
  const Result<identity::CertificateFacts> facts = identity::inspect(*made);
  require(facts && facts->name == name);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteSpan rest(data + 1, size - 1);
  if (data[0] % 2 == 0)
    inspect(rest);
  else
    certify(as_text(rest));
  return 0;
}
