#include "client/chunking/chunker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "tests/client/chunking/sample_data.h"
#include "tests/common/crypto/vector_file.h"
#include "tests/support/seeded_random.h"

namespace holdfast::chunking {
namespace {

using holdfast::testing::read_vectors;
using holdfast::testing::VectorCase;
using testing::counting_key;
using testing::cut_all;
using testing::noise;
using testing::rows;

constexpr Class kClasses[] = {Class::Files, Class::Database, Class::Stream};
constexpr std::uint64_t kGiB = 1u << 30;

Chunker chunker_of(std::uint8_t key = 0, Class chunk_class = Class::Files) {
  return {make_gear_table(counting_key(key)), chunk_class};
}

Bytes vector_data(const VectorCase& c) {
  if (c.number("data") == 1) return noise(c.number("bytes"));
  Bytes data = c.number("data") == 2 ? rows(20000) : Bytes(c.number("bytes"), 0);
  data.resize(c.number("bytes"));
  return data;
}

std::vector<std::size_t> offsets(const std::vector<std::size_t>& lengths) {
  std::vector<std::size_t> ends(lengths.size());
  std::partial_sum(lengths.begin(), lengths.end(), ends.begin());
  return ends;
}

std::size_t shared(const std::vector<std::size_t>& a, const std::vector<std::size_t>& b) {
  std::vector<std::size_t> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both.size();
}

TEST(Chunker, CutsWhereTheVectorsSay) {
  for (const VectorCase& c : read_vectors("chunking/cuts.txt")) {
    if (c.has("table_digest")) {
      ByteWriter table;
      for (const std::uint64_t value : make_gear_table(counting_key(0)).values) table.u64(value);
      EXPECT_EQ(crypto::digest(table.span()), c.id<Digest>("table_digest"));
      continue;
    }
    const Bytes data = vector_data(c);
    ASSERT_EQ(crypto::digest(data), c.id<Digest>("data_digest"));
    ByteWriter cuts;
    const Chunker chunker = chunker_of(0, static_cast<Class>(c.number("class")));
    for (const std::size_t length : cut_all(chunker, data, c.number("offset")))
      cuts.u32(static_cast<std::uint32_t>(length));
    EXPECT_EQ(to_hex(cuts.span()), to_hex(c["cuts"]));
  }
}

TEST(Chunker, KeepsItsLimitsAndItsMean) {
  const Shape limits = shape_of(Class::Files, 0);
  const Chunker chunker = chunker_of();
  for (const Bytes& data : {noise(24u << 20), rows(300000)}) {
    const std::vector<std::size_t> lengths = cut_all(chunker, data);
    std::size_t small = 0, large = 0;
    for (std::size_t i = 0; i + 1 < lengths.size(); ++i) {
      ASSERT_GE(lengths[i], limits.min_bytes);
      ASSERT_LE(lengths[i], limits.max_bytes);
      small += lengths[i] < 4096;
      large += lengths[i] > 16384;
    }
    const double mean = static_cast<double>(data.size()) / static_cast<double>(lengths.size());
    EXPECT_NEAR(mean, 8192, 0.08 * 8192);
    // From the masks: 1 − exp(−2048 / 2^15) ≈ 6 % end before 4 KiB; 0.87 · exp(−9728 / 2^11) ≈ 0.75 % go beyond 16 KiB.
    EXPECT_NEAR(static_cast<double>(small) / static_cast<double>(lengths.size()), 0.06, 0.025);
    EXPECT_LT(static_cast<double>(large) / static_cast<double>(lengths.size()), 0.02);
  }
}

struct Sizes {
  double mean;
  std::size_t smallest, largest;  // the last chunk aside
};

Sizes sizes_of(const Chunker& chunker, const Bytes& data, std::uint64_t offset) {
  const std::vector<std::size_t> lengths = cut_all(chunker, data, offset);
  const auto [smallest, largest] = std::minmax_element(lengths.begin(), lengths.end() - 1);
  return {static_cast<double>(data.size()) / static_cast<double>(lengths.size()), *smallest, *largest};
}

TEST(Chunker, EveryClassHasItsLimitsAndItsMean) {
  const Bytes random = noise(16u << 20), text = rows(200000);
  for (const auto& [chunk_class, mean] :
       {std::pair{Class::Files, 8126.0}, std::pair{Class::Database, 671.0}, std::pair{Class::Stream, 534.0}}) {
    SCOPED_TRACE(static_cast<int>(chunk_class));
    const Shape shape = shape_of(chunk_class, 0);
    for (const Bytes* const data : {&random, &text}) {
      const Sizes sizes = sizes_of(chunker_of(0, chunk_class), *data, 0);
      EXPECT_GE(sizes.smallest, shape.min_bytes);
      EXPECT_LE(sizes.largest, shape.max_bytes);
      EXPECT_NEAR(sizes.mean, mean, 0.02 * mean);
    }
  }
}

TEST(Chunker, AStreamsChunksDoubleFarIntoIt) {
  const Chunker chunker = chunker_of(0, Class::Stream);
  const Bytes data = noise(16u << 20);
  double mean = 534;
  for (const std::uint64_t from : {0 * kGiB, 4 * kGiB, 8 * kGiB, 16 * kGiB, 32 * kGiB}) {
    SCOPED_TRACE(from);
    const Sizes sizes = sizes_of(chunker, data, from);
    const Shape shape = shape_of(Class::Stream, from);
    EXPECT_GE(sizes.smallest, shape.min_bytes);
    EXPECT_LE(sizes.largest, shape.max_bytes);
    EXPECT_NEAR(sizes.mean, mean, 0.02 * mean);
    EXPECT_EQ(shape.min_bytes, static_cast<std::uint32_t>(128 * mean / 534));
    EXPECT_EQ(shape_of(Class::Stream, from + 4 * kGiB - 1).min_bytes, shape.min_bytes);
    mean *= 2;
  }
  EXPECT_EQ(shape_of(Class::Stream, std::numeric_limits<std::uint64_t>::max()).max_bytes, kMaxChunkBytes);
}

TEST(Chunker, TheOffsetOfAChunksStartDecidesItsShape) {
  // A chunk that begins before 4 GiB and ends behind it is a small one.
  const Chunker chunker = chunker_of(0, Class::Stream);
  const Bytes data = noise(70000), zeros(70000, 0);
  EXPECT_EQ(chunker.next(data, true, 4 * kGiB - 1), chunker.next(data, true, 0));
  EXPECT_EQ(chunker.next(zeros, true, 4 * kGiB - 1), 4096u);
  EXPECT_EQ(chunker.next(zeros, true, 4 * kGiB), 8192u);
}

TEST(Chunker, OtherClassesCutTheSameWhereverTheyAre) {
  const Bytes data = noise(200000);
  for (const Class chunk_class : {Class::Files, Class::Database}) {
    EXPECT_EQ(cut_all(chunker_of(0, chunk_class), data, 40 * kGiB), cut_all(chunker_of(0, chunk_class), data, 0));
  }
}

TEST(Chunker, KnowsThreeClasses) {
  for (int number = 0; number < 256; ++number) {
    EXPECT_EQ(is_known(static_cast<Class>(number)), number >= 1 && number <= 3) << number;
  }
  const Chunkers chunkers(make_gear_table(counting_key(0)));
  const Bytes data = noise(100000);
  for (const Class chunk_class : kClasses) {
    EXPECT_EQ(cut_all(chunkers.of(chunk_class), data), cut_all(chunker_of(0, chunk_class), data));
  }
}

class AnyClass : public ::testing::TestWithParam<Class> {};
INSTANTIATE_TEST_SUITE_P(Chunker, AnyClass, ::testing::ValuesIn(kClasses));

TEST_P(AnyClass, CutsTheSameHoweverTheBytesArrive) {
  const Chunker chunker = chunker_of(0, GetParam());
  const Bytes data = noise(600000);
  const std::vector<std::size_t> expected = cut_all(chunker, data);
  support::SeededRandom random(11);
  for (const std::size_t piece_bytes : {1000u, 2048u, 9001u, 65536u, 100000u}) {
    std::vector<std::size_t> lengths;
    std::size_t start = 0, given = 0;
    while (start < data.size()) {
      const bool at_end = given == data.size();
      const std::size_t length =
          given > start ? chunker.next(ByteSpan(data).subspan(start, given - start), at_end, start) : 0;
      if (length == 0)
        given = std::min(data.size(), given + 1 + random.below(piece_bytes));
      else
        lengths.push_back(length);
      start += length;
    }
    EXPECT_EQ(lengths, expected) << piece_bytes;
  }
}

TEST_P(AnyClass, AnswersZeroOnlyWhileItCannotKnow) {
  const Chunker chunker = chunker_of(0, GetParam());
  const Bytes data = noise(70000);
  const std::size_t first = chunker.next(data, false, 0);
  for (std::size_t n = 1; n < first; ++n) {
    ASSERT_EQ(chunker.next(ByteSpan(data).first(n), false, 0), 0u);
    ASSERT_EQ(chunker.next(ByteSpan(data).first(n), true, 0), n);
  }
  EXPECT_EQ(chunker.next(ByteSpan(data).first(first), false, 0), first);
  EXPECT_EQ(chunker.next(ByteSpan(data).first(first + 1), true, 0), first);
}

TEST(Chunker, ForcesACutAtTheMaximum) {
  // A run of one byte has one hash value: either no place may end a chunk, or every one.
  const Bytes zeros(kMaxChunkBytes + 1, 0);
  const std::size_t cut = chunker_of().next(zeros, false, 0);
  EXPECT_TRUE(cut == kMaxChunkBytes || cut == shape_of(Class::Files, 0).min_bytes) << cut;
  const Chunker chunker = chunker_of();
  EXPECT_EQ(chunker.next(ByteSpan(zeros).first(kMaxChunkBytes), false, 0), cut);
  if (cut == kMaxChunkBytes) {
    EXPECT_EQ(chunker.next(ByteSpan(zeros).first(kMaxChunkBytes - 1), false, 0), 0u);
  }
}

TEST(Chunker, ACutDependsOnTheSixtyFourBytesBeforeIt) {
  const Chunker chunker = chunker_of();
  Bytes data = noise(70000);
  const std::size_t cut = chunker.next(data, true, 0);
  ASSERT_GT(cut, shape_of(Class::Files, 0).min_bytes + 64);
  for (std::size_t i = 0; i < 64; ++i) data[i] ^= 0xff;  // far before the window
  for (std::size_t i = cut; i < data.size(); ++i) data[i] ^= 0xff;
  EXPECT_EQ(chunker.next(data, true, 0), cut);
}

TEST(Chunker, TwoKeysShareNoEndsBeyondChance) {
  const Bytes data = noise(24u << 20);
  const std::vector<std::size_t> a = offsets(cut_all(chunker_of(0), data));
  const std::vector<std::size_t> b = offsets(cut_all(chunker_of(1), data));
  // By chance |a|·|b| / bytes ≈ 0.4 besides the common end; ten would be one chance in 10^10.
  EXPECT_LE(shared(a, b), 10u);
}

}  // namespace
}  // namespace holdfast::chunking
