#pragma once
// Why: the journal is the truth about a tenant's state: an append-only, hash-chained list of records.
// FORMAT.md beside this file is the specification. Pure encode and verify; the coordinator stores the bytes.
// The chain runs over record heads, which hold a salted digest of the payload: a payload can later be erased
// without breaking the chain.

#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"

namespace holdfast::journal {

inline constexpr std::size_t kHeadBytes = 168;
inline constexpr std::size_t kMaxPayloadBytes = 16u << 20;
inline constexpr std::uint64_t kSegmentBytes = 64u << 20;  ///< a new segment file starts after this

/// Frozen numbers; the missing ones are reserved in FORMAT.md.
enum class Kind : std::uint16_t {
  Tenant = 1,
  Client = 3,
  Source = 4,
  Session = 5,
  Packs = 6,
  Commit = 7,
  ExpireSession = 8,
  Damage = 9,
  Lock = 11,
  Undelete = 12,
  Condemn = 14,
  Deleted = 15,
  Erased = 16,
  Clock = 17,
  Fork = 21,
  Removed = 22,
};

/// One record. `number` starts at 1 and has no gaps.
struct Record {
  std::uint64_t number = 0;
  std::uint64_t epoch = 0;       ///< store epoch of the writer
  std::uint64_t generation = 0;  ///< the generation this publish made; several records may share it
  Kind kind = Kind::Tenant;
  std::int64_t vault_ns = 0;  ///< vault clock
  std::int64_t wall_ns = 0;   ///< wall clock of the server
  Digest previous;            ///< chain digest of record number − 1; zero for the first
  std::array<std::uint8_t, 16> salt{};
  Digest payload_digest;  ///< BLAKE2b-256(salt ‖ payload)
  Digest digest;          ///< chain digest: BLAKE2b-256 over the head without this field
  Bytes payload;
};

/// Fills payload_digest and digest; returns head ‖ payload. The payload has at most kMaxPayloadBytes (HF_ASSERT).
Bytes encode(Record& record);
/// A record's head alone: everything but the payload, its chain digest checked.
struct DecodedHead {
  Record record;
  std::uint32_t payload_bytes;
};
/// `bytes` has at least kHeadBytes; lets a reader size its next read. Errors: Corrupt (with what), Limit, TooNew.
Result<DecodedHead> decode_head(ByteSpan bytes);
struct Decoded {
  Record record;
  std::size_t bytes;
};
/// First record in `bytes`, its own digests checked. Errors: Corrupt (with what), Limit, TooNew.
Result<Decoded> decode(ByteSpan bytes);
/// `next` must follow `before` (nullptr: be the first). Errors: Corrupt, naming the numbers.
Status check_link(const Record* before, const Record& next);

// ---- payloads (FORMAT.md §4): canonical, encoded once, stored as they are ----
// Encoders HF_ASSERT the limits below, so that nothing is ever published that replay would refuse: callers check what
// came from outside first. Decoders: Corrupt (malformed, longer than a limit, bytes left over), TooNew (version).

inline constexpr std::size_t kMaxNameBytes = 255;  ///< names of tenants and clients
inline constexpr std::size_t kMaxPlanBytes = 255;
inline constexpr std::size_t kMaxCertificatePemBytes = 64u << 10;
inline constexpr std::size_t kMaxClientCertificateBytes = 1024;
inline constexpr std::size_t kMaxRunRecordBytes = 8192;
inline constexpr std::size_t kMaxCoreBytes = 1u << 20;
inline constexpr std::size_t kMaxPacksPerRecord = 65536;  ///< 64 bytes each: a quarter of kMaxPayloadBytes
inline constexpr std::size_t kMaxDamageTextBytes = 1024;  ///< the encoder cuts longer texts
inline constexpr std::size_t kMaxLabelBytes = 255;        ///< of sources, and who asked for something
inline constexpr std::size_t kMaxSnapshotsPerRecord = 65536;
inline constexpr std::size_t kMaxReleasesPerRecord = 4096;
inline constexpr std::size_t kMaxReleasedPacks = 1u << 19;  ///< of all releases of one record: 8 MiB

struct TenantPayload {
  TenantId id;
  std::string name;
  std::string plan;
  std::uint64_t quota_bytes = 0;
};
/// State of one client: the newest record for an id holds.
struct ClientPayload {
  enum class State : std::uint8_t { Invited = 1, Enrolled = 2, Revoked = 3 };
  ClientId id;
  std::string name;
  State state = State::Invited;
  Digest token_digest;  ///< of the one-time token; zero when there is none to use
  std::int64_t token_expires_ns = 0;
  Digest request_digest;     ///< of the CSR and keys that used the token: the same request again gets the same answer
  Bytes certificate_pem;     ///< TLS certificate given out, so that a repeated request gets the same one
  Bytes client_certificate;  ///< signed by the tenant root (common/snapshot), empty until enrolled
};
struct SessionPayload {
  SessionId session;
  ClientId client;
  RunId run;
  SnapshotId base;     ///< zero: none
  Bytes run_record;    ///< signed, as received
  Digest slot_digest;  ///< of the key slot's bytes at that time
};
struct PackNote {
  PackId id;
  std::uint64_t store_epoch = 0;
  std::uint64_t bytes = 0;
  Digest footer_digest;
};
struct PacksPayload {
  SessionId session;
  std::vector<PackNote> packs;
};
struct CommitPayload {
  SessionId session;
  ClientId client;
  std::uint64_t sequence = 0;
  SnapshotId snapshot;
  std::int64_t lock_not_before_ns = 0;
  std::string plan;
  Bytes core;
};
struct ExpireSessionPayload {
  SessionId session;
};
struct DamagePayload {
  PackId pack;
  std::string what;
};

/// What the operators want to be kept. The newest record of a (client, source) holds.
struct SourcePayload {
  enum class State : std::uint8_t { Registered = 1, Retired = 2 };
  ClientId client;
  SourceId source;  ///< zero: the client as a whole
  State state = State::Registered;
  std::string label;  ///< for people
};
struct LockPayload {
  enum class Reason : std::uint8_t { Age = 1, Operator = 2 };
  struct Item {
    SnapshotId snapshot;
    std::int64_t delete_not_before_ns = 0;  ///< vault time
  };
  Reason reason = Reason::Age;
  std::string who;
  std::vector<Item> items;
};
struct UndeletePayload {
  struct Item {
    SnapshotId snapshot;
    std::int64_t lock_not_before_ns = 0;  ///< from now on
  };
  std::string who;
  std::vector<Item> items;
};
struct DeletedPayload {
  std::vector<SnapshotId> snapshots;
};
/// Nothing of these is left here. `copies`: where else something of them may be, for people.
struct ErasedPayload {
  std::vector<SnapshotId> snapshots;
  std::string copies;
};
struct CondemnPayload {
  enum class Why : std::uint8_t { Unreferenced = 1, Rewritten = 2, Orphan = 3 };
  struct Item {
    PackId pack;
    std::uint64_t store_epoch = 0, bytes = 0;
    Why why = Why::Unreferenced;
  };
  /// A deleted snapshot and every pack that held bytes which no other snapshot refers to: it is erased with the last one.
  struct Release {
    SnapshotId snapshot;
    std::vector<PackId> packs;
    bool more = false;  ///< a later record names further packs; until then it is not released
  };
  std::vector<Item> packs;
  std::vector<RunId> slots;  ///< of runs of which nothing is left but what stands in the trash
  std::vector<Release> releases;
};
/// Condemned packs and slots that are no longer there.
struct RemovedPayload {
  std::vector<PackId> packs;
  std::vector<RunId> slots;
};
/// An anchor of the vault clock: it showed `vault_ns` when `boottime_ns` had passed since boot `boot_id`.
struct ClockPayload {
  std::array<std::uint8_t, 16> boot_id{};
  std::int64_t boottime_ns = 0;
  std::int64_t vault_ns = 0;
  std::int64_t added_ns = 0;  ///< a gap that was confirmed, contained in vault_ns; 0 for a mere anchor
  std::int64_t since_ns = 0;  ///< snapshots committed from this vault time on are kept longer by added_ns
};
/// The directory holds something newer than the journal: an older copy was put in its place. Nothing is destroyed from
/// here on.
struct ForkPayload {
  std::uint64_t seen_epoch = 0;
  std::string what;
};

Bytes encode(const TenantPayload&);
Bytes encode(const ClientPayload&);
Bytes encode(const SessionPayload&);
Bytes encode(const PacksPayload&);
Bytes encode(const CommitPayload&);
Bytes encode(const ExpireSessionPayload&);
Bytes encode(const DamagePayload&);
Bytes encode(const SourcePayload&);
Bytes encode(const LockPayload&);
Bytes encode(const UndeletePayload&);
Bytes encode(const DeletedPayload&);
Bytes encode(const ErasedPayload&);
Bytes encode(const CondemnPayload&);
Bytes encode(const RemovedPayload&);
Bytes encode(const ClockPayload&);
Bytes encode(const ForkPayload&);
Result<TenantPayload> decode_tenant(ByteSpan);
Result<ClientPayload> decode_client(ByteSpan);
Result<SessionPayload> decode_session(ByteSpan);
Result<PacksPayload> decode_packs(ByteSpan);
Result<CommitPayload> decode_commit(ByteSpan);
Result<ExpireSessionPayload> decode_expire_session(ByteSpan);
Result<DamagePayload> decode_damage(ByteSpan);
Result<SourcePayload> decode_source(ByteSpan);
Result<LockPayload> decode_lock(ByteSpan);
Result<UndeletePayload> decode_undelete(ByteSpan);
Result<DeletedPayload> decode_deleted(ByteSpan);
Result<ErasedPayload> decode_erased(ByteSpan);
Result<CondemnPayload> decode_condemn(ByteSpan);
Result<RemovedPayload> decode_removed(ByteSpan);
Result<ClockPayload> decode_clock(ByteSpan);
Result<ForkPayload> decode_fork(ByteSpan);

}  // namespace holdfast::journal
