// Run records, cores, receipts, certificates, sealed parts and key slots: client and server decode each other's, and a
// restore decodes whatever lies in a server directory. First byte: which decoder, and whether the rest is signed here
// (else no mutation would get past the signature).
#include <cstdlib>

#include "common/crypto/hash.h"
#include "common/snapshot/records.h"
#include "common/snapshot/stored_core.h"

using namespace holdfast;
using namespace holdfast::snapshot;

namespace {

crypto::Key key_of(std::uint8_t byte) { return crypto::Key(ByteSpan(Bytes(32, byte))); }

const crypto::SigningKey& client_key() {
  static const crypto::SigningKey key(key_of(2));
  return key;
}
const crypto::SigningKey& server_key() {
  static const crypto::SigningKey key(key_of(3));
  return key;
}

Bytes sign(ByteSpan body, const crypto::SigningKey& key) {
  Bytes out = to_bytes(body);
  const Signature signature = key.sign(body);
  out.insert(out.end(), signature.bytes.begin(), signature.bytes.end());
  return out;
}

void must_be_same(ByteSpan a, ByteSpan b) {
  if (!same_bytes(a, b)) std::abort();
}

void raw(unsigned kind, ByteSpan in) {
  if (kind == 0) (void)decode_client_certificate(in);
  if (kind == 1) (void)decode_run_record_unverified(in);
  if (kind == 2 && decode_core(in).has_value() && !decode_stored_core(in).has_value()) std::abort();
  if (kind == 3) (void)decode_receipt(in, server_key().public_key());
  if (kind == 4) {
    if (const Result<SealedPart> part = decode_sealed_part(in)) must_be_same(encode(*part), in);
  }
  if (kind == 5) {
    if (const Result<KeySlot> slot = decode_key_slot(in)) must_be_same(encode(*slot), in);
  }
}

void signed_here(unsigned kind, ByteSpan body) {
  if (kind == 1) {
    const Bytes in = sign(body, client_key());
    if (const auto run = decode_run_record(in, client_key().public_key()))
      must_be_same(encode_signed(*run, client_key()), in);
  }
  if (kind == 2) {
    const Bytes in = sign(body, client_key());
    if (const auto core = decode_core(in)) must_be_same(encode_signed(core->core, client_key()), in);
  }
  if (kind == 3) {
    const Bytes in = sign(body, server_key());
    if (const auto receipt = decode_receipt(in, server_key().public_key()))
      must_be_same(encode_signed(*receipt, server_key()), in);
  }
  if (kind == 5) {
    Bytes in = to_bytes(body);
    const Digest sum = crypto::digest(body);
    in.insert(in.end(), sum.bytes.begin(), sum.bytes.end());
    if (const auto slot = decode_key_slot(in)) must_be_same(encode(*slot), in);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteSpan rest(data + 1, size - 1);
  if ((data[0] & 8) != 0) {
    signed_here(data[0] & 7, rest);
  } else {
    raw(data[0] & 7, rest);
  }
  return 0;
}
