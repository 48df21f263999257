#include "server/tenant/vault_clock.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace holdfast::tenant {
namespace {

using namespace std::chrono_literals;

TEST(VaultClock, StartsAtTheWallClockAndMovesWithBothClocks) {
  support::FakeClock clock;
  VaultClock vault(clock);
  const std::int64_t start = vault.now_ns();
  EXPECT_EQ(start, to_ns(clock.wall()));
  clock.advance(90s);
  EXPECT_EQ(vault.now_ns(), start + std::chrono::nanoseconds(90s).count());
}

TEST(VaultClock, DoesNotBelieveAWallClockThatJumpsForward) {
  support::FakeClock clock;
  VaultClock vault(clock);
  const std::int64_t start = vault.now_ns();
  clock.jump_wall(24h * 3650);
  EXPECT_EQ(vault.now_ns(), start);
  clock.advance(10s);
  EXPECT_EQ(vault.now_ns(), start + std::chrono::nanoseconds(10s).count());
}

TEST(VaultClock, NeverGoesBackwardAndLosesNothingWhenTheWallClockIsPutRightAgain) {
  support::FakeClock clock;
  VaultClock vault(clock);
  clock.advance(60s);
  const std::int64_t before = vault.now_ns();
  clock.jump_wall(-(24h * 3650));
  EXPECT_EQ(vault.now_ns(), before);
  clock.advance(30s);
  EXPECT_EQ(vault.now_ns(), before);
  clock.jump_wall(24h * 3650);
  EXPECT_EQ(vault.now_ns(), before + std::chrono::nanoseconds(30s).count());
}

TEST(VaultClock, CreditsTheTimeAwayAsTheWallClockSawIt) {
  support::FakeClock clock;
  const std::int64_t recorded = to_ns(clock.wall());
  clock.advance(6h);
  clock.reboot();
  VaultClock vault(clock, recorded, recorded);
  EXPECT_EQ(vault.now_ns(), to_ns(clock.wall()));
}

TEST(VaultClock, GoesOnFromTheRecordWhenTheWallClockLagsAfterARestart) {
  support::FakeClock clock;
  const std::int64_t recorded = to_ns(clock.wall());
  clock.jump_wall(-(24h * 365));
  VaultClock vault(clock, recorded, recorded);
  EXPECT_EQ(vault.now_ns(), recorded);
  clock.advance(5s);
  EXPECT_EQ(vault.now_ns(), recorded + std::chrono::nanoseconds(5s).count());
}

TEST(VaultClock, KeepsALagThatItHadWhenTheWallClockJumpedWhileItRan) {
  support::FakeClock clock;
  const std::int64_t vault_ns = to_ns(clock.wall());
  clock.jump_wall(24h);  // the recorder did not believe it: vault a day behind
  const std::int64_t wall_ns = to_ns(clock.wall());
  clock.advance(1h);
  VaultClock vault(clock, vault_ns, wall_ns);
  EXPECT_EQ(vault.now_ns(), vault_ns + std::chrono::nanoseconds(1h).count());
}

TEST(VaultClock, SurvivesTimesAtTheEndsOfTheirRange) {
  support::FakeClock clock;
  VaultClock late(clock, std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(late.now_ns(), std::numeric_limits<std::int64_t>::max());
  clock.advance(1h);
  EXPECT_EQ(late.now_ns(), std::numeric_limits<std::int64_t>::max());
  VaultClock early(clock, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max());
  EXPECT_LE(early.now_ns(), to_ns(clock.wall()));
}

}  // namespace
}  // namespace holdfast::tenant
