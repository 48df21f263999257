#include "common/snapshot/records.h"

#include <algorithm>

#include "common/crypto/hash.h"
#include "common/snapshot/codec.h"
#include "common/snapshot/stored_core.h"

namespace holdfast::snapshot {
namespace {

constexpr std::uint8_t kKnownProfile = 1;
constexpr std::uint8_t kMaxSizeClass = 64;  // ⌈log2(2^64)⌉
constexpr std::size_t kMaxPlanBytes = 64;

/// The profile byte stands right behind the label of run records and cores: it decides what every other byte means.
Status read_profile(ByteReader& in, std::uint8_t& profile) {
  profile = in.u8();
  if (in.ok() && profile == 0) return Error{Errc::Corrupt, "there is no profile 0"};
  if (in.ok() && profile != kKnownProfile) {
    return Error{Errc::TooNew, "profile " + std::to_string(profile) + " is not known to this program"};
  }
  return {};
}

template <class T, class Less>
bool strictly_ascending(const std::vector<T>& items, Less less) {
  return std::adjacent_find(items.begin(), items.end(), [&](const T& a, const T& b) { return !less(a, b); }) ==
         items.end();
}

bool note_less(const SourceNote& a, const SourceNote& b) { return a.id < b.id; }

Result<ClientCertificate> decode_certificate_body(const codec::SignedParts& parts) {
  ByteReader in(parts.body);
  HF_TRY_DO(codec::read_label(in, codec::kCertificateLabel));
  ClientCertificate out;
  out.tenant = in.id<TenantId>();
  out.client = in.id<ClientId>();
  out.signing_key = in.id<PublicKey>();
  out.domain = in.id<DomainId>();
  out.not_before_ns = in.i64();
  out.root = in.id<PublicKey>();
  HF_TRY_DO(in.finish("fields"));
  HF_TRY_DO(codec::check_signature(parts, out.root));
  return out;
}

Result<RunRecord> decode_run_body(const codec::SignedParts& parts) {
  ByteReader in(parts.body);
  HF_TRY_DO(codec::read_label(in, codec::kRunLabel));
  RunRecord out;
  HF_TRY_DO(read_profile(in, out.profile));
  out.tenant = in.id<TenantId>();
  out.domain = in.id<DomainId>();
  out.epoch = in.u32();
  out.client = in.id<ClientId>();
  out.run = in.id<RunId>();
  out.commitment = in.id<Digest>();
  out.recipients.resize(codec::read_count(in, RecipientId::kBytes, kMaxRecipients));
  for (RecipientId& r : out.recipients) r = in.id<RecipientId>();
  out.time_ns = in.i64();
  HF_TRY_DO(in.finish("fields"));
  if (!strictly_ascending(out.recipients, std::less<>{})) return Error{Errc::Corrupt, "recipients out of order"};
  return out;
}

Root read_root(ByteReader& in) {
  Root out;
  out.run = in.id<RunId>();
  out.blob = in.id<BlobId>();
  out.record_digest = in.id<Digest>();
  return out;
}

Status read_sources(ByteReader& in, std::vector<SourceNote>& out) {
  out.resize(codec::read_count(in, SourceId::kBytes + 1, kMaxSources));
  for (SourceNote& note : out) {
    note.id = in.id<SourceId>();
    const std::uint8_t result = in.u8();
    if (in.ok() && (result < 1 || result > 3)) return Error{Errc::Corrupt, "a source with an unknown result"};
    note.result = static_cast<SourceResult>(result);
  }
  if (!strictly_ascending(out, note_less)) return Error{Errc::Corrupt, "sources out of order"};
  return {};
}

Result<Core> decode_core_body(ByteSpan body) {
  ByteReader in(body);
  HF_TRY_DO(codec::read_label(in, codec::kCoreLabel));
  Core out;
  HF_TRY_DO(read_profile(in, out.profile));
  out.tenant = in.id<TenantId>();
  out.domain = in.id<DomainId>();
  out.epoch = in.u32();
  out.client = in.id<ClientId>();
  out.sequence = in.u64();
  out.previous = in.id<SnapshotId>();
  out.root = read_root(in);
  out.run = in.id<RunId>();
  out.base = in.id<SnapshotId>();
  HF_TRY_DO(read_sources(in, out.sources));
  out.entries_class = in.u8();
  out.bytes_class = in.u8();
  out.time_ns = in.i64();
  const std::uint8_t flags = in.u8();
  out.state_lost = flags == 1;
  out.certificate = to_bytes(in.sized(kMaxCertificateBytes));
  out.sealed = to_bytes(in.sized(kMaxSealedPartBytes));
  HF_TRY_DO(in.finish("fields"));
  if (flags > 1) return Error{Errc::Corrupt, "unknown flags"};
  if (out.entries_class > kMaxSizeClass || out.bytes_class > kMaxSizeClass)
    return Error{Errc::Corrupt, "an impossible size class"};
  if (out.sequence == 0) return Error{Errc::Corrupt, "sequence 0: the first snapshot has number 1"};
  return out;
}

Result<Receipt> decode_receipt_body(ByteSpan body) {
  ByteReader in(body);
  HF_TRY_DO(codec::read_label(in, codec::kReceiptLabel));
  Receipt out;
  out.tenant = in.id<TenantId>();
  out.client = in.id<ClientId>();
  out.snapshot = in.id<SnapshotId>();
  out.sequence = in.u64();
  out.server_ns = in.i64();
  out.lock_not_before_ns = in.i64();
  out.plan = codec::read_short_text(in, kMaxPlanBytes);
  out.journal_number = in.u64();
  out.journal_digest = in.id<Digest>();
  HF_TRY_DO(in.finish("fields"));
  return out;
}

Result<VerifiedCore> verify_core(ByteSpan bytes) {
  HF_TRY(const codec::SignedParts parts, codec::split_signed(bytes, kMaxCoreBytes));
  HF_TRY(Core core, decode_core_body(parts.body));
  HF_TRY(ClientCertificate certificate, decode_client_certificate(core.certificate));
  if (certificate.tenant != core.tenant || certificate.client != core.client || certificate.domain != core.domain) {
    return Error{Errc::Corrupt, "its certificate belongs to another client or domain"};
  }
  HF_TRY_DO(codec::check_signature(parts, certificate.signing_key));
  return VerifiedCore{std::move(core), certificate, snapshot_id(bytes)};
}

}  // namespace

Bytes encode_signed(const ClientCertificate& c, const crypto::SigningKey& root) {
  HF_ASSERT(c.root == root.public_key());
  ByteWriter out;
  codec::write_label(out, codec::kCertificateLabel);
  out.id(c.tenant).id(c.client).id(c.signing_key).id(c.domain).i64(c.not_before_ns).id(c.root);
  return codec::sign(std::move(out), root);
}

Result<ClientCertificate> decode_client_certificate(ByteSpan bytes) {
  HF_TRY(const codec::SignedParts parts,
         codec::split_signed(bytes, kMaxCertificateBytes).context("client certificate"));
  return decode_certificate_body(parts).context("client certificate");
}

Digest commit_to(const crypto::Key& run_key, const RunId& run) {
  ByteWriter out;
  out.raw(codec::kCommitLabel).id(run);
  return crypto::keyed_digest(run_key, out.span());
}

Bytes encode_signed(const RunRecord& r, const crypto::SigningKey& client) {
  HF_ASSERT(r.recipients.size() <= kMaxRecipients);
  HF_ASSERT(strictly_ascending(r.recipients, std::less<>{}));
  ByteWriter out;
  codec::write_label(out, codec::kRunLabel);
  out.u8(r.profile).id(r.tenant).id(r.domain).u32(r.epoch).id(r.client).id(r.run).id(r.commitment);
  out.u16(static_cast<std::uint16_t>(r.recipients.size()));
  for (const RecipientId& recipient : r.recipients) out.id(recipient);
  out.i64(r.time_ns);
  return codec::sign(std::move(out), client);
}

Result<RunRecord> decode_run_record_unverified(ByteSpan bytes) {
  HF_TRY(const codec::SignedParts parts, codec::split_signed(bytes, kMaxRunRecordBytes).context("run record"));
  return decode_run_body(parts).context("run record");
}

Result<RunRecord> decode_run_record(ByteSpan bytes, const PublicKey& client_key) {
  HF_TRY(const codec::SignedParts parts, codec::split_signed(bytes, kMaxRunRecordBytes).context("run record"));
  HF_TRY(RunRecord out, decode_run_body(parts).context("run record"));
  HF_TRY_DO(codec::check_signature(parts, client_key).context("run record " + out.run.hex()));
  return out;
}

Bytes encode_signed(const Core& c, const crypto::SigningKey& client) {
  HF_ASSERT(c.sequence > 0);
  HF_ASSERT(c.sources.size() <= kMaxSources && strictly_ascending(c.sources, note_less));
  HF_ASSERT(c.entries_class <= kMaxSizeClass && c.bytes_class <= kMaxSizeClass);
  HF_ASSERT(c.certificate.size() <= kMaxCertificateBytes && c.sealed.size() <= kMaxSealedPartBytes);
  ByteWriter out;
  codec::write_label(out, codec::kCoreLabel);
  out.u8(c.profile).id(c.tenant).id(c.domain).u32(c.epoch).id(c.client).u64(c.sequence).id(c.previous);
  out.id(c.root.run).id(c.root.blob).id(c.root.record_digest).id(c.run).id(c.base);
  out.u16(static_cast<std::uint16_t>(c.sources.size()));
  for (const SourceNote& note : c.sources) out.id(note.id).u8(static_cast<std::uint8_t>(note.result));
  out.u8(c.entries_class).u8(c.bytes_class).i64(c.time_ns).u8(c.state_lost ? 1 : 0);
  out.sized(c.certificate).sized(c.sealed);
  return codec::sign(std::move(out), client);
}

Result<VerifiedCore> decode_core(ByteSpan bytes) { return verify_core(bytes).context("snapshot core"); }

Result<Core> decode_stored_core(ByteSpan bytes) {
  HF_TRY(const codec::SignedParts parts, codec::split_signed(bytes, kMaxCoreBytes).context("snapshot core"));
  return decode_core_body(parts.body).context("snapshot core");
}

SnapshotId snapshot_id(ByteSpan core_bytes) {
  SnapshotId id;
  id.bytes = crypto::digest(core_bytes).bytes;
  return id;
}

Bytes encode_signed(const Receipt& r, const crypto::SigningKey& server) {
  ByteWriter out;
  codec::write_label(out, codec::kReceiptLabel);
  out.id(r.tenant).id(r.client).id(r.snapshot).u64(r.sequence).i64(r.server_ns).i64(r.lock_not_before_ns);
  codec::write_short_text(out, r.plan, kMaxPlanBytes);
  out.u64(r.journal_number).id(r.journal_digest);
  return codec::sign(std::move(out), server);
}

Result<Receipt> decode_receipt(ByteSpan bytes, const PublicKey& receipt_key) {
  HF_TRY(const codec::SignedParts parts, codec::split_signed(bytes, kMaxReceiptBytes).context("receipt"));
  HF_TRY(Receipt out, decode_receipt_body(parts.body).context("receipt"));
  HF_TRY_DO(codec::check_signature(parts, receipt_key).context("receipt for snapshot " + out.snapshot.hex()));
  return out;
}

}  // namespace holdfast::snapshot
