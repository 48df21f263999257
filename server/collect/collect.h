#pragma once
// Why: gives back the space of what nothing refers to any more, while clients back up. Safe by rule, not by waiting
// (STORE.md, Collect): what is judged dead is judged again, under the publish lock, by everything that was published since;
// condemning is a record, and only what has long been condemned is unlinked.
// Leaves to others: which snapshots have ended (purge), and when to run (the daemon).

#include <atomic>
#include <string>
#include <vector>

#include "server/collect/plan.h"
#include "server/tenant/tenant.h"

namespace holdfast::collect {

struct CollectOptions {
  bool dry_run = false;              ///< look and plan; change nothing
  std::chrono::hours trash{7 * 24};  ///< condemned packs wait that long; on a disk below its floor tenant::kMinTrash
  PlanOptions plan;
  const std::atomic<bool>* stop = nullptr;  ///< once true the pass ends where it is, with Canceled
};

/// What one pass has done, or, in a dry run, would do first.
struct CollectSummary {
  std::uint64_t snapshots = 0, packs = 0, blobs = 0;  ///< looked at
  std::uint64_t live_bytes = 0, dead_bytes = 0;       ///< of blobs in live packs, when the pass began
  std::uint64_t expired_sessions = 0;
  std::uint64_t recovered_blobs = 0, recovered_bytes = 0;  ///< taken back from the trash
  std::uint64_t condemned_packs = 0, condemned_bytes = 0;  ///< nothing of them was alive
  std::uint64_t rewritten_packs = 0, rewritten_bytes = 0;  ///< their files' bytes
  std::uint64_t written_packs = 0, written_bytes = 0;      ///< what they were replaced by
  std::uint64_t postponed_bytes = 0;                       ///< to be read by later passes, to rewrite
  std::uint64_t orphans = 0, orphan_bytes = 0;             ///< condemned
  std::uint64_t slots = 0;                                 ///< key slots condemned
  std::uint64_t removed_packs = 0, removed_bytes = 0;      ///< space that came back
  std::uint64_t erased = 0;                                ///< snapshots
  std::uint64_t trash_packs = 0, trash_bytes = 0;          ///< that wait when the pass ends
  std::int64_t next_removal_ns = 0;                        ///< vault time; 0: nothing waits
  std::vector<std::string> held;                           ///< what was not done, why, and what to do about it
};

/// One pass over one tenant. Blocks; call it from a pool. Backups, restores and purge go on meanwhile.
/// Errors: Locked (another pass runs), Conflict (a check runs), Canceled, those of a tenant that is read-only or was rolled back, the index's, the disk's.
/// Whatever a pass has published when it fails is right; the next one goes on from there.
Result<CollectSummary> collect(tenant::Tenant& tenant, const CollectOptions& options);

}  // namespace holdfast::collect
