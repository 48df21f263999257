#include "server/session/authorisation.h"

#include "server/session/tenants.h"

// A new call in service.proto must get its rule here: a missing case is an error whatever the build's other flags are.
#pragma GCC diagnostic error "-Wswitch"

namespace holdfast::session {
namespace {

/// The words for every subject that is not there for this caller: nobody learns which of them exist.
Error unknown_subject() { return {Errc::NotFound, "no such tenant or client"}; }

bool names_nobody(const v1::Subject* subject) {
  return !subject || (subject->tenant().empty() && subject->client().empty());
}

}  // namespace

Rule rule_of(v1::Request::CallCase call) {
  using Subject = SubjectRule;
  switch (call) {  // no default: see above
    //                                                client  operator
    case v1::Request::kHello:
      return Rule{true, true, Subject::None};
    case v1::Request::kOpenSession:
      return Rule{true, false, Subject::None};
    case v1::Request::kHave:
      return Rule{true, false, Subject::None};
    case v1::Request::kFlush:
      return Rule{true, false, Subject::None};
    case v1::Request::kCommit:
      return Rule{true, false, Subject::None};
    case v1::Request::kAbandonSession:
      return Rule{true, false, Subject::None};
    case v1::Request::kListSnapshots:
      return Rule{true, true, Subject::Client};
    case v1::Request::kGetSnapshot:
      return Rule{true, true, Subject::Client};
    case v1::Request::kGetRun:
      return Rule{true, true, Subject::Client};
    case v1::Request::kFetch:
      return Rule{true, true, Subject::Client};
    case v1::Request::kAccountStatus:
      return Rule{true, true, Subject::Tenant};
    case v1::Request::CALL_NOT_SET:
      return Rule{};
  }
  return Rule{};
}

bool allows(const Rule& rule, Role role) {
  switch (role) {
    case Role::Client:
      return rule.client;
    case Role::Operator:
      return rule.operator_;
  }
  return false;
}

std::string call_name(v1::Request::CallCase call) {
  const auto* const field = v1::Request::descriptor()->FindFieldByNumber(static_cast<int>(call));
  return field ? field->name() : "nothing";
}

Status authorise(Role role, v1::Request::CallCase call) {
  if (call == v1::Request::CALL_NOT_SET) {
    return Error{Errc::Protocol,
                 "an empty request, or one that this server does not know: is the client newer than the server?"};
  }
  if (allows(rule_of(call), role)) return {};
  return Error{Errc::Denied,
               std::string(role == Role::Client ? "a client" : "an operator") + " may not call " + call_name(call)};
}

const v1::Subject* subject_of(const v1::Request& request) {
  switch (request.call_case()) {
    case v1::Request::kListSnapshots:
      return &request.list_snapshots().subject();
    case v1::Request::kGetSnapshot:
      return &request.get_snapshot().subject();
    case v1::Request::kGetRun:
      return &request.get_run().subject();
    case v1::Request::kFetch:
      return &request.fetch().subject();
    case v1::Request::kAccountStatus:
      return &request.account_status().subject();
    case v1::Request::kHello:
    case v1::Request::kOpenSession:
    case v1::Request::kHave:
    case v1::Request::kFlush:
    case v1::Request::kCommit:
    case v1::Request::kAbandonSession:
    case v1::Request::CALL_NOT_SET:
      return nullptr;
  }
  return nullptr;
}

Result<Target> resolve(Tenants& tenants, const Caller& caller, const Rule& rule, const v1::Subject* subject) {
  if (caller.role == Role::Client) {
    const bool own = names_nobody(subject) ||
                     (subject->tenant() == caller.facts.name.tenant && subject->client() == caller.facts.name.name);
    if (!own) return unknown_subject();
    return Target{caller.tenant, caller.client};
  }
  const bool client_needed = rule.subject == SubjectRule::Client;
  if (!subject || subject->tenant().empty() || (client_needed && subject->client().empty())) {
    return Error{Errc::Usage, client_needed ? "an operator names a tenant and a client (--tenant, --client)"
                                            : "an operator names a tenant (--tenant)"};
  }
  Result<std::shared_ptr<tenant::Tenant>> tenant = tenants.find(subject->tenant());
  if (!tenant && tenant.error().code == Errc::NotFound) return unknown_subject();
  if (!tenant) return std::move(tenant).error();
  Target target{*std::move(tenant), {}};
  if (subject->client().empty()) return target;
  const auto client = target.tenant->client_by_name(subject->client());
  if (!client) return unknown_subject();
  target.client = client->id;
  return target;
}

}  // namespace holdfast::session
