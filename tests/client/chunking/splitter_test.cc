#include "client/chunking/splitter.h"

#include <gtest/gtest.h>

#include "tests/client/chunking/sample_data.h"
#include "tests/support/seeded_random.h"

namespace holdfast::chunking {
namespace {

using testing::counting_key;
using testing::cut_all;
using testing::noise;

TEST(Splitter, CutsLikeTheChunkerHoweverTheBytesArrive) {
  const Chunker chunker(make_gear_table(counting_key(0)), Class::Files);
  Bytes data = noise(500000);
  std::fill(data.begin() + 100000, data.begin() + 350000, std::uint8_t{0});  // chunks of the maximum too
  const std::vector<std::size_t> expected = cut_all(chunker, data);
  support::SeededRandom random(21);
  for (const std::size_t piece_bytes : {1u, 700u, 5000u, 65536u, 65537u, 500000u}) {
    std::vector<std::size_t> lengths;
    Bytes joined;
    const Splitter::Emit emit = [&](ByteSpan chunk) -> Status {
      lengths.push_back(chunk.size());
      joined.insert(joined.end(), chunk.begin(), chunk.end());
      return {};
    };
    Splitter splitter(chunker);
    for (std::size_t at = 0; at < data.size();) {
      const std::size_t n =
          std::min<std::size_t>(data.size() - at, piece_bytes < 2 ? 97 : 1 + random.below(piece_bytes));
      ASSERT_TRUE(splitter.add(ByteSpan(data).subspan(at, n), emit).has_value());
      at += n;
    }
    ASSERT_TRUE(splitter.end_region(emit).has_value());
    EXPECT_EQ(lengths, expected) << piece_bytes;
    EXPECT_TRUE(joined == data);
  }
}

TEST(Splitter, DecidesAChunkOfTheLeastLengthWhenItsPieceEndsThere) {
  const Chunker chunker(make_gear_table(counting_key(0)), Class::Files);
  const std::size_t least = shape_of(Class::Files, 0).min_bytes;
  support::SeededRandom random(7);
  Bytes noise(4u << 20);
  random.fill(noise);
  // A place where a chunk ends at the very first byte that may end one.
  std::size_t at = 0;
  while (at + 2 * least < noise.size() && chunker.next(ByteSpan(noise).subspan(at, 2 * least), true, at) != least) ++at;
  ASSERT_LT(at + 2 * least, noise.size());
  Splitter splitter(chunker);
  std::vector<std::size_t> lengths;
  const Splitter::Emit emit = [&](ByteSpan chunk) -> Status {
    lengths.push_back(chunk.size());
    return {};
  };
  ASSERT_TRUE(splitter.add(ByteSpan(noise).subspan(at, least), emit).has_value());
  ASSERT_TRUE(splitter.add(ByteSpan(noise).subspan(at + least, 100), emit).has_value());
  ASSERT_TRUE(splitter.end_region(emit).has_value());
  EXPECT_EQ(lengths, (std::vector<std::size_t>{least, 100}));
}

TEST(Splitter, PassesOnTheErrorOfItsReceiver) {
  const Chunker chunker(make_gear_table(counting_key(0)), Class::Files);
  Splitter splitter(chunker);
  const Status status = splitter.add(noise(70000), [](ByteSpan) -> Status { return Error{Errc::DiskFull, "full"}; });
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Errc::DiskFull);
}

TEST(ContentVerifier, MakesTheDigestOfTheChunksAndHoles) {
  const Chunker chunker(make_gear_table(counting_key(0)), Class::Files);
  const crypto::Key key = counting_key(1);
  const Bytes first = noise(30000), second = noise(100000, 7);
  ContentDigest expected(key);
  const auto add_region = [&](ByteSpan region) {
    for (std::size_t at = 0; at < region.size();) {
      const std::size_t n = chunker.next(region.subspan(at), true, at);
      expected.add_chunk(fingerprint(key, region.subspan(at, n)), static_cast<std::uint32_t>(n));
      at += n;
    }
  };
  add_region(first);
  expected.add_hole(8192);
  add_region(second);

  ContentVerifier verifier(chunker, key);
  ASSERT_TRUE(verifier.data(ByteSpan(first).first(1000)).has_value());
  ASSERT_TRUE(verifier.data(ByteSpan(first).subspan(1000)).has_value());
  ASSERT_TRUE(verifier.hole(4096).has_value());
  ASSERT_TRUE(verifier.hole(4096).has_value());
  ASSERT_TRUE(verifier.data(second).has_value());
  const Result<Digest> digest = verifier.finish();
  ASSERT_TRUE(digest.has_value());
  EXPECT_EQ(*digest, expected.finish());
}

}  // namespace
}  // namespace holdfast::chunking
