#pragma once
// Why: a client's upload. A session is journalled and survives connections and restarts; what it has in memory (an
// upload that is being written, pins) belongs to this process and may be lost without losing anything acknowledged.
// Ack = the pack is named in a published `packs` record.

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "server/tenant/parts.h"
#include "server/tenant/upload.h"

namespace holdfast::tenant {

/// Uploads that may be in the middle of a pack at once: each holds two descriptors and up to 1 MiB. Beyond it the one
/// that has been quiet longest is closed and published.
inline constexpr std::size_t kMaxWritingUploads = 256;
/// Unfinished sessions of one client; they end by themselves after kSessionIdle.
inline constexpr std::size_t kMaxOpenSessions = 64;
inline constexpr std::chrono::hours kSessionIdle{7 * 24};
inline constexpr std::size_t kMaxHaveBlobs = 4096;

/// What is known of a session that a client names. A copy: the state may move on.
struct SessionFacts {
  SessionId id;
  RunId run;
  DomainId domain;
  std::uint32_t epoch = 0;
  SnapshotId base;
  Session::Phase phase = Session::Phase::Open;
  SnapshotId snapshot;
};

/// Thread-safe. Calls for one session wait for each other.
class Sessions {
 public:
  explicit Sessions(Parts& parts) : parts_(parts) {}

  Result<SessionOpened> open(const ClientId& client, ByteSpan run_record, ByteSpan slot, const SnapshotId& base,
                             const std::optional<SessionId>& resume);
  Result<std::vector<HaveAnswer>> have(const ClientId& client, const SessionId& session, std::uint32_t epoch,
                                       const std::vector<BlobId>& blobs);
  Result<std::vector<std::uint64_t>> put(const ClientId& client, const SessionId& session, std::uint64_t tag,
                                         ByteSpan record);
  Result<std::vector<std::uint64_t>> flush(const ClientId& client, const SessionId& session);
  Status abandon(const ClientId& client, const SessionId& session);
  /// Ends every session that nobody has used for kSessionIdle; returns how many.
  Result<std::uint64_t> expire_idle();
  /// Removes key slots that no session needs: what an interrupted opening leaves, and what came back with an older copy of
  /// the directory.
  Result<StraySlots> remove_stray_slots();

  /// Errors: Denied (not enrolled), NotFound (unknown, or somebody else's).
  Result<SessionFacts> facts(const ClientId& client, const SessionId& session) const;
  /// Everything that was put is published, and nothing more is accepted while `work` runs. Errors: those of flush; work's.
  Status settled(const ClientId& client, const SessionId& session, const std::function<Status()>& work);
  /// Forgets what this process holds of a session that has ended.
  void forget(const SessionId& session);

 private:
  /// Shared by the calls of one session.
  struct Active {
    std::mutex mutex;  ///< guards what follows, also while packs are written
    std::unique_ptr<Upload> upload;
    std::optional<Error> failed;            ///< until the client opens the session again
    std::uint64_t reserved_bytes = 0;       ///< of the quota, for records that are not published
    std::vector<std::uint64_t> ready;       ///< durable, not yet told
    std::vector<PackId> writing;            ///< packs in InFlight
    std::atomic<std::int64_t> used_ns = 0;  ///< boot time
  };
  using Tags = std::vector<std::uint64_t>;

  struct Opening;
  class OpeningTurn;
  Result<Opening> check_opening(const ClientId& client, ByteSpan run_record, ByteSpan slot) const;
  Result<SessionOpened> resume(const Opening& opening, const SessionId& session);
  Result<SessionOpened> begin(const Opening& opening, const SnapshotId& base);
  Status check_room() const;
  Status publish_session(const Opening& opening, const SessionId& id, const SnapshotId& base);
  SessionOpened answer(const State& s, const SessionId& session) const;
  Status flush_others(const ClientId& client);

  bool in_use(const SessionId& session);
  Result<SessionFacts> open_facts(const ClientId& client, const SessionId& session) const;
  std::shared_ptr<Active> activate(const SessionId& session);
  void relieve();
  bool is_stored(const ClientId& client, const SessionFacts& facts, const BlobId& blob);
  Status reserve(Active& active, std::uint64_t bytes);
  void release(Active& active, std::uint64_t bytes);
  std::unique_ptr<Upload> new_upload(Active& active);
  Result<std::unique_ptr<OpenPack>> new_pack(Active& active, pack::Kind kind);
  Status put_locked(Active& active, const ClientId& client, const SessionFacts& facts, std::uint64_t tag,
                    ByteSpan record);
  Status flush_locked(Active& active, const SessionId& session);
  Status publish_packs(Active& active, const SessionId& session, std::vector<ClosedPack> closed);
  Error fail(Active& active, Error error);
  void drop(Active& active);

  Parts& parts_;
  std::atomic<std::uint64_t> reserved_bytes_ = 0;  ///< of all sessions
  mutable std::mutex mutex_;                       ///< guards what follows; no call into other parts under it
  std::unordered_map<SessionId, std::shared_ptr<Active>> active_;
  std::unordered_set<RunId> opening_;  ///< runs whose session is being opened
  std::condition_variable opened_;     ///< one of them is no longer
};

}  // namespace holdfast::tenant
