#pragma once
// The records and payloads behind tests/vectors/journal: every field has a value of its own.

#include "common/journal/journal.h"

namespace holdfast::journal {

/// Bytes first, first + 1, …
template <class Id>
Id counted(std::uint8_t first) {
  Id id;
  for (std::uint8_t& byte : id.bytes) byte = first++;
  return id;
}
inline Bytes counted_bytes(std::size_t n, std::uint8_t first) {
  Bytes bytes(n);
  for (std::uint8_t& byte : bytes) byte = first++;
  return bytes;
}

inline TenantPayload sample_tenant() { return {counted<TenantId>(0x10), "acme", "30d", 5'000'000'000'000}; }
inline ClientPayload sample_client() {
  ClientPayload p;
  p.id = counted<ClientId>(0x20);
  p.name = "web-1";
  p.state = ClientPayload::State::Enrolled;
  p.token_digest = counted<Digest>(0x30);
  p.token_expires_ns = 1'800'000'000'000'000'000;
  p.request_digest = counted<Digest>(0x50);
  p.certificate_pem = to_bytes(as_bytes("-----BEGIN"));
  p.client_certificate = counted_bytes(5, 0x70);
  return p;
}
inline SessionPayload sample_session() {
  return {counted<SessionId>(0x01),  counted<ClientId>(0x20), counted<RunId>(0x40),
          counted<SnapshotId>(0x60), counted_bytes(7, 0x80),  counted<Digest>(0x90)};
}
inline PacksPayload sample_packs() {
  PacksPayload p;
  p.session = counted<SessionId>(0x01);
  p.packs.push_back({counted<PackId>(0xA0), 3, 16'777'216, counted<Digest>(0xB0)});
  p.packs.push_back({counted<PackId>(0xC0), 4, 70'000, counted<Digest>(0xD0)});
  return p;
}
inline CommitPayload sample_commit() {
  CommitPayload p;
  p.session = counted<SessionId>(0x01);
  p.client = counted<ClientId>(0x20);
  p.sequence = 42;
  p.snapshot = counted<SnapshotId>(0x11);
  p.lock_not_before_ns = 1'900'000'000'000'000'000;
  p.plan = "2y";
  p.core = counted_bytes(9, 0xE0);
  return p;
}
inline ExpireSessionPayload sample_expire_session() { return {counted<SessionId>(0x01)}; }
inline DamagePayload sample_damage() { return {counted<PackId>(0xA0), "pack trailer: cut off"}; }

inline SourcePayload sample_source() {
  return {counted<ClientId>(0x20), counted<SourceId>(0x44), SourcePayload::State::Retired, "shop database"};
}
inline LockPayload sample_lock() {
  return {
      LockPayload::Reason::Operator,
      "root",
      {{counted<SnapshotId>(0x11), 1'910'000'000'000'000'000}, {counted<SnapshotId>(0x12), 1'920'000'000'000'000'000}}};
}
inline UndeletePayload sample_undelete() { return {"root", {{counted<SnapshotId>(0x11), 1'930'000'000'000'000'000}}}; }
inline DeletedPayload sample_deleted() { return {{counted<SnapshotId>(0x11), counted<SnapshotId>(0x12)}}; }
inline ErasedPayload sample_erased() { return {{counted<SnapshotId>(0x12)}, "offsite"}; }
inline CondemnPayload sample_condemn() {
  using Why = CondemnPayload::Why;
  return {{{counted<PackId>(0xA0), 3, 16'777'216, Why::Unreferenced}, {counted<PackId>(0xC0), 4, 70'000, Why::Orphan}},
          {counted<RunId>(0x40)},
          {{counted<SnapshotId>(0x11), {counted<PackId>(0xA0), counted<PackId>(0xB0)}, true},
           {counted<SnapshotId>(0x12), {}, false}}};
}
inline RemovedPayload sample_removed() {
  return {{counted<PackId>(0xA0)}, {counted<RunId>(0x40), counted<RunId>(0x41)}};
}
inline ClockPayload sample_clock() {
  ClockPayload p;
  for (std::size_t i = 0; i < p.boot_id.size(); ++i) p.boot_id[i] = static_cast<std::uint8_t>(0xB0 + i);
  p.boottime_ns = 3'600'000'000'000;
  p.vault_ns = 1'700'000'000'000'000'000;
  p.added_ns = 259'200'000'000'000;
  p.since_ns = 1'699'000'000'000'000'000;
  return p;
}
inline ForkPayload sample_fork() { return {9, "packs/a0: written under epoch 9"}; }

/// Two records of one publish and one of the next.
inline std::vector<Record> sample_chain() {
  std::vector<Record> chain(3);
  const Bytes payloads[] = {encode(sample_tenant()), encode(sample_client()), encode(sample_session())};
  const Kind kinds[] = {Kind::Tenant, Kind::Client, Kind::Session};
  for (std::size_t i = 0; i < chain.size(); ++i) {
    Record& record = chain[i];
    record.number = i + 1;
    record.epoch = 7;
    record.generation = i == 2 ? 2 : 1;
    record.kind = kinds[i];
    record.vault_ns = 1'700'000'000'000'000'000 + static_cast<std::int64_t>(i);
    record.wall_ns = 1'700'000'000'500'000'000 + static_cast<std::int64_t>(i);
    if (i > 0) record.previous = chain[i - 1].digest;
    for (std::size_t j = 0; j < record.salt.size(); ++j) record.salt[j] = static_cast<std::uint8_t>(16 * i + j);
    record.payload = payloads[i];
    (void)encode(record);  // fills the digests
  }
  return chain;
}

}  // namespace holdfast::journal
