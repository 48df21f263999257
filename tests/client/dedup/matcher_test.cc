#include "client/dedup/matcher.h"

#include <gtest/gtest.h>

#include "tests/client/dedup/known_chunks.h"

namespace holdfast::dedup {
namespace {

using namespace testing;
using chunking::Class;

bool any_blob(const blob::BlobRef&) { return true; }

/// Where each of these chunks was found: its position in the file of lists, or nothing.
struct Answers {
  std::size_t found = 0, wrong = 0;
};

/// Asks for a content's chunks in order. Known numbers must be answered with a place that holds them.
class Asker {
 public:
  explicit Asker(Matcher& matcher) : matcher_(matcher) {}

  std::optional<Location> ask(std::uint64_t number) { return matcher_.find(image(number), kBytes); }
  /// `file`, `position`: where the first of them stands; the others behind it.
  Answers ask_in_step(const std::vector<std::uint64_t>& chunks, std::uint32_t file, std::uint64_t position) {
    Answers out;
    for (const std::uint64_t number : chunks) {
      if (const std::optional<Location> at = ask(number)) {
        ++out.found;
        out.wrong += *at != KnownChunks::where(file, position);
      }
      ++position;
    }
    return out;
  }

 private:
  Matcher& matcher_;
};

class MatcherTest : public ::testing::Test {
 protected:
  KnownChunks known;
  Matcher matcher{known, &any_blob};
  Asker asker{matcher};
};

TEST_F(MatcherTest, FindsEverythingOfAnUnchangedContent) {
  known.add_list(0, numbers(1'000'000, 700));  // of another content, in the same block
  const ListRef list = known.add_list(0, numbers(0, 20'000));
  matcher.begin(Class::Stream, list);
  const Answers answers = asker.ask_in_step(numbers(0, 20'000), 0, list.first);
  EXPECT_EQ(answers.found, 20'000u);
  EXPECT_EQ(answers.wrong, 0u);
  EXPECT_EQ(known.loads, 6u) << "each block once";
  EXPECT_EQ(known.asked, 0u) << "the sample was not needed";
}

TEST_F(MatcherTest, KnowsNothingOfNewBytes) {
  const ListRef list = known.add_list(0, numbers(0, 5000));
  matcher.begin(Class::Files, list);
  EXPECT_EQ(asker.ask_in_step(numbers(2'000'000, 5000), 0, 0).found, 0u);
}

TEST_F(MatcherTest, AChunkOfAnotherLengthIsAnotherChunk) {
  matcher.begin(Class::Files, known.add_list(0, numbers(0, 10)));
  EXPECT_FALSE(matcher.find(image(0), kBytes + 1));
  EXPECT_TRUE(matcher.find(image(0), kBytes));
}

TEST_F(MatcherTest, AChunkWhoseImageIsEqualInItsFirstHalfOnlyIsAnotherChunk) {
  matcher.begin(Class::Files, known.add_list(0, numbers(0, 10)));
  for (const std::uint64_t number : {0u, 5u}) {  // in step with what came before, and elsewhere in the window
    Image half = image(number);
    half.bytes[15] ^= 1;
    ASSERT_EQ(number_of(half), number_of(image(number)));
    EXPECT_FALSE(matcher.find(half, kBytes)) << number;
  }
  EXPECT_TRUE(matcher.find(image(0), kBytes));
}

TEST_F(MatcherTest, GoesOnBehindWhatWasInserted) {
  const ListRef list = known.add_list(0, numbers(0, 30'000));
  matcher.begin(Class::Stream, list);
  EXPECT_EQ(asker.ask_in_step(numbers(0, 12'345), 0, 0).found, 12'345u);
  EXPECT_EQ(asker.ask_in_step(numbers(500'000, 50'000), 0, 0).found, 0u);
  const Answers rest = asker.ask_in_step(numbers(12'345, 30'000 - 12'345), 0, 12'345);
  EXPECT_EQ(rest.found, 30'000u - 12'345u) << "the window moved on with what was inserted";
  EXPECT_EQ(rest.wrong, 0u);
}

TEST_F(MatcherTest, GoesOnBehindWhatWasDeleted) {
  const ListRef list = known.add_list(0, numbers(0, 60'000));
  matcher.begin(Class::Stream, list);
  EXPECT_EQ(asker.ask_in_step(numbers(0, 1000), 0, 0).found, 1000u);
  const Answers rest = asker.ask_in_step(numbers(31'000, 29'000), 0, 31'000);  // within the window
  EXPECT_EQ(rest.found, 29'000u);
  EXPECT_EQ(rest.wrong, 0u);
}

TEST_F(MatcherTest, FindsReplacedChunksNeighbours) {
  const ListRef list = known.add_list(0, numbers(0, 10'000));
  matcher.begin(Class::Stream, list);
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    const bool changed = i % 10 == 3;
    EXPECT_EQ(asker.ask(changed ? 700'000 + i : i).has_value(), !changed) << i;
  }
}

TEST_F(MatcherTest, FindsWhatMovedBeyondTheWindowByTheSample) {
  constexpr std::uint64_t kChunks = 96 * kBlockChunks;
  const ListRef list = known.add_list(0, numbers(0, kChunks));
  matcher.begin(Class::Stream, list);
  // The last eighth comes first: it lies far outside of the window until a sampled chunk is met, one of 64.
  constexpr std::uint64_t kMoved = kChunks * 7 / 8;
  const Answers moved = asker.ask_in_step(numbers(kMoved, kChunks - kMoved), 0, kMoved);
  EXPECT_GT(moved.found, kChunks - kMoved - 600);
  EXPECT_EQ(moved.wrong, 0u);
  const Answers rest = asker.ask_in_step(numbers(0, kMoved), 0, 0);
  EXPECT_GT(rest.found, kMoved - 600);
  EXPECT_EQ(rest.wrong, 0u);
}

TEST_F(MatcherTest, FindsAnotherFilesContent) {
  known.add_list(0, numbers(5'000'000, 100));
  const ListRef other = known.add_list(0, numbers(0, 3000));
  matcher.begin(Class::Files, std::nullopt);  // a new name
  const Answers answers = asker.ask_in_step(numbers(0, 3000), 0, other.first);
  EXPECT_EQ(answers.found, 3000u);
  EXPECT_EQ(answers.wrong, 0u);
}

TEST_F(MatcherTest, RepeatedChunksAreFoundInStep) {
  // One chunk stands in a thousand places: each is answered with the place behind the chunk before.
  std::vector<std::uint64_t> chunks;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    chunks.push_back(i);
    chunks.push_back(777'777);
  }
  const ListRef list = known.add_list(0, chunks);
  matcher.begin(Class::Stream, list);
  const Answers answers = asker.ask_in_step(chunks, 0, list.first);
  EXPECT_EQ(answers.found, chunks.size());
  EXPECT_EQ(answers.wrong, 0u);
}

TEST_F(MatcherTest, ADamagedBlockIsNotKnownAndNothingElseIsLost) {
  const ListRef list = known.add_list(0, numbers(0, 5 * kBlockChunks));
  known.damaged.insert({0, 2});
  matcher.begin(Class::Stream, list);
  for (std::uint64_t i = 0; i < 5 * kBlockChunks; ++i) ASSERT_EQ(asker.ask(i).has_value(), i / kBlockChunks != 2) << i;
}

TEST_F(MatcherTest, AListThatIsGoneIsNotKnown) {
  matcher.begin(Class::Files, ListRef{9, 0, 5000});
  EXPECT_EQ(asker.ask_in_step(numbers(0, 5000), 9, 0).found, 0u);
  matcher.begin(Class::Files, ListRef{});
  EXPECT_FALSE(asker.ask(0));
}

TEST_F(MatcherTest, BlobsThatMustNotBeReferredToAreRefused) {
  const ListRef list = known.add_list(0, numbers(0, 5000));
  Matcher picky(known, [](const blob::BlobRef& ref) { return ref != blob_of(2); });
  picky.begin(Class::Files, list);
  for (std::uint64_t i = 0; i < 5000; ++i) ASSERT_EQ(picky.find(image(i), kBytes).has_value(), i / kPerBlob != 2) << i;
}

TEST_F(MatcherTest, AnswersForOneContentDoNotDependOnTheOneBefore) {
  const ListRef a = known.add_list(0, numbers(0, 2000)), b = known.add_list(1, numbers(0, 2000));
  for (const ListRef& list : {a, b, a}) {
    matcher.begin(Class::Files, list);
    const Answers answers = asker.ask_in_step(numbers(0, 2000), list.file, 0);
    EXPECT_EQ(answers.found, 2000u);
    EXPECT_EQ(answers.wrong, 0u) << "its own previous version comes first";
  }
}

TEST_F(MatcherTest, SaysWhetherAContentOnlyGrew) {
  std::uint32_t file = 0;
  const auto grew = [&](std::uint64_t previous, const std::vector<std::uint64_t>& now) {
    matcher.begin(Class::Files, known.add_list(++file, numbers(0, previous)));
    for (const std::uint64_t number : now) (void)asker.ask(number);
    return matcher.only_grew();
  };
  EXPECT_TRUE(grew(4, numbers(0, 4)));
  std::vector<std::uint64_t> longer = numbers(0, 3);  // the last chunk was cut short by the end, so it became another
  longer.insert(longer.end(), {1000, 1001});
  EXPECT_TRUE(grew(4, longer));
  EXPECT_FALSE(grew(4, {0, 1, 1000, 3}));
  EXPECT_FALSE(grew(4, {1000, 1, 2, 3}));
  EXPECT_FALSE(grew(4, numbers(0, 2)));
  EXPECT_FALSE(grew(1, {1000})) << "nothing of it is the same";
  EXPECT_FALSE(grew(1, {}));
  matcher.begin(Class::Files, std::nullopt);
  EXPECT_FALSE(matcher.only_grew());
}

TEST_F(MatcherTest, LoadsEachBlockOnceHoweverLongTheList) {
  constexpr std::uint64_t kBlocks = 150;
  const ListRef list = known.add_list(0, numbers(0, kBlocks * kBlockChunks));
  matcher.begin(Class::Stream, list);
  EXPECT_EQ(asker.ask_in_step(numbers(0, kBlocks * kBlockChunks), 0, 0).found, kBlocks * kBlockChunks);
  EXPECT_EQ(known.loads, kBlocks);
  EXPECT_LE(matcher.resident_blocks(), kWindowBlocks);
}

TEST_F(MatcherTest, PiecesInAnyOrderLoadLittleMoreThanThemselves) {
  constexpr std::uint64_t kPiece = 128, kPieces = 4000;  // 143 blocks, more than a window
  const ListRef list = known.add_list(0, numbers(0, kPiece * kPieces));
  matcher.begin(Class::Stream, list);
  std::size_t found = 0;
  for (std::uint64_t i = 0; i < kPieces; ++i)
    found += asker.ask_in_step(numbers(i * 1597 % kPieces * kPiece, kPiece), 0, 0).found;
  EXPECT_GT(found, kPiece * kPieces * 3 / 4);
  EXPECT_LT(known.loads, 2 * kPieces);
}

TEST_F(MatcherTest, TheWindowWidensAgainBehindAJump) {
  const ListRef list = known.add_list(0, numbers(0, 400'000));
  matcher.begin(Class::Stream, list);
  EXPECT_EQ(asker.ask_in_step(numbers(0, 1000), 0, 0).found, 1000u);
  (void)asker.ask_in_step(numbers(250'000, 60'000), 0, 0);  // far away, and on from there
  // What is missing there now lies within the whole window again.
  EXPECT_EQ(asker.ask_in_step(numbers(370'000, 20'000), 0, 370'000).found, 20'000u);
}

TEST_F(MatcherTest, HoldsNoMoreThanItsWindowHoweverContentsJump) {
  constexpr std::uint64_t kLists = 250;
  std::vector<ListRef> lists;
  for (std::uint64_t i = 0; i < kLists; ++i) {
    lists.push_back(known.add_list(static_cast<std::uint32_t>(i % 16), numbers(i * 10'000, 2000)));
  }
  for (std::uint64_t i = 0; i < kLists; ++i) {
    const std::uint64_t one = i * 7919 % kLists;
    matcher.begin(Class::Files, lists[one]);
    EXPECT_EQ(asker.ask_in_step(numbers(one * 10'000, 20), lists[one].file, lists[one].first).wrong, 0u);
    ASSERT_LE(matcher.resident_blocks(), kWindowBlocks);
    ASSERT_LE(matcher.resident_chunks(), kWindowBlocks * kBlockChunks);
  }
}

}  // namespace
}  // namespace holdfast::dedup
