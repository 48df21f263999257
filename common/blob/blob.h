#pragma once
// Why: a blob's clear part is all that the server, packs and the wire know of it: header, child list, record digest.
// FORMAT.md beside this file is the specification. Opening and sealing the body is the client's (client/sealing).
// Everything here treats its input as hostile: bounded lengths first, no allocation from unchecked counts.

#include <compare>
#include <optional>
#include <vector>

#include "common/base/ids.h"

namespace holdfast::blob {

inline constexpr std::uint8_t kProfile1 = 1;
inline constexpr std::size_t kHeaderBytes = 84;
inline constexpr std::size_t kMaxRawBytes = 4u << 20;  ///< chunk bytes in one data blob
inline constexpr std::size_t kMaxChunks = 65536;       ///< chunks in one blob: their lengths are not compressed
inline constexpr std::size_t kMaxChildren = 16384;
inline constexpr std::size_t kChildBytes = 48;
inline constexpr std::size_t kMaxBodyBytes = 5u << 20;  ///< sealed body with padding, without nonce and tag
inline constexpr std::size_t kMaxRecordBytes = kHeaderBytes + kMaxChildren * kChildBytes + 24 + kMaxBodyBytes + 16;

/// Frozen numbers.
enum class Type : std::uint8_t {
  Data = 1,     ///< chunks
  Leaf = 2,     ///< manifest entries; children: data blobs and extent segments
  Index = 3,    ///< children: leaves or indexes one level down
  Extents = 4,  ///< spilled extent list of one entry; children: data blobs or extent segments one level down
};
bool is_known(Type type);

/// Names one stored copy: the blob and the run whose key sealed it. Ordered by blob, then run.
struct BlobRef {
  BlobId blob;
  RunId run;
  auto operator<=>(const BlobRef&) const = default;
};

/// The first 84 bytes of every record, in clear.
struct Header {
  std::uint8_t profile = kProfile1;
  std::uint8_t cipher = 0;  ///< crypto::Cipher
  Type type = Type::Data;
  DomainId domain;
  std::uint32_t epoch = 0;
  RunId run;
  BlobId blob;
  std::uint32_t child_count = 0;
  std::uint32_t body_bytes = 0;  ///< sealed body, without nonce and tag
  BlobRef ref() const { return {blob, run}; }
};

/// Views into a record's bytes, which must outlive it.
struct RecordView {
  Header header;
  ByteSpan header_bytes;
  ByteSpan child_bytes;  ///< child_count × 48 bytes, sorted, unique
  ByteSpan nonce;
  ByteSpan sealed;  ///< body ‖ tag
};

Bytes encode_header(const Header& header);
Bytes encode_children(const std::vector<BlobRef>& children);  ///< HF_ASSERTs that they are sorted and unique
/// Checks magic, version, bounds, exact length, and that children are sorted, unique and absent from Data blobs.
/// Errors: Corrupt, TooNew, Limit. Does not check the record digest: call record_digest first and compare.
Result<RecordView> decode_record(ByteSpan record);
std::vector<BlobRef> decode_children(ByteSpan child_bytes);
/// BLAKE2b-256 over the whole record.
Digest record_digest(ByteSpan record);
/// tenant id ‖ header ‖ BLAKE2b-256(child list): what the AEAD authenticates beside the body.
Bytes associated_bytes(const TenantId& tenant, const RecordView& record);

}  // namespace holdfast::blob
