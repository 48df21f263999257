#include "server/collect/overdue.h"

#include "server/tenant/purge_input.h"

namespace holdfast::collect {
namespace {

bool is_overdue(const tenant::Snapshot& snapshot, std::int64_t now_ns) {
  if (snapshot.life != tenant::Life::Deleted) return false;
  const std::int64_t age_ns = std::chrono::nanoseconds(tenant::plan_of(snapshot).max_rewrite_age).count();
  return age_ns > 0 && now_ns - snapshot.deleted_ns > age_ns;
}

void count_pack(const tenant::Parts& parts, const Survey& survey, const tenant::State& state, const PackId& id,
                Overdue& out) {
  const tenant::Pack* const pack = state.pack(id);
  if (pack == nullptr) return;  // condemned: it goes with the trash
  const tenant::Session* const owner = state.session(pack->session);
  const bool owned = owner != nullptr && owner->phase == tenant::Session::Phase::Open;
  const auto surveyed = survey.packs().find(id);
  if (!owned && surveyed == survey.packs().end()) return;
  if (!owned && surveyed->second.facts.listed && surveyed->second.facts.dead_bytes == 0) return;
  if (owned || parts.pins.contains(id))
    out.packs_in_use += 1;
  else if (surveyed->second.facts.untouchable || !surveyed->second.facts.listed || parts.damage.pack_is_damaged(id))
    out.packs_damaged += 1;
}

}  // namespace

Overdue find_overdue(const tenant::Parts& parts, const Survey& survey) {
  const std::int64_t now_ns = parts.vault->now_ns();
  std::unordered_set<SnapshotId> hidden;
  for (const Departed& snapshot : survey.departed())
    if (!snapshot.released && survey.unproven().contains(snapshot.root.space)) hidden.insert(snapshot.id);
  Overdue out;
  parts.state.read([&](const tenant::State& s) {
    std::unordered_set<SnapshotId> bases;
    for (const auto& [name, id] : s.clients_by_name())
      for (const SessionId& session : s.client(id)->open_sessions) bases.insert(s.session(session)->payload.base);
    std::unordered_set<PackId> packs;
    for (const auto& [id, snapshot] : s.snapshots()) {
      if (!is_overdue(snapshot, now_ns)) continue;
      out.snapshots_in_use += bases.contains(id) ? 1 : 0;
      out.snapshots_hidden += hidden.contains(id) ? 1 : 0;
      packs.insert(snapshot.remains.begin(), snapshot.remains.end());
    }
    for (const PackId& id : packs) count_pack(parts, survey, s, id, out);
  });
  return out;
}

std::vector<std::string> describe(const Overdue& overdue) {
  static const std::string kSessions =
      ". A session ends with its backup, or after 7 days without a word from its client, who is silenced by "
      "`holdfastctl client revoke`";
  std::vector<std::string> out;
  const auto say = [&out](std::uint64_t count, const std::string& what) {
    if (count > 0) out.push_back(std::to_string(count) + what);
  };
  say(overdue.packs_in_use,
      " packs hold bytes of deleted snapshots beyond what their plan allows, and open sessions use them" + kSessions);
  say(overdue.snapshots_in_use,
      " deleted snapshots are kept beyond what their plan allows: open sessions build on them" + kSessions);
  say(overdue.packs_damaged,
      " packs hold bytes of deleted snapshots beyond what their plan allows, and damage keeps them from being "
      "rewritten. `check` names it");
  say(overdue.snapshots_hidden,
      " deleted snapshots are kept beyond what their plan allows: damage hides which packs are theirs. `check` names "
      "it");
  return out;
}

}  // namespace holdfast::collect
