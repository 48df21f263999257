// Records, chains and payloads of a journal from hostile bytes. What decodes must encode to the same bytes again.

#include "common/journal/journal.h"

namespace {

using namespace holdfast;

template <class Payload>
void try_payload(ByteSpan bytes, Result<Payload> (*decode)(ByteSpan)) {
  const Result<Payload> payload = decode(bytes);
  if (payload) HF_ASSERT(same_bytes(journal::encode(*payload), bytes));
}

void try_payloads(ByteSpan bytes) {
  try_payload(bytes, journal::decode_tenant);
  try_payload(bytes, journal::decode_client);
  try_payload(bytes, journal::decode_session);
  try_payload(bytes, journal::decode_packs);
  try_payload(bytes, journal::decode_commit);
  try_payload(bytes, journal::decode_expire_session);
  try_payload(bytes, journal::decode_damage);
  try_payload(bytes, journal::decode_source);
  try_payload(bytes, journal::decode_lock);
  try_payload(bytes, journal::decode_undelete);
  try_payload(bytes, journal::decode_deleted);
  try_payload(bytes, journal::decode_erased);
  try_payload(bytes, journal::decode_condemn);
  try_payload(bytes, journal::decode_removed);
  try_payload(bytes, journal::decode_clock);
  try_payload(bytes, journal::decode_fork);
}

void try_records(ByteSpan bytes) {
  std::optional<journal::Record> before;
  while (!bytes.empty()) {
    Result<journal::Decoded> decoded = journal::decode(bytes);
    if (!decoded) return;
    HF_ASSERT(same_bytes(journal::encode(decoded->record), bytes.first(decoded->bytes)));
    (void)journal::check_link(before ? &*before : nullptr, decoded->record);
    bytes = bytes.subspan(decoded->bytes);
    try_payloads(decoded->record.payload);
    before = std::move(decoded->record);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan bytes(data, size);
  try_records(bytes);
  try_payloads(bytes);
  return 0;
}
