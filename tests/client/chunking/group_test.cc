#include <gtest/gtest.h>

#include <algorithm>
#include <unordered_set>

#include "tests/client/chunking/sample_data.h"
#include "tests/common/crypto/vector_file.h"
#include "tests/support/seeded_random.h"

namespace holdfast::chunking {
namespace {

using holdfast::testing::read_vectors;
using holdfast::testing::VectorCase;
using testing::counting_key;
using testing::cut_all;
using testing::group_ends;
using testing::noise;

Fingerprint numbered(std::uint32_t i) {
  static const crypto::Key key = counting_key(1);
  ByteWriter number;
  number.u32(i);
  return fingerprint(key, number.span());
}

TEST(Group, MakesTheFingerprintsIdsAndDigestsOfTheVectors) {
  const Chunker chunker(make_gear_table(counting_key(0)), Class::Files);
  const crypto::Key fingerprint_key = counting_key(1);
  const Bytes data = noise(1u << 20);
  const std::vector<std::size_t> lengths = cut_all(chunker, data);
  const Fingerprint first = fingerprint(fingerprint_key, ByteSpan(data).first(lengths[0]));
  const Fingerprint second = fingerprint(fingerprint_key, ByteSpan(data).subspan(lengths[0], lengths[1]));
  for (const VectorCase& c : read_vectors("chunking/ids.txt")) {
    EXPECT_EQ(first, c.id<Fingerprint>("fingerprint0"));
    EXPECT_EQ(second, c.id<Fingerprint>("fingerprint1"));
    EXPECT_EQ(fingerprint(fingerprint_key, {}), c.id<Fingerprint>("empty"));
    EXPECT_EQ(group_id(counting_key(2), {first, second}), c.id<BlobId>("group"));
    ContentDigest content(fingerprint_key);
    content.add_chunk(first, static_cast<std::uint32_t>(lengths[0]));
    content.add_hole(std::uint64_t{1} << 40);
    content.add_chunk(second, static_cast<std::uint32_t>(lengths[1]));
    content.add_hole(1);
    content.add_hole(0);
    content.add_hole(2);
    EXPECT_EQ(content.finish(), c.id<Digest>("content"));
    EXPECT_EQ(ContentDigest(fingerprint_key).finish(), c.id<Digest>("content_of_nothing"));
  }
}

TEST(Grouper, EndsGroupsWhereTheVectorsSay) {
  Grouper grouper;
  ByteWriter groups;
  std::uint32_t chunks = 0;
  const auto close = [&] { groups.u32(std::exchange(chunks, 0)); };
  for (std::uint32_t i = 0; i < 3000; ++i) {
    const Fingerprint one = numbered(i);
    const std::size_t bytes = 2048 + (one.bytes[8] | one.bytes[9] << 8) % 14336;
    if (!grouper.fits(bytes)) {
      close();
      grouper.reset();
    }
    ++chunks;
    if (grouper.add(one, bytes)) close();
  }
  if (chunks > 0) close();
  for (const VectorCase& c : read_vectors("chunking/groups.txt")) EXPECT_EQ(to_hex(groups.span()), to_hex(c["groups"]));
}

TEST(Grouper, KeepsItsLimitsAndItsMeanWhateverTheSizeOfChunks) {
  support::SeededRandom random(4);
  for (const std::size_t chunk_bytes : {512u, 8192u, 65536u}) {
    Grouper grouper;
    std::size_t bytes = 0, groups = 0, total = 0;
    while (groups < 300) {
      ASSERT_TRUE(grouper.fits(chunk_bytes));
      bytes += chunk_bytes;
      if (grouper.add(random.id<Fingerprint>(), chunk_bytes) || !grouper.fits(chunk_bytes)) {
        ASSERT_GE(bytes, 256u << 10);
        ASSERT_LE(bytes, kMaxGroupBytes);
        grouper.reset();
        total += std::exchange(bytes, 0);
        ++groups;
      }
    }
    EXPECT_NEAR(static_cast<double>(total) / 300, 1 << 20, 0.2 * (1 << 20)) << chunk_bytes;
  }
}

TEST(Grouper, NeverHoldsMoreChunksThanABlobCan) {
  Grouper grouper;
  std::size_t chunks = 0;
  for (std::uint32_t i = 0; i < kMaxGroupChunks; ++i) {
    ASSERT_TRUE(grouper.fits(1));
    ++chunks;
    if (grouper.add(numbered(i), 1)) break;
  }
  EXPECT_EQ(chunks, kMaxGroupChunks);  // 64 KiB of content: only the count can have ended it
}

TEST(Grouper, FitsExactlyFourMebibytes) {
  Grouper grouper;
  Fingerprint never;
  never.bytes.fill(0xff);
  for (int i = 0; i < 63; ++i) ASSERT_FALSE(grouper.add(never, 65536));
  EXPECT_TRUE(grouper.fits(65536));
  ASSERT_FALSE(grouper.add(never, 65535));
  EXPECT_FALSE(grouper.fits(2));
  EXPECT_TRUE(grouper.fits(1));
  EXPECT_TRUE(grouper.add(never, 1));
  EXPECT_TRUE(grouper.fits(65536));  // `add` began the next group
}

TEST(Group, IdsDependOnEveryFingerprintAndItsPlace) {
  const crypto::Key key = counting_key(2);
  const Fingerprint a = numbered(1), b = numbered(2);
  const std::unordered_set<BlobId> ids{group_id(key, {}),     group_id(key, {a}),    group_id(key, {b}),
                                       group_id(key, {a, b}), group_id(key, {b, a}), group_id(counting_key(3), {a, b})};
  EXPECT_EQ(ids.size(), 6u);
}

TEST(ContentDigest, TellsChunksHolesAndTheirOrderApart) {
  const auto digest = [](const auto& fill) {
    ContentDigest content(counting_key(1));
    fill(content);
    return content.finish();
  };
  const Fingerprint a = numbered(1), b = numbered(2);
  const std::unordered_set<Digest> digests{
      digest([](ContentDigest&) {}),
      digest([&](ContentDigest& c) { c.add_chunk(a, 1); }),
      digest([&](ContentDigest& c) { c.add_chunk(a, 2); }),
      digest([&](ContentDigest& c) {
        c.add_hole(5);
        c.add_chunk(a, 1);
      }),
      digest([&](ContentDigest& c) {
        c.add_chunk(a, 1);
        c.add_hole(5);
      }),
      digest([&](ContentDigest& c) {
        c.add_chunk(a, 1);
        c.add_chunk(b, 1);
      }),
      digest([&](ContentDigest& c) {
        c.add_chunk(b, 1);
        c.add_chunk(a, 1);
      }),
  };
  EXPECT_EQ(digests.size(), 7u);
  EXPECT_EQ(digest([](ContentDigest& c) {
              c.add_hole(2);
              c.add_hole(3);
            }),
            digest([](ContentDigest& c) { c.add_hole(5); }));
}

TEST(Fingerprint, IsApartFromKeysDerivedFromTheSameKey) {
  const crypto::Key key = counting_key(1);
  const Bytes derived = to_bytes(crypto::derive(key, "content").span());
  EXPECT_NE(to_bytes(fingerprint(key, as_bytes("\x07"
                                               "content"))
                         .bytes),
            derived);
}

TEST(Groups, OfTwoFingerprintKeysShareNoEndsBeyondChance) {
  const Chunker chunker(make_gear_table(counting_key(0)), Class::Files);
  const Bytes data = noise(24u << 20);
  const std::vector<std::size_t> a = group_ends(chunker, counting_key(1), data);
  const std::vector<std::size_t> b = group_ends(chunker, counting_key(2), data);
  std::vector<std::size_t> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  // Same cuts, other fingerprints: 24 ends each among 3,000 chunks, 0.2 in common by chance, and the end of the data.
  EXPECT_LE(both.size(), 4u);
}

}  // namespace
}  // namespace holdfast::chunking
