#include "client/restore/last_use.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/support/seeded_random.h"

namespace holdfast::restore {
namespace {

TEST(LastUse, KnowsTheLastExtentOfEachBlob) {
  support::SeededRandom random(3);
  std::vector<blob::BlobRef> blobs;
  for (int i = 0; i < 20'000; ++i) blobs.push_back({random.id<BlobId>(), random.id<RunId>()});
  std::map<blob::BlobRef, std::uint64_t> truth;
  LastUse last_use;
  for (std::uint64_t extent = 0; extent < 200'000; ++extent) {
    const blob::BlobRef& blob = blobs[random.below(blobs.size())];
    last_use.note(blob, extent);
    truth[blob] = extent;
  }
  EXPECT_EQ(last_use.blobs(), truth.size());
  for (const auto& [blob, extent] : truth) EXPECT_EQ(last_use.of(blob), extent);
}

TEST(LastUse, TakesLittleMemoryForABlob) {
  support::SeededRandom random(4);
  LastUse last_use;
  for (std::uint64_t i = 0; i < 300'000; ++i) {
    last_use.note({random.id<BlobId>(), RunId{}}, i);
    const std::size_t bound = std::max<std::size_t>(16 * last_use.blobs(), 16'384);
    ASSERT_LE(last_use.memory_bytes(), bound) << i;
  }
}

TEST(LastUse, TellsCopiesInTwoRunsApart) {
  support::SeededRandom random(5);
  const BlobId id = random.id<BlobId>();
  const blob::BlobRef one{id, random.id<RunId>()}, other{id, random.id<RunId>()};
  LastUse last_use;
  last_use.note(one, 1);
  last_use.note(other, 2);
  EXPECT_EQ(last_use.of(one), 1u);
  EXPECT_EQ(last_use.of(other), 2u);
}

TEST(LastUse, RemembersWhatHasBeenFetched) {
  support::SeededRandom random(6);
  LastUse last_use;
  const blob::BlobRef one{random.id<BlobId>(), RunId{}}, other{random.id<BlobId>(), RunId{}};
  last_use.note(one, 0);
  last_use.note(other, (1u << 24) - 1);
  EXPECT_FALSE(last_use.mark_fetched(other));
  EXPECT_TRUE(last_use.mark_fetched(other));
  EXPECT_FALSE(last_use.mark_fetched(one));
  EXPECT_EQ(last_use.of(other), (1u << 24) - 1);
  EXPECT_EQ(last_use.of(one), 0u);
}

}  // namespace
}  // namespace holdfast::restore
