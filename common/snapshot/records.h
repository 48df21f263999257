#pragma once
// Why: what a client signs (run record, core), what the tenant's root certifies (client certificate), what the server
// signs (receipt), and the key slot that wraps a run's key. Canonical bytes with a label; signed and stored as they
// are, never re-encoded. FORMAT.md beside this file is the specification. Decoders take hostile bytes.

#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/crypto/sign.h"

namespace holdfast::snapshot {

inline constexpr std::size_t kMaxCertificateBytes = 1024;
inline constexpr std::size_t kMaxRunRecordBytes = 8192;
inline constexpr std::size_t kMaxCoreBytes = 1u << 20;
inline constexpr std::size_t kMaxReceiptBytes = 2048;
inline constexpr std::size_t kMaxSlotBytes = 8192;
inline constexpr std::size_t kMaxRecipients = 32;
inline constexpr std::size_t kMaxSources = 1024;
inline constexpr std::size_t kMaxSealedPartBytes = 256u << 10;

/// The tenant root's word that this signing key is that client's.
struct ClientCertificate {
  TenantId tenant;
  ClientId client;
  PublicKey signing_key;
  DomainId domain;
  std::int64_t not_before_ns = 0;
  PublicKey root;  ///< who signed
};
Bytes encode_signed(const ClientCertificate&, const crypto::SigningKey& root);
/// Signature checked against the root inside; whether that root is trusted is the caller's question.
Result<ClientCertificate> decode_client_certificate(ByteSpan bytes);

struct RunRecord {
  std::uint8_t profile = 1;
  TenantId tenant;
  DomainId domain;
  std::uint32_t epoch = 0;
  ClientId client;
  RunId run;
  Digest commitment;                    ///< BLAKE2b-256 keyed with R over "holdfast.commit.1" ‖ run id: see commit_to
  std::vector<RecipientId> recipients;  ///< sorted, unique
  std::int64_t time_ns = 0;
};
Digest commit_to(const crypto::Key& run_key, const RunId& run);
Bytes encode_signed(const RunRecord&, const crypto::SigningKey& client);
Result<RunRecord> decode_run_record(ByteSpan bytes, const PublicKey& client_key);  ///< Errors: Corrupt, TooNew
/// Without the signature check: for whoever has no certificate at hand yet.
Result<RunRecord> decode_run_record_unverified(ByteSpan bytes);

enum class SourceResult : std::uint8_t { Complete = 1, Warnings = 2, Failed = 3 };
struct SourceNote {
  SourceId id;
  SourceResult result = SourceResult::Complete;
};
struct Root {
  RunId run;
  BlobId blob;
  Digest record_digest;
};

struct Core {
  std::uint8_t profile = 1;
  TenantId tenant;
  DomainId domain;
  std::uint32_t epoch = 0;
  ClientId client;
  std::uint64_t sequence = 0;  ///< server's last + 1
  SnapshotId previous;         ///< digest of the previous core; zero for the first
  Root root;
  RunId run;
  SnapshotId base;                  ///< zero: none
  std::vector<SourceNote> sources;  ///< sorted by id, unique
  std::uint8_t entries_class = 0;   ///< ⌈log2(entries + 1)⌉
  std::uint8_t bytes_class = 0;     ///< ⌈log2(bytes + 1)⌉
  std::int64_t time_ns = 0;         ///< client's clock
  bool state_lost = false;
  Bytes certificate;  ///< ClientCertificate, signed bytes
  Bytes sealed;       ///< SealedPart under R (client/sealing): nonce ‖ ciphertext ‖ tag
};
Bytes encode_signed(const Core&, const crypto::SigningKey& client);
struct VerifiedCore {
  Core core;
  ClientCertificate certificate;
  SnapshotId id;
};
/// Checks the signature by the key in the certificate, and that tenant, client and domain agree with it.
Result<VerifiedCore> decode_core(ByteSpan bytes);
SnapshotId snapshot_id(ByteSpan core_bytes);

/// What a sealed part says of a source's kind (frozen words).
inline constexpr std::string_view kFilesKind = "files", kCommandKind = "command";

/// What a core keeps from the server: sealed under derive(R, "core"), associated data = run id ‖ client id ‖ sequence.
struct SealedPart {
  struct Source {
    SourceId id;
    std::string name;
    std::string kind;
  };
  struct DomainKey {
    DomainId domain;
    std::uint32_t epoch = 0;
    Bytes key;
  };  ///< 32 bytes: K_D of every epoch referred to
  std::string host;
  std::vector<Source> sources;
  std::vector<DomainKey> domain_keys;
  std::uint64_t entries = 0, bytes = 0, files = 0, new_bytes = 0, stored_bytes = 0;
  std::uint64_t warnings = 0;
};
/// Associated data of a core's sealed part: run id ‖ client id ‖ u64 sequence.
inline Bytes sealed_part_context(const Core& core) {
  return ByteWriter().id(core.run).id(core.client).u64(core.sequence).take();
}
Bytes encode(const SealedPart&);
Result<SealedPart> decode_sealed_part(ByteSpan bytes);

struct Receipt {
  TenantId tenant;
  ClientId client;
  SnapshotId snapshot;
  std::uint64_t sequence = 0;
  std::int64_t server_ns = 0;
  std::int64_t lock_not_before_ns = 0;
  std::string plan;
  std::uint64_t journal_number = 0;
  Digest journal_digest;
};
Bytes encode_signed(const Receipt&, const crypto::SigningKey& server);
Result<Receipt> decode_receipt(ByteSpan bytes, const PublicKey& receipt_key);  ///< Errors: Corrupt

/// One erasable object per run: R wrapped for each recipient by HPKE mode_psk.
/// info = "holdfast.slot.1"; associated = BLAKE2b-256(signed run record); psk = wrap secret of (client, recipient);
/// psk_id = client id ‖ recipient id.
struct KeySlot {
  struct Wrap {
    RecipientId recipient;
    PublicKey encapsulated;
    Bytes ciphertext;
  };
  RunId run;
  std::vector<Wrap> wraps;  ///< sorted by recipient, unique
};
Bytes encode(const KeySlot&);
Result<KeySlot> decode_key_slot(ByteSpan bytes);
struct WrapTarget {
  PublicKey key;
  const crypto::Key* wrap_secret;
};
Result<KeySlot> wrap_run_key(const crypto::Key& run_key, const RunRecord& record, ByteSpan signed_run_record,
                             const std::vector<WrapTarget>& targets, Random& random);
/// Opens R with one recipient's key and checks it against the run record's commitment.
/// Errors: WrongKey (no wrap for this recipient, or it does not open), Corrupt (commitment differs).
Result<crypto::Key> unwrap_run_key(const KeySlot& slot, const RunRecord& record, ByteSpan signed_run_record,
                                   const crypto::WrapKeyPair& recipient, const crypto::Key& wrap_secret);

}  // namespace holdfast::snapshot
