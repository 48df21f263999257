#include "server/session/access.h"

#include "common/base/log.h"

namespace holdfast::session {
namespace {

using State = journal::ClientPayload::State;

Error refused() {
  return {Errc::Denied,
          "this certificate is not accepted here (unknown, revoked or replaced): enrol again with a new token"};
}

/// Is this the certificate that was given out to this holder, and is the holder still welcome?
bool holds(const journal::ClientPayload& holder, const identity::CertificateFacts& facts) {
  if (holder.state == State::Revoked || holder.certificate_pem.empty()) return false;
  const Result<Digest> given = identity::certificate_fingerprint(std::string(as_text(holder.certificate_pem)));
  return given && *given == facts.fingerprint;
}

/// With a damaged journal: could a later record, which is not known, say more of this holder?
bool may_be_outdated(const Result<journal::ClientPayload>& holder) {
  return !holder || holder->state != State::Revoked;
}

}  // namespace

Access::Access(Tenants& tenants, Operators& operators, DenyList& denied)
    : tenants_(tenants), operators_(operators), denied_(denied) {}

bool Access::denied(const identity::CertificateFacts& facts) const {
  if (denied_.contains(facts.fingerprint)) return true;
  switch (facts.name.role) {
    case identity::Role::Server:
      return true;
    case identity::Role::Operator: {
      const auto found = operators_.find(facts.name.name);
      return !found || !holds(*found, facts);
    }
    case identity::Role::Client:
      break;
  }
  if (!tenants_.knows(facts.name.tenant)) return true;
  const std::shared_ptr<tenant::Tenant> tenant = tenants_.open_now(facts.name.tenant);
  if (!tenant) return false;
  const auto found = tenant->client_by_name(facts.name.name);
  if (found && holds(*found, facts)) return false;
  return !(tenant->damage() && may_be_outdated(found));  // who cannot be judged is told why at admission
}

Result<Caller> Access::admit(const identity::CertificateFacts& facts) const {
  if (denied_.contains(facts.fingerprint) || facts.name.role == identity::Role::Server) return refused();
  Caller caller;
  caller.facts = facts;
  Result<journal::ClientPayload> holder = refused();
  if (facts.name.role == identity::Role::Operator) {
    caller.role = Role::Operator;
    holder = operators_.find(facts.name.name);
  } else {
    Result<std::shared_ptr<tenant::Tenant>> tenant = tenants_.find(facts.name.tenant);
    if (!tenant && tenant.error().code == Errc::NotFound) return refused();
    if (!tenant) return std::move(tenant).error();
    caller.tenant = *std::move(tenant);
    holder = caller.tenant->client_by_name(facts.name.name);
  }
  if (!holder || !holds(*holder, facts)) {
    if (!caller.tenant || !caller.tenant->damage() || !may_be_outdated(holder)) return refused();
    return Error{Errc::Corrupt,
                 "look up " + facts.name.uri() +
                     ": the tenant's journal is damaged, and what it says of this certificate may be lost "
                     "with it; the server's operator must repair it (holdfastctl check names the place)"};
  }
  caller.client = holder->id;
  caller.certificate_pem = std::move(holder->certificate_pem);
  return caller;
}

Status Access::still_allowed(const Caller& caller) const {
  if (denied_.contains(caller.facts.fingerprint)) return refused();
  const std::string& name = caller.facts.name.name;
  const auto holder = caller.role == Role::Operator ? operators_.find(name) : caller.tenant->client_by_name(name);
  if (!holder || holder->state == State::Revoked || holder->certificate_pem != caller.certificate_pem) return refused();
  return {};
}

}  // namespace holdfast::session
