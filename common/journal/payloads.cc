// Payloads of records (FORMAT.md, section 4). Every encoding opens with its version, so that each can change alone.

#include <algorithm>

#include "common/journal/journal.h"

namespace holdfast::journal {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kPackNoteBytes = 64;
constexpr std::size_t kDatedSnapshotBytes = 40;
constexpr std::size_t kCondemnedBytes = 33;
constexpr std::size_t kReleaseBytes = 37;  // without its packs

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

template <class Id>
void put_ids(ByteWriter& w, const std::vector<Id>& ids, std::size_t limit) {
  HF_ASSERT(ids.size() <= limit);
  w.u32(static_cast<std::uint32_t>(ids.size()));
  for (const Id& id : ids) w.id(id);
}

template <class Id>
std::vector<Id> get_ids(ByteReader& r, std::size_t limit) {
  const std::size_t count = r.count(Id::kBytes);
  if (count > limit) {
    r.fail();
    return {};
  }
  std::vector<Id> ids(count);
  for (Id& id : ids) id = r.id<Id>();
  return ids;
}

/// Snapshots with a date each: what Lock and Undelete have in common.
template <class Item>
void put_dated(ByteWriter& w, const std::vector<Item>& items, std::int64_t Item::* date) {
  HF_ASSERT(items.size() <= kMaxSnapshotsPerRecord);
  w.u32(static_cast<std::uint32_t>(items.size()));
  for (const Item& item : items) w.id(item.snapshot).i64(item.*date);
}

template <class Item>
std::vector<Item> get_dated(ByteReader& r, std::int64_t Item::* date) {
  const std::size_t count = r.count(kDatedSnapshotBytes);
  if (count > kMaxSnapshotsPerRecord) {
    r.fail();
    return {};
  }
  std::vector<Item> items(count);
  for (Item& item : items) {
    item.snapshot = r.id<SnapshotId>();
    item.*date = r.i64();
  }
  return items;
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

Bytes encode(const SourcePayload& p) {
  ByteWriter w = begin();
  w.id(p.client).id(p.source).u8(static_cast<std::uint8_t>(p.state));
  put_sized(w, p.label, kMaxLabelBytes);
  return w.take();
}

Result<SourcePayload> decode_source(ByteSpan bytes) {
  return decode_payload<SourcePayload>(bytes, "source payload", [](ByteReader& r, SourcePayload& p) {
    p.client = r.id<ClientId>();
    p.source = r.id<SourceId>();
    const std::uint8_t state = r.u8();
    if (state < 1 || state > 2) r.fail();
    p.state = static_cast<SourcePayload::State>(state);
    p.label = r.sized_text(kMaxLabelBytes);
  });
}

Bytes encode(const LockPayload& p) {
  ByteWriter w = begin();
  w.u8(static_cast<std::uint8_t>(p.reason));
  put_sized(w, p.who, kMaxLabelBytes);
  put_dated(w, p.items, &LockPayload::Item::delete_not_before_ns);
  return w.take();
}

Result<LockPayload> decode_lock(ByteSpan bytes) {
  return decode_payload<LockPayload>(bytes, "lock payload", [](ByteReader& r, LockPayload& p) {
    const std::uint8_t reason = r.u8();
    if (reason < 1 || reason > 2) r.fail();
    p.reason = static_cast<LockPayload::Reason>(reason);
    p.who = r.sized_text(kMaxLabelBytes);
    p.items = get_dated(r, &LockPayload::Item::delete_not_before_ns);
  });
}

Bytes encode(const UndeletePayload& p) {
  ByteWriter w = begin();
  put_sized(w, p.who, kMaxLabelBytes);
  put_dated(w, p.items, &UndeletePayload::Item::lock_not_before_ns);
  return w.take();
}

Result<UndeletePayload> decode_undelete(ByteSpan bytes) {
  return decode_payload<UndeletePayload>(bytes, "undelete payload", [](ByteReader& r, UndeletePayload& p) {
    p.who = r.sized_text(kMaxLabelBytes);
    p.items = get_dated(r, &UndeletePayload::Item::lock_not_before_ns);
  });
}

Bytes encode(const DeletedPayload& p) {
  ByteWriter w = begin();
  put_ids(w, p.snapshots, kMaxSnapshotsPerRecord);
  return w.take();
}

Result<DeletedPayload> decode_deleted(ByteSpan bytes) {
  return decode_payload<DeletedPayload>(bytes, "deleted payload", [](ByteReader& r, DeletedPayload& p) {
    p.snapshots = get_ids<SnapshotId>(r, kMaxSnapshotsPerRecord);
  });
}

Bytes encode(const ErasedPayload& p) {
  ByteWriter w = begin();
  put_ids(w, p.snapshots, kMaxSnapshotsPerRecord);
  put_sized(w, p.copies, kMaxLabelBytes);
  return w.take();
}

Result<ErasedPayload> decode_erased(ByteSpan bytes) {
  return decode_payload<ErasedPayload>(bytes, "erased payload", [](ByteReader& r, ErasedPayload& p) {
    p.snapshots = get_ids<SnapshotId>(r, kMaxSnapshotsPerRecord);
    p.copies = r.sized_text(kMaxLabelBytes);
  });
}

Bytes encode(const CondemnPayload& p) {
  HF_ASSERT(p.packs.size() <= kMaxPacksPerRecord && p.releases.size() <= kMaxReleasesPerRecord);
  ByteWriter w = begin();
  w.u32(static_cast<std::uint32_t>(p.packs.size()));
  for (const CondemnPayload::Item& item : p.packs)
    w.id(item.pack).u64(item.store_epoch).u64(item.bytes).u8(static_cast<std::uint8_t>(item.why));
  put_ids(w, p.slots, kMaxPacksPerRecord);
  w.u32(static_cast<std::uint32_t>(p.releases.size()));
  std::size_t released = 0;
  for (const CondemnPayload::Release& release : p.releases) {
    w.id(release.snapshot).u8(release.more ? 1 : 0);
    put_ids(w, release.packs, kMaxReleasedPacks);
    released += release.packs.size();
  }
  HF_ASSERT(released <= kMaxReleasedPacks);
  return w.take();
}

Result<CondemnPayload> decode_condemn(ByteSpan bytes) {
  return decode_payload<CondemnPayload>(bytes, "condemn payload", [](ByteReader& r, CondemnPayload& p) {
    const std::size_t packs = r.count(kCondemnedBytes);
    if (packs > kMaxPacksPerRecord) return r.fail();
    p.packs.resize(packs);
    for (CondemnPayload::Item& item : p.packs) {
      item.pack = r.id<PackId>();
      item.store_epoch = r.u64();
      item.bytes = r.u64();
      const std::uint8_t why = r.u8();
      if (why < 1 || why > 3) r.fail();
      item.why = static_cast<CondemnPayload::Why>(why);
    }
    p.slots = get_ids<RunId>(r, kMaxPacksPerRecord);
    const std::size_t releases = r.count(kReleaseBytes);
    if (releases > kMaxReleasesPerRecord) return r.fail();
    p.releases.resize(releases);
    std::size_t released = 0;
    for (CondemnPayload::Release& release : p.releases) {
      release.snapshot = r.id<SnapshotId>();
      const std::uint8_t more = r.u8();
      if (more > 1) r.fail();
      release.more = more == 1;
      release.packs = get_ids<PackId>(r, kMaxReleasedPacks);
      released += release.packs.size();
    }
    if (released > kMaxReleasedPacks) r.fail();
  });
}

Bytes encode(const RemovedPayload& p) {
  ByteWriter w = begin();
  put_ids(w, p.packs, kMaxPacksPerRecord);
  put_ids(w, p.slots, kMaxPacksPerRecord);
  return w.take();
}

Result<RemovedPayload> decode_removed(ByteSpan bytes) {
  return decode_payload<RemovedPayload>(bytes, "removed payload", [](ByteReader& r, RemovedPayload& p) {
    p.packs = get_ids<PackId>(r, kMaxPacksPerRecord);
    p.slots = get_ids<RunId>(r, kMaxPacksPerRecord);
  });
}

Bytes encode(const ClockPayload& p) {
  ByteWriter w = begin();
  w.raw(ByteSpan(p.boot_id)).i64(p.boottime_ns).i64(p.vault_ns).i64(p.added_ns).i64(p.since_ns);
  return w.take();
}

Result<ClockPayload> decode_clock(ByteSpan bytes) {
  return decode_payload<ClockPayload>(bytes, "clock payload", [](ByteReader& r, ClockPayload& p) {
    const ByteSpan boot = r.raw(p.boot_id.size());
    if (boot.size() == p.boot_id.size()) std::copy(boot.begin(), boot.end(), p.boot_id.begin());
    p.boottime_ns = r.i64();
    p.vault_ns = r.i64();
    p.added_ns = r.i64();
    p.since_ns = r.i64();
    if (p.boottime_ns < 0 || p.added_ns < 0) r.fail();
  });
}

Bytes encode(const ForkPayload& p) {
  ByteWriter w = begin();
  w.u64(p.seen_epoch);
  w.sized(std::string_view(p.what).substr(0, kMaxDamageTextBytes));
  return w.take();
}

Result<ForkPayload> decode_fork(ByteSpan bytes) {
  return decode_payload<ForkPayload>(bytes, "fork payload", [](ByteReader& r, ForkPayload& p) {
    p.seen_epoch = r.u64();
    p.what = r.sized_text(kMaxDamageTextBytes);
  });
}

}  // namespace holdfast::journal
