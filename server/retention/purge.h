#pragma once
// Why: which snapshots are locked and which end, as a pure function of their dates, the newest good snapshot of each
// registered source, and the vault clock (STORE.md, Retention). Nothing that a client says is an input: not its times, not
// its names, not how many snapshots it sends.
// Promises: nothing before its date; the newest good snapshot of a registered source stays; a pass always goes on where
// the last one stopped. Leaves to others: carrying the plan out, and the words that people read.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "server/retention/plan.h"

namespace holdfast::retention {

enum class SnapshotState : std::uint8_t { Live, Locked };

/// What planning knows of one snapshot. Small: ten million of them are planned at once.
struct SnapshotDates {
  std::uint32_t position = 0;  ///< the caller's number; a snapshot committed later has a greater one
  SnapshotState state = SnapshotState::Live;
  std::int64_t vault_ns = 0;              ///< when it was committed
  std::int64_t lock_not_before_ns = 0;    ///< as in the receipt, or later
  std::int64_t delete_not_before_ns = 0;  ///< of locked ones
};
static_assert(sizeof(SnapshotDates) <= 40);

/// Borrowed for the call.
struct PurgeInput {
  std::span<const SnapshotDates> snapshots;  ///< live and locked ones; positions are unique
  std::span<const std::uint32_t> paused;     ///< NewestGood::positions(): ascending
  std::int64_t now_ns = 0;                   ///< vault clock
};

struct PurgePlan {
  std::vector<std::uint32_t> to_lock;    ///< positions, oldest lock date first
  std::vector<std::uint32_t> to_delete;  ///< positions, in the order of the input
  std::uint64_t lock_cap = 0;            ///< how many this pass may lock
  std::uint64_t held_by_cap = 0;         ///< due for a lock, left for the next pass
  std::uint64_t held_by_pause = 0;  ///< due for a lock or for their end, but the newest good of a registered source
  /// Earliest date after now at which a pass would find more to do; none: never. What the cap holds is due already.
  std::optional<std::int64_t> next_due_ns;
};

/// - A live snapshot is locked once its lock date has come, oldest date first.
/// - A locked one ends once its delete date has come.
/// - Neither happens to a paused one.
/// - One pass locks at most max(10, twice the number of lock dates in the last 24 h): a mistake in dates cannot hide a
///   whole history at once. Lock dates of locked snapshots count, so a second pass has the same forecast.
/// - Ends have no cap: the delay was their time to be noticed.
/// Takes O(n) and n log n of what it locks; beside the input, 4 bytes for each snapshot that is due.
PurgePlan plan_purge(const PurgeInput& input);

/// Which rule holds a snapshot in the state that it is in.
enum class Rule : std::uint8_t {
  Age,          ///< live, its lock date has not come
  Pause,        ///< its date has come, but it is the newest good snapshot of a registered source
  Cap,          ///< due for a lock; other, older ones fill this pass
  NextPass,     ///< due: the next pass locks it, or ends it
  DeleteDelay,  ///< locked, its delete date has not come
};
struct Explanation {
  SnapshotState state = SnapshotState::Live;
  Rule rule = Rule::Age;
  bool newest_good = false;  ///< paused, whether its date has come or not
  std::int64_t lock_ns = 0;  ///< earliest date of the lock; of a locked one the date that it had
  /// Earliest end. Of a live one: if the first pass that may lock it does.
  std::int64_t delete_ns = 0;
};
/// Why is this snapshot kept, and until when? `plan`: the one that it was committed under. None: no such position.
std::optional<Explanation> explain(const PurgeInput& input, std::uint32_t position, const Plan& plan);

}  // namespace holdfast::retention
