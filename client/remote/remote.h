#pragma once
// Why: the server as the client sees it: blocking, thread-safe calls that survive the loss of their connection. Every wait
// has a deadline, every buffer a bound. Knows frames and protobuf; nobody above it does.

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/blob/blob.h"
#include "common/transport/transport.h"

namespace holdfast::remote {

inline constexpr std::size_t kMaxUnackedBytes = 48u
                                                << 20;  ///< sealed bytes kept until their acknowledgement: > 2 packs
inline constexpr std::size_t kMaxHave = 4096;           ///< ids in one question
/// What a list of snapshots may hold at most, or a server that never ends it would fill our memory: one snapshot every
/// half hour for seven years, 1 KiB of core each (usual: half of that).
inline constexpr std::size_t kMaxSnapshots = 128u << 10;
inline constexpr std::size_t kMaxSnapshotBytes = 128u << 20;  ///< cores, states and runs

struct Subject {
  std::string tenant, client;
};  ///< empty: this client

struct Opened {
  SessionId session;
  std::uint64_t next_sequence = 1;
  SnapshotId previous;
  bool base_known = false;
  Digest head_digest;
  std::uint64_t head_number = 0;
  std::uint64_t quota_bytes = 0, used_bytes = 0;
};
struct Known {
  RunId run;
  Digest record_digest;
};
struct RunRow {
  Bytes run_record, slot, certificate;
};
struct SnapshotRow {
  Bytes core;
  std::int64_t received_ns = 0, lock_not_before_ns = 0;
  std::string state;
  std::optional<RunRow> run = std::nullopt;  ///< only when asked for; not even then where the server cannot read it
};
struct Account {
  std::string plan, health;
  std::uint64_t quota_bytes = 0, used_bytes = 0, snapshots = 0;
  std::int64_t newest_ns = 0;
};
struct WantedBlob {
  blob::BlobRef ref;
  DomainId domain;
  std::uint32_t epoch = 0;
};

/// What becomes of a lost connection (reset, silent, server restarted, address changed). What the server refuses is no loss.
struct Patience {
  std::chrono::nanoseconds total{0};  ///< without getting anything done; then the call fails. 0: at once
  std::chrono::nanoseconds first_pause =
      std::chrono::milliseconds(100);            ///< doubled up to 30 s, minus up to a half by chance
  std::function<void(const std::string&)> tell;  ///< for a person; from any thread
  const std::atomic<bool>* stop = nullptr;       ///< set: waiting for a connection ends with Canceled
};

/// Thread-safe; destroyed: closes the connection.
class Remote {
 public:
  /// Connects, says hello. Errors: Unreachable, Timeout, Denied, TooNew. A connection that is lost later is made again as
  /// long as `patience` lasts; calls then take longer and fail with Unreachable or Timeout at its end.
  static Result<std::unique_ptr<Remote>> connect(transport::ClientOptions options, Patience patience = {});
  virtual ~Remote() = default;

  virtual Result<Opened> open_session(ByteSpan run_record, ByteSpan slot, const SnapshotId& base,
                                      const std::optional<SessionId>& resume) = 0;
  /// One answer per id, in order. At most kMaxHave ids.
  virtual Result<std::vector<std::optional<Known>>> have(const SessionId& session, std::uint32_t epoch,
                                                         const std::vector<BlobId>& ids) = 0;
  /// Queues a record; blocks while more than kMaxUnackedBytes are unacknowledged. Errors: what the server refused before.
  virtual Status put(const SessionId& session, Bytes record) = 0;
  /// Returns when everything put before is acknowledged.
  virtual Status flush(const SessionId& session) = 0;
  virtual Result<Bytes> commit(const SessionId& session, ByteSpan core) = 0;  ///< the receipt's bytes

  /// Descending by sequence, a page at a time, until `take` says false or there are no more: a few first, since most who ask
  /// look for the newest. `with_runs`: for those who open every one of them. Errors: Protocol beyond kMaxSnapshots or kMaxSnapshotBytes; those of `take`.
  virtual Status snapshot_pages(const Subject& subject, bool with_runs,
                                const std::function<Result<bool>(std::vector<SnapshotRow> page)>& take) = 0;
  /// All of them, ascending.
  Result<std::vector<SnapshotRow>> snapshots(const Subject& subject);
  virtual Result<RunRow> run(const Subject& subject, const RunId& run) = 0;
  /// Calls `got` once for every record in the order of arrival (index into `wanted`), on the caller's thread. A blob that is
  /// damaged or missing comes with an Error; the rest goes on.
  virtual Status fetch(const Subject& subject, const std::vector<WantedBlob>& wanted,
                       const std::function<Status(std::size_t index, Result<Bytes> record)>& got) = 0;
  virtual Result<Account> account(const Subject& subject) = 0;

  virtual TenantId tenant_id() const = 0;
  virtual ClientId client_id() const = 0;
  virtual std::chrono::nanoseconds clock_skew() const = 0;  ///< server − client
  virtual std::uint64_t bytes_sent() const = 0;
  virtual std::uint64_t bytes_received() const = 0;
  /// Wakes every waiting call with Canceled (signal handling).
  virtual void cancel() = 0;
};

}  // namespace holdfast::remote
