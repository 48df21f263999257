#include "server/retention/uptime.h"

#include <gtest/gtest.h>

#include <functional>

#include "server/retention/saturate.h"
#include "tests/support/fake_clock.h"

namespace holdfast::retention {
namespace {

BootId boot(std::uint8_t n) {
  BootId id{};
  id[3] = n;
  return id;
}
UptimeLedger ledger(const std::vector<Moment>& seen) {
  UptimeLedger out;
  for (const Moment& one : seen) out.note(one);
  return out;
}

TEST(Uptime, WithinOneBootItsClockProvesTheTimeAlsoWithoutALedger) {
  EXPECT_EQ(UptimeLedger().proven_ns({boot(1), 10}, {boot(1), 25}), 15);
  EXPECT_EQ(UptimeLedger().proven_ns({boot(1), 25}, {boot(1), 10}), 0);
  EXPECT_EQ(UptimeLedger().proven_ns({BootId{}, 10}, {BootId{}, 25}), 0);  // not known to be one boot
}

TEST(Uptime, AcrossBootsItProvesWhatWasSeenOfEach) {
  const UptimeLedger seen =
      ledger({{boot(1), 5}, {boot(1), 100}, {boot(2), 10}, {boot(2), 40}, {boot(3), 7}, {boot(3), 9}});
  EXPECT_EQ(seen.proven_ns({boot(1), 60}, {boot(3), 20}), 40 + 30 + 13);
  EXPECT_EQ(seen.proven_ns({boot(1), 150}, {boot(3), 20}), 0 + 30 + 13);  // an anchor later than the last time noted
  EXPECT_EQ(seen.proven_ns({boot(2), 40}, {boot(3), 8}), 2);
  EXPECT_EQ(seen.proven_ns({boot(1), 60}, {boot(4), 500}), 40 + 30 + 2);  // a boot that was not noted yet
}

TEST(Uptime, ABootThatIsNotInItProvesNothing) {
  EXPECT_EQ(ledger({{boot(1), 0}, {boot(1), 50}, {boot(2), 0}, {boot(2), 50}}).proven_ns({boot(9), 10}, {boot(2), 60}),
            0);
}

TEST(Uptime, ABootWhoseClockWasSetBackProvesNothing) {
  const UptimeLedger back = ledger({{boot(1), 0}, {boot(1), 90}, {boot(1), 20}, {boot(1), 95}});
  EXPECT_EQ(back.proven_ns({boot(1), 10}, {boot(1), 95}), 0);
  EXPECT_EQ(back.proven_ns({boot(1), 10}, {boot(2), 5}), 0);
  const UptimeLedger moved =
      ledger({{boot(1), 0}, {boot(1), 90}, {boot(2), 0}, {boot(2), 30}, {boot(1), 95}, {boot(1), 99}});
  EXPECT_EQ(moved.proven_ns({boot(2), 10}, {boot(1), 99}), 20);
}

TEST(Uptime, NotesNoBootThatIsNotKnown) { EXPECT_TRUE(ledger({{BootId{}, 5}, {boot(1), -1}}).spans().empty()); }

TEST(Uptime, KeepsTheLatestThousandBoots) {
  UptimeLedger seen;
  BootId id{};
  for (std::uint32_t i = 1; i <= 1005; ++i) {
    id[0] = static_cast<std::uint8_t>(i), id[1] = static_cast<std::uint8_t>(i >> 8);
    seen.note({id, 0});
    seen.note({id, 10});
  }
  ASSERT_EQ(seen.spans().size(), 1000u);
  EXPECT_EQ(seen.spans().front().boot[0], 6);
  EXPECT_EQ(seen.proven_ns(Moment{seen.spans().front().boot, 10}, Moment{id, 10}), 999 * 10);
  const auto again = UptimeLedger::decode(seen.encode());
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->encode(), seen.encode());
}

// server/session/FORMAT.md, section 5.
TEST(Uptime, EncodesAsTheFormatSays) {
  Moment seen{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, 1'000'000'000};
  UptimeLedger one = ledger({seen});
  seen.boottime_ns = 2'000'000'000;
  one.note(seen);
  EXPECT_EQ(to_hex(one.encode()), "010000000102030405060708090a0b0c0d0e0f1000ca9a3b000000000094357700000000");
}

TEST(Uptime, RefusesWhatNoWriterWrites) {
  const Bytes good = ledger({{boot(1), 5}, {boot(1), 100}}).encode();
  const auto refused = [&](const std::function<void(Bytes&)>& change) {
    Bytes bytes = good;
    change(bytes);
    const auto decoded = UptimeLedger::decode(bytes);
    return !decoded && decoded.error().code == Errc::Corrupt;
  };
  EXPECT_FALSE(refused([](Bytes&) {}));
  EXPECT_TRUE(refused([](Bytes& b) { b.pop_back(); }));
  EXPECT_TRUE(refused([](Bytes& b) { b.push_back(0); }));
  EXPECT_TRUE(refused([](Bytes& b) { b[0] = 2; }));
  EXPECT_TRUE(refused([](Bytes& b) { b[4 + 3] = 0; }));          // no boot
  EXPECT_TRUE(refused([](Bytes& b) { b[4 + 16 + 7] = 0x80; }));  // before the boot
  EXPECT_TRUE(refused([](Bytes& b) { b[4 + 24] = 4; }));         // ends before it begins
  EXPECT_TRUE(refused([](Bytes& b) { b.clear(); }));
  Bytes many;
  many.insert(many.end(), {0xe9, 3, 0, 0});  // 1001
  for (int i = 0; i < 1001; ++i) many.insert(many.end(), good.begin() + 4, good.end());
  EXPECT_FALSE(UptimeLedger::decode(many).has_value());
}

TEST(Uptime, SumsStayWithinTheirRange) {
  UptimeLedger seen = ledger({{boot(1), 0}, {boot(1), kNeverNs}, {boot(2), 0}, {boot(2), kNeverNs}});
  EXPECT_EQ(seen.proven_ns({boot(1), 0}, {boot(2), 5}), kNeverNs);
  EXPECT_EQ(seen.proven_ns({boot(1), kEarliestNs}, {boot(2), 5}), kNeverNs);
}

TEST(Uptime, TheRunningDaemonSReadsItsClock) {
  support::FakeClock clock;
  Uptime running(clock);
  const Moment start = moment(clock);
  running.note();
  clock.advance(std::chrono::seconds(8));
  running.note();
  clock.reboot();
  running.note();
  clock.advance(std::chrono::seconds(2));
  EXPECT_EQ(running.proven_ns(start, moment(clock)), 10'000'000'000);
}

}  // namespace
}  // namespace holdfast::retention
