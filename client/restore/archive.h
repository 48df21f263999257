#pragma once
// Why: what can be read of one client's backups with one key: snapshots whose certificate chains to the trusted root,
// run keys out of their slots, blobs opened and checked. Nothing the server says is believed without a signature, a
// digest or an authentication tag.

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "client/keyring/keyring.h"
#include "client/manifest/manifest.h"
#include "client/remote/remote.h"
#include "common/snapshot/records.h"

namespace holdfast::restore {

/// The private key that opens, and the root that must have certified whoever signed.
struct OpeningKey {
  const crypto::WrapKeyPair* pair = nullptr;
  /// Wrap secret of (client, this recipient).
  std::function<crypto::Key(const ClientId&)> wrap_secret;
  PublicKey root;
  std::optional<ClientId> client;  ///< whose snapshots they must be; nullopt: one client's, whichever the server says
};
/// The machine's own read key. Errors: WrongKey on a write-only client or an operator's keyring: says to give --key.
Result<OpeningKey> own_key(const keyring::Keyring& keyring);
/// A recovery key, which must outlive the result.
OpeningKey recovery_key(const keyring::RecoveryKey& key);

struct SnapshotInfo {
  snapshot::VerifiedCore verified;
  std::int64_t received_ns = 0, lock_not_before_ns = 0;
  std::string state;
  bool complete = true;                      ///< no source failed
  std::optional<snapshot::SealedPart> part;  ///< nullopt: this key does not open it (`why_closed`)
  std::optional<Error> why_closed;
  std::optional<std::uint64_t> newer_locked;  ///< what `find` passed over: the newest that would fit, but is locked
  const snapshot::Core& core() const { return verified.core; }
  /// Hidden by the server's operator, before the date that the receipt promised: it is named, so that nobody takes its
  /// absence for a server that was put back.
  bool locked() const { return state == "locked"; }
  /// The source with this name is in it and did not fail. False when this key does not open the sealed part.
  bool is_complete(std::string_view source) const;
};

/// The server is gone or cannot be trusted: nothing else will come from it.
bool is_connection_error(Errc code);

/// Thread-safe.
class Archive {
 public:
  /// References must outlive it.
  Archive(remote::Remote& remote, remote::Subject subject, OpeningKey key);

  /// Ascending by sequence. Errors: Corrupt or Denied when a core is not signed by a client that the trusted root
  /// certifies; the message names it.
  Result<std::vector<SnapshotInfo>> snapshots();
  /// The server has acknowledged this snapshot and may not have locked it yet: it must be in every list.
  void expect(const snapshot::Receipt& receipt) { expected_ = receipt; }
  /// SNAP as in CLI.md: latest | sequence | ≥ 6 hex digits | @time. `source` narrows `latest` and @time to snapshots in
  /// which that source did not fail, whatever became of others; empty: `latest` is the newest in which none failed.
  /// What is locked is never the newest. Errors: NotFound, Usage (ambiguous or malformed); Denied for a locked one of our own
  /// that is named; Rollback for what means the newest one, when an expected snapshot is
  /// not there.
  Result<SnapshotInfo> find(const std::string& spec, const std::string& source);

  /// May it be opened from here? Errors: Denied for a locked one of our own; operators open what they name.
  Status may_open(const SnapshotInfo& snapshot) const;

  /// R of a run. Errors: WrongKey, Corrupt, NotFound.
  Result<const crypto::Key*> run_key(const RunId& run);
  /// Fetches segments of this snapshot's domain with one request and opens them; the latest are kept for a while. out[i]
  /// belongs to refs[i], errors of single segments as well. Errors: the connection's.
  Status segments(const snapshot::Core& core, const std::vector<blob::BlobRef>& refs, blob::Type type,
                  std::vector<Result<sealing::OpenedBlob>>* out);
  /// Fetches many data blobs, opens them on `threads` threads; out[i] belongs to refs[i].
  Status open_many(const snapshot::Core& core, const std::vector<blob::BlobRef>& refs, std::size_t threads,
                   std::vector<Result<sealing::OpenedBlob>>* out);
  /// The two halves of open_many. Records come as they are stored, sealed; out[i] belongs to refs[i]. Ends with Canceled
  /// after the next record when `stop` says so (nullptr: never).
  Status fetch_many(const snapshot::Core& core, const std::vector<blob::BlobRef>& refs, const std::atomic<bool>* stop,
                    std::vector<Result<Bytes>>* out);
  std::vector<Result<sealing::OpenedBlob>> open_fetched(const snapshot::Core& core,
                                                        const std::vector<blob::BlobRef>& refs,
                                                        std::vector<Result<Bytes>> records, std::size_t threads);
  /// Fetches many data blobs and hands each over opened, in the order in which they arrive, on the caller's thread; others
  /// arrive and are opened on `threads` threads meanwhile, a bounded number of them. A blob that is damaged comes with its
  /// error. Errors: the connection's; those of `take`, which end it.
  Status open_each(const snapshot::Core& core, const std::vector<blob::BlobRef>& refs, std::size_t threads,
                   const std::function<Status(std::size_t index, Result<sealing::OpenedBlob> opened)>& take);
  /// Keys for the snapshot's domain, from its sealed part. Errors: WrongKey, Corrupt.
  Result<keyring::DomainKeys> domain_keys(const SnapshotInfo& snapshot);

 private:
  /// Newest first, verified but closed, until `take` says false. A server that shows foreign ones or none in order: Protocol.
  Status walk(bool with_runs, const std::function<Result<bool>(SnapshotInfo)>& take);
  Result<SnapshotInfo> read_core(const remote::SnapshotRow& row) const;
  /// Sets `part` or `why_closed`. Errors: the connection's.
  Status open_part(SnapshotInfo& info);
  /// Opens what the server calls this run's key, and remembers it.
  Result<const crypto::Key*> keep_run_key(const RunId& run, const remote::RunRow& row);
  Error not_shown(const std::string& spec) const;
  /// The newest that fits; the walk goes on until the expected snapshot has been seen, or can no more be.
  Result<SnapshotInfo> find_newest(const std::string& spec, bool must_show_expected,
                                   const std::function<Result<bool>(SnapshotInfo&)>& fits, std::string why_none);
  Result<SnapshotInfo> find_named(const std::string& spec);
  std::optional<sealing::OpenedBlob> kept_segment(const blob::BlobRef& ref);
  void keep_segment(const blob::BlobRef& ref, const sealing::OpenedBlob& opened);
  Result<sealing::OpenedBlob> open_segment(const snapshot::Core& core, const blob::BlobRef& ref, blob::Type type,
                                           Result<Bytes> record);
  /// One fetched data record, which R of its run must open. Errors: those of the record and the key; Corrupt, TooNew.
  Result<sealing::OpenedBlob> open_data(const snapshot::Core& core, const blob::BlobRef& ref,
                                        const Result<const crypto::Key*>& key, Result<Bytes> record) const;
  sealing::Space space_of(const snapshot::Core& core) const { return {core.tenant, core.domain, core.epoch}; }

  remote::Remote& remote_;
  const remote::Subject subject_;
  const OpeningKey key_;
  std::optional<snapshot::Receipt> expected_;
  std::mutex mutex_;
  std::map<RunId, crypto::Key> run_keys_;
  // Segments opened last, newest first: what several walks meet, and a batch that was fetched ahead of one of them.
  static constexpr std::size_t kMaxKept = 64;
  static constexpr std::size_t kMaxKeptBytes = 16u << 20;  // they have 6 KiB as a rule, and up to 4 MiB
  std::list<std::pair<blob::BlobRef, sealing::OpenedBlob>> kept_;
  std::size_t kept_bytes_ = 0;
};

/// Reads the snapshot's manifest. `archive`, `snapshot` and `keys` must outlive it.
manifest::ManifestReader open_manifest(Archive& archive, const SnapshotInfo& snapshot, const keyring::DomainKeys& keys);

}  // namespace holdfast::restore
