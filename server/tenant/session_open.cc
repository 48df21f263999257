// Opening a session, new or again.

#include <algorithm>

#include "common/crypto/hash.h"
#include "server/tenant/sessions.h"

namespace holdfast::tenant {
namespace {

constexpr std::size_t kMostStraySlots = 64;

std::vector<RecipientId> recipients_of(const snapshot::KeySlot& slot) {
  std::vector<RecipientId> out;
  for (const snapshot::KeySlot::Wrap& wrap : slot.wraps) out.push_back(wrap.recipient);
  return out;
}

/// Sessions of this client that nobody has used for kSessionIdle.
std::vector<SessionId> idle_sessions(const State& s, const ClientId& client, std::int64_t vault_ns) {
  std::vector<SessionId> out;
  const std::int64_t idle_ns = std::chrono::nanoseconds(kSessionIdle).count();
  for (const SessionId& id : s.client(client)->open_sessions) {
    if (s.session(id)->active_ns < vault_ns - idle_ns) out.push_back(id);
  }
  return out;
}

/// Errors: Limit, when one session more would be too many; `ending` of the open ones end with it.
Status check_open_sessions(const State& s, const ClientId& client, std::size_t ending) {
  if (s.client(client)->open_sessions.size() - ending < kMaxOpenSessions) return {};
  return Error{Errc::Limit, "this client has " + std::to_string(kMaxOpenSessions) +
                                " unfinished sessions; they end after 7 days without activity"};
}

}  // namespace

/// A request whose run record and slot have been checked against each other and the client's certificate.
struct Sessions::Opening {
  ClientId client;
  snapshot::RunRecord run;
  Bytes run_record, slot;
  Digest slot_digest;
};

/// One request at a time opens a run; others wait for it.
class Sessions::OpeningTurn {
 public:
  OpeningTurn(Sessions& sessions, const RunId& run) : sessions_(sessions), run_(run) {
    std::unique_lock lock(sessions_.mutex_);
    sessions_.opened_.wait(lock, [&] { return sessions_.opening_.insert(run_).second; });
  }
  ~OpeningTurn() {
    {
      const std::lock_guard lock(sessions_.mutex_);
      sessions_.opening_.erase(run_);
    }
    sessions_.opened_.notify_all();
  }
  OpeningTurn(const OpeningTurn&) = delete;

 private:
  Sessions& sessions_;
  const RunId run_;
};

Result<Sessions::Opening> Sessions::check_opening(const ClientId& client, ByteSpan run_record, ByteSpan slot) const {
  if (run_record.size() > snapshot::kMaxRunRecordBytes || slot.size() > snapshot::kMaxSlotBytes) {
    return Error{Errc::Limit, "the run record or key slot is too long"};
  }
  HF_TRY(const snapshot::ClientCertificate certificate,
         parts_.state.read([&](const State& s) -> Result<snapshot::ClientCertificate> {
           HF_TRY_DO(parts_.check_enrolled(s, client));
           return *s.client(client)->certificate;
         }));
  Opening out{client, {}, to_bytes(run_record), to_bytes(slot), crypto::digest(slot)};
  HF_TRY(out.run, snapshot::decode_run_record(run_record, certificate.signing_key));
  const bool same =
      out.run.tenant == certificate.tenant && out.run.client == client && out.run.domain == certificate.domain;
  if (!same || out.run.profile != blob::kProfile1) {
    return Error{Errc::Denied,
                 "the run record names another tenant, client, domain or profile than the client's certificate"};
  }
  HF_TRY(const snapshot::KeySlot keys, snapshot::decode_key_slot(slot));
  if (keys.run != out.run.run || recipients_of(keys) != out.run.recipients) {
    return Error{Errc::Denied, "the key slot is not the one that the run record announces"};
  }
  return out;
}

Result<SessionOpened> Sessions::open(const ClientId& client, ByteSpan run_record, ByteSpan slot, const SnapshotId& base,
                                     const std::optional<SessionId>& wanted) {
  HF_TRY(const Opening opening, check_opening(client, run_record, slot));
  if (wanted) {
    HF_TRY(const SessionFacts known, facts(client, *wanted));
    if (known.run != opening.run.run) return Error{Errc::NotFound, "no such session of this run"};
    return resume(opening, *wanted);
  }
  // Two requests for one run would write the same slot: the second, of a client that lost its connection before the answer
  // to the first, waits for the first one's end and goes on with its session.
  const OpeningTurn turn(*this, opening.run.run);
  const std::optional<SessionId> earlier = parts_.state.read([&](const State& s) -> std::optional<SessionId> {
    const Session* const session = s.session_of_run(opening.run.run);
    return session == nullptr ? std::nullopt : std::optional(session->payload.session);
  });
  if (earlier) return resume(opening, *earlier);
  HF_TRY_DO(parts_.writable());
  HF_TRY_DO(check_room());
  HF_TRY_DO(flush_others(client));
  return begin(opening, base);
}

/// The same run goes on. What an earlier connection sent and was not told about is published now; its tags mean nothing
/// to this one, which asks "have?" or sends again.
Result<SessionOpened> Sessions::resume(const Opening& opening, const SessionId& session) {
  HF_TRY_DO(parts_.state.read([&](const State& s) -> Status {
    const Session* const known = s.session(session);
    HF_ASSERT(known != nullptr);
    const bool same = known->payload.client == opening.client && known->payload.run_record == opening.run_record &&
                      known->payload.slot_digest == opening.slot_digest;
    if (!same) return Error{Errc::Conflict, "this run id belongs to another run; start a new run"};
    if (known->phase == Session::Phase::Expired || known->slot != Session::Slot::Kept)
      return Error{Errc::Conflict, "this session was given up; start a new run"};
    return {};
  }));
  HF_TRY(const SessionFacts known, facts(opening.client, session));
  if (known.phase == Session::Phase::Open) {
    const std::shared_ptr<Active> active = activate(session);
    const std::lock_guard lock(active->mutex);
    if (!active->failed && active->upload) HF_TRY_DO(flush_locked(*active, session));
    active->ready.clear();
    active->failed.reset();
  }
  return parts_.state.read([&](const State& s) { return answer(s, session); });
}

Result<SessionOpened> Sessions::begin(const Opening& opening, const SnapshotId& base) {
  const std::int64_t vault_ns = parts_.vault->now_ns();
  HF_TRY_DO(parts_.state.read([&](const State& s) -> Status {
    // Before the slot is written: a refused request leaves nothing behind. The proposal decides.
    HF_TRY_DO(parts_.check_enrolled(s, opening.client));
    return check_open_sessions(s, opening.client, idle_sessions(s, opening.client, vault_ns).size());
  }));
  HF_TRY_DO(parts_.store->replace(slot_name(opening.run.run), opening.slot));
  const SessionId id = parts_.env.random.id<SessionId>();
  if (Status begun = publish_session(opening, id, base); !begun) {
    // Nobody names the slot, unless the outcome is unknown: many such would look like a lost journal's.
    if (!parts_.publisher->stopped()) (void)parts_.store->remove(slot_name(opening.run.run));
    return std::move(begun).error();
  }
  return parts_.state.read([&](const State& s) { return answer(s, id); });
}

Status Sessions::publish_session(const Opening& opening, const SessionId& id, const SnapshotId& base) {
  std::vector<SessionId> ended;
  const auto propose = [&](const State& s, const Stamp& stamp) -> Result<std::vector<coordinator::NewRecord>> {
    HF_TRY_DO(parts_.check_enrolled(s, opening.client));
    std::vector<coordinator::NewRecord> records;
    ended = idle_sessions(s, opening.client, stamp.vault_ns);
    for (const SessionId& idle : ended) {
      records.push_back(new_record(journal::Kind::ExpireSession, journal::encode(journal::ExpireSessionPayload{idle})));
    }
    HF_TRY_DO(check_open_sessions(s, opening.client, records.size()));
    journal::SessionPayload payload{id, opening.client, opening.run.run, {}, opening.run_record, opening.slot_digest};
    const Snapshot* const known = s.snapshot(base);
    // From here on its blobs are pinned. A deleted one may have lost some already.
    if (known != nullptr && known->payload.client == opening.client && known->life <= Life::Locked) payload.base = base;
    records.push_back(new_record(journal::Kind::Session, journal::encode(payload)));
    return records;
  };
  // By client: two sessions of one client must not both expire the same third one.
  HF_TRY_DO(parts_.publisher->publish("client:" + opening.client.hex(), propose));
  for (const SessionId& idle : ended) forget(idle);  // and what it has pinned
  return {};
}

Result<std::uint64_t> Sessions::expire_idle() {
  const std::int64_t vault_ns = parts_.vault->now_ns();
  std::vector<std::pair<ClientId, SessionId>> idle;
  parts_.state.read([&](const State& s) {
    for (const auto& [name, client] : s.clients_by_name())
      for (const SessionId& session : idle_sessions(s, client, vault_ns)) idle.emplace_back(client, session);
  });
  std::uint64_t ended = 0;
  for (const auto& [client, session] : idle) {
    if (in_use(session)) continue;
    // It may have been used, or have ended, since it was looked at.
    const auto propose = [&](const State& s, const Stamp& stamp) -> Result<std::vector<coordinator::NewRecord>> {
      const std::vector<SessionId> still = idle_sessions(s, client, stamp.vault_ns);
      if (std::find(still.begin(), still.end(), session) == still.end()) return std::vector<coordinator::NewRecord>{};
      return std::vector{
          new_record(journal::Kind::ExpireSession, journal::encode(journal::ExpireSessionPayload{session}))};
    };
    HF_TRY(const std::vector<journal::Record> published, parts_.publisher->publish("client:" + client.hex(), propose));
    if (published.empty()) continue;
    forget(session);
    ++ended;
  }
  return ended;
}

/// Those that no session names, and those that the journal says are removed: they came back with a copy of an older
/// directory.
Result<StraySlots> Sessions::remove_stray_slots() {
  HF_TRY(const std::vector<store::ObjectInfo> slots, parts_.store->list("slots/"));
  std::vector<std::pair<RunId, std::string>> unnamed, removed;
  parts_.state.read([&](const State& s) {
    for (const store::ObjectInfo& slot : slots) {
      const std::optional<RunId> run = run_of_slot(slot.name);
      if (!run) continue;
      const Session* const session = s.session_of_run(*run);
      if (session == nullptr)
        unnamed.emplace_back(*run, slot.name);
      else if (session->slot == Session::Slot::Removed)
        removed.emplace_back(*run, slot.name);
    }
  });
  StraySlots out;
  // Many that nobody names are no traces of crashes: rather of a journal that was lost.
  if (unnamed.size() > kMostStraySlots) {
    out.left = unnamed.size();
    unnamed.clear();
  }
  for (const std::vector<std::pair<RunId, std::string>>* const strays : {&removed, &unnamed}) {
    for (const auto& [run, name] : *strays) {
      const OpeningTurn turn(*this, run);  // whoever opens this run writes its slot first
      HF_TRY_DO(parts_.writable());        // after a publish of unknown outcome the next start may know a session
      const bool still = parts_.state.read([&, &id = run](const State& s) {
        const Session* const session = s.session_of_run(id);
        return session == nullptr || session->slot == Session::Slot::Removed;
      });
      if (!still) continue;
      HF_TRY_DO(parts_.store->remove(name));
      ++out.removed;
    }
  }
  return out;
}

Status Sessions::check_room() const {
  HF_TRY(const std::uint64_t available, parts_.store->available_bytes());
  if (available < parts_.env.floor_bytes) {
    return Error{Errc::DiskFull, "the server's disk is full: " + std::to_string(available) +
                                     " bytes are free, new backups need " + std::to_string(parts_.env.floor_bytes) +
                                     "; free or add space at the server"};
  }
  const auto [quota, used] =
      parts_.state.read([](const State& s) { return std::pair(s.tenant().quota_bytes, s.used_bytes()); });
  if (quota != 0 && used >= quota) {
    return Error{Errc::Quota,
                 "the tenant's quota is used up: " + std::to_string(used) + " of " + std::to_string(quota) + " bytes"};
  }
  return {};
}

/// One machine backs up once at a time, so an older session's upload has lost its client: what it holds becomes usable.
Status Sessions::flush_others(const ClientId& client) {
  std::vector<SessionId> others;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, active] : active_) others.push_back(id);
  }
  for (const SessionId& id : others) {
    const Result<SessionFacts> known = facts(client, id);
    if (!known || known->phase != Session::Phase::Open) continue;
    const std::shared_ptr<Active> active = activate(id);
    const std::lock_guard lock(active->mutex);
    if (!active->failed && active->upload)
      (void)flush_locked(*active, id);  // its own business; we only would have liked it
  }
  return parts_.writable();
}

SessionOpened Sessions::answer(const State& s, const SessionId& id) const {
  const Session& session = *s.session(id);
  const Client& client = *s.client(session.payload.client);
  SessionOpened out;
  out.session = id;
  out.next_sequence = client.last_sequence + 1;
  out.previous = client.newest;
  out.base_known = !session.payload.base.is_zero();
  out.head_digest = s.digest();
  out.head_number = s.number();
  out.quota_bytes = s.tenant().quota_bytes;
  out.used_bytes = s.used_bytes();
  return out;
}

}  // namespace holdfast::tenant
