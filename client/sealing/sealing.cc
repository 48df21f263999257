#include "client/sealing/sealing.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "client/sealing/blob_key.h"
#include "client/sealing/body.h"
#include "common/crypto/hash.h"

namespace holdfast::sealing {
namespace {

// The core's part names sources and hosts: multiples of this keep the lengths of names from showing.
constexpr std::size_t kPartStep = 256;
constexpr crypto::Cipher kPartCipher = crypto::Cipher::XChaCha20Poly1305;  // FORMAT.md §4: fixed, hence not stored

Status check_sizes(blob::Type type, const std::vector<blob::BlobRef>& children, ByteSpan raw,
                   const std::vector<std::uint32_t>& chunk_bytes) {
  HF_ASSERT(blob::is_known(type) && (type != blob::Type::Data || children.empty()));
  HF_ASSERT(std::accumulate(chunk_bytes.begin(), chunk_bytes.end(), std::uint64_t{0}) == raw.size());
  HF_ASSERT(chunk_bytes.size() <= 1 || std::find(chunk_bytes.begin(), chunk_bytes.end(), 0u) == chunk_bytes.end());
  const auto limit = [](std::size_t found, std::string_view what, std::size_t most) {
    return Error{Errc::Limit, "seal a blob: " + std::to_string(found) + " " + std::string(what) + ", at most " +
                                  std::to_string(most) + " fit"};
  };
  if (raw.size() > blob::kMaxRawBytes) return limit(raw.size(), "bytes", blob::kMaxRawBytes);
  if (chunk_bytes.size() > blob::kMaxChunks) return limit(chunk_bytes.size(), "chunks", blob::kMaxChunks);
  if (children.size() > blob::kMaxChildren) return limit(children.size(), "children", blob::kMaxChildren);
  return {};
}

Error corrupt(std::string_view why) { return Error{Errc::Corrupt, std::string(why)}; }

/// The header is authentic only together with the body, but a record that was swapped shows here with a better message.
Status check_header(const blob::Header& header, const Space& space, const blob::BlobRef& ref, blob::Type type) {
  if (header.ref() != ref)
    return corrupt("the record is another blob's: " + header.blob.short_hex() + " of run " + header.run.short_hex());
  if (header.type != type) return corrupt("the record is of another type");
  if (header.domain != space.domain || header.epoch != space.epoch)
    return corrupt("the record belongs to another domain or epoch");
  return {};
}

Result<OpenedBlob> open_record(const Space& space, const blob::BlobRef& ref, blob::Type type,
                               const crypto::Key& run_key, ByteSpan record, const Digest* expected_digest) {
  if (record.size() > blob::kMaxRecordBytes) return corrupt("the record is longer than any that we write");
  if (expected_digest != nullptr && blob::record_digest(record) != *expected_digest)
    return corrupt("the stored record is not what was stored: its digest differs");
  HF_TRY(const blob::RecordView view, blob::decode_record(record));
  HF_TRY_DO(check_header(view.header, space, ref, type));
  const auto cipher = static_cast<crypto::Cipher>(view.header.cipher);
  const crypto::Key key = blob_key(run_key, cipher, ref.blob);
  HF_TRY(const Bytes plain,
         crypto::open(cipher, key, view.nonce, blob::associated_bytes(space.tenant, view), view.sealed));
  HF_TRY(Body body, decode_body(plain, type));
  return OpenedBlob{std::move(body.raw), std::move(body.chunk_bytes), blob::decode_children(view.child_bytes)};
}

}  // namespace

crypto::Key blob_key(const crypto::Key& run_key, crypto::Cipher cipher, const BlobId& id) {
  ByteWriter context;
  context.u8(static_cast<std::uint8_t>(cipher)).id(id);
  return crypto::derive(run_key, "blob", context.span());
}

Bytes draw_nonce(Random& random, crypto::Cipher cipher) {
  Bytes nonce(crypto::nonce_bytes(cipher));
  random.fill(nonce);
  return nonce;
}

std::size_t padded_length(std::size_t bytes, std::size_t floor) {
  constexpr std::size_t kStep = 2u << 10;
  if (bytes <= kPaddingFloor) return std::max((bytes + kStep - 1) / kStep * kStep, floor);
  // Padmé: of the E+1 bits of a length, the upper ⌊log2 E⌋ + 1 may show; the others are rounded up.
  const std::size_t exponent = std::bit_width(bytes) - 1;
  const std::size_t shown_bits = std::bit_width(exponent);
  const std::size_t mask = (std::size_t{1} << (exponent - shown_bits)) - 1;
  return (bytes + mask) & ~mask;
}

Sealer::Sealer(Space space, RunId run, const crypto::Key& run_key, Random& random, int zstd_level,
               crypto::Cipher cipher)
    : space_(space), run_(run), run_key_(run_key.clone()), random_(random), zstd_level_(zstd_level), cipher_(cipher) {
  HF_ASSERT(crypto::is_known(cipher));
}

Result<Bytes> Sealer::seal(blob::Type type, const BlobId& id, const std::vector<blob::BlobRef>& children, ByteSpan raw,
                           const std::vector<std::uint32_t>& chunk_bytes) const {
  HF_TRY_DO(check_sizes(type, children, raw, chunk_bytes));
  const Bytes body = encode_body(raw, chunk_bytes, zstd_level_, type);
  blob::Header header;
  header.cipher = static_cast<std::uint8_t>(cipher_);
  header.type = type;
  header.domain = space_.domain;
  header.epoch = space_.epoch;
  header.run = run_;
  header.blob = id;
  header.child_count = static_cast<std::uint32_t>(children.size());
  header.body_bytes = static_cast<std::uint32_t>(body.size());

  const Bytes header_bytes = blob::encode_header(header);
  const Bytes child_bytes = blob::encode_children(children);
  const Bytes nonce = draw_nonce(random_, cipher_);
  const Bytes associated = blob::associated_bytes(space_.tenant, {header, header_bytes, child_bytes, nonce, {}});

  Bytes record;
  record.reserve(header_bytes.size() + child_bytes.size() + nonce.size() + body.size() + crypto::kTagBytes);
  for (const Bytes* part : {&header_bytes, &child_bytes, &nonce})
    record.insert(record.end(), part->begin(), part->end());
  crypto::seal(cipher_, blob_key(run_key_, cipher_, id), nonce, associated, body, record);
  return record;
}

Result<OpenedBlob> open(const Space& space, const blob::BlobRef& ref, blob::Type type, const crypto::Key& run_key,
                        ByteSpan record, const Digest* expected_digest) {
  return open_record(space, ref, type, run_key, record, expected_digest)
      .context("open blob " + ref.blob.short_hex() + " of run " + ref.run.short_hex());
}

Bytes seal_part(const crypto::Key& run_key, ByteSpan associated, ByteSpan plaintext, Random& random) {
  ByteWriter body;
  body.sized(plaintext);
  Bytes padded = body.take();
  padded.resize((padded.size() + kPartStep - 1) / kPartStep * kPartStep);
  Bytes out = draw_nonce(random, kPartCipher);
  const Bytes nonce = out;
  crypto::seal(kPartCipher, crypto::derive(run_key, "core"), nonce, associated, padded, out);
  return out;
}

Result<Bytes> open_part(const crypto::Key& run_key, ByteSpan associated, ByteSpan sealed) {
  const std::size_t nonce_bytes = crypto::nonce_bytes(kPartCipher);
  if (sealed.size() < nonce_bytes + crypto::kTagBytes)
    return Error{Errc::Corrupt, "open a snapshot's sealed part: it is shorter than its nonce and tag"};
  HF_TRY(const Bytes padded, crypto::open(kPartCipher, crypto::derive(run_key, "core"), sealed.first(nonce_bytes),
                                          associated, sealed.subspan(nonce_bytes))
                                 .context("open a snapshot's sealed part"));
  ByteReader in(padded);
  const ByteSpan plaintext = in.sized(padded.size());
  const ByteSpan padding = in.raw(in.left());
  if (!in.ok() || padded.size() % kPartStep != 0 || padding.size() >= kPartStep ||
      std::any_of(padding.begin(), padding.end(), [](std::uint8_t b) { return b != 0; }))
    return Error{Errc::Corrupt, "open a snapshot's sealed part: its length or padding is wrong"};
  return to_bytes(plaintext);
}

}  // namespace holdfast::sealing
