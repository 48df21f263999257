#pragma once
// Why: what happens to things that nothing refers to: orphans and key slots are condemned like packs, the trash is emptied
// when its time has come, and a snapshot of which nothing is left is recorded as erased.

#include "server/collect/collect.h"
#include "server/collect/survey.h"

namespace holdfast::collect {

/// Condemns packs that no record names, if nobody can still publish them. More than 1 % of all packs (and more than
/// kFewOrphans), or one of a run that the journal does not know, is a sign of something else: then none is, `held` says so,
/// and the answer is false; so it is when one cannot be read at all. Errors: the disk's; those of publish_judgement.
/// Below 100 packs a single trace of a crash would be more than 1 %, so a few are condemned whatever their share: as many as
/// the packs that eight clients had open when the machine stopped. What that cannot tell from a crash: ARCHITECTURE.md.
inline constexpr std::size_t kFewOrphans = 16;
Result<bool> condemn_orphans(tenant::Parts& parts, Survey& survey, bool dry_run, CollectSummary& summary);

/// Condemns the key slots of sessions that have ended, of whose run no pack in `surviving` has a blob and no snapshot is
/// left. Errors: those of publish_judgement.
Status condemn_slots(tenant::Parts& parts, Survey& survey, const std::unordered_set<RunId>& surviving, bool dry_run,
                     CollectSummary& summary);

/// Unlinks what was condemned `wait` ago, then records it; no key slot of a run in `needed`; nothing once there is damage
/// that was not known at `damage_version`. Errors: the disk's, the publisher's.
Status empty_trash(tenant::Parts& parts, std::chrono::hours wait, const std::unordered_set<RunId>& needed,
                   std::uint64_t damage_version, CollectSummary& summary);

/// Deleted snapshots of which nothing is left anywhere: no live pack has a byte of theirs, and in the trash nothing is as
/// old as they are, nor any orphan, whose blobs nobody knows; nor are `orphans_left` in the store. Errors: the publisher's.
Status record_erased(tenant::Parts& parts, bool orphans_left, CollectSummary& summary);

/// Fills what waits, for the summary.
void count_trash(const tenant::Parts& parts, std::chrono::hours wait, CollectSummary& summary);

}  // namespace holdfast::collect
