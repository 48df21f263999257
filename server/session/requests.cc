#include "server/session/requests.h"

#include <algorithm>
#include <limits>

#include "common/base/log.h"
#include "common/snapshot/stored_core.h"

namespace holdfast::session {
namespace {

constexpr std::size_t kSnapshotsAtOnce = 32;
constexpr std::chrono::minutes kSkewWorthALine{5};

std::string text_of(ByteSpan bytes) { return std::string(as_text(bytes)); }
template <class Id>
std::string id_text(const Id& id) {
  return text_of(id.bytes);
}

template <class Id>
Result<Id> read_id(const std::string& field, std::string_view name) {
  if (field.size() == Id::kBytes) return Id::from_bytes(as_bytes(field));
  return Error{Errc::Protocol, std::string(name) + " has " + std::to_string(field.size()) + " bytes, not " +
                                   std::to_string(Id::kBytes)};
}

/// An empty field means zero.
template <class Id>
Result<Id> read_optional_id(const std::string& field, std::string_view name) {
  if (field.empty()) return Id{};
  return read_id<Id>(field, name);
}

Status check_size(const std::string& field, std::size_t most, std::string_view name) {
  if (field.size() <= most) return {};
  return Error{Errc::Limit, std::string(name) + " has " + std::to_string(field.size()) + " bytes; at most " +
                                std::to_string(most) + " are taken"};
}

/// Somebody else's and nobody's must read alike: whatever the tenant calls them, the answer says one thing.
template <class T>
Result<T> alike(Result<T> result, std::string_view what) {
  if (!result && result.error().code == Errc::NotFound) return Error{Errc::NotFound, "no such " + std::string(what)};
  return result;
}

void fill(v1::Snapshot* out, const tenant::SnapshotRow& row) {
  out->set_core(text_of(row.core));
  out->set_received_ns(row.received_ns);
  out->set_lock_not_before_ns(row.lock_not_before_ns);
  out->set_state(row.state);
}

void fill(v1::Run* out, const tenant::RunRow& row) {
  out->set_run_record(text_of(row.run_record));
  out->set_slot(text_of(row.slot));
  out->set_certificate(text_of(row.certificate));
}

/// Who asked: clients do not see what is locked.
tenant::Viewer viewer_of(const Caller& caller) {
  return caller.role == Role::Client ? tenant::Viewer::Client : tenant::Viewer::Operator;
}

/// Left out where it cannot be read: whoever needs it asks for it, and is told why.
void add_run(v1::Snapshot* out, const Target& target, ByteSpan core) {
  const Result<snapshot::Core> stored = snapshot::decode_stored_core(core);
  if (!stored) return;
  const Result<tenant::RunRow> run = target.tenant->run(target.client, stored->run);
  if (run) fill(out->mutable_run(), *run);
}

}  // namespace

Result<v1::Request> parse_request(ByteSpan payload) {
  if (payload.size() > kMaxRequestBytes) {
    return Error{Errc::Limit, "a request of " + std::to_string(payload.size()) + " bytes; at most " +
                                  std::to_string(kMaxRequestBytes) + " are taken"};
  }
  v1::Request request;
  if (!request.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
    return Error{Errc::Protocol, "a request that does not parse"};
  return request;
}

Requests::Requests(const RequestContext& context, Caller caller) : context_(context), caller_(std::move(caller)) {}

Result<v1::Response> Requests::answer(const v1::Request& request) {
  HF_TRY_DO(context_.access.still_allowed(caller_));
  HF_TRY_DO(authorise(caller_.role, request.call_case()));
  const Rule rule = rule_of(request.call_case());
  Target target;
  if (rule.subject != SubjectRule::None) {
    HF_TRY(target, resolve(context_.tenants, caller_, rule, subject_of(request)));
  }
  switch (request.call_case()) {
    case v1::Request::kHello:
      return hello(request.hello());
    case v1::Request::kOpenSession:
      return open_session(request.open_session());
    case v1::Request::kHave:
      return have(request.have());
    case v1::Request::kFlush:
      return flush(request.flush());
    case v1::Request::kCommit:
      return commit(request.commit());
    case v1::Request::kAbandonSession:
      return abandon(request.abandon_session());
    case v1::Request::kListSnapshots:
      return list_snapshots(request.list_snapshots(), target);
    case v1::Request::kGetSnapshot:
      return get_snapshot(request.get_snapshot(), target);
    case v1::Request::kGetRun:
      return get_run(request.get_run(), target);
    case v1::Request::kAccountStatus:
      return account_status(target);
    case v1::Request::kFetch:
    case v1::Request::CALL_NOT_SET:
      break;
  }
  return Error{Errc::Protocol, "not a call with one answer"};
}

Result<v1::Response> Requests::hello(const v1::Hello& call) {
  if (call.protocol() != kProtocol) {
    return Error{Errc::TooNew, "this server speaks protocol " + std::to_string(kProtocol) + ", the client " +
                                   std::to_string(call.protocol()) + ": update the " +
                                   (call.protocol() > kProtocol ? "server" : "client")};
  }
  const WallTime now = context_.clock.wall();
  const std::int64_t skew = call.time_ns() / 1'000'000'000 - to_ns(now) / 1'000'000'000;
  if (std::abs(skew) > std::chrono::seconds(kSkewWorthALine).count()) {
    log::warning("a client's clock differs", {{"peer", caller_.facts.name.uri()}, {"seconds", skew}});
  }
  v1::Response response;
  v1::Welcome* const welcome = response.mutable_welcome();
  welcome->set_protocol(kProtocol);
  welcome->set_program(context_.program);
  welcome->set_time_ns(to_ns(now));
  welcome->set_role(caller_.role == Role::Client ? "client" : "operator");
  if (caller_.role == Role::Client) {
    welcome->set_tenant_id(id_text(caller_.tenant->id()));
    welcome->set_client_id(id_text(caller_.client));
  }
  return response;
}

/// What the connection's earlier session still owes must not be lost when another one takes its place.
Status Requests::finish_upload() {
  if (!pending()) return {};
  HF_TRY(std::vector<std::uint64_t> done, upload_->flush());
  acks_.insert(acks_.end(), done.begin(), done.end());
  return {};
}

Result<v1::Response> Requests::open_session(const v1::OpenSession& call) {
  HF_TRY_DO(check_size(call.run_record(), snapshot::kMaxRunRecordBytes, "the run record"));
  HF_TRY_DO(check_size(call.slot(), snapshot::kMaxSlotBytes, "the key slot"));
  HF_TRY(const SnapshotId base, read_optional_id<SnapshotId>(call.base(), "base"));
  std::optional<SessionId> resume;
  if (!call.session_id().empty()) {
    HF_TRY(resume, read_id<SessionId>(call.session_id(), "session_id"));
  }
  HF_TRY_DO(finish_upload());
  HF_TRY(const tenant::SessionOpened opened,
         alike(caller_.tenant->open_session(caller_.client, as_bytes(call.run_record()), as_bytes(call.slot()), base,
                                            resume),
               "session"));
  upload_.emplace(caller_.tenant, caller_.client, opened.session);
  v1::Response response;
  v1::SessionOpened* const out = response.mutable_session_opened();
  out->set_session_id(id_text(opened.session));
  out->set_next_sequence(opened.next_sequence);
  if (!opened.previous.is_zero()) out->set_previous(id_text(opened.previous));
  out->set_base_known(opened.base_known);
  out->set_head_digest(id_text(opened.head_digest));
  out->set_head_number(opened.head_number);
  out->set_quota_bytes(opened.quota_bytes);
  out->set_used_bytes(opened.used_bytes);
  return response;
}

Result<v1::Response> Requests::have(const v1::Have& call) {
  HF_TRY(const SessionId session, read_id<SessionId>(call.session_id(), "session_id"));
  if (call.blobs_size() > kMaxHaveIds)
    return Error{Errc::Limit,
                 std::to_string(call.blobs_size()) + " ids in one question; at most " + std::to_string(kMaxHaveIds)};
  std::vector<BlobId> blobs;
  blobs.reserve(static_cast<std::size_t>(call.blobs_size()));
  for (const std::string& field : call.blobs()) {
    HF_TRY(const BlobId id, read_id<BlobId>(field, "a blob id"));
    blobs.push_back(id);
  }
  HF_TRY(const std::vector<tenant::HaveAnswer> known,
         alike(caller_.tenant->have(caller_.client, session, call.epoch(), blobs), "session"));
  v1::Response response;
  v1::HaveAnswer* const out = response.mutable_have_answer();
  for (const tenant::HaveAnswer& one : known) {
    v1::Known* const item = out->add_known();
    item->set_position(static_cast<std::uint32_t>(one.position));
    item->set_run(id_text(one.run));
    item->set_record_digest(id_text(one.record_digest));
  }
  return response;
}

Result<v1::Response> Requests::flush(const v1::Flush& call) {
  HF_TRY(const SessionId session, read_id<SessionId>(call.session_id(), "session_id"));
  if (!upload_ || upload_->session() != session) return Error{Errc::NotFound, "no such session"};
  HF_TRY_DO(finish_upload());
  v1::Response response;
  response.mutable_flushed();
  return response;
}

Result<v1::Response> Requests::commit(const v1::Commit& call) {
  HF_TRY(const SessionId session, read_id<SessionId>(call.session_id(), "session_id"));
  HF_TRY_DO(check_size(call.core(), snapshot::kMaxCoreBytes, "the core"));
  HF_TRY_DO(finish_upload());
  tenant::Refused refused;
  Result<Bytes> receipt =
      alike(caller_.tenant->commit(caller_.client, session, as_bytes(call.core()), &refused), "session");
  missing_ = std::move(refused.missing);
  if (!receipt) return std::move(receipt).error();
  v1::Response response;
  response.mutable_committed()->set_receipt(text_of(*receipt));
  return response;
}

Result<v1::Response> Requests::abandon(const v1::AbandonSession& call) {
  HF_TRY(const SessionId session, read_id<SessionId>(call.session_id(), "session_id"));
  HF_TRY_DO(alike(caller_.tenant->abandon(caller_.client, session), "session"));
  if (upload_ && upload_->session() == session) upload_.reset();
  v1::Response response;
  response.mutable_session_abandoned();
  return response;
}

Result<v1::Response> Requests::list_snapshots(const v1::ListSnapshots& call, const Target& target) {
  const std::size_t most = call.limit() == 0 ? kMaxSnapshotRows : std::min<std::size_t>(call.limit(), kMaxSnapshotRows);
  v1::Response response;
  v1::SnapshotList* const out = response.mutable_snapshot_list();
  std::size_t bytes = 0, count = 0;
  constexpr std::uint64_t kNewest = std::numeric_limits<std::uint64_t>::max();
  for (std::uint64_t before = call.before_sequence() == 0 ? kNewest : call.before_sequence();;) {
    HF_TRY(const std::vector<tenant::SnapshotRow> rows,
           target.tenant->snapshots_before(target.client, before, kSnapshotsAtOnce, viewer_of(caller_)));
    for (const tenant::SnapshotRow& row : rows) {
      if (count == most || bytes >= kMaxListBytes) {
        out->set_more(true);
        return response;
      }
      v1::Snapshot* const shown = out->add_snapshots();
      fill(shown, row);
      if (call.with_runs()) add_run(shown, target, row.core);
      bytes += shown->ByteSizeLong();
      ++count;
      before = row.sequence;
    }
    if (rows.size() < kSnapshotsAtOnce) return response;
  }
}

Result<v1::Response> Requests::get_snapshot(const v1::GetSnapshot& call, const Target& target) {
  HF_TRY(const SnapshotId id, read_id<SnapshotId>(call.snapshot_id(), "snapshot_id"));
  for (std::uint64_t after = 0;;) {
    HF_TRY(const std::vector<tenant::SnapshotRow> rows,
           target.tenant->snapshots(target.client, after, kSnapshotsAtOnce, viewer_of(caller_)));
    for (const tenant::SnapshotRow& row : rows) {
      after = row.sequence;
      if (row.id != id) continue;
      v1::Response response;
      fill(response.mutable_snapshot(), row);
      return response;
    }
    if (rows.size() < kSnapshotsAtOnce) return Error{Errc::NotFound, "no such snapshot"};
  }
}

Result<v1::Response> Requests::get_run(const v1::GetRun& call, const Target& target) {
  HF_TRY(const RunId id, read_id<RunId>(call.run(), "run"));
  HF_TRY(const tenant::RunRow row, alike(target.tenant->run(target.client, id), "run"));
  v1::Response response;
  fill(response.mutable_run(), row);
  return response;
}

Result<v1::Response> Requests::account_status(const Target& target) {
  const tenant::Account account = target.tenant->account();
  v1::Response response;
  v1::AccountReport* const out = response.mutable_account_report();
  out->set_plan(account.plan);
  out->set_quota_bytes(account.quota_bytes);
  out->set_used_bytes(account.used_bytes);
  out->set_snapshots(account.snapshots);
  out->set_newest_ns(account.newest_ns);
  out->set_health(account.health);
  return response;
}

Result<Fetching> Requests::start_fetch(const v1::Request& request) {
  HF_TRY_DO(context_.access.still_allowed(caller_));
  HF_TRY_DO(authorise(caller_.role, request.call_case()));
  const v1::Fetch& call = request.fetch();
  if (call.refs_size() > kMaxFetchRefs)
    return Error{Errc::Limit,
                 std::to_string(call.refs_size()) + " blobs in one request; at most " + std::to_string(kMaxFetchRefs)};
  Fetching fetching;
  for (const v1::Ref& ref : call.refs()) {
    HF_TRY(const DomainId domain, read_id<DomainId>(ref.domain(), "a domain id"));
    HF_TRY(const BlobId blob, read_id<BlobId>(ref.blob(), "a blob id"));
    HF_TRY(const RunId run, read_id<RunId>(ref.run(), "a run id"));
    fetching.refs.push_back({{domain, ref.epoch()}, {blob, run}});
  }
  HF_TRY(fetching.target, resolve(context_.tenants, caller_, rule_of(request.call_case()), subject_of(request)));
  fetching.order = fetching.target.tenant->read_order(fetching.target.client, fetching.refs);
  // One answer per position, whatever the order says.
  HF_ASSERT(fetching.order.size() == fetching.refs.size());
  return fetching;
}

Result<std::vector<ReadRecord>> Requests::read_on(Fetching& fetching) {
  std::vector<ReadRecord> read;
  for (std::size_t bytes = 0; !fetching.done() && bytes < kReadAheadBytes; ++fetching.next) {
    const std::size_t position = fetching.order[fetching.next];
    const auto& [domain, ref] = fetching.refs[position];
    Result<Bytes> record =
        alike(fetching.target.tenant->read_blob(fetching.target.client, domain.first, domain.second, ref), "blob");
    if (record) bytes += record->size();
    read.push_back({position, std::move(record)});
  }
  return read;
}

Result<std::vector<std::uint64_t>> Requests::put(std::uint64_t number, const Bytes& record) {
  HF_TRY_DO(context_.access.still_allowed(caller_));
  if (!upload_) return Error{Errc::Protocol, "a blob before any session was opened"};
  if (record.size() > blob::kMaxRecordBytes)
    return Error{Errc::Limit, "a blob of " + std::to_string(record.size()) + " bytes; at most " +
                                  std::to_string(blob::kMaxRecordBytes)};
  return alike(upload_->put(number, record), "session");
}

Result<std::vector<std::uint64_t>> Requests::flush() {
  if (!upload_) return std::vector<std::uint64_t>{};
  return upload_->flush();
}

}  // namespace holdfast::session
