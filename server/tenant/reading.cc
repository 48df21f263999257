#include "server/tenant/reading.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "common/crypto/hash.h"

namespace holdfast::tenant {
namespace {

SnapshotRow row_of(const Snapshot& snapshot) {
  SnapshotRow row;
  row.client = snapshot.payload.client;
  row.sequence = snapshot.payload.sequence;
  row.id = snapshot.payload.snapshot;
  row.core = snapshot.payload.core;
  row.received_ns = snapshot.wall_ns;  // people see the wall clock, retention counts the vault's
  row.lock_not_before_ns = snapshot.payload.lock_not_before_ns;
  row.state = life_name(snapshot.life);
  row.delete_not_before_ns = snapshot.delete_not_before_ns;
  return row;
}

bool shown_to(const Snapshot& snapshot, Viewer viewer, std::int64_t now_ns) {
  if (snapshot.life == Life::Live) return true;
  if (snapshot.life > Life::Locked) return false;
  const bool early =
      snapshot.lock_reason == journal::LockPayload::Reason::Operator && snapshot.promised_lock_ns > now_ns;
  return viewer == Viewer::Operator || early;
}

}  // namespace

Result<Bytes> read_slot(store::ObjectStore& store, const RunId& run, const Digest& digest, DamageRegister& damage) {
  const std::string name = slot_name(run);
  const auto read = [&]() -> Result<Bytes> {
    HF_TRY(const std::uint64_t bytes, store.size(name));
    if (bytes > snapshot::kMaxSlotBytes) return Error{Errc::Corrupt, name + ": longer than any key slot"};
    HF_TRY(Bytes slot, store.get(name, 0, bytes));
    if (crypto::digest(slot) != digest)
      return Error{Errc::Corrupt, name + ": is not the key slot that the journal names"};
    return slot;
  };
  Result<Bytes> slot = read();
  if (!slot && slot.error().code == Errc::NotFound) slot = Error{Errc::Corrupt, name + ": the key slot is missing"};
  if (slot || slot.error().code == Errc::Corrupt) damage.set_slot(run, !slot.has_value());
  return slot;
}

Result<std::vector<SnapshotRow>> Reading::snapshots(const std::optional<ClientId>& client, std::uint64_t after_sequence,
                                                    std::size_t limit, Viewer viewer) const {
  const std::int64_t now_ns = parts_.vault->now_ns();
  return parts_.state.read([&](const State& s) -> Result<std::vector<SnapshotRow>> {
    std::vector<const Client*> clients;
    if (client) {
      const Client* const known = s.client(*client);
      if (known == nullptr) return Error{Errc::NotFound, "no such client"};
      clients.push_back(known);
    } else {
      for (const auto& [name, id] : s.clients_by_name()) clients.push_back(s.client(id));
    }
    std::vector<SnapshotRow> rows;
    for (const Client* const each : clients) {
      for (const SnapshotId& id : each->snapshots) {
        const Snapshot& snapshot = *s.snapshot(id);
        if (!shown_to(snapshot, viewer, now_ns) || snapshot.payload.sequence <= after_sequence) continue;
        if (rows.size() == limit) return rows;
        rows.push_back(row_of(snapshot));
      }
    }
    return rows;
  });
}

Result<std::vector<SnapshotRow>> Reading::snapshots_before(const ClientId& client, std::uint64_t before_sequence,
                                                           std::size_t limit, Viewer viewer) const {
  const std::int64_t now_ns = parts_.vault->now_ns();
  return parts_.state.read([&](const State& s) -> Result<std::vector<SnapshotRow>> {
    const Client* const known = s.client(client);
    if (known == nullptr) return Error{Errc::NotFound, "no such client"};
    std::vector<SnapshotRow> rows;
    for (auto id = known->snapshots.rbegin(); id != known->snapshots.rend() && rows.size() < limit; ++id) {
      const Snapshot& snapshot = *s.snapshot(*id);
      if (shown_to(snapshot, viewer, now_ns) && snapshot.payload.sequence < before_sequence)
        rows.push_back(row_of(snapshot));
    }
    return rows;
  });
}

Result<RunRow> Reading::run(const ClientId& client, const RunId& run) const {
  Digest slot_digest;
  HF_TRY(RunRow row, parts_.state.read([&](const State& s) -> Result<RunRow> {
    const Session* const session = s.session_of_run(run);
    const Client* const asker = s.client(client);
    // A shared domain's members open each other's blobs; anybody else's run looks like no run.
    if (session == nullptr || asker == nullptr || session->slot == Session::Slot::Removed ||
        (session->payload.client != client && !asker->domains.contains(session->domain))) {
      return Error{Errc::NotFound, "no run " + run.short_hex()};
    }
    slot_digest = session->payload.slot_digest;
    return RunRow{session->payload.run_record, {}, *session->certificate};
  }));
  HF_TRY(row.slot, read_slot(*parts_.store, run, slot_digest, parts_.damage));
  return row;
}

bool Reading::may_read(const ClientId& client, const DomainId& domain) const {
  return parts_.state.read([&](const State& s) {
    const Client* const known = s.client(client);
    return known != nullptr && known->domains.contains(domain);
  });
}

Result<std::vector<Copy>> Reading::exact_copies(const ClientId& client, const DomainId& domain, std::uint32_t epoch,
                                                const blob::BlobRef& ref) const {
  if (!may_read(client, domain)) return std::vector<Copy>{};
  HF_TRY(std::vector<Copy> copies, parts_.copies(client, domain, epoch, ref.blob));
  std::erase_if(copies, [&](const Copy& c) { return c.location.entry.run != ref.run; });
  std::stable_partition(copies.begin(), copies.end(), [](const Copy& c) { return !c.damaged; });
  return copies;
}

std::vector<std::size_t> Reading::read_order(
    const ClientId& client,
    const std::vector<std::pair<std::pair<DomainId, std::uint32_t>, blob::BlobRef>>& refs) const {
  constexpr std::uint64_t kUnknown = std::numeric_limits<std::uint64_t>::max();
  std::vector<std::tuple<std::uint64_t, std::uint64_t, std::size_t>> places;  // pack, offset, position
  for (std::size_t i = 0; i < refs.size(); ++i) {
    const Result<std::vector<Copy>> copies =
        exact_copies(client, refs[i].first.first, refs[i].first.second, refs[i].second);
    const bool found = copies && !copies->empty();
    places.emplace_back(found ? copies->front().order : kUnknown, found ? copies->front().location.entry.offset : 0, i);
  }
  std::sort(places.begin(), places.end());
  std::vector<std::size_t> order;
  for (const auto& [pack, offset, position] : places) order.push_back(position);
  return order;
}

Result<Bytes> Reading::read_blob(const ClientId& client, const DomainId& domain, std::uint32_t epoch,
                                 const blob::BlobRef& ref) const {
  HF_TRY(const std::vector<Copy> copies, exact_copies(client, domain, epoch, ref));
  std::optional<Error> first;
  for (const Copy& copy : copies) {
    Result<Bytes> record = pack::read_record(copy.location.entry, pack_ranges(*parts_.store, copy.note));
    if (record) return record;
    Error error = std::move(record).error().with_context("blob " + ref.blob.hex() + " in " +
                                                         pack::object_name(copy.note.id, copy.note.store_epoch) +
                                                         " at offset " + std::to_string(copy.location.entry.offset));
    // A missing pack is damage to whoever needs it; a disk that does not answer is not.
    if (error.code == Errc::NotFound) error.code = Errc::Corrupt;
    if (error.code == Errc::Corrupt) parts_.report_damage(copy.location.pack, error.message);
    if (!first) first = std::move(error);
  }
  if (first) return std::move(*first);
  return Error{Errc::NotFound, "no blob " + ref.blob.hex() + " of run " + ref.run.short_hex()};
}

}  // namespace holdfast::tenant
