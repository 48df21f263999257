#pragma once
// Why: one tenant's state, and the only code that changes it: clients, sessions, packs, commits. Rebuilt from the
// journal at open; advances by publish; ack means journalled. Blocking: call it from the disk pool. Thread-safe.
// Concurrent publishes share one record batch and one fsync (group commit).

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/crypto/sign.h"
#include "common/fs/file_system.h"
#include "common/journal/journal.h"
#include "common/pack/pack.h"
#include "common/snapshot/records.h"
#include "server/coordinator/coordinator.h"
#include "server/index/blob_index.h"
#include "server/retention/uptime.h"
#include "server/store/object_store.h"
#include "server/tenant/life_report.h"

namespace holdfast::tenant {

struct Parts;

struct Environment {  ///< seams; must outlive the tenant
  fs::FileSystem& fs;
  const Clock& clock;
  Random& random;
  std::shared_ptr<index::Shared> index_shared;
  const crypto::SigningKey& receipt_key;
  /// New sessions are refused while the store has less free space; running ones may begin packs until a quarter of it is
  /// left, and collection copies until an eighth is, so that journal and index can still grow.
  std::uint64_t floor_bytes = 64u << 20;
  /// What proves that time has passed while a tenant was closed, across boots. nullptr: nothing does.
  const retention::Uptime* uptime = nullptr;
};

struct HaveAnswer {
  std::size_t position;
  RunId run;
  Digest record_digest;
};
struct SessionOpened {
  SessionId session;
  std::uint64_t next_sequence = 1;
  SnapshotId previous;
  bool base_known = false;
  Digest head_digest;
  std::uint64_t head_number = 0;
  std::uint64_t quota_bytes = 0, used_bytes = 0;
};
struct SnapshotRow {
  ClientId client;
  std::uint64_t sequence = 0;
  SnapshotId id;
  Bytes core;
  std::int64_t received_ns = 0, lock_not_before_ns = 0;
  std::string state;                      ///< "live", "locked"
  std::int64_t delete_not_before_ns = 0;  ///< of locked ones
};
/// Who looks at a list. Clients do not see what is locked, but for one thing: a snapshot that an operator locked before
/// the date in its receipt stays in their list, in its state, because they know that it must be there.
enum class Viewer { Client, Operator };
struct RunRow {
  Bytes run_record, slot, certificate;
};
struct Refused {
  std::vector<BlobId> missing;
};  ///< of the last refused commit, ≤ 1000
struct Account {
  std::string name, plan, health;
  TenantId id;
  std::uint64_t quota_bytes = 0, used_bytes = 0, snapshots = 0, clients = 0;
  std::int64_t newest_ns = 0;
  std::int64_t vault_ns = 0;      ///< vault clock now
  std::int64_t vault_gap_ns = 0;  ///< what the wall clock shows beyond it: not proven, held back
};
/// What `check` found in one file (relative to the tenant's directory), and the snapshots that cannot be restored in full
/// because of it (`CLIENT/SEQUENCE ID`). `damage` is false for notes: orphans and files that nobody asked for.
struct Finding {
  std::string file;
  std::string what;
  std::vector<std::string> snapshots;
  bool damage = true;
};
struct CheckSummary {
  std::uint64_t packs = 0, blobs = 0, bytes_read = 0, snapshots = 0, records = 0, damaged_files = 0,
                damaged_snapshots = 0;
};

/// Files of key slots that no session needs.
struct StraySlots {
  std::uint64_t removed = 0;
  std::uint64_t left = 0;  ///< that no session names, and too many of them to be traces of crashes
};

class Tenant {
 public:
  /// Makes the directory of a new tenant, its first record published. Errors: Exists.
  static Result<TenantId> create(const Environment& env, const std::string& directory, const std::string& name,
                                 const std::string& plan, std::uint64_t quota_bytes);
  /// Acquires an epoch, verifies the journal up to the head, replays it, brings the index up to date (rebuilds it when
  /// it cannot be opened). Damage never fails the open unless nothing can be served: `account().health` names it and
  /// the tenant is read-only.
  static Result<std::unique_ptr<Tenant>> open(const Environment& env, const std::string& directory);
  virtual ~Tenant() = default;

  virtual Account account() = 0;
  virtual const TenantId& id() const = 0;
  /// Somebody who may says that `gap_ns` of the gap has passed: the vault clock jumps by it, and every term that began at or
  /// after `since_ns` (vault time) is lengthened by it. `since_ns`: when the clock fell behind by that much; nullopt: nobody
  /// knows, so that every term is lengthened and only what is committed from now on gains. Whoever names a time after the
  /// clock fell behind shortens what was committed between. Nothing undoes it (FORMAT.md, section 3).
  /// Errors: Usage when the gap is not positive or more than the clock is behind, or when `since_ns` is in the future.
  virtual Status confirm_gap(std::int64_t gap_ns, std::optional<std::int64_t> since_ns) = 0;

  // clients
  virtual Result<journal::ClientPayload> invite(const std::string& name, const Digest& token_digest,
                                                std::int64_t expires_ns) = 0;
  /// Of journal or head, found at the open: records behind it are not known.
  virtual std::optional<Error> damage() const = 0;
  virtual Result<journal::ClientPayload> client_by_name(const std::string& name) = 0;  ///< NotFound
  virtual std::vector<journal::ClientPayload> clients() = 0;
  /// Uses the token: publishes the client as enrolled. The same request_digest again returns the same record; another
  /// one is Denied. Errors: Denied (token wrong, used, expired).
  virtual Result<journal::ClientPayload> enrol(const std::string& name, const Digest& token_digest,
                                               const Digest& request_digest, ByteSpan client_certificate,
                                               const std::function<Result<std::string>()>& issue_certificate) = 0;
  virtual Status revoke(const std::string& name) = 0;
  /// Root key of the first enrolled client; nullopt before.
  virtual std::optional<PublicKey> pinned_root() = 0;

  // sessions
  /// Verifies the run record by the client's certificate, stores the slot, publishes the session. The same run id again
  /// (or `resume`) goes on with its session.
  virtual Result<SessionOpened> open_session(const ClientId& client, ByteSpan run_record, ByteSpan slot,
                                             const SnapshotId& base, const std::optional<SessionId>& resume) = 0;
  virtual Result<std::vector<HaveAnswer>> have(const ClientId& client, const SessionId& session, std::uint32_t epoch,
                                               const std::vector<BlobId>& blobs) = 0;
  /// Checks and appends a record to the session's open pack. Returns the tags whose blobs this call made durable.
  virtual Result<std::vector<std::uint64_t>> put(const ClientId& client, const SessionId& session, std::uint64_t tag,
                                                 ByteSpan record) = 0;
  /// Closes and publishes what is open: all tags still unacknowledged.
  virtual Result<std::vector<std::uint64_t>> flush(const ClientId& client, const SessionId& session) = 0;
  virtual Status abandon(const ClientId& client, const SessionId& session) = 0;
  /// Commit check (STORE.md), then the record, then the receipt. A session that has committed returns its first receipt.
  /// Errors: Missing (`refused` is filled), Denied, Corrupt (core), Conflict (sequence or previous).
  virtual Result<Bytes> commit(const ClientId& client, const SessionId& session, ByteSpan core, Refused* refused) = 0;

  // reading
  virtual Result<std::vector<SnapshotRow>> snapshots(const std::optional<ClientId>& client,
                                                     std::uint64_t after_sequence, std::size_t limit,
                                                     Viewer viewer = Viewer::Operator) = 0;
  /// Newest first. Errors: NotFound.
  virtual Result<std::vector<SnapshotRow>> snapshots_before(const ClientId& client, std::uint64_t before_sequence,
                                                            std::size_t limit, Viewer viewer = Viewer::Operator) = 0;
  virtual Result<RunRow> run(const ClientId& client, const RunId& run) = 0;
  /// Pack order of these refs for reading: positions sorted by (pack, offset); unknown ones at the end.
  virtual std::vector<std::size_t> read_order(
      const ClientId& client,
      const std::vector<std::pair<std::pair<DomainId, std::uint32_t>, blob::BlobRef>>& refs) = 0;
  /// Any verifying copy of exactly this (blob, run). Only blobs of this client's domain. Errors: NotFound, Corrupt.
  virtual Result<Bytes> read_blob(const ClientId& client, const DomainId& domain, std::uint32_t epoch,
                                  const blob::BlobRef& ref) = 0;

  // the life of snapshots (life.h)
  virtual Result<PurgeReport> purge(bool dry_run) = 0;
  virtual Result<SnapshotStory> lock_snapshot(const SnapshotId& snapshot, const std::string& who) = 0;
  virtual Result<SnapshotStory> undelete_snapshot(const SnapshotId& snapshot, const std::string& who) = 0;
  virtual Result<SnapshotStory> explain_snapshot(const SnapshotId& snapshot) = 0;
  virtual std::vector<SnapshotName> snapshots_named(const std::string& client, std::uint64_t sequence) = 0;
  virtual std::vector<SnapshotName> snapshots_beginning(const std::string& hex) = 0;
  virtual Status set_source(const std::string& client, const SourceId& source, journal::SourcePayload::State state,
                            const std::string& label) = 0;
  virtual Status retire_client(const std::string& client) = 0;
  virtual Result<std::vector<SourceStory>> sources(const std::string& client) = 0;

  // care
  /// Of the whole tenant, for the folders that care for it (collect). Lives as long as the tenant.
  virtual Parts& parts() = 0;
  /// Compares the directory with the journal if the start could not list it: before that nobody knows whether an older
  /// journal was put back. Errors: the disk's.
  virtual Status compare_directory() = 0;
  virtual Result<std::uint64_t> expire_idle_sessions() = 0;  ///< how many have ended
  virtual Result<StraySlots> remove_stray_slots() = 0;
  virtual Result<CheckSummary> check(bool read_data, const std::function<void(const Finding&)>& found) = 0;
  struct Rebuilt {
    std::uint64_t packs = 0, blobs = 0;
  };
  virtual Result<Rebuilt> rebuild_index() = 0;
  virtual Result<Digest> index_digest() = 0;
};

}  // namespace holdfast::tenant
