// What ends in a tenant: snapshots, packs, key slots (FORMAT.md, section 4). Every rule that must never be broken is held
// here once more, whoever wrote the record.

#include <algorithm>
#include <utility>

#include "server/tenant/state.h"

namespace holdfast::tenant {
namespace {

Error contradiction(const journal::Record& record, const std::string& what) {
  return {Errc::Corrupt, "journal record " + std::to_string(record.number) + ": " + what};
}

std::int64_t after(std::int64_t ns, std::chrono::nanoseconds by) {
  std::int64_t out = 0;
  return __builtin_add_overflow(ns, by.count(), &out) ? std::numeric_limits<std::int64_t>::max() : out;
}

template <class Items, class Key>
bool all_different(const Items& items, Key key) {
  std::set<std::decay_t<decltype(key(*items.begin()))>> seen;
  return std::all_of(items.begin(), items.end(), [&](const auto& item) { return seen.insert(key(item)).second; });
}

const auto kItself = [](const auto& id) { return id; };
const auto kSnapshotOf = [](const auto& item) { return item.snapshot; };

}  // namespace

std::string_view life_name(Life life) {
  switch (life) {
    case Life::Live:
      return "live";
    case Life::Locked:
      return "locked";
    case Life::Deleted:
      return "deleted";
    case Life::Erased:
      return "erased";
  }
  return "?";
}

Status State::apply_life(const journal::Record& record, Mode mode) {
  switch (record.kind) {
    case journal::Kind::Source:
      return apply_source(record, mode);
    case journal::Kind::Lock:
      return apply_lock(record, mode);
    case journal::Kind::Undelete:
      return apply_undelete(record, mode);
    case journal::Kind::Deleted:
      return apply_deleted(record, mode);
    case journal::Kind::Erased:
      return apply_erased(record, mode);
    case journal::Kind::Condemn:
      return apply_condemn(record, mode);
    case journal::Kind::Removed:
      return apply_removed(record, mode);
    case journal::Kind::Clock:
      return apply_clock(record, mode);
    case journal::Kind::Fork:
      return apply_fork(record, mode);
    default:
      return {};
  }
}

/// In this mode nothing is changed.
Status State::check(const journal::Record& record) const {
  return const_cast<State*>(this)->apply_life(record, Mode::Check);
}

Snapshot* State::snapshot_in(const SnapshotId& id, Life life) {
  const auto it = snapshots_.find(id);
  return it == snapshots_.end() || it->second.life != life ? nullptr : &it->second;
}

Status State::apply_source(const journal::Record& record, Mode mode) {
  HF_TRY(journal::SourcePayload payload, journal::decode_source(record.payload));
  if (!clients_.contains(payload.client)) return contradiction(record, "a source of an unknown client");
  if (mode == Mode::Check) return {};
  const std::pair key(payload.client, payload.source);
  sources_[key] = std::move(payload);
  return {};
}

Status State::apply_lock(const journal::Record& record, Mode mode) {
  HF_TRY(const journal::LockPayload payload, journal::decode_lock(record.payload));
  if (!all_different(payload.items, kSnapshotOf)) return contradiction(record, "locks a snapshot twice");
  for (const journal::LockPayload::Item& item : payload.items) {
    const Snapshot* const snapshot = snapshot_in(item.snapshot, Life::Live);
    if (snapshot == nullptr) return contradiction(record, "locks a snapshot that is not live");
    const std::int64_t own_date = snapshot->payload.lock_not_before_ns;
    if (payload.reason == journal::LockPayload::Reason::Age && record.vault_ns < own_date)
      return contradiction(record, "locks snapshot " + item.snapshot.hex() + " before its date");
    if (item.delete_not_before_ns < std::max(record.vault_ns, own_date))
      return contradiction(record, "would delete snapshot " + item.snapshot.hex() + " before its date");
  }
  if (mode == Mode::Check) return {};
  for (const journal::LockPayload::Item& item : payload.items) {
    Snapshot& snapshot = snapshots_.at(item.snapshot);
    snapshot.life = Life::Locked;
    snapshot.life_ns = record.vault_ns;
    snapshot.delete_not_before_ns = item.delete_not_before_ns;
    snapshot.lock_reason = payload.reason;
    snapshot.locked_ns = record.vault_ns;
    if (payload.reason == journal::LockPayload::Reason::Operator) snapshot.locked_by = payload.who;
  }
  return {};
}

Status State::apply_undelete(const journal::Record& record, Mode mode) {
  HF_TRY(const journal::UndeletePayload payload, journal::decode_undelete(record.payload));
  if (!all_different(payload.items, kSnapshotOf)) return contradiction(record, "undeletes a snapshot twice");
  for (const journal::UndeletePayload::Item& item : payload.items) {
    const Snapshot* const snapshot = snapshot_in(item.snapshot, Life::Locked);
    if (snapshot == nullptr) return contradiction(record, "undeletes a snapshot that is not locked");
    if (item.lock_not_before_ns < snapshot->payload.lock_not_before_ns)
      return contradiction(record, "shortens the term of snapshot " + item.snapshot.hex());
  }
  if (mode == Mode::Check) return {};
  for (const journal::UndeletePayload::Item& item : payload.items) {
    Snapshot& snapshot = snapshots_.at(item.snapshot);
    snapshot.life = Life::Live;
    snapshot.life_ns = record.vault_ns;
    snapshot.payload.lock_not_before_ns = item.lock_not_before_ns;
    snapshot.delete_not_before_ns = 0;
    snapshot.locked_ns = 0;
    snapshot.locked_by.clear();
  }
  return {};
}

Status State::apply_deleted(const journal::Record& record, Mode mode) {
  HF_TRY(const journal::DeletedPayload payload, journal::decode_deleted(record.payload));
  if (!all_different(payload.snapshots, kItself)) return contradiction(record, "deletes a snapshot twice");
  for (const SnapshotId& id : payload.snapshots) {
    const Snapshot* const snapshot = snapshot_in(id, Life::Locked);
    if (snapshot == nullptr) return contradiction(record, "deletes a snapshot that is not locked");
    if (record.vault_ns < snapshot->delete_not_before_ns)
      return contradiction(record, "deletes snapshot " + id.hex() + " before its date");
  }
  if (mode == Mode::Check) return {};
  for (const SnapshotId& id : payload.snapshots) {
    Snapshot& snapshot = snapshots_.at(id);
    snapshot.life = Life::Deleted;
    snapshot.life_ns = snapshot.deleted_ns = record.vault_ns;
    snapshot.good_sources = {};
  }
  return {};
}

Status State::apply_erased(const journal::Record& record, Mode mode) {
  HF_TRY(const journal::ErasedPayload payload, journal::decode_erased(record.payload));
  if (!all_different(payload.snapshots, kItself)) return contradiction(record, "erases a snapshot twice");
  for (const SnapshotId& id : payload.snapshots) {
    const Snapshot* const snapshot = snapshot_in(id, Life::Deleted);
    if (snapshot == nullptr) return contradiction(record, "erases a snapshot that is not deleted");
    if (!snapshot->released || !snapshot->remains.empty())
      return contradiction(record, "says erased of snapshot " + id.hex() + ", of which something is left");
  }
  if (mode == Mode::Check) return {};
  for (const SnapshotId& id : payload.snapshots) {
    Snapshot& snapshot = snapshots_.at(id);
    snapshot.life = Life::Erased;
    snapshot.life_ns = record.vault_ns;
    snapshot.payload.core = Bytes();
  }
  return {};
}

Status State::check_condemn(const journal::Record& record, const journal::CondemnPayload& payload) const {
  using Why = journal::CondemnPayload::Why;
  if (!all_different(payload.packs, [](const auto& item) { return item.pack; }) ||
      !all_different(payload.slots, kItself) || !all_different(payload.releases, kSnapshotOf))
    return contradiction(record, "condemns something twice");
  for (const journal::CondemnPayload::Item& item : payload.packs) {
    const Pack* const live = pack(item.pack);
    if (trash_.contains(item.pack)) return contradiction(record, "condemns pack " + item.pack.hex() + " again");
    if ((live == nullptr) != (item.why == Why::Orphan))
      return contradiction(record, "condemns pack " + item.pack.hex() + " for a wrong reason");
    if (live == nullptr) continue;
    if (live->note.store_epoch != item.store_epoch || live->note.bytes != item.bytes)
      return contradiction(record, "condemns another pack than " + item.pack.hex());
    const Session* const owner = session(live->session);
    if (owner != nullptr && owner->phase == Session::Phase::Open)
      return contradiction(record, "condemns a pack of an open session");
  }
  for (const RunId& run : payload.slots) {
    const Session* const owner = session_of_run(run);
    if (owner == nullptr || owner->phase == Session::Phase::Open || owner->slot != Session::Slot::Kept)
      return contradiction(record, "condemns a key slot that is needed");
  }
  for (const journal::CondemnPayload::Release& release : payload.releases) {
    const Snapshot* const deleted = snapshot(release.snapshot);
    if (deleted == nullptr || deleted->life != Life::Deleted)
      return contradiction(record, "releases a snapshot that is not deleted");
    if (deleted->released && release.more) return contradiction(record, "releases a snapshot once more in parts");
    for (const PackId& id : release.packs) {
      const bool known = deleted->released ? deleted->remains.contains(id) : packs_.contains(id);
      if (!known) return contradiction(record, "releases a snapshot from an unknown pack");
    }
  }
  return {};
}

void State::forget_awaited(const PackId& pack, const SnapshotId& snapshot) {
  const auto [first, last] = awaited_.equal_range(pack);
  const auto found = std::find_if(first, last, [&](const auto& item) { return item.second == snapshot; });
  if (found != last) awaited_.erase(found);
}

Status State::apply_condemn(const journal::Record& record, Mode mode) {
  HF_TRY(const journal::CondemnPayload payload, journal::decode_condemn(record.payload));
  HF_TRY_DO(check_condemn(record, payload));
  if (mode == Mode::Check) return {};
  for (const journal::CondemnPayload::Release& release : payload.releases) {
    Snapshot& snapshot = snapshots_.at(release.snapshot);
    if (snapshot.released) {
      for (const PackId& id : snapshot.remains) forget_awaited(id, release.snapshot);
      snapshot.remains.clear();
    }
    for (const PackId& id : release.packs) {
      if (snapshot.remains.insert(id).second) awaited_.emplace(id, release.snapshot);
    }
    if (!release.more && !std::exchange(snapshot.released, true)) snapshot.released_number = record.number;
  }
  if (!payload.packs.empty()) ++condemnations_;
  for (const journal::CondemnPayload::Item& item : payload.packs) {
    Trashed& trashed = trash_[item.pack];
    trashed = {item.store_epoch, item.bytes, item.why, record.vault_ns, record.number, {}};
    if (const auto live = packs_.find(item.pack); live != packs_.end()) {
      trashed.footer_digest = live->second.note.footer_digest;
      live_bytes_ -= item.bytes;
      packs_.erase(live);
    }
    damaged_.erase(item.pack);
    trash_bytes_ += item.bytes;
  }
  for (const RunId& run : payload.slots) {
    Session& session = sessions_.at(runs_.at(run));
    session.slot = Session::Slot::Condemned;
    session.slot_condemned_ns = record.vault_ns;
  }
  return {};
}

Status State::apply_removed(const journal::Record& record, Mode mode) {
  HF_TRY(const journal::RemovedPayload payload, journal::decode_removed(record.payload));
  if (!all_different(payload.packs, kItself) || !all_different(payload.slots, kItself))
    return contradiction(record, "removes something twice");
  for (const PackId& id : payload.packs) {
    const Trashed* const pack = trashed(id);
    if (pack == nullptr) return contradiction(record, "removes pack " + id.hex() + ", which is not condemned");
    if (record.vault_ns < after(pack->condemned_ns, kMinTrash))
      return contradiction(record, "removes pack " + id.hex() + " too early");
  }
  for (const RunId& run : payload.slots) {
    const Session* const owner = session_of_run(run);
    if (owner == nullptr || owner->slot != Session::Slot::Condemned)
      return contradiction(record, "removes a key slot that is not condemned");
    if (record.vault_ns < after(owner->slot_condemned_ns, kMinTrash))
      return contradiction(record, "removes a key slot too early");
  }
  if (mode == Mode::Check) return {};
  for (const PackId& id : payload.packs) {
    trash_bytes_ -= trash_.at(id).bytes;
    trash_.erase(id);
    const auto [first, last] = awaited_.equal_range(id);
    for (auto it = first; it != last; ++it) snapshots_.at(it->second).remains.erase(id);
    awaited_.erase(first, last);
  }
  for (const RunId& run : payload.slots) {
    Session& session = sessions_.at(runs_.at(run));
    session.slot = Session::Slot::Removed;
    session.payload.run_record = Bytes();
    session.packs = {};
    session.certificate.reset();
  }
  return {};
}

Status State::apply_clock(const journal::Record& record, Mode mode) {
  HF_TRY(const journal::ClockPayload payload, journal::decode_clock(record.payload));
  if (mode == Mode::Check) return {};
  if (payload.added_ns > 0) add_gap(payload.added_ns, payload.since_ns);
  clock_ = payload;
  return {};
}

/// The clock jumps: every term that began when it was behind already moves with it.
void State::add_gap(std::int64_t added_ns, std::int64_t since_ns) {
  const std::chrono::nanoseconds added(added_ns);
  for (auto& [id, snapshot] : snapshots_) {
    if (snapshot.life > Life::Locked) continue;
    const bool began_since = snapshot.life_ns >= since_ns;  // committed, undeleted or locked
    if (snapshot.life == Life::Locked && began_since)
      snapshot.delete_not_before_ns = after(snapshot.delete_not_before_ns, added);
    if (snapshot.life == Life::Live ? began_since : snapshot.vault_ns >= since_ns)
      snapshot.payload.lock_not_before_ns = after(snapshot.payload.lock_not_before_ns, added);
  }
  for (auto& [id, trashed] : trash_) {
    if (trashed.condemned_ns >= since_ns) trashed.condemned_ns = after(trashed.condemned_ns, added);
  }
  for (auto& [id, session] : sessions_) {
    if (session.active_ns >= since_ns) session.active_ns = after(session.active_ns, added);
    if (session.slot == Session::Slot::Condemned && session.slot_condemned_ns >= since_ns)
      session.slot_condemned_ns = after(session.slot_condemned_ns, added);
  }
}

std::optional<retention::Anchor> State::anchor() const {
  if (!clock_) return std::nullopt;
  return retention::Anchor{{clock_->boot_id, clock_->boottime_ns}, clock_->vault_ns};
}

Status State::apply_fork(const journal::Record& record, Mode mode) {
  HF_TRY(journal::ForkPayload payload, journal::decode_fork(record.payload));
  if (mode == Mode::Check) return {};
  if (!frozen_) frozen_ = std::move(payload.what);
  return {};
}

}  // namespace holdfast::tenant
