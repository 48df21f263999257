// Payloads of records (FORMAT.md, section 4). Every encoding opens with its version, so that each can change alone.

#include "common/journal/journal.h"

namespace holdfast::journal {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kPackNoteBytes = 64;

ByteWriter begin() {
  ByteWriter w;
  w.u8(kVersion);
  return w;
}

void put_sized(ByteWriter& w, ByteSpan bytes, std::size_t limit) {
  HF_ASSERT(bytes.size() <= limit);
  w.sized(bytes);
}
void put_sized(ByteWriter& w, std::string_view text, std::size_t limit) { put_sized(w, as_bytes(text), limit); }

Bytes get_sized(ByteReader& r, std::size_t limit) { return to_bytes(r.sized(limit)); }

/// Reads the version and hands the rest to `fields(reader, payload)`; all bytes must have been used.
template <class Payload, class Fields>
Result<Payload> decode_payload(ByteSpan bytes, std::string_view what, Fields fields) {
  ByteReader r(bytes);
  const std::uint8_t version = r.u8();
  if (r.ok() && version == 0) return Error{Errc::Corrupt, std::string(what) + ": version 0"};
  if (r.ok() && version != kVersion) {
    return Error{Errc::TooNew, std::string(what) + ": version " + std::to_string(version) + ", this program reads " +
                                   std::to_string(kVersion)};
  }
  Payload payload;
  fields(r, payload);
  HF_TRY_DO(r.finish(what));
  return payload;
}

}  // namespace

Bytes encode(const TenantPayload& p) {
  ByteWriter w = begin();
  w.id(p.id);
  put_sized(w, p.name, kMaxNameBytes);
  put_sized(w, p.plan, kMaxPlanBytes);
  w.u64(p.quota_bytes);
  return w.take();
}

Result<TenantPayload> decode_tenant(ByteSpan bytes) {
  return decode_payload<TenantPayload>(bytes, "tenant payload", [](ByteReader& r, TenantPayload& p) {
    p.id = r.id<TenantId>();
    p.name = r.sized_text(kMaxNameBytes);
    p.plan = r.sized_text(kMaxPlanBytes);
    p.quota_bytes = r.u64();
  });
}

Bytes encode(const ClientPayload& p) {
  ByteWriter w = begin();
  w.id(p.id);
  put_sized(w, p.name, kMaxNameBytes);
  w.u8(static_cast<std::uint8_t>(p.state)).id(p.token_digest).i64(p.token_expires_ns).id(p.request_digest);
  put_sized(w, p.certificate_pem, kMaxCertificatePemBytes);
  put_sized(w, p.client_certificate, kMaxClientCertificateBytes);
  return w.take();
}

Result<ClientPayload> decode_client(ByteSpan bytes) {
  return decode_payload<ClientPayload>(bytes, "client payload", [](ByteReader& r, ClientPayload& p) {
    p.id = r.id<ClientId>();
    p.name = r.sized_text(kMaxNameBytes);
    const std::uint8_t state = r.u8();
    if (state < 1 || state > 3) r.fail();
    p.state = static_cast<ClientPayload::State>(state);
    p.token_digest = r.id<Digest>();
    p.token_expires_ns = r.i64();
    p.request_digest = r.id<Digest>();
    p.certificate_pem = get_sized(r, kMaxCertificatePemBytes);
    p.client_certificate = get_sized(r, kMaxClientCertificateBytes);
  });
}

Bytes encode(const SessionPayload& p) {
  ByteWriter w = begin();
  w.id(p.session).id(p.client).id(p.run).id(p.base);
  put_sized(w, p.run_record, kMaxRunRecordBytes);
  w.id(p.slot_digest);
  return w.take();
}

Result<SessionPayload> decode_session(ByteSpan bytes) {
  return decode_payload<SessionPayload>(bytes, "session payload", [](ByteReader& r, SessionPayload& p) {
    p.session = r.id<SessionId>();
    p.client = r.id<ClientId>();
    p.run = r.id<RunId>();
    p.base = r.id<SnapshotId>();
    p.run_record = get_sized(r, kMaxRunRecordBytes);
    p.slot_digest = r.id<Digest>();
  });
}

Bytes encode(const PacksPayload& p) {
  HF_ASSERT(p.packs.size() <= kMaxPacksPerRecord);
  ByteWriter w = begin();
  w.id(p.session).u32(static_cast<std::uint32_t>(p.packs.size()));
  for (const PackNote& note : p.packs) w.id(note.id).u64(note.store_epoch).u64(note.bytes).id(note.footer_digest);
  return w.take();
}

Result<PacksPayload> decode_packs(ByteSpan bytes) {
  return decode_payload<PacksPayload>(bytes, "packs payload", [](ByteReader& r, PacksPayload& p) {
    p.session = r.id<SessionId>();
    const std::size_t count = r.count(kPackNoteBytes);
    if (count > kMaxPacksPerRecord) return r.fail();
    p.packs.resize(count);
    for (PackNote& note : p.packs) {
      note.id = r.id<PackId>();
      note.store_epoch = r.u64();
      note.bytes = r.u64();
      note.footer_digest = r.id<Digest>();
    }
  });
}

Bytes encode(const CommitPayload& p) {
  ByteWriter w = begin();
  w.id(p.session).id(p.client).u64(p.sequence).id(p.snapshot).i64(p.lock_not_before_ns);
  put_sized(w, p.plan, kMaxPlanBytes);
  put_sized(w, p.core, kMaxCoreBytes);
  return w.take();
}

Result<CommitPayload> decode_commit(ByteSpan bytes) {
  return decode_payload<CommitPayload>(bytes, "commit payload", [](ByteReader& r, CommitPayload& p) {
    p.session = r.id<SessionId>();
    p.client = r.id<ClientId>();
    p.sequence = r.u64();
    p.snapshot = r.id<SnapshotId>();
    p.lock_not_before_ns = r.i64();
    p.plan = r.sized_text(kMaxPlanBytes);
    p.core = get_sized(r, kMaxCoreBytes);
  });
}

Bytes encode(const ExpireSessionPayload& p) {
  ByteWriter w = begin();
  w.id(p.session);
  return w.take();
}

Result<ExpireSessionPayload> decode_expire_session(ByteSpan bytes) {
  return decode_payload<ExpireSessionPayload>(
      bytes, "expire-session payload", [](ByteReader& r, ExpireSessionPayload& p) { p.session = r.id<SessionId>(); });
}

Bytes encode(const DamagePayload& p) {
  ByteWriter w = begin();
  w.id(p.pack);
  // An error's text has no bound of its own; the fact matters, not its last words.
  w.sized(std::string_view(p.what).substr(0, kMaxDamageTextBytes));
  return w.take();
}

Result<DamagePayload> decode_damage(ByteSpan bytes) {
  return decode_payload<DamagePayload>(bytes, "damage payload", [](ByteReader& r, DamagePayload& p) {
    p.pack = r.id<PackId>();
    p.what = r.sized_text(kMaxDamageTextBytes);
  });
}

}  // namespace holdfast::journal
