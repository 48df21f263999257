#pragma once
// Why: a tenant's state is what its journal says, nothing else: a pure replay of records, at open and after each
// publish, so that a restart and a running server can never disagree. Decisions (may this client do that?) and effects
// (files, index) live elsewhere; no clock, no disk, no randomness here.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/journal/journal.h"
#include "common/snapshot/records.h"
#include "server/retention/vault_clock.h"
#include "server/tenant/life_report.h"

namespace holdfast::tenant {

struct Client {
  journal::ClientPayload payload;                          ///< newest record
  std::optional<snapshot::ClientCertificate> certificate;  ///< decoded; nullopt until enrolled
  std::shared_ptr<const Bytes> certificate_bytes;          ///< shared with the sessions that it certified
  std::set<DomainId> domains;                              ///< every domain it was ever certified for
  std::vector<SnapshotId> snapshots;                       ///< by sequence
  std::set<SessionId> open_sessions;
  std::uint64_t last_sequence = 0;
  SnapshotId newest;  ///< zero: none
};

struct Session {
  enum class Phase { Open, Committed, Expired };
  journal::SessionPayload payload;
  DomainId domain;  ///< from the run record
  std::uint32_t epoch = 0;
  std::shared_ptr<const Bytes> certificate;  ///< the client's when the session began
  Phase phase = Phase::Open;
  std::vector<PackId> packs;
  SnapshotId snapshot;         ///< Committed
  std::int64_t active_ns = 0;  ///< vault time of its last record
  /// Of its run's key slot. Removed: nothing of the run can be opened any more, nor is there anything to open.
  enum class Slot { Kept, Condemned, Removed };
  Slot slot = Slot::Kept;
  std::int64_t slot_condemned_ns = 0;
};

/// A live pack: condemned ones are in the trash.
struct Pack {
  journal::PackNote note;
  SessionId session;  ///< zero: collection has written it
  std::uint64_t generation = 0;
  std::uint64_t order = 0;    ///< how many packs were published before it
  std::int64_t vault_ns = 0;  ///< when it was published
};

/// A condemned pack. Nothing refers to it, and nothing can again; its bytes wait.
struct Trashed {
  std::uint64_t store_epoch = 0, bytes = 0;
  journal::CondemnPayload::Why why = journal::CondemnPayload::Why::Unreferenced;
  std::int64_t condemned_ns = 0;  ///< vault time
  std::uint64_t number = 0;       ///< of the journal record that condemned it
  Digest footer_digest;           ///< zero: an orphan
};

struct Snapshot {
  journal::CommitPayload payload;     ///< lock_not_before_ns as it is now; the core goes when the snapshot is erased
  std::int64_t promised_lock_ns = 0;  ///< as the receipt says
  std::uint64_t number = 0;           ///< journal record
  Digest digest;                      ///< its chain digest
  std::int64_t vault_ns = 0, wall_ns = 0;
  Life life = Life::Live;
  std::int64_t life_ns = 0;               ///< vault time since which it is in this state
  std::int64_t delete_not_before_ns = 0;  ///< Locked
  journal::LockPayload::Reason lock_reason = journal::LockPayload::Reason::Age;
  std::string locked_by;                       ///< Locked, by an operator: who
  std::int64_t locked_ns = 0, deleted_ns = 0;  ///< vault times; zero: it was not, or is no more
  std::vector<SourceId> good_sources;          ///< live and locked ones: sources that did not fail in it
  bool whole = false;                          ///< it has sources, and none of them failed
  bool released = false;                       ///< Deleted: `remains` is known
  std::uint64_t released_number = 0;           ///< of the journal record that said so first
  std::set<PackId> remains;                    ///< packs that still hold bytes which only this snapshot referred to
};

/// Bytes of a condemned pack stay at least this long.
inline constexpr std::chrono::hours kMinTrash{24};

/// One thread at a time for apply; const methods are thread-safe beside each other.
class State {
 public:
  /// The next record in journal order. Errors: Corrupt when it contradicts what came before, TooNew for a kind that this
  /// program cannot replay; the state is unchanged then.
  Status apply(const journal::Record& record);
  /// Would `apply` take it now? For records of snapshots' lives and of collection, which are checked before they are
  /// written: one that contradicts the journal would be damage for good. Others are not looked at.
  Status check(const journal::Record& record) const;

  bool has_tenant() const { return tenant_.has_value(); }
  const journal::TenantPayload& tenant() const { return *tenant_; }
  std::uint64_t generation() const { return generation_; }
  std::uint64_t number() const { return number_; }
  const Digest& digest() const { return digest_; }     ///< chain digest of the last record
  std::int64_t vault_ns() const { return vault_ns_; }  ///< of the last record
  std::int64_t wall_ns() const { return wall_ns_; }
  std::uint64_t used_bytes() const { return live_bytes_ + trash_bytes_; }
  std::uint64_t live_bytes() const { return live_bytes_; }
  std::uint64_t trash_bytes() const { return trash_bytes_; }  ///< orphans too
  /// How many records have condemned packs: what a commit has looked up before one more of them must be looked up again.
  std::uint64_t condemnations() const { return condemnations_; }
  /// The anchor of the vault clock; nullptr: none was written yet.
  const journal::ClockPayload* clock() const { return clock_ ? &*clock_ : nullptr; }
  std::optional<retention::Anchor> anchor() const;
  /// Why nothing may be destroyed; nullptr: it may.
  const std::string* frozen() const { return frozen_ ? &*frozen_ : nullptr; }
  const std::optional<PublicKey>& pinned_root() const { return pinned_root_; }

  const Client* client(const ClientId& id) const;
  const Client* client(const std::string& name) const;
  const Session* session(const SessionId& id) const;
  const Session* session_of_run(const RunId& run) const;
  const Pack* pack(const PackId& id) const;  ///< nullptr too when it is in the trash
  const Trashed* trashed(const PackId& id) const;
  const Snapshot* snapshot(const SnapshotId& id) const;
  /// Newest sentence about a damaged pack; nullptr when it counts as whole.
  const std::string* damage(const PackId& id) const;

  const std::map<std::string, ClientId>& clients_by_name() const { return names_; }
  const std::unordered_map<SessionId, Session>& sessions() const { return sessions_; }
  const std::unordered_map<PackId, Pack>& packs() const { return packs_; }
  const std::unordered_map<SnapshotId, Snapshot>& snapshots() const { return snapshots_; }
  const std::map<PackId, std::string>& damaged() const { return damaged_; }
  const std::unordered_map<PackId, Trashed>& trash() const { return trash_; }
  /// What operators registered or retired; a client that is not in here under the zero source is registered.
  const std::map<std::pair<ClientId, SourceId>, journal::SourcePayload>& sources() const { return sources_; }

  /// May `client` build on what stands in this pack? Yes for its own uploads, and for those of others once they have
  /// committed: a pack of somebody else's unfinished session may be given up at any time.
  bool visible(const Pack& pack, const ClientId& client) const;

 private:
  enum class Mode { Check, Apply };
  Status apply_life(const journal::Record& record, Mode mode);
  Status apply_tenant(const journal::Record& record);
  Status apply_client(const journal::Record& record);
  Status apply_session(const journal::Record& record);
  Status apply_packs(const journal::Record& record);
  Status apply_commit(const journal::Record& record);
  Status apply_expire(const journal::Record& record);
  Status apply_damage(const journal::Record& record);
  Status apply_source(const journal::Record& record, Mode mode);
  Status apply_lock(const journal::Record& record, Mode mode);
  Status apply_undelete(const journal::Record& record, Mode mode);
  Status apply_deleted(const journal::Record& record, Mode mode);
  Status apply_erased(const journal::Record& record, Mode mode);
  Status apply_condemn(const journal::Record& record, Mode mode);
  Status apply_removed(const journal::Record& record, Mode mode);
  Status apply_clock(const journal::Record& record, Mode mode);
  void add_gap(std::int64_t added_ns, std::int64_t since_ns);
  Status apply_fork(const journal::Record& record, Mode mode);
  /// The snapshot, if it is in this state now.
  Snapshot* snapshot_in(const SnapshotId& id, Life life);
  void forget_awaited(const PackId& pack, const SnapshotId& snapshot);
  Status check_condemn(const journal::Record& record, const journal::CondemnPayload& payload) const;

  std::optional<journal::TenantPayload> tenant_;
  std::uint64_t generation_ = 0, number_ = 0, live_bytes_ = 0, trash_bytes_ = 0, packs_published_ = 0,
                condemnations_ = 0;
  Digest digest_;
  std::int64_t vault_ns_ = 0, wall_ns_ = 0;
  std::optional<PublicKey> pinned_root_;
  std::unordered_map<ClientId, Client> clients_;
  std::map<std::string, ClientId> names_;
  std::unordered_map<SessionId, Session> sessions_;
  std::unordered_map<RunId, SessionId> runs_;
  std::unordered_map<PackId, Pack> packs_;
  std::unordered_map<SnapshotId, Snapshot> snapshots_;
  std::map<PackId, std::string> damaged_;
  std::unordered_map<PackId, Trashed> trash_;
  std::map<std::pair<ClientId, SourceId>, journal::SourcePayload> sources_;
  std::optional<journal::ClockPayload> clock_;
  std::optional<std::string> frozen_;
  std::multimap<PackId, SnapshotId> awaited_;  ///< deleted snapshots by what remains of them
};

/// The state with its lock: one writer (the publisher's leader), many readers. Nobody keeps a reference after the lock.
struct SharedState {
  mutable std::shared_mutex mutex;
  State state;

  template <class F>
  auto read(F look) const {
    const std::shared_lock lock(mutex);
    return look(static_cast<const State&>(state));
  }
};

}  // namespace holdfast::tenant
