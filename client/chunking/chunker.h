#pragma once
// Why: content-defined cuts that nobody without the key can predict. Gear hash with normalised chunking as in FastCDC
// (Xia et al., USENIX ATC 2016), its table derived from K_cut. Also groups chunks into blobs: a group ends where bits
// of the chunk's keyed fingerprint say so. Pure. FORMAT.md beside this file: restore must cut the same way.

#include <array>
#include <functional>
#include <string_view>

#include "common/base/ids.h"
#include "common/crypto/hash.h"

namespace holdfast::chunking {

/// Stored per entry (frozen numbers): which parameters its content digest was made with.
enum class Class : std::uint8_t {
  Files = 1,     ///< mean 8 KiB, from 2 to 64 KiB
  Database = 2,  ///< raw database files: mean about 700 bytes, from 192 to 6144
  Stream = 3,    ///< dumps and other streams: target about 0.5 KiB, from 128 to 4096; larger far into the stream
};
bool is_known(Class chunk_class);
inline constexpr std::uint32_t kMaxChunkBytes = 64u << 10;
inline constexpr std::size_t kMaxGroupBytes = 4u << 20;  ///< blob::kMaxRawBytes
inline constexpr std::size_t kMaxGroupChunks = 65536;    ///< blob::kMaxChunks

struct GearTable {
  std::array<std::uint64_t, 256> values;
};
GearTable make_gear_table(const crypto::Key& cut_key);

using Fingerprint = Id<struct FingerprintTag, 32>;  ///< keyed BLAKE2b-256 of a chunk

/// What decides about cuts at one place (FORMAT.md §2).
struct Shape {
  std::uint32_t min_bytes, normal_bytes, max_bytes;
  unsigned small_bits, large_bits;  ///< zero bits that end a chunk before the normal length · beyond it
};
/// `offset`: bytes of the content before the chunk, holes not counted.
Shape shape_of(Class chunk_class, std::uint64_t offset);

/// Finds chunk ends. Immutable, thread-safe.
class Chunker {
 public:
  Chunker(const GearTable& table, Class chunk_class) : table_(table), class_(chunk_class) {}
  /// Length of the first chunk of `data` (not empty), which stands behind `offset` bytes of content, holes not counted.
  /// `at_end`: nothing follows `data`. Returns 0 when more bytes are needed to decide (no cut in sight, fewer than the
  /// most that a chunk may have and not at_end). Never reads beyond kMaxChunkBytes.
  std::size_t next(ByteSpan data, bool at_end, std::uint64_t offset) const;

 private:
  GearTable table_;
  Class class_;
};

/// One Chunker for every class. Immutable, thread-safe.
class Chunkers {
 public:
  explicit Chunkers(const GearTable& table);
  const Chunker& of(Class chunk_class) const;

 private:
  Chunker files_, database_, stream_;
};

/// How a file is best cut, judged by its first bytes (up to kHeadBytes) and its name: SQLite and PostgreSQL pages,
/// InnoDB's files and SQL dumps are told from the rest. A wrong guess costs space, never correctness.
inline constexpr std::size_t kHeadBytes = 16384;
Class class_of(std::string_view path, std::uint64_t size, ByteSpan head);

/// Decides where a group of chunks ends: min 256 KiB, target 1 MiB, max 4 MiB. One thread at a time.
class Grouper {
 public:
  /// Takes the next chunk; true when the group ends with it.
  bool add(const Fingerprint& fingerprint, std::size_t chunk_bytes);
  /// False when this chunk would overflow kMaxGroupBytes or kMaxGroupChunks: then close the group first and `reset`.
  bool fits(std::size_t chunk_bytes) const;
  /// A new group begins; `add` does this itself when it answers true.
  void reset();

 private:
  std::size_t bytes_ = 0;
  std::size_t chunks_ = 0;
};

/// The content digest of an entry: keyed hash over (fingerprint, length) of the chunks as read now, holes included.
/// derive(K_fp, "content"). One thread at a time.
class ContentDigest {
 public:
  explicit ContentDigest(const crypto::Key& fingerprint_key);
  void add_chunk(const Fingerprint& fingerprint, std::uint32_t bytes);
  /// Neighbouring holes count as one, however they were reported.
  void add_hole(std::uint64_t bytes);
  Digest finish();

 private:
  void flush_hole();
  crypto::Hasher hasher_;
  std::uint64_t hole_bytes_ = 0;
};

Fingerprint fingerprint(const crypto::Key& fingerprint_key, ByteSpan chunk);
/// Blob id of a group (FORMAT.md §5): BLAKE2b-256(K_blob, "data" ‖ u8 1 ‖ u32 n ‖ fingerprints).
BlobId group_id(const crypto::Key& blob_key, const std::vector<Fingerprint>& fingerprints);

}  // namespace holdfast::chunking
