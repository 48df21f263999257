// The double's faults do what they say; tests elsewhere rest on it.

#include "tests/support/memory_coordinator.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_random.h"

namespace holdfast::support {
namespace {

using coordinator::Epoch;
using coordinator::NewRecord;

const std::vector<NewRecord> kOne = {{journal::Kind::Packs, 1, 2, {'x'}}};
std::size_t count(MemoryCoordinator& it) {
  std::size_t n = 0;
  EXPECT_TRUE(it.read(1, [&](const journal::Record&) -> Status {
    ++n;
    return {};
  }));
  return n;
}

TEST(MemoryCoordinator, FailsAtTheStepThatWasNamedAndGoesOn) {
  SeededRandom random;
  MemoryCoordinator it(random);
  const Epoch epoch = *it.acquire();
  it.fail_at(1, Errc::DiskFull);
  ASSERT_TRUE(it.publish(epoch, 0, kOne));
  EXPECT_EQ(it.publish(epoch, 1, kOne).error().code, Errc::DiskFull);
  EXPECT_EQ(count(it), 1u);
  EXPECT_TRUE(it.publish(epoch, 1, kOne));
}

TEST(MemoryCoordinator, StaysUnknownUntilItIsAcquiredAgain) {
  for (const bool carried_out : {false, true}) {
    SeededRandom random;
    MemoryCoordinator it(random);
    const Epoch epoch = *it.acquire();
    it.unknown_at(0, carried_out);
    EXPECT_EQ(it.publish(epoch, 0, kOne).error().code, Errc::Unknown);
    EXPECT_EQ(it.publish(epoch, 0, kOne).error().code, Errc::Unknown);
    EXPECT_EQ(count(it), carried_out ? 1u : 0u);
    const Epoch next = *it.acquire();
    EXPECT_TRUE(it.publish(next, it.head()->generation, kOne));
  }
}

TEST(MemoryCoordinator, LosesItsEpochToAThief) {
  SeededRandom random;
  MemoryCoordinator it(random);
  const Epoch epoch = *it.acquire();
  it.steal_at(1);
  ASSERT_TRUE(it.publish(epoch, 0, kOne));
  EXPECT_EQ(it.publish(epoch, 1, kOne).error().code, Errc::Fenced);
  EXPECT_EQ(count(it), 1u);

  const auto other = it.sibling();
  const Epoch mine = *it.acquire();
  const Epoch theirs = *other->acquire();
  EXPECT_GT(theirs.counter, mine.counter);
  EXPECT_EQ(it.publish(mine, 1, kOne).error().code, Errc::Fenced);
  EXPECT_TRUE(other->publish(theirs, 1, kOne));
  EXPECT_EQ(count(it), 2u);
}

TEST(MemoryCoordinator, NamesADamagedRecord) {
  SeededRandom random;
  MemoryCoordinator it(random);
  ASSERT_TRUE(it.publish(*it.acquire(), 0, {kOne[0], kOne[0]}));
  it.damage(2);
  const Status read = it.read(1, [](const journal::Record&) { return Status{}; });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::Corrupt);
  EXPECT_NE(read.error().message.find("record 2"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::support
