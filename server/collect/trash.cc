#include "server/collect/trash.h"

#include <algorithm>

#include "common/base/log.h"
#include "server/collect/condemn.h"

namespace holdfast::collect {
namespace {

using Records = std::vector<coordinator::NewRecord>;
using Why = journal::CondemnPayload::Why;

// Unlinked between two records: a crash repeats at most so many.
constexpr std::size_t kRemovedAtOnce = 1024;
constexpr std::size_t kSlotsAtOnce = 4096;
constexpr std::size_t kErasedAtOnce = 4096;

struct Orphan {
  PackId id;
  std::uint64_t epoch = 0, bytes = 0;
};

/// Of an older epoch: its owner is fenced and can publish nothing. Of ours: whoever writes it has it in flight. A later
/// epoch than ours cannot be: then the store was rolled back, and LocalTenant has noticed at the start.
bool is_orphan(const tenant::Parts& parts, const tenant::State& state, const Orphan& pack) {
  return state.pack(pack.id) == nullptr && state.trashed(pack.id) == nullptr && pack.epoch <= parts.epoch.counter &&
         !parts.in_flight.contains(pack.id);
}

Result<std::vector<Orphan>> find_orphans(tenant::Parts& parts) {
  HF_TRY(const std::vector<store::ObjectInfo> objects, parts.store->list("packs/"));
  std::vector<Orphan> out;
  parts.state.read([&](const tenant::State& s) {
    for (const store::ObjectInfo& object : objects) {
      const auto name = pack::parse_object_name(object.name);
      if (!name) continue;
      const Orphan orphan{name->first, name->second, object.bytes};
      if (is_orphan(parts, s, orphan)) out.push_back(orphan);
    }
  });
  return out;
}

/// A session's record is durable before its first pack is begun, and stays known: what names another run was written under
/// a part of the journal that is no more. A pack that cannot be read tells nothing, unless a later program wrote it.
Result<bool> is_of_a_lost_journal(tenant::Parts& parts, const Orphan& orphan) {
  const pack::RangeReader ranges = [&](std::uint64_t offset, std::uint64_t length) {
    return parts.store->get(pack::object_name(orphan.id, orphan.epoch), offset, length);
  };
  const Result<pack::ReadFooter> read = pack::read_footer(orphan.bytes, ranges);
  const auto says = [&](Errc code) { return !read && read.error().code == code; };
  if (says(Errc::TooNew)) return true;
  if (says(Errc::Corrupt) || says(Errc::Limit) || says(Errc::NotFound)) return false;
  if (!read) return read.error();
  return parts.state.read([&](const tenant::State& s) {
    return std::any_of(read->footer.entries.begin(), read->footer.entries.end(),
                       [&](const pack::Entry& entry) { return s.session_of_run(entry.run) == nullptr; });
  });
}

bool slot_is_needed(const tenant::State& s, const tenant::Session& session) {
  using Phase = tenant::Session::Phase;
  if (session.phase == Phase::Open || session.slot != tenant::Session::Slot::Kept) return true;
  if (session.phase == Phase::Committed && s.snapshot(session.snapshot)->life <= tenant::Life::Locked) return true;
  return std::any_of(session.packs.begin(), session.packs.end(),
                     [&](const PackId& id) { return s.pack(id) != nullptr; });
}

std::int64_t due_ns(std::int64_t condemned_ns, std::chrono::hours wait) {
  return condemned_ns + std::chrono::nanoseconds(wait).count();
}

/// Of the trash, oldest first.
struct Due {
  std::vector<std::pair<PackId, tenant::Trashed>> packs;
  std::vector<RunId> slots;
};

Due find_due(const tenant::Parts& parts, std::chrono::hours wait) {
  const std::int64_t now_ns = parts.vault->now_ns();
  Due due;
  parts.state.read([&](const tenant::State& s) {
    for (const auto& [id, pack] : s.trash()) {
      if (due_ns(pack.condemned_ns, wait) <= now_ns) due.packs.emplace_back(id, pack);
    }
    for (const auto& [id, session] : s.sessions()) {
      if (session.slot == tenant::Session::Slot::Condemned && due_ns(session.slot_condemned_ns, wait) <= now_ns)
        due.slots.push_back(session.payload.run);
    }
  });
  std::sort(due.packs.begin(), due.packs.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second.condemned_ns, a.first) < std::pair(b.second.condemned_ns, b.first);
  });
  return due;
}

Status remove_object(tenant::Parts& parts, const std::string& name) {
  const Status removed = parts.store->remove(name);
  if (!removed && removed.error().code != Errc::NotFound) return removed;
  return {};  // gone: an earlier pass was stopped before its record
}

/// The files are gone; now the journal may forget them.
Status publish_removed(tenant::Parts& parts, const journal::RemovedPayload& payload) {
  const auto propose = [&](const tenant::State&, const tenant::Stamp&) -> Result<Records> {
    return Records{tenant::new_record(journal::Kind::Removed, journal::encode(payload))};
  };
  HF_TRY_DO(parts.publisher->publish(tenant::Publisher::kAlone, propose));
  return {};
}

}  // namespace

Result<bool> condemn_orphans(tenant::Parts& parts, Survey& survey, bool dry_run, CollectSummary& summary) {
  HF_TRY(std::vector<Orphan> orphans, find_orphans(parts));
  if (orphans.empty()) return true;
  const std::size_t packs = parts.state.read([](const tenant::State& s) { return s.packs().size(); });
  if (orphans.size() > kFewOrphans && orphans.size() * 100 > packs) {
    summary.held.push_back(
        std::to_string(orphans.size()) + " orphans, more than 1 % of " + std::to_string(packs) +
        " packs, are left: so many are rather a sign of a lost journal than of crashes. Compare with `check`");
    return false;
  }
  for (const Orphan& orphan : orphans) {
    const Result<bool> lost = is_of_a_lost_journal(parts, orphan);
    if (lost && !*lost) continue;
    summary.held.push_back(std::to_string(orphans.size()) + " orphans are left: pack " + orphan.id.hex() +
                           (lost ? " is of a run that no record names, so an older journal was put back rather than "
                                   "that a crash has left it. Compare with `check`"
                                 : " cannot be read: " + lost.error().message));
    return false;
  }
  const auto propose = [&](const tenant::State& state, const tenant::Stamp&) -> Result<Records> {
    std::erase_if(orphans, [&](const Orphan& orphan) { return !is_orphan(parts, state, orphan); });
    if (orphans.empty()) return Records{};
    journal::CondemnPayload payload;
    for (const Orphan& orphan : orphans) payload.packs.push_back({orphan.id, orphan.epoch, orphan.bytes, Why::Orphan});
    return Records{tenant::new_record(journal::Kind::Condemn, journal::encode(payload))};
  };
  if (orphans.size() > journal::kMaxPacksPerRecord) orphans.resize(journal::kMaxPacksPerRecord);
  if (!dry_run) HF_TRY_DO(publish_judgement(parts, survey, propose));
  for (const Orphan& orphan : orphans) {
    summary.orphans += 1;
    summary.orphan_bytes += orphan.bytes;
  }
  return true;
}

Status condemn_slots(tenant::Parts& parts, Survey& survey, const std::unordered_set<RunId>& surviving, bool dry_run,
                     CollectSummary& summary) {
  std::vector<RunId> runs;
  parts.state.read([&](const tenant::State& s) {
    for (const auto& [id, session] : s.sessions()) {
      if (!slot_is_needed(s, session) && !surviving.contains(session.payload.run)) runs.push_back(session.payload.run);
    }
  });
  for (std::size_t at = 0; at < runs.size(); at += kSlotsAtOnce) {
    std::vector<RunId> some(runs.begin() + static_cast<std::ptrdiff_t>(at),
                            runs.begin() + static_cast<std::ptrdiff_t>(std::min(runs.size(), at + kSlotsAtOnce)));
    const auto propose = [&](const tenant::State& state, const tenant::Stamp&) -> Result<Records> {
      std::erase_if(some, [&](const RunId& run) { return slot_is_needed(state, *state.session_of_run(run)); });
      if (some.empty()) return Records{};
      return Records{
          tenant::new_record(journal::Kind::Condemn, journal::encode(journal::CondemnPayload{{}, some, {}}))};
    };
    if (!dry_run) HF_TRY_DO(publish_judgement(parts, survey, propose));
    summary.slots += some.size();
  }
  return {};
}

Status empty_trash(tenant::Parts& parts, std::chrono::hours wait, const std::unordered_set<RunId>& needed,
                   std::uint64_t damage_version, CollectSummary& summary) {
  const Due due = find_due(parts, std::max<std::chrono::hours>(wait, tenant::kMinTrash));
  journal::RemovedPayload removed;
  const auto record = [&]() -> Status {
    if (removed.packs.empty() && removed.slots.empty()) return {};
    HF_TRY_DO(publish_removed(parts, removed));
    removed = {};
    return {};
  };
  for (const auto& [id, pack] : due.packs) {
    if (parts.damage.version() != damage_version) {
      summary.held.push_back(
          "the trash is kept from here on: damage was found meanwhile, and the next pass looks here for what was lost");
      return record();
    }
    if (const Status gone = remove_object(parts, pack::object_name(id, pack.store_epoch)); !gone) {
      summary.held.push_back("a pack stays in the trash: " + gone.error().message);
      continue;
    }
    removed.packs.push_back(id);
    summary.removed_packs += 1;
    summary.removed_bytes += pack.bytes;
    if (removed.packs.size() == kRemovedAtOnce) HF_TRY_DO(record());
  }
  for (const RunId& run : due.slots) {
    if (needed.contains(run)) {
      summary.held.push_back("the key slot of run " + run.hex() + " stays in the trash: snapshots need blobs of it");
      continue;
    }
    if (const Status gone = remove_object(parts, tenant::slot_name(run)); !gone) {
      summary.held.push_back("a key slot stays in the trash: " + gone.error().message);
      continue;
    }
    removed.slots.push_back(run);
    if (removed.slots.size() == kRemovedAtOnce) HF_TRY_DO(record());
  }
  return record();
}

Status record_erased(tenant::Parts& parts, bool orphans_left, CollectSummary& summary) {
  if (orphans_left) return {};
  const auto propose = [&](const tenant::State& s, const tenant::Stamp&) -> Result<Records> {
    std::unordered_set<SnapshotId> pinned;
    for (const auto& [name, id] : s.clients_by_name())
      for (const SessionId& session : s.client(id)->open_sessions) pinned.insert(s.session(session)->payload.base);
    // What was condemned while a snapshot lived may hold its blobs, which have been copied since.
    std::uint64_t oldest = ~std::uint64_t{0};
    for (const auto& [id, pack] : s.trash()) oldest = std::min(oldest, pack.why == Why::Orphan ? 0 : pack.number);
    journal::ErasedPayload payload;
    for (const auto& [id, snapshot] : s.snapshots()) {
      if (payload.snapshots.size() == kErasedAtOnce) break;  // the next pass has the others
      const bool gone = snapshot.life == tenant::Life::Deleted && snapshot.released && snapshot.remains.empty() &&
                        snapshot.released_number < oldest;
      if (gone && !pinned.contains(id)) payload.snapshots.push_back(id);
    }
    if (payload.snapshots.empty()) return Records{};
    summary.erased = payload.snapshots.size();
    return Records{tenant::new_record(journal::Kind::Erased, journal::encode(payload))};
  };
  HF_TRY_DO(parts.publisher->publish(tenant::Publisher::kAlone, propose));
  return {};
}

void count_trash(const tenant::Parts& parts, std::chrono::hours wait, CollectSummary& summary) {
  parts.state.read([&](const tenant::State& s) {
    summary.trash_packs = s.trash().size();
    summary.trash_bytes = s.trash_bytes();
    for (const auto& [id, pack] : s.trash()) {
      const std::int64_t due = due_ns(pack.condemned_ns, wait);
      if (summary.next_removal_ns == 0 || due < summary.next_removal_ns) summary.next_removal_ns = due;
    }
  });
}

}  // namespace holdfast::collect
