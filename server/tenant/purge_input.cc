#include "server/tenant/purge_input.h"

#include <algorithm>

namespace holdfast::tenant {
namespace {

using retention::SnapshotState;

/// A vault clock that is this little behind has merely been started later: nobody needs to hear of it.
constexpr std::chrono::minutes kClockSlack{5};

std::int64_t due_ns(const Snapshot& s) {
  return s.life == Life::Live ? s.payload.lock_not_before_ns : s.delete_not_before_ns;
}

void collect_snapshots(const State& state, PurgeView& view) {
  for (const auto& [id, snapshot] : state.snapshots()) {
    if (snapshot.life <= Life::Locked) view.snapshots.push_back(&snapshot);
  }
  std::sort(view.snapshots.begin(), view.snapshots.end(),
            [](const Snapshot* a, const Snapshot* b) { return a->number < b->number; });
  view.dates.reserve(view.snapshots.size());
  for (const Snapshot* const s : view.snapshots) {
    view.dates.push_back({static_cast<std::uint32_t>(view.dates.size()),
                          s->life == Life::Live ? SnapshotState::Live : SnapshotState::Locked, s->vault_ns,
                          s->payload.lock_not_before_ns, s->delete_not_before_ns});
  }
}

/// Looks for what is registered, not for what a client has sent: its core may name thousands of sources.
void find_newest_good(PurgeView& view) {
  std::unordered_map<ClientId, std::vector<std::uint32_t>> of_client;
  for (std::uint32_t i = 0; i < view.sources.size(); ++i) of_client[view.sources[i].client].push_back(i);
  retention::NewestGood newest(static_cast<std::uint32_t>(view.sources.size()));
  for (std::uint32_t i = 0; i < view.snapshots.size(); ++i) {
    const Snapshot& snapshot = *view.snapshots[i];
    const auto registered = of_client.find(snapshot.payload.client);
    if (registered == of_client.end()) continue;
    for (const std::uint32_t number : registered->second)
      newest.add({number, i, is_good(snapshot, view.sources[number].source), view.dates[i].state});
  }
  for (std::uint32_t i = 0; i < view.sources.size(); ++i) view.newest_good.push_back(newest.position_of(i));
  view.paused = newest.positions();
  std::erase_if(view.paused, [&](std::uint32_t position) { return plan_of(*view.snapshots[position]).gone_by; });
}

}  // namespace

bool is_good(const Snapshot& snapshot, const SourceId& source) {
  const std::vector<SourceId>& good = snapshot.good_sources;
  return source.is_zero() ? snapshot.whole : std::binary_search(good.begin(), good.end(), source);
}

bool is_registered(const State& state, const ClientId& client, const SourceId& source) {
  const auto said = state.sources().find(std::pair(client, source));
  if (said == state.sources().end()) return source.is_zero();
  return said->second.state == journal::SourcePayload::State::Registered;
}

std::vector<RegisteredSource> registered_sources(const State& state) {
  std::vector<RegisteredSource> out;
  for (const auto& [name, id] : state.clients_by_name()) {
    if (is_registered(state, id, SourceId{})) out.push_back({id, SourceId{}});
  }
  for (const auto& [key, payload] : state.sources()) {
    const bool registered = payload.state == journal::SourcePayload::State::Registered;
    if (registered && !key.second.is_zero()) out.push_back({key.first, key.second});
  }
  return out;
}

retention::Plan plan_of(const Snapshot& snapshot) {
  Result<retention::Plan> known = retention::builtin_plan(snapshot.payload.plan);
  return known ? *std::move(known) : retention::Plan{snapshot.payload.plan};
}

PurgeView purge_view(const State& state) {
  PurgeView view;
  view.sources = registered_sources(state);
  collect_snapshots(state, view);
  find_newest_good(view);
  return view;
}

PurgeStep purge_step(const PurgeView& view, std::int64_t now_ns, std::size_t most, std::uint64_t locked_so_far) {
  retention::PurgePlan plan = retention::plan_purge(view.at(now_ns));
  const std::uint64_t due_for_lock = plan.to_lock.size() + plan.held_by_cap;
  const std::uint64_t cap_left = plan.lock_cap - std::min(plan.lock_cap, locked_so_far);
  const std::size_t may_lock = std::min<std::uint64_t>(plan.to_lock.size(), cap_left);
  PurgeStep out;
  out.more = may_lock > most || plan.to_delete.size() > most;
  plan.to_lock.resize(std::min(may_lock, most));
  plan.to_delete.resize(std::min(plan.to_delete.size(), most));
  for (const std::uint32_t position : plan.to_delete) out.to_delete.push_back(view.snapshots[position]);
  for (const std::uint32_t position : plan.to_lock) out.to_lock.push_back(view.snapshots[position]);
  for (const std::uint32_t position : view.paused) {
    if (due_ns(*view.snapshots[position]) <= now_ns) out.paused.push_back(view.snapshots[position]);
  }
  out.lock_cap = plan.lock_cap;
  out.held_by_cap = due_for_lock - plan.to_lock.size();
  out.next_ns = plan.next_due_ns;
  for (const Snapshot* const s : out.to_lock) {
    const std::int64_t ends = retention::delete_date(plan_of(*s), now_ns, s->payload.lock_not_before_ns);
    out.next_ns = std::min(out.next_ns.value_or(ends), ends);
  }
  return out;
}

std::uint64_t held_by_clock(const PurgeView& view, std::int64_t now_ns, std::int64_t wall_ns) {
  if (wall_ns <= now_ns || wall_ns - now_ns < std::chrono::nanoseconds(kClockSlack).count()) return 0;
  std::uint64_t held = 0;
  for (std::uint32_t i = 0; i < view.snapshots.size(); ++i) {
    const std::int64_t date = due_ns(*view.snapshots[i]);
    const bool between = date > now_ns && date <= wall_ns;
    if (between && !std::binary_search(view.paused.begin(), view.paused.end(), i)) ++held;
  }
  return held;
}

}  // namespace holdfast::tenant
