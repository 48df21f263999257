#pragma once
// Records that decode (their bodies are not sealed by anybody), and a small pack of them in memory.

#include <algorithm>

#include "common/pack/pack.h"

namespace holdfast::pack {

/// Bytes first, first + 1, …
template <class Id>
Id counted(std::uint8_t first) {
  Id id;
  for (std::uint8_t& byte : id.bytes) byte = first++;
  return id;
}

inline Bytes sample_record(std::uint8_t seed, blob::Type type, std::vector<blob::BlobRef> children = {},
                           std::uint32_t body_bytes = 24) {
  blob::Header header;
  header.cipher = 1;  // a nonce of 12 bytes
  header.type = type;
  header.domain = counted<DomainId>(0x10);
  header.epoch = 2;
  header.run = counted<RunId>(0x20);
  header.blob = counted<BlobId>(seed);
  header.child_count = static_cast<std::uint32_t>(children.size());
  header.body_bytes = body_bytes;
  Bytes record = blob::encode_header(header);
  const Bytes list = blob::encode_children(children);
  record.insert(record.end(), list.begin(), list.end());
  for (std::size_t i = 0; i < 12 + body_bytes + 16; ++i) record.push_back(static_cast<std::uint8_t>(seed + i));
  return record;
}

/// A data blob, a leaf that names it and another, a data blob.
inline std::vector<Bytes> sample_records() {
  const RunId run = counted<RunId>(0x20);
  return {sample_record(0x40, blob::Type::Data),
          sample_record(0x60, blob::Type::Leaf, {{counted<BlobId>(0x40), run}, {counted<BlobId>(0x80), run}}),
          sample_record(0x80, blob::Type::Data, {}, 40)};
}

struct MemoryPack {
  Bytes bytes;
  PackWriter::Finished finished;
};

inline Status add_record(PackWriter& writer, ByteSpan record) {
  HF_TRY(const blob::RecordView view, blob::decode_record(record));
  return writer.add(record, view, blob::record_digest(record));
}

inline Result<MemoryPack> write_pack(const std::vector<Bytes>& records, Kind kind = Kind::Mixed) {
  MemoryPack pack;
  PackWriter writer(counted<PackId>(0xA0), 0x0102030405060708, kind, [&pack](ByteSpan bytes) -> Status {
    pack.bytes.insert(pack.bytes.end(), bytes.begin(), bytes.end());
    return {};
  });
  for (const Bytes& record : records) HF_TRY_DO(add_record(writer, record));
  HF_TRY(pack.finished, writer.finish());
  return pack;
}

/// Reads from `bytes`, which must outlive it; a range that is not there is Corrupt, as a store says.
inline RangeReader reader_of(ByteSpan bytes) {
  return [bytes](std::uint64_t offset, std::uint64_t length) -> Result<Bytes> {
    if (offset > bytes.size() || length > bytes.size() - offset) return Error{Errc::Corrupt, "the object is shorter"};
    return to_bytes(bytes.subspan(offset, length));
  };
}

/// What a reader of everything does: footer first, then every record.
inline Status read_all(ByteSpan bytes) {
  const RangeReader read = reader_of(bytes);
  HF_TRY(const ReadFooter footer, read_footer(bytes.size(), read));
  for (const Entry& entry : footer.footer.entries) HF_TRY_DO(read_record(entry, read));
  return {};
}

}  // namespace holdfast::pack
