#include "server/tenant/life.h"

#include <algorithm>

#include "common/base/log.h"

namespace holdfast::tenant {
namespace {

using Records = std::vector<coordinator::NewRecord>;
using Reason = journal::LockPayload::Reason;

SnapshotName name_of(const State& s, const Snapshot& snapshot) {
  const Client* const client = s.client(snapshot.payload.client);
  return {client != nullptr ? client->payload.name : snapshot.payload.client.hex(), snapshot.payload.sequence,
          snapshot.payload.snapshot};
}

std::string text_of(const State& s, const Snapshot& snapshot) { return "snapshot " + snapshot_label(s, snapshot); }

Result<const Snapshot*> known(const State& s, const SnapshotId& id) {
  const Snapshot* const snapshot = s.snapshot(id);
  if (snapshot == nullptr) return Error{Errc::NotFound, "no snapshot " + id.short_hex()};
  return snapshot;
}

std::string label_of(const std::string& text) { return text.substr(0, journal::kMaxLabelBytes); }

Status check_not_frozen(const State& s) {
  if (s.frozen() == nullptr) return {};
  return Error{Errc::Denied, "nothing of this tenant is destroyed: " + *s.frozen()};
}

coordinator::NewRecord lock_record(const std::vector<const Snapshot*>& snapshots, std::int64_t now_ns, Reason reason,
                                   const std::string& who) {
  journal::LockPayload payload;
  payload.reason = reason;
  payload.who = label_of(who);
  for (const Snapshot* const one : snapshots) {
    payload.items.push_back(
        {one->payload.snapshot, retention::delete_date(plan_of(*one), now_ns, one->payload.lock_not_before_ns)});
  }
  return new_record(journal::Kind::Lock, journal::encode(payload));
}

/// What this step does and leaves, added to what the earlier ones of the pass did.
void note_step(const State& s, const PurgeView& view, const PurgeStep& step, const Stamp& stamp, PurgeReport& report) {
  report.now_ns = stamp.vault_ns;
  report.wall_ns = stamp.wall_ns;
  for (const Snapshot* const one : step.to_delete) report.deleted.push_back({name_of(s, *one), one->locked_ns});
  for (const Snapshot* const one : step.to_lock) {
    const std::int64_t ends = retention::delete_date(plan_of(*one), stamp.vault_ns, one->payload.lock_not_before_ns);
    report.locked.push_back({name_of(s, *one), ends});
  }
  report.paused.clear();
  for (const Snapshot* const one : step.paused) {
    const bool live = one->life == Life::Live;
    report.paused.push_back({name_of(s, *one), live ? one->payload.lock_not_before_ns : one->delete_not_before_ns});
  }
  report.lock_cap = step.lock_cap;
  report.held_by_cap = step.held_by_cap;
  report.held_by_clock = held_by_clock(view, stamp.vault_ns, stamp.wall_ns);
  report.next_ns = step.next_ns;
}

/// Words for a source: its label, else its id.
std::string source_text(const State& s, const RegisteredSource& source) {
  const auto said = s.sources().find(std::pair(source.client, source.source));
  if (said != s.sources().end() && !said->second.label.empty()) return said->second.label;
  return source.source.is_zero() ? "the client as a whole" : "source " + source.source.hex();
}

/// What planning says of one that has not ended.
void explain_dates(const State& s, const Snapshot& snapshot, SnapshotStory& out) {
  const PurgeView view = purge_view(s);
  const auto at = std::lower_bound(view.snapshots.begin(), view.snapshots.end(), snapshot.number,
                                   [](const Snapshot* one, std::uint64_t number) { return one->number < number; });
  const auto position = static_cast<std::uint32_t>(at - view.snapshots.begin());
  const auto explained = retention::explain(view.at(out.now_ns), position, plan_of(snapshot));
  HF_ASSERT(explained.has_value());
  out.rule = explained->rule;
  out.delete_not_before_ns = explained->delete_ns;
  for (std::size_t i = 0; i < view.sources.size() && !out.gone_by; ++i) {
    if (view.newest_good[i] == position) out.newest_good_of.push_back(source_text(s, view.sources[i]));
  }
}

SnapshotStory story_of(const State& s, const Snapshot& snapshot, std::int64_t now_ns) {
  SnapshotStory out;
  out.name = name_of(s, snapshot);
  out.life = snapshot.life;
  out.plan = snapshot.payload.plan;
  out.now_ns = now_ns;
  out.committed_ns = snapshot.vault_ns;
  out.received_wall_ns = snapshot.wall_ns;
  out.promised_lock_ns = snapshot.promised_lock_ns;
  out.lock_not_before_ns = snapshot.payload.lock_not_before_ns;
  out.locked_ns = snapshot.locked_ns;
  out.deleted_ns = snapshot.deleted_ns;
  out.erased_ns = snapshot.life == Life::Erased ? snapshot.life_ns : 0;
  out.locked_by_operator = snapshot.lock_reason == Reason::Operator && snapshot.locked_ns != 0;
  out.locked_by = snapshot.locked_by;
  out.delete_not_before_ns = snapshot.delete_not_before_ns;
  out.gone_by = plan_of(snapshot).gone_by;
  out.released = snapshot.released;
  out.remains = snapshot.remains.size();
  if (s.frozen() != nullptr) out.frozen = *s.frozen();
  if (snapshot.life <= Life::Locked) explain_dates(s, snapshot, out);
  return out;
}

void sort_by_commit(const State& s, std::vector<SnapshotName>& names) {
  std::sort(names.begin(), names.end(), [&](const SnapshotName& a, const SnapshotName& b) {
    return s.snapshot(a.id)->number < s.snapshot(b.id)->number;
  });
}

}  // namespace

// ---- purge ----

Result<Records> SnapshotLife::propose_step(const State& s, const Stamp& stamp, PurgeReport& report, bool& more) const {
  HF_TRY_DO(check_not_frozen(s));
  const PurgeView view = purge_view(s);
  const PurgeStep step = purge_step(view, stamp.vault_ns, journal::kMaxSnapshotsPerRecord, report.locked.size());
  more = step.more;
  Records records;
  if (!step.to_delete.empty()) {
    journal::DeletedPayload payload;
    for (const Snapshot* const one : step.to_delete) payload.snapshots.push_back(one->payload.snapshot);
    records.push_back(new_record(journal::Kind::Deleted, journal::encode(payload)));
  }
  if (!step.to_lock.empty()) records.push_back(lock_record(step.to_lock, stamp.vault_ns, Reason::Age, "purge"));
  note_step(s, view, step, stamp, report);
  return records;
}

Result<PurgeReport> SnapshotLife::dry_run() const {
  return parts_.state.read([&](const State& s) -> Result<PurgeReport> {
    HF_TRY_DO(check_not_frozen(s));
    const Stamp stamp{parts_.vault->now_ns(), to_ns(parts_.env.clock.wall())};
    const PurgeView view = purge_view(s);
    PurgeReport report;
    note_step(s, view, purge_step(view, stamp.vault_ns, view.snapshots.size(), 0), stamp, report);
    return report;
  });
}

Result<PurgeReport> SnapshotLife::purge(bool dry) {
  if (dry) return dry_run();
  PurgeReport report;
  for (bool more = true; more;) {
    const auto propose = [&](const State& s, const Stamp& stamp) { return propose_step(s, stamp, report, more); };
    HF_TRY_DO(parts_.publisher->publish(kLifeSubject, propose));
  }
  const std::string tenant = parts_.state.read([](const State& s) { return s.tenant().name; });
  log::info("purged", {{"tenant", tenant},
                       {"deleted", report.deleted.size()},
                       {"locked", report.locked.size()},
                       {"held_by_cap", report.held_by_cap},
                       {"held_by_clock", report.held_by_clock},
                       {"paused", report.paused.size()}});
  return report;
}

// ---- one snapshot ----

Result<SnapshotStory> SnapshotLife::lock(const SnapshotId& id, const std::string& who) {
  const auto propose = [&](const State& s, const Stamp& stamp) -> Result<Records> {
    HF_TRY(const Snapshot* const snapshot, known(s, id));
    if (snapshot->life != Life::Live) {
      return Error{Errc::Conflict, text_of(s, *snapshot) + " is " + std::string(life_name(snapshot->life)) +
                                       " already, since " + rfc3339(from_ns(snapshot->life_ns)) + " server time"};
    }
    return Records{lock_record({snapshot}, stamp.vault_ns, Reason::Operator, who)};
  };
  HF_TRY_DO(parts_.publisher->publish(kLifeSubject, propose));
  return explain(id);
}

Result<SnapshotStory> SnapshotLife::undelete(const SnapshotId& id, const std::string& who) {
  const auto propose = [&](const State& s, const Stamp& stamp) -> Result<Records> {
    HF_TRY(const Snapshot* const snapshot, known(s, id));
    if (snapshot->life == Life::Live)
      return Error{Errc::Conflict, text_of(s, *snapshot) + " is live: there is nothing to take back"};
    if (snapshot->life > Life::Locked) {
      return Error{Errc::Conflict, text_of(s, *snapshot) + " was deleted on " + rfc3339(from_ns(snapshot->deleted_ns)) +
                                       " server time, which cannot be undone"};
    }
    HF_TRY(const retention::Plan plan, retention::builtin_plan(snapshot->payload.plan));
    const std::int64_t kept =
        std::max(retention::lock_date(plan, stamp.vault_ns), snapshot->payload.lock_not_before_ns);
    const journal::UndeletePayload payload{label_of(who), {{id, kept}}};
    return Records{new_record(journal::Kind::Undelete, journal::encode(payload))};
  };
  HF_TRY_DO(parts_.publisher->publish(kLifeSubject, propose));
  return explain(id);
}

Result<SnapshotStory> SnapshotLife::explain(const SnapshotId& id) const {
  return parts_.state.read([&](const State& s) -> Result<SnapshotStory> {
    HF_TRY(const Snapshot* const snapshot, known(s, id));
    return story_of(s, *snapshot, parts_.vault->now_ns());
  });
}

std::vector<SnapshotName> SnapshotLife::named(const std::string& client, std::uint64_t sequence) const {
  return parts_.state.read([&](const State& s) {
    std::vector<SnapshotName> out;
    const Client* const owner = s.client(client);
    if (owner == nullptr) return out;
    for (const SnapshotId& id : owner->snapshots) {
      if (s.snapshot(id)->payload.sequence == sequence) out.push_back(name_of(s, *s.snapshot(id)));
    }
    return out;
  });
}

std::vector<SnapshotName> SnapshotLife::beginning(const std::string& hex) const {
  return parts_.state.read([&](const State& s) {
    std::vector<SnapshotName> out;
    for (const auto& [id, snapshot] : s.snapshots()) {
      if (id.hex().starts_with(hex)) out.push_back(name_of(s, snapshot));
    }
    sort_by_commit(s, out);
    return out;
  });
}

}  // namespace holdfast::tenant
