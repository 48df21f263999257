#pragma once
// Why: a tenant's state is what its journal says, nothing else: a pure replay of records, at open and after each
// publish, so that a restart and a running server can never disagree. Decisions (may this client do that?) and effects
// (files, index) live elsewhere; no clock, no disk, no randomness here.

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
};

struct Pack {
  journal::PackNote note;
  SessionId session;
  std::uint64_t generation = 0;
  std::uint64_t order = 0;  ///< how many packs were published before it
};

struct Snapshot {
  journal::CommitPayload payload;
  std::uint64_t number = 0;  ///< journal record
  Digest digest;             ///< its chain digest
  std::int64_t vault_ns = 0, wall_ns = 0;
};

/// One thread at a time for apply; const methods are thread-safe beside each other.
class State {
 public:
  /// The next record in journal order. Errors: Corrupt when it contradicts what came before, TooNew for a kind that this
  /// program cannot replay; the state is unchanged then.
  Status apply(const journal::Record& record);

  bool has_tenant() const { return tenant_.has_value(); }
  const journal::TenantPayload& tenant() const { return *tenant_; }
  std::uint64_t generation() const { return generation_; }
  std::uint64_t number() const { return number_; }
  const Digest& digest() const { return digest_; }     ///< chain digest of the last record
  std::int64_t vault_ns() const { return vault_ns_; }  ///< of the last record
  std::int64_t wall_ns() const { return wall_ns_; }
  std::uint64_t used_bytes() const { return used_bytes_; }  ///< of all packs
  const std::optional<PublicKey>& pinned_root() const { return pinned_root_; }

  const Client* client(const ClientId& id) const;
  const Client* client(const std::string& name) const;
  const Session* session(const SessionId& id) const;
  const Session* session_of_run(const RunId& run) const;
  const Pack* pack(const PackId& id) const;
  const Snapshot* snapshot(const SnapshotId& id) const;
  /// Newest sentence about a damaged pack; nullptr when it counts as whole.
  const std::string* damage(const PackId& id) const;

  const std::map<std::string, ClientId>& clients_by_name() const { return names_; }
  const std::unordered_map<SessionId, Session>& sessions() const { return sessions_; }
  const std::unordered_map<PackId, Pack>& packs() const { return packs_; }
  const std::unordered_map<SnapshotId, Snapshot>& snapshots() const { return snapshots_; }
  const std::map<PackId, std::string>& damaged() const { return damaged_; }

  /// May `client` build on what stands in this pack? Yes for its own uploads, and for those of others once they have
  /// committed: a pack of somebody else's unfinished session may be given up at any time.
  bool visible(const Pack& pack, const ClientId& client) const;

 private:
  Status apply_tenant(const journal::Record& record);
  Status apply_client(const journal::Record& record);
  Status apply_session(const journal::Record& record);
  Status apply_packs(const journal::Record& record);
  Status apply_commit(const journal::Record& record);
  Status apply_expire(const journal::Record& record);
  Status apply_damage(const journal::Record& record);

  std::optional<journal::TenantPayload> tenant_;
  std::uint64_t generation_ = 0, number_ = 0, used_bytes_ = 0;
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
