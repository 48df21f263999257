#pragma once
// One of every record, filled with recognisable bytes: what stands in tests/vectors/snapshot.

#include "common/crypto/hash.h"
#include "common/snapshot/records.h"

namespace holdfast::snapshot::testing {

template <class IdType>
IdType filled(std::uint8_t byte) {
  IdType id;
  id.bytes.fill(byte);
  return id;
}

inline crypto::Key key_of(std::uint8_t byte) { return crypto::Key(ByteSpan(filled<Digest>(byte).bytes)); }
inline const crypto::SigningKey& root_key() {
  static const crypto::SigningKey key(key_of(0x01));
  return key;
}
inline const crypto::SigningKey& client_key() {
  static const crypto::SigningKey key(key_of(0x02));
  return key;
}
inline const crypto::SigningKey& server_key() {
  static const crypto::SigningKey key(key_of(0x03));
  return key;
}
inline const crypto::Key& run_key() {
  static const crypto::Key key = key_of(0x52);
  return key;
}

inline ClientCertificate sample_certificate() {
  ClientCertificate c;
  c.tenant = filled<TenantId>(0xa0);
  c.client = filled<ClientId>(0xc0);
  c.signing_key = client_key().public_key();
  c.domain = filled<DomainId>(0xd0);
  c.not_before_ns = 1'767'225'600'000'000'000;
  c.root = root_key().public_key();
  return c;
}

inline RunRecord sample_run() {
  RunRecord r;
  r.tenant = filled<TenantId>(0xa0);
  r.domain = filled<DomainId>(0xd0);
  r.epoch = 7;
  r.client = filled<ClientId>(0xc0);
  r.run = filled<RunId>(0x11);
  r.commitment = commit_to(run_key(), r.run);
  r.recipients = {filled<RecipientId>(0x21), filled<RecipientId>(0x22)};
  r.time_ns = 1'767'225'600'000'000'001;
  return r;
}

inline Core sample_core() {
  Core c;
  c.tenant = filled<TenantId>(0xa0);
  c.domain = filled<DomainId>(0xd0);
  c.epoch = 7;
  c.client = filled<ClientId>(0xc0);
  c.sequence = 2;
  c.previous = filled<SnapshotId>(0x31);
  c.root = {filled<RunId>(0x11), filled<BlobId>(0x32), filled<Digest>(0x33)};
  c.run = filled<RunId>(0x11);
  c.base = filled<SnapshotId>(0x31);
  c.sources = {{filled<SourceId>(0x41), SourceResult::Complete}, {filled<SourceId>(0x42), SourceResult::Failed}};
  c.entries_class = 10;
  c.bytes_class = 33;
  c.time_ns = 1'767'225'600'000'000'002;
  c.state_lost = true;
  c.certificate = encode_signed(sample_certificate(), root_key());
  c.sealed = {0xee, 0xee, 0xee};
  return c;
}

inline Receipt sample_receipt() {
  Receipt r;
  r.tenant = filled<TenantId>(0xa0);
  r.client = filled<ClientId>(0xc0);
  r.snapshot = filled<SnapshotId>(0x51);
  r.sequence = 2;
  r.server_ns = 1'767'225'600'000'000'003;
  r.lock_not_before_ns = 1'769'817'600'000'000'003;
  r.plan = "30d";
  r.journal_number = 99;
  r.journal_digest = filled<Digest>(0x61);
  return r;
}

inline SealedPart sample_part() {
  SealedPart p;
  p.host = "db1.example";
  p.sources = {{filled<SourceId>(0x41), "www", "files"}, {filled<SourceId>(0x42), "shop", "postgresql"}};
  p.domain_keys = {{filled<DomainId>(0xd0), 7, Bytes(32, 0x71)}};
  p.entries = 1000;
  p.bytes = 5'000'000'000;
  p.files = 900;
  p.new_bytes = 12345;
  p.stored_bytes = 16384;
  p.warnings = 1;
  return p;
}

}  // namespace holdfast::snapshot::testing
