#pragma once
// Why: one table says which role may call what; everything else is refused. Deny by default: a call without a rule does
// not compile (authorisation.cc), a role without a mark has no right.

#include "proto/holdfast/v1/service.pb.h"
#include "server/session/caller.h"

namespace holdfast::session {

namespace v1 = ::holdfast::v1;

/// What a call's Subject means.
enum class SubjectRule {
  None,    ///< the call has no subject
  Client,  ///< one client's backups: a client's own, an operator names tenant and client
  Tenant,  ///< a tenant: a client's own, an operator names it
};

struct Rule {
  bool client = false;
  bool operator_ = false;
  SubjectRule subject = SubjectRule::None;
};

/// The table. CALL_NOT_SET (an empty or future request) has no right for anybody.
Rule rule_of(v1::Request::CallCase call);
bool allows(const Rule& rule, Role role);
/// Errors: Protocol for CALL_NOT_SET, Denied when the role lacks the right.
Status authorise(Role role, v1::Request::CallCase call);
/// `hello`, `open_session`, …: for logs.
std::string call_name(v1::Request::CallCase call);

/// The subject of a call, nullptr when it has none.
const v1::Subject* subject_of(const v1::Request& request);

/// Whose backups a request is about.
struct Target {
  std::shared_ptr<tenant::Tenant> tenant;
  ClientId client;  ///< zero under SubjectRule::Tenant when an operator names none
};
class Tenants;
/// Blocking (an operator's tenant may have to be opened). A client that names anybody but itself gets exactly the answer
/// that an unknown name gets. Errors: NotFound, Usage (an operator names nobody).
Result<Target> resolve(Tenants& tenants, const Caller& caller, const Rule& rule, const v1::Subject* subject);

}  // namespace holdfast::session
