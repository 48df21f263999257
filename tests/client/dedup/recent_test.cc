#include "client/dedup/recent.h"

#include <gtest/gtest.h>

#include "tests/client/dedup/known_chunks.h"

namespace holdfast::dedup {
namespace {

using namespace testing;

TEST(RecentChunks, AnswerWhereAChunkStands) {
  RecentChunks recent;
  recent.add(image(1), 100, {7, 0});
  recent.add(image(2), 200, {7, 100});
  const std::optional<RecentChunks::Place> found = recent.find(image(2), 200, 7);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->group, 7u);
  EXPECT_EQ(found->offset, 100u);
  EXPECT_FALSE(recent.find(image(2), 201, 7)) << "another length";
  EXPECT_FALSE(recent.find(image(3), 100, 7));
  Image half = image(1);  // the same number, another image
  half.bytes[15] ^= 1;
  EXPECT_FALSE(recent.find(half, 100, 7));
}

TEST(RecentChunks, TheLatestPlaceCounts) {
  RecentChunks recent;
  recent.add(image(1), 100, {0, 5});
  recent.add(image(1), 100, {3, 9});
  EXPECT_EQ(recent.find(image(1), 100, 3)->group, 3u);
}

TEST(RecentChunks, ForgetTheOldestWhenTheRingIsFull) {
  RecentChunks recent;
  for (std::uint64_t i = 0; i < kRecentChunks; ++i) recent.add(image(i), kBytes, {i / 1000, 0});
  const std::uint64_t open = kRecentChunks / 1000;
  EXPECT_TRUE(recent.find(image(0), kBytes, open));
  recent.add(image(kRecentChunks), kBytes, {open, 0});
  EXPECT_FALSE(recent.find(image(0), kBytes, open));
  EXPECT_TRUE(recent.find(image(1), kBytes, open));
  EXPECT_TRUE(recent.find(image(kRecentChunks), kBytes, open));
  for (std::uint64_t i = 0; i <= kRecentChunks + 5; ++i) recent.add(image(i), kBytes, {open, 0});
  EXPECT_FALSE(recent.find(image(5), kBytes, open));
  EXPECT_TRUE(recent.find(image(6), kBytes, open));
  EXPECT_TRUE(recent.find(image(kRecentChunks + 5), kBytes, open));
}

TEST(RecentChunks, AChunkThatWasAddedAgainOutlivesItsFirstPlace) {
  RecentChunks recent;
  recent.add(image(1), kBytes, {0, 0});
  for (std::uint64_t i = 0; i < kRecentChunks / 2; ++i) recent.add(image(100 + i), kBytes, {0, 0});
  recent.add(image(1), kBytes, {2, 0});
  for (std::uint64_t i = 0; i < kRecentChunks / 2; ++i) recent.add(image(900'000 + i), kBytes, {2, 0});
  ASSERT_TRUE(recent.find(image(1), kBytes, 2)) << "the ring came round to its first place only";
  EXPECT_EQ(recent.find(image(1), kBytes, 2)->group, 2u);
}

TEST(RecentChunks, ReachBackOnlySoManyGroups) {
  RecentChunks recent;
  recent.add(image(1), kBytes, {10, 0});
  EXPECT_TRUE(recent.find(image(1), kBytes, 10 + kRecentGroups));
  EXPECT_FALSE(recent.find(image(1), kBytes, 11 + kRecentGroups));
}

}  // namespace
}  // namespace holdfast::dedup
