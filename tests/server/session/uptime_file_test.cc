#include "server/session/uptime_file.h"

#include <gtest/gtest.h>

#include "server/session/small_file.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_fs.h"

namespace holdfast::session {
namespace {

using namespace std::chrono_literals;

struct UptimeFileTest : testing::Test {
  support::FaultyFs fs;
  support::FakeClock clock;
  const retention::Moment start = retention::moment(clock);

  void SetUp() override {
    ASSERT_TRUE(fs.disk().make_directory("/srv", 0700));
    ASSERT_TRUE(fs.disk().sync_directory("/"));
  }
  /// A daemon that runs for so long, is seen at both ends, and stops.
  void run(std::chrono::nanoseconds time) {
    UptimeFile file(fs, clock, "/srv");
    file.save();
    clock.advance(time);
    file.save();
  }
  std::int64_t proven() {
    const UptimeFile file(fs, clock, "/srv");
    return file.uptime().proven_ns(start, retention::moment(clock));
  }
};

TEST_F(UptimeFileTest, ProvesAcrossRebootsAndCrashesWhatWasSaved) {
  run(5h);
  clock.advance(1h);
  clock.reboot();
  fs.reboot(support::CrashMode::DropUnsynced, 1);
  run(2h);
  clock.reboot();
  fs.reboot(support::CrashMode::DropUnsynced, 2);
  EXPECT_EQ(proven(), std::chrono::nanoseconds(7h).count());
}

TEST_F(UptimeFileTest, EachByteThatIsWrongCostsCreditAndNothingElse) {
  run(5h);
  clock.reboot();
  const Bytes good = *fs::read_file(fs, "/srv/uptime", 1u << 20);
  ASSERT_EQ(std::string(as_text(ByteSpan(good).first(4))), "HFUP");
  ASSERT_EQ(good.size(), 4u + 2 + 4 + 4 + 32 + 32);
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 1;
    ASSERT_TRUE(fs::replace_file(fs, "/srv/uptime", bad, 0600));
    EXPECT_EQ(proven(), 0) << i;
  }
  ASSERT_TRUE(fs.unlink("/srv/uptime"));
  EXPECT_EQ(proven(), 0);
}

TEST_F(UptimeFileTest, ADamagedOneIsReplaced) {
  ASSERT_TRUE(fs::replace_file(fs, "/srv/uptime", as_bytes("nonsense"), 0600));
  run(5h);
  clock.reboot();
  EXPECT_EQ(proven(), std::chrono::nanoseconds(5h).count());
}

TEST_F(UptimeFileTest, GoesOnWithoutADisk) {
  UptimeFile file(fs, clock, "/nowhere");
  file.save();
  clock.advance(1h);
  file.save();
  EXPECT_EQ(file.uptime().proven_ns(start, retention::moment(clock)), std::chrono::nanoseconds(1h).count());
}

}  // namespace
}  // namespace holdfast::session
