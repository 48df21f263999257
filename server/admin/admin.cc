#include "server/admin/admin.h"

#include <pwd.h>

#include <array>

#include "common/base/log.h"
#include "common/runtime/task_group.h"
#include "common/snapshot/records.h"
#include "server/admin/care.h"
#include "server/admin/channel.h"
#include "server/admin/collecting.h"
#include "server/admin/life.h"
#include "server/session/failure.h"
#include "server/session/tokens.h"

namespace holdfast::admin {
namespace {

using runtime::Task;
using transport::Frame;
using transport::FrameStream;

constexpr std::size_t kRowsAtOnce = 256;
constexpr std::chrono::minutes kRequestDeadline{10};  ///< the tool asks at once; a forgotten connection ends
constexpr std::chrono::seconds kSendDeadline{60};
constexpr std::string_view kOperatorPrefix = "operator/";

std::string text_of(ByteSpan bytes) { return std::string(as_text(bytes)); }

// ---- tenants ----

v1::TenantInfo info_of(session::Tenants& tenants, const std::string& name) {
  v1::TenantInfo info;
  info.set_name(name);
  const auto found = tenants.find(name);
  if (!found) {
    info.set_health(found.error().message);
    return info;
  }
  const tenant::Account account = (*found)->account();
  info.set_id(text_of(account.id.bytes));
  info.set_plan(account.plan);
  info.set_quota_bytes(account.quota_bytes);
  info.set_used_bytes(account.used_bytes);
  info.set_clients(static_cast<std::uint32_t>(account.clients));
  info.set_snapshots(account.snapshots);
  info.set_health(account.health);
  info.set_newest_ns(account.newest_ns);
  info.set_vault_gap_ns(account.vault_gap_ns);
  return info;
}

Status tenant_add(AdminContext& context, const v1::TenantAdd& call, const Emit& emit) {
  const std::string plan = call.plan().empty() ? std::string(kDefaultPlan) : call.plan();
  HF_TRY(const TenantId id, context.tenants.create(call.name(), plan, call.quota_bytes()));
  log::info("tenant added", {{"tenant", call.name()}, {"id", id.hex()}, {"plan", plan}});
  v1::AdminResponse response;
  *response.add_tenants() = info_of(context.tenants, call.name());
  if (call.plan().empty()) response.set_note("no --plan was given: tenant '" + call.name() + "' has plan " + plan);
  emit(std::move(response));
  return {};
}

Status tenant_list(AdminContext& context, const Emit& emit) {
  for (const std::string& name : context.tenants.names()) {
    v1::AdminResponse response;
    *response.add_tenants() = info_of(context.tenants, name);
    if (!emit(std::move(response))) break;
  }
  return {};
}

// ---- people and machines ----

/// The token's times; a lifetime of zero is the usual one.
Result<std::int64_t> token_end(AdminContext& context, std::int64_t seconds) {
  const std::int64_t most = std::chrono::seconds(session::kMaxTokenLifetime).count();
  if (seconds < 0 || seconds > most)
    return Error{Errc::Usage, "a token lives for at most " + std::to_string(most / 86400) + " days"};
  const std::chrono::seconds lifetime =
      seconds == 0 ? std::chrono::seconds(session::kTokenLifetime) : std::chrono::seconds(seconds);
  return to_ns(context.clock.wall() + lifetime);
}

using Invite = std::function<Status(const Digest& token_digest, std::int64_t expires_ns)>;
Status invite(AdminContext& context, const identity::Name& name, std::int64_t seconds, const Invite& record,
              const Emit& emit) {
  identity::Token token;
  HF_TRY(token.expires_ns, token_end(context, seconds));
  token.service = context.dialled.service;
  token.enrolment = context.dialled.enrolment;
  token.ca_fingerprint = context.ca_fingerprint;
  token.receipt_key = context.receipt_key;
  token.name = name;
  token.secret = session::new_token_secret(context.random);
  HF_TRY_DO(record(session::token_digest(token.secret), token.expires_ns));
  log::info("token made", {{"name", name.uri()}, {"expires", rfc3339(from_ns(token.expires_ns))}});
  v1::AdminResponse response;
  response.set_token(identity::encode_token(token));
  response.set_note("this token enrols " + name.uri() + " once, until " + rfc3339(from_ns(token.expires_ns)));
  emit(std::move(response));
  return {};
}

Status client_add(AdminContext& context, const v1::ClientAdd& call, const Emit& emit) {
  HF_TRY(const identity::Name name, identity::parse_client_name(call.name()));
  Result<std::shared_ptr<tenant::Tenant>> tenant = context.tenants.find(name.tenant);
  if (!tenant && tenant.error().code == Errc::NotFound) {
    return Error{Errc::NotFound,
                 "no tenant '" + name.tenant + "': add it first (`holdfastctl tenant add " + name.tenant + "`)"};
  }
  if (!tenant) return std::move(tenant).error();
  const Invite record = [&](const Digest& digest, std::int64_t expires_ns) -> Status {
    HF_TRY_DO((*tenant)->invite(name.name, digest, expires_ns));
    return {};
  };
  return invite(context, name, call.token_seconds(), record, emit);
}

Status operator_add(AdminContext& context, const v1::OperatorAdd& call, const Emit& emit) {
  identity::Name name;
  name.role = identity::Role::Operator;
  name.name = call.name();
  const Invite record = [&](const Digest& digest, std::int64_t expires_ns) {
    return context.operators.invite(name.name, digest, expires_ns);
  };
  if (!identity::valid_name(name.name)) return record({}, 0);  // says what is wrong with the name
  return invite(context, name, call.token_seconds(), record, emit);
}

/// The certificate that was given out enters the deny list, and live connections are cut.
Status shut_out(AdminContext& context, const identity::Name& name, const Bytes& certificate_pem) {
  Status listed;
  if (const auto facts = identity::inspect(text_of(certificate_pem)); facts)
    listed = context.denied.add(facts->fingerprint, facts->not_after);
  context.loop.post([&context, name] {
    const std::size_t cut = context.sessions.cut(name);
    log::info("revoked", {{"name", name.uri()}, {"connections_cut", cut}});
  });
  return std::move(listed).context("revoked, but the deny list could not be written");
}

Status client_revoke(AdminContext& context, const v1::ClientRevoke& call, const Emit& emit) {
  identity::Name name;
  Bytes certificate;
  if (call.name().starts_with(kOperatorPrefix)) {
    name.role = identity::Role::Operator;
    name.name = call.name().substr(kOperatorPrefix.size());
    HF_TRY(journal::ClientPayload revoked, context.operators.revoke(name.name));
    certificate = std::move(revoked.certificate_pem);
  } else {
    HF_TRY(name, identity::parse_client_name(call.name()));
    HF_TRY(const std::shared_ptr<tenant::Tenant> tenant, context.tenants.find(name.tenant));
    HF_TRY_DO(tenant->revoke(name.name));
    HF_TRY(journal::ClientPayload revoked, tenant->client_by_name(name.name));
    certificate = std::move(revoked.certificate_pem);
  }
  HF_TRY_DO(shut_out(context, name, certificate));
  v1::AdminResponse response;
  const bool is_client = name.role == identity::Role::Client;
  response.set_note(name.uri() + " is revoked: its certificate is refused from now on" +
                    (is_client ? ", its snapshots stay" : ""));
  emit(std::move(response));
  return {};
}

// ---- snapshots ----

bool complete(const snapshot::Core& core) {
  for (const snapshot::SourceNote& source : core.sources) {
    if (source.result == snapshot::SourceResult::Failed) return false;
  }
  return true;
}

v1::SnapshotInfo info_of(const std::string& client, const tenant::SnapshotRow& row) {
  v1::SnapshotInfo info;
  info.set_client(client);
  info.set_sequence(row.sequence);
  info.set_id(text_of(row.id.bytes));
  info.set_received_ns(row.received_ns);
  info.set_lock_not_before_ns(row.lock_not_before_ns);
  info.set_state(row.state);
  info.set_delete_not_before_ns(row.delete_not_before_ns);
  if (const auto core = snapshot::decode_core(row.core); core) {
    info.set_client_ns(core->core.time_ns);
    info.set_complete(complete(core->core));
  } else {
    info.set_state("damaged");
  }
  return info;
}

Status snapshots_of(tenant::Tenant& tenant, const std::string& tenant_name, const journal::ClientPayload& client,
                    const Emit& emit) {
  for (std::uint64_t after = 0;;) {
    HF_TRY(const std::vector<tenant::SnapshotRow> rows, tenant.snapshots(client.id, after, kRowsAtOnce));
    v1::AdminResponse response;
    for (const tenant::SnapshotRow& row : rows) {
      *response.add_snapshots() = info_of(tenant_name + "/" + client.name, row);
      after = row.sequence;
    }
    if (!rows.empty() && !emit(std::move(response))) return {};
    if (rows.size() < kRowsAtOnce) return {};
  }
}

Status list_snapshots(AdminContext& context, const v1::AdminSnapshots& call, const Emit& emit) {
  const std::string& subject = call.subject();
  const std::size_t slash = subject.find('/');
  const std::string tenant_name = subject.substr(0, slash);
  const std::string client_name = slash == std::string::npos ? "" : subject.substr(slash + 1);
  const std::vector<std::string> names =
      subject.empty() ? context.tenants.names() : std::vector<std::string>{tenant_name};
  for (const std::string& name : names) {
    HF_TRY(const std::shared_ptr<tenant::Tenant> tenant, context.tenants.find(name));
    if (slash != std::string::npos) {
      HF_TRY(const journal::ClientPayload client, tenant->client_by_name(client_name));
      HF_TRY_DO(snapshots_of(*tenant, name, client, emit));
      continue;
    }
    for (const journal::ClientPayload& client : tenant->clients()) HF_TRY_DO(snapshots_of(*tenant, name, client, emit));
  }
  return {};
}

Status status(AdminContext& context, std::size_t sessions, const Emit& emit) {
  v1::AdminResponse response;
  v1::StatusReport* const report = response.mutable_status_report();
  report->set_version(context.version);
  report->set_started_ns(to_ns(context.started));
  report->set_service(context.dialled.service);
  report->set_enrolment(context.dialled.enrolment);
  report->set_sessions(sessions);
  HF_TRY(const std::uint64_t available, context.fs.available_bytes(context.data_dir));
  report->set_available_bytes(available);
  for (const std::string& name : context.tenants.names()) *report->add_tenants() = info_of(context.tenants, name);
  emit(std::move(response));
  return {};
}

// ---- the socket ----

Status carry_out_into(AdminContext* context, const v1::AdminRequest& request, const Asked& asked,
                      const std::shared_ptr<Channel>& channel) {
  return carry_out(*context, request, asked,
                   [&](v1::AdminResponse answer) { return channel->push(std::move(answer)); });
}

/// By the kernel's word; "operator" where that says nothing.
std::string user_name(std::optional<std::uint32_t> uid) {
  if (!uid) return "operator";
  std::array<char, 4096> room{};
  passwd entry{}, *found = nullptr;
  const bool known = ::getpwuid_r(*uid, &entry, room.data(), room.size(), &found) == 0 && found != nullptr;
  return known ? found->pw_name : "uid " + std::to_string(*uid);
}

v1::AdminResponse last_answer(AdminContext& context, const Status& end) {
  v1::AdminResponse response;
  response.set_done(true);
  if (end) return response;
  const std::string id = session::new_request_id(context.random);
  log::warning("administration request failed",
               {{"request", id}, {"code", errc_name(end.error().code)}, {"why", end.error().message}});
  response.set_error_code(static_cast<std::uint32_t>(end.error().code));
  response.set_error_message(end.error().message);
  response.set_request_id(id);
  return response;
}

Frame frame_of(std::uint64_t tag, const v1::AdminResponse& response) {
  Frame frame;
  frame.tag = tag;
  frame.payload = to_bytes(as_bytes(response.SerializeAsString()));
  return frame;
}

runtime::Pool& pool_for(const AdminContext& context, const v1::AdminRequest& request) {
  const bool is_long =
      request.has_check() || request.has_rebuild_index() || request.has_collect() || request.has_usage();
  return is_long ? context.care : context.pool;
}

/// Runs the request on its pool; the channel ends with it, whatever happened.
Task<void> work(AdminContext& context, v1::AdminRequest request, std::string by, std::shared_ptr<Channel> channel,
                Status& end) {
  Asked asked{std::move(by), context.sessions.size()};
  runtime::Pool& pool = pool_for(context, request);
  end = co_await runtime::offload(pool, &carry_out_into, &context, std::move(request), std::move(asked), channel);
  channel->finish();
  co_return Status{};
}

Task<void> pass_on(FrameStream& stream, std::uint64_t tag, Channel& channel) {
  for (;;) {
    HF_CO_TRY(const std::optional<v1::AdminResponse> answer, co_await channel.pop());
    if (!answer) co_return Status{};
    Frame frame = frame_of(tag, *answer);
    HF_CO_TRY_DO(co_await stream.send(std::move(frame), kSendDeadline));
  }
}

Task<void> serve_request(AdminContext& context, FrameStream& stream, std::uint64_t tag, v1::AdminRequest request) {
  const auto channel = std::make_shared<Channel>(context.loop);
  runtime::TaskGroup children(context.loop);
  Status end;
  Task<void> working = work(context, std::move(request), user_name(stream.peer_uid()), channel, end);
  children.spawn(std::move(working));
  const Status passed = co_await pass_on(stream, tag, *channel);
  if (!passed) channel->abandon();
  const Status joined = co_await children.join();
  HF_CO_TRY_DO(passed);
  HF_CO_TRY_DO(joined);
  Frame last = frame_of(tag, last_answer(context, end));
  co_return co_await stream.send(std::move(last), kSendDeadline);
}

}  // namespace

Status carry_out(AdminContext& context, const v1::AdminRequest& request, const Asked& asked, const Emit& emit) {
  switch (request.call_case()) {
    case v1::AdminRequest::kTenantAdd:
      return tenant_add(context, request.tenant_add(), emit);
    case v1::AdminRequest::kTenantList:
      return tenant_list(context, emit);
    case v1::AdminRequest::kClientAdd:
      return client_add(context, request.client_add(), emit);
    case v1::AdminRequest::kOperatorAdd:
      return operator_add(context, request.operator_add(), emit);
    case v1::AdminRequest::kClientRevoke:
      return client_revoke(context, request.client_revoke(), emit);
    case v1::AdminRequest::kSnapshots:
      return list_snapshots(context, request.snapshots(), emit);
    case v1::AdminRequest::kCheck:
      return check(context, request.check(), emit);
    case v1::AdminRequest::kRebuildIndex:
      return rebuild_index(context, request.rebuild_index(), emit);
    case v1::AdminRequest::kCollect:
      return collect(context, request.collect(), emit);
    case v1::AdminRequest::kUsage:
      return usage(context, request.usage(), emit);
    case v1::AdminRequest::kStatus:
      return status(context, asked.connections, emit);
    case v1::AdminRequest::kPurge:
      return purge(context, request.purge(), emit);
    case v1::AdminRequest::kSnapshotLock:
      return lock_snapshot(context, request.snapshot_lock().snapshot(), asked.by, emit);
    case v1::AdminRequest::kSnapshotUndelete:
      return undelete_snapshot(context, request.snapshot_undelete().snapshot(), asked.by, emit);
    case v1::AdminRequest::kSnapshotExplain:
      return explain_snapshot(context, request.snapshot_explain().snapshot(), emit);
    case v1::AdminRequest::kSourceList:
      return list_sources(context, request.source_list(), emit);
    case v1::AdminRequest::kSourceSet:
      return set_source(context, request.source_set(), asked.by, emit);
    case v1::AdminRequest::kClientRetire:
      return retire_client(context, request.client_retire(), asked.by, emit);
    case v1::AdminRequest::CALL_NOT_SET:
      break;
  }
  return Error{Errc::Protocol, "a request that this daemon does not know: is holdfastctl newer than holdfastd?"};
}

Task<void> serve_admin(AdminContext& context, std::unique_ptr<FrameStream> stream) {
  for (;;) {
    HF_CO_TRY(const Frame frame, co_await stream->receive(kRequestDeadline));
    v1::AdminRequest request;
    const bool parsed = frame.type == transport::FrameType::Control &&
                        request.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size()));
    if (!parsed) co_return Error{Errc::Protocol, "an administration request that does not parse"};
    Task<void> served = serve_request(context, *stream, frame.tag, std::move(request));
    HF_CO_TRY_DO(co_await std::move(served));
  }
}

}  // namespace holdfast::admin
