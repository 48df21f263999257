#include "server/tenant/clients.h"

#include <algorithm>

#include "common/crypto/secret.h"

namespace holdfast::tenant {
namespace {

using ClientState = journal::ClientPayload::State;

bool same_digest(const Digest& a, const Digest& b) {
  return crypto::Secret<32>(ByteSpan(a.bytes)).equals(crypto::Secret<32>(ByteSpan(b.bytes)));  // constant-time
}

bool is_client_name(const std::string& name) {
  // The same alphabet as in certificates (common/identity); names also reach messages and tables.
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), fits) && name[0] != '.' &&
         name[0] != '_' && name[0] != '-';
}

Error unknown_client(const std::string& name) { return {Errc::NotFound, "no client '" + printable(name) + "'"}; }

Error bad_token(const char* why) { return {Errc::Denied, std::string("the enrolment token is not accepted: ") + why}; }

/// The certificate must be for this tenant and client, by the root that the tenant's first client pinned.
Status check_certificate(const State& s, const ClientId& client, ByteSpan bytes) {
  HF_TRY(const snapshot::ClientCertificate certificate, snapshot::decode_client_certificate(bytes));
  if (certificate.tenant != s.tenant().id || certificate.client != client) {
    return Error{Errc::Denied, "the client certificate is for another tenant or client"};
  }
  if (s.pinned_root() && *s.pinned_root() != certificate.root) {
    return Error{Errc::Denied,
                 "the client certificate is signed by another root than this tenant's; use the tenant's own kit"};
  }
  return {};
}

}  // namespace

Result<journal::ClientPayload> Clients::publish(
    const std::function<Result<std::optional<journal::ClientPayload>>(const State&, const Stamp&)>& change,
    const std::string& name) {
  const auto propose = [&](const State& s, const Stamp& stamp) -> Result<std::vector<coordinator::NewRecord>> {
    HF_TRY(const std::optional<journal::ClientPayload> next, change(s, stamp));
    std::vector<coordinator::NewRecord> records;
    if (next) records.push_back(new_record(journal::Kind::Client, journal::encode(*next)));
    return records;
  };
  HF_TRY_DO(parts_.publisher->publish("clients", propose));
  return by_name(name);
}

Result<journal::ClientPayload> Clients::invite(const std::string& name, const Digest& token_digest,
                                               std::int64_t expires_ns) {
  if (!is_client_name(name)) {
    return Error{Errc::Usage, "not a client's name: '" + printable(name) +
                                  "' (lower-case letters, digits, '.', '_', '-'; at most 63)"};
  }
  const ClientId fresh = parts_.env.random.id<ClientId>();
  return publish(
      [&](const State& s, const Stamp&) -> Result<std::optional<journal::ClientPayload>> {
        const Client* const known = s.client(name);
        if (known != nullptr && known->payload.state == ClientState::Enrolled) {
          return Error{Errc::Exists, "client '" + name + "' is enrolled already; revoke it first to enrol it anew"};
        }
        journal::ClientPayload next;
        next.id = known != nullptr ? known->payload.id : fresh;
        next.name = name;
        next.token_digest = token_digest;
        next.token_expires_ns = expires_ns;
        return next;
      },
      name);
}

Result<journal::ClientPayload> Clients::by_name(const std::string& name) const {
  return parts_.state.read([&](const State& s) -> Result<journal::ClientPayload> {
    const Client* const known = s.client(name);
    if (known == nullptr) return unknown_client(name);
    return known->payload;
  });
}

std::vector<journal::ClientPayload> Clients::all() const {
  return parts_.state.read([](const State& s) {
    std::vector<journal::ClientPayload> out;
    for (const auto& [name, id] : s.clients_by_name()) out.push_back(s.client(id)->payload);
    return out;
  });
}

Result<journal::ClientPayload> Clients::enrol(const std::string& name, const Digest& token_digest,
                                              const Digest& request_digest, ByteSpan client_certificate,
                                              const std::function<Result<std::string>()>& issue_certificate) {
  return publish(
      [&](const State& s, const Stamp& stamp) -> Result<std::optional<journal::ClientPayload>> {
        const Client* const known = s.client(name);
        if (known == nullptr || known->payload.token_digest.is_zero() ||
            !same_digest(known->payload.token_digest, token_digest)) {
          return bad_token("it is unknown");
        }
        if (known->payload.state == ClientState::Revoked) return bad_token("the client is revoked");
        if (known->payload.state == ClientState::Enrolled) {
          if (same_digest(known->payload.request_digest, request_digest))
            return std::optional<journal::ClientPayload>();
          return bad_token("it was used already");
        }
        if (stamp.wall_ns >= known->payload.token_expires_ns) return bad_token("it has expired; ask for a new one");
        HF_TRY_DO(check_certificate(s, known->payload.id, client_certificate));
        journal::ClientPayload next = known->payload;
        HF_TRY(const std::string pem, issue_certificate());
        if (pem.size() > journal::kMaxCertificatePemBytes)
          return Error{Errc::Limit, "the issued certificate is too long"};
        next.state = ClientState::Enrolled;
        next.request_digest = request_digest;  // the token's digest stays: a repeated request must show the token again
        next.certificate_pem = to_bytes(as_bytes(pem));
        next.client_certificate = to_bytes(client_certificate);
        return next;
      },
      name);
}

Status Clients::revoke(const std::string& name) {
  const auto revoked = publish(
      [&](const State& s, const Stamp&) -> Result<std::optional<journal::ClientPayload>> {
        const Client* const known = s.client(name);
        if (known == nullptr) return unknown_client(name);
        if (known->payload.state == ClientState::Revoked) return std::optional<journal::ClientPayload>();
        journal::ClientPayload next = known->payload;
        next.state = ClientState::Revoked;
        next.token_digest = {};
        next.token_expires_ns = 0;
        return next;
      },
      name);
  return revoked ? Status{} : Status{revoked.error()};
}

}  // namespace holdfast::tenant
