#include "server/retention/vault_clock.h"

#include <gtest/gtest.h>

#include "server/retention/saturate.h"
#include "tests/support/fake_clock.h"

namespace holdfast::retention {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr auto kYears = 24h * 3653;  // ten of them

std::int64_t ns(std::chrono::nanoseconds time) { return time.count(); }

struct VaultClockTest : testing::Test {
  support::FakeClock clock;
  Uptime uptime{clock};
  const std::int64_t start = to_ns(clock.wall());

  Resumed resumed(const std::optional<Anchor>& anchor, std::int64_t recorded) {
    return resume(clock, anchor, recorded, &uptime);
  }
};

TEST_F(VaultClockTest, StartsAtTheWallClockAndMovesWithTheBootClock) {
  VaultClock vault(clock);
  EXPECT_EQ(vault.now_ns(), start);
  clock.advance(90s);
  EXPECT_EQ(vault.now_ns(), start + ns(90s));
  EXPECT_EQ(vault.gap_ns(), 0);
}

TEST_F(VaultClockTest, TakesNoNoticeOfTheWallClock) {
  VaultClock vault(clock);
  for (const std::chrono::nanoseconds jump : {std::chrono::nanoseconds(kYears), -std::chrono::nanoseconds(2 * kYears),
                                              std::chrono::nanoseconds(kYears), 1'000'000'000ns, -2'000'000'000ns}) {
    const std::int64_t before = vault.now_ns();
    clock.jump_wall(jump);
    EXPECT_EQ(vault.now_ns(), before);
    clock.advance(10s);
    EXPECT_EQ(vault.now_ns(), before + ns(10s));
  }
  EXPECT_EQ(vault.gap_ns(), -ns(1s));
}

TEST_F(VaultClockTest, ARestartOfTheProgramCostsNothing) {
  const Anchor anchor = VaultClock(clock).anchor();
  clock.advance(72h);
  clock.jump_wall(-kYears);
  const Resumed again = resumed(anchor, start + 5);
  EXPECT_TRUE(again.anchored);
  EXPECT_EQ(VaultClock(clock, again.start).now_ns(), start + ns(72h));
  EXPECT_EQ(resume(clock, anchor, start, nullptr).start.vault_ns, start + ns(72h));
}

TEST_F(VaultClockTest, AfterARebootOnlyWhatWasSeenCounts) {
  uptime.note();
  const Anchor anchor = VaultClock(clock).anchor();
  clock.advance(10h);
  uptime.note();
  clock.advance(1h);  // unseen
  clock.jump_wall(72h);
  clock.reboot();
  uptime.note();
  clock.advance(2h);
  const Resumed again = resumed(anchor, start + ns(3h));
  EXPECT_FALSE(again.anchored);
  EXPECT_EQ(again.start.vault_ns, start + ns(12h));
  EXPECT_EQ(VaultClock(clock, again.start).gap_ns(), ns(73h));
  EXPECT_EQ(resumed(anchor, start + ns(20h)).start.vault_ns, start + ns(20h));  // a record is a time that has passed
  EXPECT_EQ(resume(clock, anchor, start, nullptr).start.vault_ns, start);
  clock.set_boot(clock.boots(),
                 nanoseconds(anchor.moment.boottime_ns));  // the same number in another boot says nothing
  EXPECT_FALSE(resume(clock, anchor, start, nullptr).anchored);
}

TEST_F(VaultClockTest, WithoutAnAnchorItGoesOnFromTheLastRecord) {
  clock.advance(100h);
  const Resumed again = resumed(std::nullopt, start);
  EXPECT_EQ(again.start.vault_ns, start);
  EXPECT_FALSE(again.anchored);
}

TEST_F(VaultClockTest, ABootClockThatIsBeforeTheAnchorHoldsItBackAndWantsAnotherAnchor) {
  const Anchor anchor = VaultClock(clock).anchor();
  clock.set_boot(clock.boots(), 1min);
  clock.jump_wall(kYears);
  const Resumed again = resumed(anchor, start);
  EXPECT_FALSE(again.anchored);
  VaultClock vault(clock, again.start);
  EXPECT_EQ(vault.now_ns(), start);
  clock.advance(1min);
  EXPECT_EQ(vault.now_ns(), start + ns(1min));
}

TEST_F(VaultClockTest, BootsThatAreNotKnownAreNeverTheSame) {
  clock.set_boot(0, 5h);
  const Anchor anchor = VaultClock(clock).anchor();
  clock.advance(1h);
  EXPECT_EQ(resumed(anchor, start).start.vault_ns, start);
  EXPECT_FALSE(resumed(anchor, start).anchored);
}

TEST_F(VaultClockTest, JumpsByAConfirmedGapAndNeverBack) {
  VaultClock vault(clock);
  Anchor anchor = vault.anchor();
  anchor.vault_ns += ns(5h);
  clock.advance(1s);
  vault.follow(anchor);
  EXPECT_EQ(vault.now_ns(), start + ns(5h) + ns(1s));
  anchor.vault_ns -= ns(9h);
  vault.follow(anchor);
  EXPECT_EQ(vault.now_ns(), start + ns(5h) + ns(1s));
}

TEST_F(VaultClockTest, NeverGoesBackwardWhenTheBootClockDoes) {
  VaultClock vault(clock);
  clock.advance(60s);
  EXPECT_EQ(vault.now_ns(), start + ns(60s));
  clock.set_boot(clock.boots(), 0ns);
  EXPECT_EQ(vault.now_ns(), start + ns(60s));
}

TEST_F(VaultClockTest, SurvivesTimesAtTheEndsOfTheirRange) {
  VaultClock late(clock, resumed(std::nullopt, kNeverNs).start);
  clock.advance(1h);
  EXPECT_EQ(late.now_ns(), kNeverNs);
  VaultClock early(clock, Anchor{{clock.boot_id(), kEarliestNs}, kEarliestNs});
  EXPECT_LT(early.now_ns(), to_ns(clock.wall()));
  EXPECT_EQ(early.gap_ns(), minus(to_ns(clock.wall()), early.now_ns()));
  EXPECT_EQ(resumed(Anchor{{clock.boot_id(), kEarliestNs}, kNeverNs}, 0).start.vault_ns, kNeverNs);
}

}  // namespace
}  // namespace holdfast::retention
