#include "client/restore/spill_sorter.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "client/restore/tree_made.h"
#include "tests/support/seeded_random.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::restore {
namespace {

class Sorting : public ::testing::Test {
 protected:
  MakeFile files() {
    return [this]() -> Result<Descriptor> {
      ++files_made;
      return Descriptor(open_nameless(directory.get()));
    };
  }
  /// What comes out, and what should.
  void expect_sorted(std::size_t count, std::size_t memory, std::size_t record_bytes = 12) {
    SpillSorter sorter(record_bytes, files(), memory);
    std::vector<Bytes> records;
    for (std::size_t i = 0; i < count; ++i) {
      Bytes record(record_bytes);
      random.fill(record);
      record[0] = static_cast<std::uint8_t>(record[0] % 3);  // many begin alike
      if (i % 10 == 9) record = records[i / 2];              // some are equal
      ASSERT_TRUE(sorter.add(record));
      records.push_back(std::move(record));
    }
    std::sort(records.begin(), records.end());
    std::vector<Bytes> sorted;
    ASSERT_TRUE(sorter.finish([&](ByteSpan record) -> Status {
      sorted.push_back(to_bytes(record));
      return {};
    }));
    EXPECT_EQ(sorted, records);
  }

  support::TemporaryDirectory tmp;
  const Descriptor directory{::open(tmp.path().c_str(), O_RDONLY | O_DIRECTORY)};
  support::SeededRandom random{42};
  int files_made = 0;
};

TEST_F(Sorting, NeedsNoFileWhileEverythingFitsInMemory) {
  expect_sorted(0, 1000);
  expect_sorted(80, 1000);
  EXPECT_EQ(files_made, 0);
}

TEST_F(Sorting, MergesRunsFromTheDisk) {
  expect_sorted(10'000, 100'000);
  EXPECT_EQ(files_made, 1);
}

TEST_F(Sorting, MergesInSeveralPassesWhenThereAreMoreRunsThanMemory) { expect_sorted(5'000, 600); }

TEST_F(Sorting, EndsWithTheErrorOfWhoTakes) {
  SpillSorter sorter(1, files(), 2);
  for (const std::uint8_t one : {3, 1, 2, 0}) ASSERT_TRUE(sorter.add({&one, 1}));
  int taken = 0;
  const Status ended = sorter.finish(
      [&](ByteSpan) -> Status { return ++taken < 2 ? Status{} : Status(Error{Errc::Canceled, "enough"}); });
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, Errc::Canceled);
  EXPECT_EQ(taken, 2);
}

}  // namespace
}  // namespace holdfast::restore
