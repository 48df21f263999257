#include "common/base/clock.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "tests/support/fake_clock.h"
#include "tests/support/seeded_random.h"

namespace holdfast {
namespace {

WallTime at(std::string_view text) {
  const Result<WallTime> time = parse_rfc3339(text);
  EXPECT_TRUE(time) << text;
  return time ? *time : WallTime{};
}

TEST(Rfc3339, PrintsAndParsesUtc) {
  EXPECT_EQ(rfc3339(from_ns(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(rfc3339(from_ns(1'767'225'600'999'999'999)), "2026-01-01T00:00:00Z") << "seconds, cut off";
  EXPECT_EQ(rfc3339(from_ns(-1)), "1969-12-31T23:59:59Z");
  EXPECT_EQ(rfc3339(from_ns(std::numeric_limits<std::int64_t>::min())), "1677-09-21T00:12:43Z");
  EXPECT_EQ(rfc3339(from_ns(std::numeric_limits<std::int64_t>::max())), "2262-04-11T23:47:16Z");
  EXPECT_EQ(to_ns(at("2026-11-21T06:00:00Z")), 1'795'240'800'000'000'000);
  EXPECT_EQ(at("2026-11-21T06:00Z"), at("2026-11-21T06:00:00Z"));
  for (const char* text :
       {"2024-02-29T12:34:56Z", "2038-01-19T03:14:08Z", "2100-12-31T23:59:59Z", "1999-01-01T00:00:00Z"}) {
    EXPECT_EQ(rfc3339(at(text)), text);
  }
}

TEST(Rfc3339, RefusesWhatIsNoTime) {
  for (const char* bad : {"", "2026-11-21", "2026-11-21T06:00", "2026-11-21 06:00:00Z", "2026-11-21T06:00:00",
                          "2026-11-21T06:00:00+01:00", "2026-13-01T00:00Z", "2026-02-29T00:00Z", "2026-00-10T00:00Z",
                          "2026-01-00T00:00Z", "2026-01-01T24:00Z", "2026-01-01T00:60Z", "2026-01-01T00:00:60Z",
                          "2026-1-01T00:00:0Z", "+026-01-01T00:00Z", "2026-01-01T00:00:00z"}) {
    const Result<WallTime> time = parse_rfc3339(bad);
    ASSERT_FALSE(time) << bad;
    EXPECT_EQ(time.error().code, Errc::Usage);
  }
}

TEST(Rfc3339, RefusesYearsThatDoNotFitNanoseconds) {
  for (const char* bad :
       {"0000-01-01T00:00Z", "0001-01-01T00:00Z", "1677-01-01T00:00Z", "2263-01-01T00:00Z", "9999-12-31T23:59Z"}) {
    EXPECT_FALSE(parse_rfc3339(bad)) << bad;
  }
  EXPECT_EQ(rfc3339(at("1678-01-01T00:00:00Z")), "1678-01-01T00:00:00Z");
  EXPECT_EQ(rfc3339(at("2261-12-31T23:59:59Z")), "2261-12-31T23:59:59Z");
}

TEST(SystemClock, GoesForward) {
  const MonotonicTime before = system_clock().monotonic();
  EXPECT_GE(system_clock().monotonic(), before);
  EXPECT_GT(to_ns(system_clock().wall()), to_ns(at("2020-01-01T00:00Z")));
}

TEST(SystemRandom, FillsEveryLengthWithoutRepeating) {
  std::set<Bytes> seen;
  for (int i = 0; i < 100; ++i) {
    Bytes bytes(16);
    system_random().fill(bytes);
    EXPECT_TRUE(seen.insert(bytes).second);
  }
  Bytes nothing, much(100'000);
  system_random().fill(nothing);
  system_random().fill(much);
  EXPECT_NE(ByteSpan(much).last(16)[0] | ByteSpan(much).last(16)[7] | ByteSpan(much).last(16)[15], 0)
      << "the end was filled too";
}

TEST(FakeClock, MovesOnlyWhenTold) {
  support::FakeClock clock;
  EXPECT_EQ(rfc3339(clock.wall()), "2026-01-01T00:00:00Z");
  const MonotonicTime start = clock.monotonic();
  clock.advance(std::chrono::hours(1));
  EXPECT_EQ(rfc3339(clock.wall()), "2026-01-01T01:00:00Z");
  EXPECT_EQ(clock.monotonic() - start, std::chrono::hours(1));
  clock.jump_wall(-std::chrono::hours(24 * 365));
  EXPECT_EQ(rfc3339(clock.wall()), "2025-01-01T01:00:00Z");
  EXPECT_EQ(clock.monotonic() - start, std::chrono::hours(1));
}

TEST(SeededRandom, RepeatsItself) {
  support::SeededRandom a(5), b(5), c(6);
  EXPECT_EQ(a.bytes(40), b.bytes(40));
  EXPECT_NE(a.bytes(40), c.bytes(40));
  for (int i = 0; i < 100; ++i) EXPECT_LT(a.below(7), 7u);
}

}  // namespace
}  // namespace holdfast
