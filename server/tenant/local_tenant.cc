#include "server/tenant/local_tenant.h"

#include <algorithm>

#include "common/base/log.h"
#include "server/coordinator/local_coordinator.h"
#include "server/coordinator/recovery.h"
#include "server/retention/plan.h"
#include "server/store/local_store.h"
#include "server/tenant/check.h"
#include "server/tenant/vault.h"

namespace holdfast::tenant {

Result<TenantId> Tenant::create(const Environment& env, const std::string& directory, const std::string& name,
                                const std::string& plan, std::uint64_t quota_bytes) {
  HF_TRY(const retention::Plan known, retention::builtin_plan(plan));
  if (name.empty() || name.size() > journal::kMaxNameBytes)
    return Error{Errc::Usage, "a tenant's name has 1 to 255 bytes"};
  if (env.fs.stat(fs::join(directory, coordinator::kHeadName)) ||
      env.fs.stat(fs::join(directory, coordinator::kJournalName))) {
    return Error{Errc::Exists, "there is a tenant in '" + printable(directory) + "' already"};
  }
  HF_TRY(const std::unique_ptr<coordinator::Coordinator> coordinator,
         coordinator::open_local_coordinator(env.fs, env.clock, env.random, directory));
  HF_TRY(const coordinator::Epoch epoch, coordinator->acquire());
  journal::TenantPayload payload{env.random.id<TenantId>(), name, known.name, quota_bytes};
  coordinator::NewRecord record = new_record(journal::Kind::Tenant, journal::encode(payload));
  record.wall_ns = to_ns(env.clock.wall());
  const retention::Anchor begin = retention::VaultClock(env.clock).anchor();
  coordinator::NewRecord anchor = clock_record(begin);
  record.vault_ns = anchor.vault_ns = begin.vault_ns;
  anchor.wall_ns = record.wall_ns;
  HF_TRY_DO(coordinator->publish(epoch, 0, {std::move(record), std::move(anchor)}));
  return payload.id;
}

Result<std::unique_ptr<Tenant>> Tenant::open(const Environment& env, const std::string& directory) {
  auto tenant = std::make_unique<LocalTenant>(env, directory);
  HF_TRY_DO(tenant->start());
  return std::unique_ptr<Tenant>(std::move(tenant));
}

Status LocalTenant::start() {
  if (!parts_.env.fs.stat(parts_.directory))
    return Error{Errc::NotFound, "no tenant in '" + printable(parts_.directory) + "'"};
  HF_TRY(parts_.coordinator,
         coordinator::open_local_coordinator(parts_.env.fs, parts_.env.clock, parts_.env.random, parts_.directory));
  HF_TRY_DO(load_journal());
  id_ = parts_.state.state.tenant().id;
  HF_TRY(parts_.store, store::open_local_store(parts_.env.fs, parts_.directory));
  start_publisher();
  std::optional<journal::ForkPayload> fork;
  const Status noted = note_missing_objects(fork);
  compared_ = noted.has_value();
  if (!noted) {
    log::error("tenant not compared with its directory",
               {{"directory", parts_.directory}, {"why", noted.error().message}});
    parts_.in_flight.remember(true);  // or what we write would look like another owner's
  }
  start_index();
  anchor_vault();
  if (fork) freeze(*fork);
  return {};
}

/// Damaged journal or head: what stands before the damage is served, read-only.
Status LocalTenant::load_journal() {
  State& state = parts_.state.state;
  const auto replay = [&](const journal::Record& record) { return state.apply(record); };
  const Result<coordinator::Epoch> epoch = parts_.coordinator->acquire();
  if (epoch) parts_.epoch = *epoch;
  Status read = epoch ? Status{} : Status{epoch.error()};
  if (epoch || epoch.error().code == Errc::Corrupt) {
    Status replayed = parts_.coordinator->read(1, replay);
    if (read) read = std::move(replayed);
  }
  if (read && !state.has_tenant()) return Error{Errc::NotFound, "no tenant in '" + printable(parts_.directory) + "'"};
  if (read) return {};
  if (read.error().code != Errc::Corrupt)
    return read;  // locked, too new, or a disk that does not answer: nothing is touched
  parts_.journal_damage = read.error();
  if (!state.has_tenant()) HF_TRY_DO(salvage());
  log::error("tenant is damaged", {{"directory", parts_.directory}, {"what", parts_.journal_damage->message}});
  return {};
}

/// The head is gone, so nobody can say where the journal ends; for reading, its records speak for themselves.
Status LocalTenant::salvage() {
  const std::string journal = fs::join(parts_.directory, coordinator::kJournalName);
  const Result<std::vector<coordinator::SegmentFile>> segments = coordinator::list_segments(parts_.env.fs, journal);
  coordinator::Chain chain;
  for (std::size_t i = 0; segments && i < segments->size(); ++i) {
    const coordinator::SegmentFile& segment = (*segments)[i];
    if (segment.first != chain.next_number()) break;
    Result<coordinator::SegmentReader> reader =
        coordinator::SegmentReader::open(parts_.env.fs, journal, segment.first, 0, segment.bytes);
    while (reader) {
      const Result<std::optional<journal::Record>> record = reader->next(chain);
      if (!record || !*record || !parts_.state.state.apply(**record)) break;
    }
  }
  return parts_.state.state.has_tenant() ? Status{} : Status{*parts_.journal_damage};
}

void LocalTenant::start_publisher() {
  const State& state = parts_.state.state;
  for (const auto& [pack, what] : state.damaged()) parts_.damage.mark_pack(pack, what);
  const retention::Resumed resumed = resume_vault(parts_.env, state);
  anchored_ = resumed.anchored;
  parts_.vault = std::make_unique<retention::VaultClock>(parts_.env.clock, resumed.start);
  parts_.publisher = std::make_unique<Publisher>(
      *parts_.coordinator, parts_.epoch, state.generation(), parts_.state, *parts_.vault, parts_.env.clock,
      [this](const std::vector<pack::Footer>& footers, std::uint64_t generation) {
        parts_.index->published(footers, generation);
      });
  if (parts_.journal_damage) parts_.publisher->stop(*parts_.journal_damage);
}

/// In a new boot: from now on its clock counts. Without the record the time until the next one is proven by less.
void LocalTenant::anchor_vault() {
  if (anchored_ || parts_.journal_damage) return;
  if (const Status anchored = publish_anchor(parts_); !anchored)
    log::warning("vault clock not anchored", {{"directory", parts_.directory}, {"why", anchored.error().message}});
}

Status LocalTenant::confirm_gap(std::int64_t gap_ns, std::optional<std::int64_t> since_ns) {
  return tenant::confirm_gap(parts_, gap_ns, since_ns);
}

/// Names and lengths only: cheap enough for every start, and nobody builds on a pack that is not there.
Status LocalTenant::note_missing_objects(std::optional<journal::ForkPayload>& fork) {
  HF_TRY(const std::vector<store::ObjectInfo> packs, parts_.store->list("packs/"));
  HF_TRY(const std::vector<store::ObjectInfo> slots, parts_.store->list("slots/"));
  fork = find_fork(packs);
  const auto bytes_of = [](const std::vector<store::ObjectInfo>& objects,
                           const std::string& name) -> std::optional<std::uint64_t> {
    const auto found = std::lower_bound(objects.begin(), objects.end(), name,
                                        [](const store::ObjectInfo& o, const std::string& n) { return o.name < n; });
    if (found == objects.end() || found->name != name) return std::nullopt;
    return found->bytes;
  };
  std::vector<std::pair<PackId, std::string>> lost_packs;
  std::vector<RunId> lost_slots;
  parts_.state.read([&](const State& s) {
    for (const auto& [id, pack] : s.packs()) {
      const std::string name = pack::object_name(id, pack.note.store_epoch);
      const std::optional<std::uint64_t> bytes = bytes_of(packs, name);
      if (!bytes)
        lost_packs.emplace_back(id, name);
      else if (*bytes != pack.note.bytes)
        parts_.damage.mark_pack(id, name + ": has another length than the journal says");
    }
    for (const auto& [id, session] : s.sessions()) {
      if (session.slot == Session::Slot::Kept && !bytes_of(slots, slot_name(session.payload.run)))
        lost_slots.push_back(session.payload.run);
    }
  });
  // Once sessions are open, it may be younger than the list.
  for (const auto& [id, name] : lost_packs)
    if (!parts_.store->size(name)) parts_.damage.mark_pack(id, name + ": the pack is missing");
  for (const RunId& run : lost_slots)
    if (!parts_.store->size(slot_name(run))) parts_.damage.set_slot(run, true);
  return {};
}

Status LocalTenant::compare_directory() {
  const std::lock_guard lock(comparing_);
  if (compared_) return {};
  std::optional<journal::ForkPayload> fork;
  HF_TRY_DO(note_missing_objects(fork).context(
      "the tenant's files could not be listed yet, so nobody knows whether an older journal was put back; mend what keeps "
      "them from being read, then try again"));
  if (fork) freeze(*fork);
  compared_ = true;
  parts_.in_flight.remember(false);
  return {};
}

Result<PurgeReport> LocalTenant::purge(bool dry_run) {
  if (!dry_run) HF_TRY_DO(compare_directory().context("nothing is purged"));
  return life_.purge(dry_run);
}

/// A pack of this epoch that we have not written, or of a later one: another owner went on from here, and then an
/// older copy of the journal was put back. Which packs are needed is not known then: nothing is destroyed any more.
std::optional<journal::ForkPayload> LocalTenant::find_fork(const std::vector<store::ObjectInfo>& packs) const {
  if (parts_.journal_damage || parts_.state.read([](const State& s) { return s.frozen() != nullptr; }))
    return std::nullopt;
  for (const store::ObjectInfo& object : packs) {
    const auto pack = pack::parse_object_name(object.name);
    if (!pack || pack->second < parts_.epoch.counter || parts_.in_flight.was_here(pack->first)) continue;
    return journal::ForkPayload{pack->second, object.name + " was written under epoch " + std::to_string(pack->second) +
                                                  ", the journal has come to epoch " +
                                                  std::to_string(parts_.epoch.counter) +
                                                  ": it is an older copy, put back"};
  }
  return std::nullopt;
}

void LocalTenant::freeze(const journal::ForkPayload& fork) {
  log::error("tenant was rolled back", {{"directory", parts_.directory}, {"what", fork.what}});
  const auto propose = [&](const State&, const Stamp&) -> Result<std::vector<coordinator::NewRecord>> {
    return std::vector{new_record(journal::Kind::Fork, journal::encode(fork))};
  };
  // Read-only is safe too, if it cannot be written down.
  if (const auto noted = parts_.publisher->publish("fork", propose); !noted) parts_.publisher->stop(noted.error());
}

/// A tenant without an index can still list; lookups try again to open it.
void LocalTenant::start_index() {
  parts_.index = std::make_unique<LiveIndex>(parts_.env.fs, fs::join(parts_.directory, "index"),
                                             parts_.env.index_shared, *parts_.store, parts_.state, parts_.damage);
  const Status opened = parts_.index->open(!parts_.journal_damage);
  if (!opened) log::error("index cannot be opened", {{"directory", parts_.directory}, {"why", opened.error().message}});
  parts_.index->heal_with([this](const std::function<Status()>& work) { return parts_.publisher->quietly(work); });
}

Account LocalTenant::account() {
  Account out = parts_.state.read([](const State& s) {
    Account a;
    a.name = s.tenant().name;
    a.plan = s.tenant().plan;
    a.id = s.tenant().id;
    a.quota_bytes = s.tenant().quota_bytes;
    a.used_bytes = s.used_bytes();
    for (const auto& [id, snapshot] : s.snapshots()) a.snapshots += snapshot.life <= Life::Locked ? 1 : 0;
    a.clients = s.clients_by_name().size();
    for (const auto& [name, id] : s.clients_by_name()) {
      const Snapshot* const newest = s.snapshot(s.client(id)->newest);
      if (newest != nullptr) a.newest_ns = std::max(a.newest_ns, newest->wall_ns);
    }
    return a;
  });
  out.vault_ns = parts_.vault->now_ns();
  out.vault_gap_ns = parts_.vault->gap_ns();
  const std::optional<Error> stopped = parts_.publisher->stopped();
  const std::optional<std::string> damaged = parts_.damage.summary();
  const std::optional<std::string> frozen = parts_.state.read(
      [](const State& s) { return s.frozen() != nullptr ? std::optional(*s.frozen()) : std::nullopt; });
  out.health = stopped   ? "read-only: " + stopped->message
               : damaged ? "damaged: " + *damaged
               : frozen  ? "rolled back, nothing is destroyed: " + *frozen
                         : "ok";
  return out;
}

Result<journal::ClientPayload> LocalTenant::invite(const std::string& name, const Digest& token_digest,
                                                   std::int64_t expires_ns) {
  return clients_.invite(name, token_digest, expires_ns);
}
Result<journal::ClientPayload> LocalTenant::client_by_name(const std::string& name) { return clients_.by_name(name); }
std::vector<journal::ClientPayload> LocalTenant::clients() { return clients_.all(); }
Result<journal::ClientPayload> LocalTenant::enrol(const std::string& name, const Digest& token_digest,
                                                  const Digest& request_digest, ByteSpan client_certificate,
                                                  const std::function<Result<std::string>()>& issue_certificate) {
  return clients_.enrol(name, token_digest, request_digest, client_certificate, issue_certificate);
}
Status LocalTenant::revoke(const std::string& name) { return clients_.revoke(name); }
std::optional<PublicKey> LocalTenant::pinned_root() {
  return parts_.state.read([](const State& s) { return s.pinned_root(); });
}

Result<SessionOpened> LocalTenant::open_session(const ClientId& client, ByteSpan run_record, ByteSpan slot,
                                                const SnapshotId& base, const std::optional<SessionId>& resume) {
  return sessions_.open(client, run_record, slot, base, resume);
}
Result<std::vector<HaveAnswer>> LocalTenant::have(const ClientId& client, const SessionId& session, std::uint32_t epoch,
                                                  const std::vector<BlobId>& blobs) {
  return sessions_.have(client, session, epoch, blobs);
}
Result<std::vector<std::uint64_t>> LocalTenant::put(const ClientId& client, const SessionId& session, std::uint64_t tag,
                                                    ByteSpan record) {
  return sessions_.put(client, session, tag, record);
}
Result<std::vector<std::uint64_t>> LocalTenant::flush(const ClientId& client, const SessionId& session) {
  return sessions_.flush(client, session);
}
Status LocalTenant::abandon(const ClientId& client, const SessionId& session) {
  return sessions_.abandon(client, session);
}
Result<Bytes> LocalTenant::commit(const ClientId& client, const SessionId& session, ByteSpan core, Refused* refused) {
  return commits_.commit(client, session, core, refused);
}

Result<std::vector<SnapshotRow>> LocalTenant::snapshots(const std::optional<ClientId>& client,
                                                        std::uint64_t after_sequence, std::size_t limit,
                                                        Viewer viewer) {
  return reading_.snapshots(client, after_sequence, limit, viewer);
}
Result<std::vector<SnapshotRow>> LocalTenant::snapshots_before(const ClientId& client, std::uint64_t before_sequence,
                                                               std::size_t limit, Viewer viewer) {
  return reading_.snapshots_before(client, before_sequence, limit, viewer);
}
Result<RunRow> LocalTenant::run(const ClientId& client, const RunId& run) { return reading_.run(client, run); }
std::vector<std::size_t> LocalTenant::read_order(
    const ClientId& client, const std::vector<std::pair<std::pair<DomainId, std::uint32_t>, blob::BlobRef>>& refs) {
  return reading_.read_order(client, refs);
}
Result<Bytes> LocalTenant::read_blob(const ClientId& client, const DomainId& domain, std::uint32_t epoch,
                                     const blob::BlobRef& ref) {
  return reading_.read_blob(client, domain, epoch, ref);
}

Result<CheckSummary> LocalTenant::check(bool read_data, const std::function<void(const Finding&)>& found) {
  return Check(parts_, read_data).run(found);
}

Result<Tenant::Rebuilt> LocalTenant::rebuild_index() {
  Rebuilt out;
  HF_TRY_DO(parts_.publisher->quietly([&]() -> Status {
    HF_TRY(const LiveIndex::Rebuilt counts, parts_.index->rebuild());
    out = {counts.packs, counts.blobs};
    return {};
  }));
  return out;
}

Result<Digest> LocalTenant::index_digest() { return parts_.index->digest(); }

}  // namespace holdfast::tenant
