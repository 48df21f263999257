#pragma once
// Why: who is who on the wire. X.509 with exactly one URI SAN: holdfast://server/NAME, holdfast://TENANT/CLIENT,
// holdfast://operator/NAME. The CA is built in. Ed25519 keys for TLS. Certificates are back-dated 10 minutes.
// The only user of OpenSSL's X.509.

#include <chrono>
#include <string>
#include <variant>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/crypto/secret.h"

namespace holdfast::identity {

enum class Role { Server, Client, Operator };
/// From a SAN. Names: [a-z0-9][a-z0-9._-]{0,62}; "server" and "operator" are no tenant names.
struct Name {
  Role role = Role::Client;
  std::string tenant;  ///< clients only
  std::string name;
  std::string uri() const;
  bool operator==(const Name&) const = default;
};
bool valid_name(std::string_view text);
Result<Name> parse_uri(std::string_view uri);  ///< Errors: Usage
/// TENANT/CLIENT. Errors: Usage.
Result<Name> parse_client_name(std::string_view text);

/// PEM text. The key never leaves this type but through pem().
struct KeyAndCertificate {
  std::string key_pem;
  std::string certificate_pem;
};

/// A new self-signed CA (10 years, path length 0).
Result<KeyAndCertificate> make_ca(const Clock& clock, std::string_view common_name);
Result<std::string> make_key_pem();  ///< Ed25519, PKCS#8
Result<std::string> make_request_pem(const std::string& key_pem, const Name& name);
/// Checks the request's own signature, then certifies its key for `name` (the request's own names are ignored).
/// `lifetime` from now; back-dated 10 minutes; extended key usage serverAuth or clientAuth by role; random 128-bit serial.
Result<std::string> certify(const KeyAndCertificate& ca, const std::string& request_pem, const Name& name,
                            const Clock& clock, std::chrono::hours lifetime);
/// SHA-256 over the DER of the certificate.
Result<Digest> certificate_fingerprint(const std::string& certificate_pem);
struct CertificateFacts {
  Name name;
  WallTime not_before, not_after;
  std::string serial_hex;
  Digest fingerprint;
};
/// What a certificate says of itself; its signature, chain and dates are TLS's part. Demands exactly one subject
/// alternative name, a URI of ours, and an extended key usage that fits its role and no other; no CA.
/// Errors: Denied (the above), Corrupt, Usage (no PEM), Limit.
Result<CertificateFacts> inspect(const std::string& certificate_pem);
/// For a DER certificate, as TLS hands it over.
Result<CertificateFacts> inspect_der(ByteSpan der);

/// An enrolment token: what a new machine must know of the server. Printed as `hf1.` + base64url.
struct Token {
  std::string service;    ///< HOST:PORT clients dial
  std::string enrolment;  ///< HOST:PORT of the enrolment listener
  Digest ca_fingerprint;  ///< SHA-256 of the CA certificate's DER
  PublicKey receipt_key;
  Name name;     ///< client or operator
  Bytes secret;  ///< 32 bytes, random
  std::int64_t expires_ns = 0;
};
/// HOST:PORT or [V6]:PORT (port 1…65535), at most 255 characters that neither a shell nor a terminal minds: what a token
/// can carry. Configuration checks its addresses with this.
bool valid_address(std::string_view text);
/// The addresses must be valid, the secret 32 bytes, the name no server's (HF_ASSERT).
std::string encode_token(const Token& token);
Result<Token> decode_token(std::string_view text);  ///< Errors: Usage

}  // namespace holdfast::identity
