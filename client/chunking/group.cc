// What is made of chunks: fingerprints, groups, ids, content digests.
#include "client/chunking/chunker.h"

namespace holdfast::chunking {
namespace {

// FORMAT.md §4: frozen.
constexpr std::size_t kMinGroupBytes = 256u << 10;
constexpr std::size_t kTargetGroupBytes = 1u << 20;
// Past the minimum a group ends with this chance per byte (of 2^64), so its mean is the target whatever the chunks' size.
constexpr std::uint64_t kEndPerByte = ~std::uint64_t{0} / (kTargetGroupBytes - kMinGroupBytes);

constexpr std::uint8_t kChunkMark = 1;
constexpr std::uint8_t kHoleMark = 2;
constexpr std::uint8_t kDataLabelType = 1;  // blob::Type::Data

std::uint64_t leading_bits(const Fingerprint& fingerprint) { return ByteReader(fingerprint.bytes).u64(); }

}  // namespace

bool Grouper::add(const Fingerprint& fingerprint, std::size_t chunk_bytes) {
  HF_ASSERT(chunk_bytes > 0 && chunk_bytes <= kMaxChunkBytes && fits(chunk_bytes));
  bytes_ += chunk_bytes;
  ++chunks_;
  const bool ends = bytes_ == kMaxGroupBytes || chunks_ == kMaxGroupChunks ||
                    (bytes_ >= kMinGroupBytes && leading_bits(fingerprint) < kEndPerByte * chunk_bytes);
  if (ends) reset();
  return ends;
}

bool Grouper::fits(std::size_t chunk_bytes) const {
  return bytes_ + chunk_bytes <= kMaxGroupBytes && chunks_ < kMaxGroupChunks;
}

void Grouper::reset() {
  bytes_ = 0;
  chunks_ = 0;
}

Fingerprint fingerprint(const crypto::Key& fingerprint_key, ByteSpan chunk) {
  // The zero byte keeps chunks apart from what `derive` hashes under the same key, which begins with a length ≥ 1.
  const std::uint8_t zero = 0;
  Fingerprint out;
  out.bytes = crypto::Hasher(fingerprint_key).update({&zero, 1}).update(chunk).finish().bytes;
  return out;
}

BlobId group_id(const crypto::Key& blob_key, const std::vector<Fingerprint>& fingerprints) {
  ByteWriter head;
  head.raw("data").u8(kDataLabelType).u32(static_cast<std::uint32_t>(fingerprints.size()));
  crypto::Hasher hasher(blob_key);
  hasher.update(head.span());
  for (const Fingerprint& one : fingerprints) hasher.update(one.bytes);
  BlobId id;
  id.bytes = hasher.finish().bytes;
  return id;
}

ContentDigest::ContentDigest(const crypto::Key& fingerprint_key)
    : hasher_(crypto::derive(fingerprint_key, "content")) {}

void ContentDigest::add_chunk(const Fingerprint& fingerprint, std::uint32_t bytes) {
  flush_hole();
  ByteWriter item;
  item.u8(kChunkMark).id(fingerprint).u32(bytes);
  hasher_.update(item.span());
}

void ContentDigest::add_hole(std::uint64_t bytes) { hole_bytes_ += bytes; }

Digest ContentDigest::finish() {
  flush_hole();
  return hasher_.finish();
}

void ContentDigest::flush_hole() {
  if (hole_bytes_ == 0) return;
  ByteWriter item;
  item.u8(kHoleMark).u64(hole_bytes_);
  hasher_.update(item.span());
  hole_bytes_ = 0;
}

}  // namespace holdfast::chunking
