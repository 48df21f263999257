#pragma once
// Why: which packs go and which are rewritten, as a pure function of what the mark and one look through the index have
// found. Leaves to others: being right about what is marked, and carrying the plan out.

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/base/ids.h"

namespace holdfast::collect {

/// Dead bytes between two live records of a pack that are read with them rather than passed over.
inline constexpr std::uint64_t kReadThroughBytes = 64u << 10;

/// What is known of one live pack that nothing else can still add to.
struct PackFacts {
  PackId id;
  std::uint64_t bytes = 0;  ///< of the file
  std::uint64_t live_bytes = 0, dead_bytes = 0;
  std::uint32_t live_blobs = 0, dead_blobs = 0;
  std::int64_t age_ns = 0;  ///< vault time since it was published
  /// It holds bytes of a deleted snapshot whose plan wants them taken out: vault time left for that, negative when it is
  /// over. Set once half of that time has passed.
  std::optional<std::int64_t> time_left_ns;
  bool segments = false;     ///< holds segments (and perhaps data)
  bool listed = false;       ///< the index knows all of its blobs
  bool run_marked = true;    ///< something of the run that wrote it is marked, or its run is not known
  bool damaged = false;      ///< something of it, perhaps nothing that lives
  bool untouchable = false;  ///< pinned, of a space in which something is missing, or of an open session
};

struct PlanOptions {
  std::uint64_t rewrite_bytes = 16ull << 30;  ///< read by rewriting in one pass, at most; what is written is part of it
  std::uint64_t small_bytes = 4u << 20;       ///< smaller packs may be merged
  std::size_t merge_at = 64;                  ///< so many small packs of one age and kind are worth it
  // Rewritten together, in one publish: their live bytes, packs and entries are in memory, and looked at under the lock.
  std::uint64_t group_bytes = 64u << 20;
  std::uint64_t group_packs = 256, group_blobs = 1u << 13;
};

struct CollectPlan {
  std::vector<PackId> condemn;               ///< nothing of them is alive
  std::vector<std::vector<PackId>> rewrite;  ///< groups: what lives of them goes into new packs, together
  std::uint64_t rewrite_bytes = 0;           ///< to be read for all groups, at most
  std::uint64_t postponed_bytes = 0;         ///< to be read for what the budget left for the next pass
  std::uint64_t late = 0;                    ///< whole packs in nobody's use whose time had run out before this pass
};

/// - Condemned: no live blob; or unreadable, and nothing of the run that wrote it is marked.
/// - Rewritten: what has little time left, that with the least first, however little of it is dead; beside it, at least a
///   quarter of the budget is for packs of which half or more is dead, those with most dead bytes first.
/// - Merged: `merge_at` small packs of one kind and age class (the age in days, doubling), oldest first; not those of so
///   many blobs that a group would hold few of them, and be as many packs afterwards.
/// - Damaged packs come last: all of them, since what is hurt may be dead or stand elsewhere; or they fail in every pass.
CollectPlan plan_collect(const std::vector<PackFacts>& packs, const PlanOptions& options);

}  // namespace holdfast::collect
