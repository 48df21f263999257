#include "client/restore/spool.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_random.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::restore {
namespace {

blob::BlobRef ref(std::uint8_t number) {
  blob::BlobRef one;
  one.blob.bytes[0] = number;
  return one;
}
Bytes record(std::uint8_t number, std::size_t bytes = 10'000) { return Bytes(bytes, number); }

struct SpoolOnDisk : ::testing::Test {
  std::unique_ptr<Spool> open(std::uint64_t limit_bytes, std::size_t memory_bytes = 20'000) {
    SpoolOptions options;
    options.directories = {directory.path()};
    options.memory_will_do = false;
    options.limit_bytes = limit_bytes;
    options.memory_bytes = memory_bytes;
    Result<std::unique_ptr<Spool>> opened = Spool::open(options);
    HF_ASSERT(opened.has_value());
    return *std::move(opened);
  }
  support::TemporaryDirectory directory;
};

TEST_F(SpoolOnDisk, GivesBackWhatItKeeps) {
  const std::unique_ptr<Spool> spool = open(1u << 20);
  for (std::uint8_t i = 0; i < 50; ++i) ASSERT_TRUE(spool->put(ref(i), record(i)));
  for (std::uint8_t i = 0; i < 50; ++i) {
    ASSERT_TRUE(spool->holds(ref(i)));
    const Result<Bytes> back = spool->read(ref(i));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, record(i));
  }
  EXPECT_FALSE(spool->holds(ref(50)));
  EXPECT_GE(spool->peak_file_bytes(), 480'000u);
}

TEST_F(SpoolOnDisk, TouchesNoDiskForWhatIsForgottenSoon) {
  const std::unique_ptr<Spool> spool = open(1u << 20);
  for (std::uint8_t i = 0; i < 50; ++i) {
    ASSERT_TRUE(spool->put(ref(i), record(i)));
    spool->forget(ref(i));
  }
  EXPECT_EQ(spool->peak_file_bytes(), 0u);
  EXPECT_FALSE(spool->holds(ref(3)));
}

TEST_F(SpoolOnDisk, RefusesWhatHasNoRoomAndTakesItOnceThereIs) {
  const std::unique_ptr<Spool> spool = open(8 * 12'288);
  std::uint8_t kept = 0;
  while (spool->put(ref(kept), record(kept))) ++kept;
  EXPECT_EQ(kept, 10);  // eight on disk, two in memory
  EXPECT_FALSE(spool->holds(ref(kept)));
  EXPECT_LE(spool->peak_file_bytes(), 8u * 12'288);
  spool->forget(ref(4));
  EXPECT_TRUE(spool->put(ref(kept), record(kept)));
  for (std::uint8_t i = 0; i <= kept; ++i) {
    if (i == 4) continue;
    EXPECT_EQ(*spool->read(ref(i)), record(i)) << int{i};
  }
  EXPECT_LE(spool->peak_file_bytes(), 8u * 12'288);
}

TEST_F(SpoolOnDisk, LeavesNothingToBeSeen) {
  const std::unique_ptr<Spool> spool = open(1u << 20);
  for (std::uint8_t i = 0; i < 50; ++i) ASSERT_TRUE(spool->put(ref(i), record(i)));
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(Spool, WithoutADirectoryKeepsALittleInMemory) {
  SpoolOptions options;
  options.directories = {"/nowhere/at/all"};
  options.memory_bytes = 25'000;
  const Result<std::unique_ptr<Spool>> spool = Spool::open(options);
  ASSERT_TRUE(spool);
  EXPECT_TRUE((*spool)->put(ref(1), record(1)));
  EXPECT_TRUE((*spool)->put(ref(2), record(2)));
  EXPECT_FALSE((*spool)->put(ref(3), record(3)));
  EXPECT_EQ(*(*spool)->read(ref(1)), record(1));
}

TEST(Spool, SaysSoWhenTheDirectoryMustBeThere) {
  SpoolOptions options;
  options.directories = {"/nowhere/at/all"};
  options.memory_will_do = false;
  const Result<std::unique_ptr<Spool>> spool = Spool::open(options);
  ASSERT_FALSE(spool);
  EXPECT_EQ(spool.error().code, Errc::NotFound);
  EXPECT_NE(spool.error().message.find("/nowhere/at/all"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::restore
