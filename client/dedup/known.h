#pragma once
// Why: what is known of bytes that already stand at the server, without the bytes and without keys: for each chunk of
// the base snapshot a keyed image and where it stands. Chunks come in lists (one per content), lists in blocks of a
// fixed number of chunks, so that any part of what is known can be looked at without loading the rest.
// client/state keeps it on disk; tests keep it in memory.

#include <optional>
#include <vector>

#include "client/chunking/chunker.h"
#include "common/blob/blob.h"

namespace holdfast::dedup {

/// 128-bit keyed image of a chunk's fingerprint: SipHash-2-4-128 (Aumasson, Bernstein) under K_image.
using Image = Id<struct ImageTag, 16>;
Image image_of(const crypto::Key& image_key, const chunking::Fingerprint& fingerprint);

struct Location {
  blob::BlobRef blob;
  std::uint32_t offset = 0;  ///< in the blob's raw bytes
  bool operator==(const Location&) const = default;
};

struct KnownChunk {
  Image image;
  std::uint32_t bytes = 0, offset = 0;
  std::uint32_t ref = 0;  ///< number in the block's refs
};

inline constexpr std::size_t kBlockChunks = 3584;  ///< in every block but a file's last

struct KnownBlock {
  std::vector<blob::BlobRef> refs;
  std::vector<KnownChunk> chunks;
};

/// The chunks of one content: `count` of them from `first` on in one file of lists.
struct ListRef {
  std::uint32_t file = 0;
  std::uint64_t first = 0, count = 0;
  bool operator==(const ListRef&) const = default;
};

struct BlockAddress {
  std::uint32_t file = 0;
  std::uint64_t block = 0;
  auto operator<=>(const BlockAddress&) const = default;
};

/// Where lists are read from. One thread at a time.
class KnownBlocks {
 public:
  virtual ~KnownBlocks() = default;
  /// nullopt: there is no such block, or it is damaged; then its chunks are simply not known.
  virtual std::optional<KnownBlock> load(const BlockAddress& address) = 0;
  /// A block that holds a chunk with this image, if the image is one of the sparse sample (`is_sampled`).
  virtual std::optional<BlockAddress> find_sampled(const Image& image) = 0;
};

/// A chunk's number in tables: the first half of its image.
std::uint64_t number_of(const Image& image);
/// The sample by which moved content is found has the numbers whose highest bits are zero: every chunk of files as long
/// as there are not too many (client/state thins it), one in 64 of database files and streams.
unsigned sample_bits(chunking::Class chunk_class);
inline bool is_sampled(std::uint64_t number, unsigned bits) { return bits == 0 || number >> (64 - bits) == 0; }

}  // namespace holdfast::dedup
