#include "client/chunking/chunker.h"

#include <algorithm>

namespace holdfast::chunking {
namespace {

// FORMAT.md §2: frozen. Mean on random bytes: 8126, 671, 534 bytes.
constexpr Shape kFiles{2048, 6656, 65536, 15, 11};
constexpr Shape kDatabase{192, 608, 6144, 11, 7};
constexpr Shape kStream{128, 448, 4096, 11, 7};
static_assert(kFiles.max_bytes == kMaxChunkBytes);

/// Far into a stream chunks grow, so that the local state stays small: doubled from each of these offsets on.
constexpr std::uint64_t kGiB = 1u << 30;
constexpr std::uint64_t kStreamGrowsAt[] = {4 * kGiB, 8 * kGiB, 16 * kGiB, 32 * kGiB};
static_assert(kStream.max_bytes << std::size(kStreamGrowsAt) <= kMaxChunkBytes);

constexpr std::size_t kWindowBytes = 64;  // after 64 steps a byte's value has been shifted out of the hash
static_assert(kStream.min_bytes >= kWindowBytes);

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

bool is_known(Class chunk_class) {
  return chunk_class == Class::Files || chunk_class == Class::Database || chunk_class == Class::Stream;
}

Shape shape_of(Class chunk_class, std::uint64_t offset) {
  switch (chunk_class) {
    case Class::Files:
      return kFiles;
    case Class::Database:
      return kDatabase;
    case Class::Stream:
      break;
  }
  HF_ASSERT(chunk_class == Class::Stream);
  unsigned doublings = 0;
  for (const std::uint64_t at : kStreamGrowsAt) doublings += offset >= at ? 1 : 0;
  return {kStream.min_bytes << doublings, kStream.normal_bytes << doublings, kStream.max_bytes << doublings,
          kStream.small_bits + doublings, kStream.large_bits + doublings};
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

std::size_t Chunker::next(ByteSpan data, bool at_end, std::uint64_t offset) const {
  HF_ASSERT(!data.empty());
  const Shape shape = shape_of(class_, offset);
  const std::size_t end = std::min<std::size_t>(data.size(), shape.max_bytes);
  const std::size_t undecided = at_end || data.size() >= shape.max_bytes ? end : 0;
  if (end <= shape.min_bytes) return undecided;

  // A chunk of n bytes ends after byte n − 1. The hash starts one window before the first byte that may end a chunk, so
  // that a cut depends on 64 bytes of content and not on where the chunk began.
  const std::uint64_t* const table = table_.values.data();
  const std::size_t first = shape.min_bytes - 1;
  std::uint64_t hash = 0;
  for (std::size_t i = first + 1 - kWindowBytes; i < first; ++i) hash = (hash << 1) + table[data[i]];
  const std::size_t normal = std::min<std::size_t>(end, shape.normal_bytes);
  std::size_t at = scan(table, data.data(), first, normal, top_bits(shape.small_bits), hash);
  if (at < normal) return at + 1;
  at = scan(table, data.data(), normal, end, top_bits(shape.large_bits), hash);
  return at < end ? at + 1 : undecided;
}

Chunkers::Chunkers(const GearTable& table)
    : files_(table, Class::Files), database_(table, Class::Database), stream_(table, Class::Stream) {}

const Chunker& Chunkers::of(Class chunk_class) const {
  switch (chunk_class) {
    case Class::Files:
      return files_;
    case Class::Database:
      return database_;
    case Class::Stream:
      break;
  }
  HF_ASSERT(chunk_class == Class::Stream);
  return stream_;
}

}  // namespace holdfast::chunking
