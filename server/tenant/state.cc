#include "server/tenant/state.h"

#include "common/snapshot/stored_core.h"

namespace holdfast::tenant {
namespace {

Error contradiction(const journal::Record& record, const std::string& what) {
  return {Errc::Corrupt, "journal record " + std::to_string(record.number) + ": " + what};
}

template <class Map, class Key>
auto* find_in(Map& map, const Key& key) {
  const auto it = map.find(key);
  return it == map.end() ? nullptr : &it->second;
}

/// Read once, when the snapshot appears: planning looks at millions of snapshots and decodes no core. A core that does not
/// decode is damaged: none of its sources is good.
void note_sources(Snapshot& snapshot, ByteSpan core_bytes) {
  const Result<snapshot::Core> core = snapshot::decode_stored_core(core_bytes);
  if (!core) return;
  for (const snapshot::SourceNote& source : core->sources) {
    if (source.result != snapshot::SourceResult::Failed) snapshot.good_sources.push_back(source.id);
  }
  snapshot.good_sources.shrink_to_fit();
  snapshot.whole = !core->sources.empty() && snapshot.good_sources.size() == core->sources.size();
}

}  // namespace

Status State::apply(const journal::Record& record) {
  if (!tenant_ && record.kind != journal::Kind::Tenant)
    return contradiction(record, "comes before the tenant's own record");
  Status applied;
  switch (record.kind) {
    case journal::Kind::Tenant:
      applied = apply_tenant(record);
      break;
    case journal::Kind::Client:
      applied = apply_client(record);
      break;
    case journal::Kind::Session:
      applied = apply_session(record);
      break;
    case journal::Kind::Packs:
      applied = apply_packs(record);
      break;
    case journal::Kind::Commit:
      applied = apply_commit(record);
      break;
    case journal::Kind::ExpireSession:
      applied = apply_expire(record);
      break;
    case journal::Kind::Damage:
      applied = apply_damage(record);
      break;
    case journal::Kind::Source:
    case journal::Kind::Lock:
    case journal::Kind::Undelete:
    case journal::Kind::Deleted:
    case journal::Kind::Erased:
    case journal::Kind::Condemn:
    case journal::Kind::Removed:
    case journal::Kind::Clock:
    case journal::Kind::Fork:
      applied = apply_life(record, Mode::Apply);
      break;
    default:
      // Skipping it would make another state than its writer had.
      return Error{Errc::TooNew, "journal record " + std::to_string(record.number) +
                                     ": this program cannot replay kind " +
                                     std::to_string(static_cast<int>(record.kind))};
  }
  HF_TRY_DO(std::move(applied));
  generation_ = record.generation;
  number_ = record.number;
  digest_ = record.digest;
  vault_ns_ = record.vault_ns;
  wall_ns_ = record.wall_ns;
  return {};
}

Status State::apply_tenant(const journal::Record& record) {
  HF_TRY(journal::TenantPayload payload, journal::decode_tenant(record.payload));
  if (tenant_ && tenant_->id != payload.id) return contradiction(record, "belongs to another tenant");
  tenant_ = std::move(payload);
  return {};
}

Status State::apply_client(const journal::Record& record) {
  HF_TRY(journal::ClientPayload payload, journal::decode_client(record.payload));
  const auto named = names_.find(payload.name);
  if (named != names_.end() && named->second != payload.id) return contradiction(record, "two clients have one name");
  std::optional<snapshot::ClientCertificate> certificate;
  if (!payload.client_certificate.empty()) {
    HF_TRY(certificate, snapshot::decode_client_certificate(payload.client_certificate));
    if (certificate->tenant != tenant_->id || certificate->client != payload.id) {
      return contradiction(record, "the client's certificate belongs to somebody else");
    }
  }
  Client& client = clients_[payload.id];
  names_[payload.name] = payload.id;
  if (certificate) {
    client.domains.insert(certificate->domain);
    if (!pinned_root_) pinned_root_ = certificate->root;
  }
  client.certificate = std::move(certificate);
  client.certificate_bytes = std::make_shared<const Bytes>(payload.client_certificate);
  client.payload = std::move(payload);
  return {};
}

Status State::apply_session(const journal::Record& record) {
  HF_TRY(journal::SessionPayload payload, journal::decode_session(record.payload));
  Client* const owner = find_in(clients_, payload.client);
  if (owner == nullptr) return contradiction(record, "a session of an unknown client");
  if (sessions_.contains(payload.session) || runs_.contains(payload.run))
    return contradiction(record, "a session that exists already");
  HF_TRY(const snapshot::RunRecord run, snapshot::decode_run_record_unverified(payload.run_record));
  if (run.run != payload.run || run.client != payload.client)
    return contradiction(record, "a session with another run's record");
  runs_[payload.run] = payload.session;
  owner->open_sessions.insert(payload.session);
  Session& session = sessions_[payload.session];
  session.domain = run.domain;
  session.epoch = run.epoch;
  session.certificate = owner->certificate_bytes;
  session.active_ns = record.vault_ns;
  session.payload = std::move(payload);
  return {};
}

Status State::apply_packs(const journal::Record& record) {
  HF_TRY(const journal::PacksPayload payload, journal::decode_packs(record.payload));
  const bool by_collection = payload.session.is_zero();
  Session* const session = find_in(sessions_, payload.session);
  if (session == nullptr && !by_collection) return contradiction(record, "packs of an unknown session");
  if (session != nullptr && session->phase != Session::Phase::Open)
    return contradiction(record, "packs of a session that has ended");
  std::set<PackId> fresh;
  for (const journal::PackNote& note : payload.packs) {
    if (packs_.contains(note.id) || !fresh.insert(note.id).second)
      return contradiction(record, "pack " + note.id.hex() + " is named twice");
    if (trash_.contains(note.id)) return contradiction(record, "pack " + note.id.hex() + " is condemned");
  }
  for (const journal::PackNote& note : payload.packs) {
    packs_[note.id] = Pack{note, payload.session, record.generation, packs_published_++, record.vault_ns};
    if (session != nullptr) session->packs.push_back(note.id);
    live_bytes_ += note.bytes;
  }
  if (session != nullptr) session->active_ns = record.vault_ns;
  return {};
}

Status State::apply_commit(const journal::Record& record) {
  HF_TRY(journal::CommitPayload payload, journal::decode_commit(record.payload));
  Session* const session = find_in(sessions_, payload.session);
  Client* const owner = find_in(clients_, payload.client);
  if (session == nullptr || owner == nullptr) return contradiction(record, "a commit of an unknown session or client");
  if (session->phase != Session::Phase::Open) return contradiction(record, "a commit of a session that has ended");
  if (payload.sequence != owner->last_sequence + 1) return contradiction(record, "a commit out of sequence");
  if (snapshots_.contains(payload.snapshot)) return contradiction(record, "a snapshot that exists already");
  session->phase = Session::Phase::Committed;
  session->snapshot = payload.snapshot;
  session->active_ns = record.vault_ns;
  owner->open_sessions.erase(payload.session);
  owner->last_sequence = payload.sequence;
  owner->newest = payload.snapshot;
  owner->snapshots.push_back(payload.snapshot);
  Snapshot& snapshot = snapshots_[payload.snapshot];
  snapshot.number = record.number;
  snapshot.digest = record.digest;
  snapshot.vault_ns = record.vault_ns;
  snapshot.wall_ns = record.wall_ns;
  snapshot.life_ns = record.vault_ns;
  snapshot.promised_lock_ns = payload.lock_not_before_ns;
  note_sources(snapshot, payload.core);
  snapshot.payload = std::move(payload);
  return {};
}

Status State::apply_expire(const journal::Record& record) {
  HF_TRY(const journal::ExpireSessionPayload payload, journal::decode_expire_session(record.payload));
  Session* const session = find_in(sessions_, payload.session);
  if (session == nullptr || session->phase != Session::Phase::Open)
    return contradiction(record, "ends a session that cannot be given up");
  clients_[session->payload.client].open_sessions.erase(payload.session);
  session->phase = Session::Phase::Expired;
  session->active_ns = record.vault_ns;
  return {};
}

Status State::apply_damage(const journal::Record& record) {
  HF_TRY(journal::DamagePayload payload, journal::decode_damage(record.payload));
  if (!packs_.contains(payload.pack)) return contradiction(record, "damage of an unknown pack");
  if (payload.what.empty())
    damaged_.erase(payload.pack);  // found whole again
  else
    damaged_[payload.pack] = std::move(payload.what);
  return {};
}

const Client* State::client(const ClientId& id) const { return find_in(clients_, id); }
const Client* State::client(const std::string& name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? nullptr : client(it->second);
}
const Session* State::session(const SessionId& id) const { return find_in(sessions_, id); }
const Session* State::session_of_run(const RunId& run) const {
  const auto it = runs_.find(run);
  return it == runs_.end() ? nullptr : session(it->second);
}
const Pack* State::pack(const PackId& id) const { return find_in(packs_, id); }
const Snapshot* State::snapshot(const SnapshotId& id) const { return find_in(snapshots_, id); }
const Trashed* State::trashed(const PackId& id) const { return find_in(trash_, id); }
const std::string* State::damage(const PackId& id) const { return find_in(damaged_, id); }

bool State::visible(const Pack& pack, const ClientId& client) const {
  if (pack.session.is_zero()) return true;  // holds what snapshots refer to
  const Session* const owner = session(pack.session);
  return owner != nullptr && (owner->phase == Session::Phase::Committed || owner->payload.client == client);
}

}  // namespace holdfast::tenant
