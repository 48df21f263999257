#include "client/chunking/chunker.h"

#include <algorithm>

namespace holdfast::chunking {
namespace {

// FORMAT.md §2: frozen for Class::Files.
constexpr Limits kFiles{2u << 10, 8u << 10, 64u << 10};
static_assert(kFiles.max_bytes == kMaxChunkBytes);
constexpr std::size_t kFilesNormalBytes =
    6656;                                 // gives a mean of 8 KiB on random bytes; the plain target would give 9.5
constexpr unsigned kFilesSmallBits = 15;  // before the normal point cuts are rare,
constexpr unsigned kFilesLargeBits = 11;  // beyond it frequent

constexpr std::size_t kWindowBytes = 64;  // after 64 steps a byte's value has been shifted out of the hash
static_assert(kFiles.min_bytes >= kWindowBytes);

/// The highest bits depend on the whole window, the lowest on the last byte alone.
constexpr std::uint64_t top_bits(unsigned count) { return ~std::uint64_t{0} << (64 - count); }

/// First position in [from, to) after whose byte the hash has no bit of `mask`, or `to`; carries the hash along.
inline std::size_t scan(const std::uint64_t* table, const std::uint8_t* bytes, std::size_t from, std::size_t to,
                        std::uint64_t mask, std::uint64_t& hash) {
  std::uint64_t h = hash;
  std::size_t i = from;
  for (; i + 4 <= to; i += 4) {  // by hand: compilers do not unroll a loop that may leave early
    h = (h << 1) + table[bytes[i]];
    if ((h & mask) == 0) return i;
    h = (h << 1) + table[bytes[i + 1]];
    if ((h & mask) == 0) return i + 1;
    h = (h << 1) + table[bytes[i + 2]];
    if ((h & mask) == 0) return i + 2;
    h = (h << 1) + table[bytes[i + 3]];
    if ((h & mask) == 0) return i + 3;
  }
  for (; i < to; ++i) {
    h = (h << 1) + table[bytes[i]];
    if ((h & mask) == 0) return i;
  }
  hash = h;
  return to;
}

}  // namespace

Limits limits_of(Class chunk_class) {
  HF_ASSERT(chunk_class == Class::Files);
  return kFiles;
}

GearTable make_gear_table(const crypto::Key& cut_key) {
  GearTable table;
  constexpr std::size_t kPerKey = 4;
  for (std::size_t i = 0; i < table.values.size(); i += kPerKey) {
    const std::uint8_t index = static_cast<std::uint8_t>(i / kPerKey);
    const crypto::Key block = crypto::derive(cut_key, "gear", {&index, 1});
    ByteReader in(block.span());
    for (std::size_t j = 0; j < kPerKey; ++j) table.values[i + j] = in.u64();
  }
  return table;
}

Chunker::Chunker(const GearTable& table, Class chunk_class)
    : table_(table),
      limits_(limits_of(chunk_class)),
      normal_bytes_(kFilesNormalBytes),
      mask_small_(top_bits(kFilesSmallBits)),
      mask_large_(top_bits(kFilesLargeBits)) {}

std::size_t Chunker::next(ByteSpan data, bool at_end) const {
  HF_ASSERT(!data.empty());
  const std::size_t end = std::min<std::size_t>(data.size(), limits_.max_bytes);
  const std::size_t undecided = at_end || data.size() >= limits_.max_bytes ? end : 0;
  if (end <= limits_.min_bytes) return undecided;

  // A chunk of n bytes ends after byte n − 1. The hash starts one window before the first byte that may end a chunk, so
  // that a cut depends on 64 bytes of content and not on where the chunk began.
  const std::uint64_t* const table = table_.values.data();
  const std::size_t first = limits_.min_bytes - 1;
  std::uint64_t hash = 0;
  for (std::size_t i = first + 1 - kWindowBytes; i < first; ++i) hash = (hash << 1) + table[data[i]];
  const std::size_t normal = std::min(end, normal_bytes_);
  std::size_t at = scan(table, data.data(), first, normal, mask_small_, hash);
  if (at < normal) return at + 1;
  at = scan(table, data.data(), normal, end, mask_large_, hash);
  return at < end ? at + 1 : undecided;
}

}  // namespace holdfast::chunking
