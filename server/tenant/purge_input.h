#pragma once
// Why: from a tenant's state to the input of retention's planning: snapshots in the order of their commits, and the newest
// good one of each registered source. Pure: no clock, no disk. What clients say of times and names is no part of it.

#include <optional>
#include <vector>

#include "server/retention/newest_good.h"
#include "server/retention/purge.h"
#include "server/tenant/state.h"

namespace holdfast::tenant {

struct RegisteredSource {
  ClientId client;
  SourceId source;  ///< zero: the client as a whole
};
/// Is this source whole in it? Zero: all of them.
bool is_good(const Snapshot& snapshot, const SourceId& source);
/// Is this source on the operators' list? A client as a whole is, until it is retired; others once they were registered.
bool is_registered(const State& state, const ClientId& client, const SourceId& source);
/// Every client that is not retired, and what operators registered beside it.
std::vector<RegisteredSource> registered_sources(const State& state);

/// Live and locked snapshots as planning sees them. Points into the state that it was made of.
struct PurgeView {
  std::vector<const Snapshot*> snapshots;  ///< by position: in the order of their commits
  std::vector<retention::SnapshotDates> dates;
  std::vector<RegisteredSource> sources;
  std::vector<std::optional<std::uint32_t>> newest_good;  ///< of each of `sources`: a position
  /// Positions that a pause holds, ascending. A plan that promises a date of deletion goes before any pause.
  std::vector<std::uint32_t> paused;

  retention::PurgeInput at(std::int64_t now_ns) const { return {dates, paused, now_ns}; }
};
PurgeView purge_view(const State& state);

/// The plan that a snapshot was committed under; of one that this program does not know, a plan without a term and with
/// the usual delay: the dates stand in the journal.
retention::Plan plan_of(const Snapshot& snapshot);

/// One publish of a purge: at most `most` ends and `most` locks. A pass of several of them locks no more than its cap.
struct PurgeStep {
  std::vector<const Snapshot*> to_delete, to_lock, paused;
  std::uint64_t lock_cap = 0, held_by_cap = 0;
  bool more = false;  ///< the same pass has more to do
  std::optional<std::int64_t> next_ns;
};
PurgeStep purge_step(const PurgeView& view, std::int64_t now_ns, std::size_t most, std::uint64_t locked_so_far);

/// How many are due at `wall_ns` and not at `now_ns`, and paused by nothing.
std::uint64_t held_by_clock(const PurgeView& view, std::int64_t now_ns, std::int64_t wall_ns);

}  // namespace holdfast::tenant
