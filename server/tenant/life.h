#pragma once
// Why: what moves a snapshot from live to its end, and back: purge, an operator's lock, undelete, the list of registered
// sources; and the answer to "why is this kept, and until when?".
// Promises: every change is decided under the publish lock, from the state and the vault time that its record will carry;
// all changes of snapshots' lives share one subject, so that none of them sees less than what the others have done.
// Leaves to others: dates and plans (server/retention), the rules that no record may break (state_life.cc), bytes (collection).

#include "server/tenant/parts.h"
#include "server/tenant/purge_input.h"

namespace holdfast::tenant {

/// The subject of proposals that move snapshots or their dates: two of them never share a batch.
inline constexpr const char* kLifeSubject = "life";

/// Thread-safe.
class SnapshotLife {
 public:
  explicit SnapshotLife(Parts& parts) : parts_(parts) {}

  /// One pass: ends what is due for its end, then locks what is due for its lock, oldest first, up to the cap. A dry run
  /// publishes nothing. Errors: Denied when the tenant is frozen (says why); read-only tenants.
  Result<PurgeReport> purge(bool dry_run);
  /// Hides a live snapshot from its client now; it ends no earlier than it would have without. Errors: NotFound, Conflict.
  Result<SnapshotStory> lock(const SnapshotId& snapshot, const std::string& who);
  /// A locked snapshot is live again, for the whole term of its plan from now. Errors: NotFound; Conflict (it is not locked).
  Result<SnapshotStory> undelete(const SnapshotId& snapshot, const std::string& who);
  /// Errors: NotFound.
  Result<SnapshotStory> explain(const SnapshotId& snapshot) const;
  /// In any state, oldest first: number `sequence` of a client, or ids that begin with these hex digits.
  std::vector<SnapshotName> named(const std::string& client, std::uint64_t sequence) const;
  std::vector<SnapshotName> beginning(const std::string& hex) const;

  /// Puts a source on the list of those whose newest good snapshot stays, or takes it off. Errors: NotFound, Usage (label).
  Status set_source(const std::string& client, const SourceId& source, journal::SourcePayload::State state,
                    const std::string& label);
  /// Nothing of this client is kept beyond its dates any more: the client as a whole and each of its sources retire.
  Status retire_client(const std::string& client);
  /// What is registered or retired, and what was seen in snapshots. Empty name: every client. Errors: NotFound.
  Result<std::vector<SourceStory>> sources(const std::string& client) const;

 private:
  Result<PurgeReport> dry_run() const;
  Result<std::vector<coordinator::NewRecord>> propose_step(const State& s, const Stamp& stamp, PurgeReport& report,
                                                           bool& more) const;

  Parts& parts_;
};

}  // namespace holdfast::tenant
