#include "server/session/deny_list.h"
#include "server/session/operators.h"
#include "server/session/rate_limit.h"
#include "server/session/small_file.h"
#include "server/session/tokens.h"
#include "tests/server/session/service_world.h"

namespace holdfast::session {
namespace {

TEST(SmallFile, ReadsWhatItWroteAndNamesEveryFlippedOrMissingByte) {
  const Bytes body = to_bytes(as_bytes("what an operator's file says"));
  const Bytes file = encode_small_file("HFXX", body);
  EXPECT_EQ(must(decode_small_file("HFXX", file)), body);
  EXPECT_FALSE(decode_small_file("HFYY", file));
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes bad = file;
      bad[at] ^= static_cast<std::uint8_t>(1 << bit);
      EXPECT_FALSE(decode_small_file("HFXX", bad)) << at;
    }
    EXPECT_FALSE(decode_small_file("HFXX", ByteSpan(file).first(at))) << at;
  }
  Bytes longer = file;
  longer.push_back(0);
  EXPECT_FALSE(decode_small_file("HFXX", longer));
}

TEST(SmallFile, RefusesANewerFormat) {
  Bytes file = encode_small_file("HFXX", Bytes{1});
  file[4] = 2;
  EXPECT_EQ(decode_small_file("HFXX", file).error().code, Errc::TooNew);
}

TEST(SmallFile, HasTheBytesOfItsVector) {
  // FORMAT.md §1: magic, version 1, length 3, body, digest.
  const Bytes file = encode_small_file("HFTN", as_bytes("abc"));
  EXPECT_EQ(to_hex(ByteSpan(file).first(13)), "4846544e010003000000616263");
  EXPECT_EQ(file.size(), 13u + 32u);
  EXPECT_EQ(to_hex(ByteSpan(file).subspan(13)), to_hex(crypto::digest(ByteSpan(file).first(13)).bytes));
}

TEST(DenyList, OutlivesARestartAndForgetsWhatHasEnded) {
  support::FaultyFs fs;
  support::FakeClock clock;
  support::SeededRandom random;
  const Digest a = random.id<Digest>(), b = random.id<Digest>();
  {
    DenyList list(fs, clock, "/denied");
    EXPECT_FALSE(list.contains(a));
    EXPECT_TRUE(list.health());
    must(list.add(a, clock.wall() + std::chrono::hours(24)));
    EXPECT_TRUE(list.contains(a));
  }
  DenyList list(fs, clock, "/denied");
  EXPECT_TRUE(list.contains(a));
  EXPECT_FALSE(list.contains(b));
  clock.advance(std::chrono::hours(24 * 3));
  must(list.add(b, clock.wall() + std::chrono::hours(24)));
  EXPECT_FALSE(list.contains(a));  // that certificate has ended long ago
  EXPECT_TRUE(list.contains(b));
  EXPECT_TRUE(list.health());
}

TEST(DenyList, DeniesAtOnceEvenWhenTheDiskRefusesAndNamesDamage) {
  support::FaultyFs fs;
  support::FakeClock clock;
  support::SeededRandom random;
  DenyList list(fs, clock, "/denied");
  const Digest a = random.id<Digest>();
  fs.fail_at(0, Errc::DiskFull);
  EXPECT_FALSE(list.add(a, clock.wall() + std::chrono::hours(24)));
  EXPECT_TRUE(list.contains(a));
  EXPECT_FALSE(list.health());
  must(list.add(a, clock.wall() + std::chrono::hours(24)));
  EXPECT_TRUE(list.health());
  const Bytes good = must(fs::read_file(fs, "/denied", 1000));
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= 1;
    must(fs::replace_file(fs, "/denied", bad, 0600));
    EXPECT_FALSE(list.health()) << at;
    EXPECT_FALSE(DenyList(fs, clock, "/denied").contains(random.id<Digest>()));  // and does not stop a start
  }
}

TEST(Operators, ADamagedFileRefusesThatOperatorOnlyAndIsNamed) {
  support::FaultyFs fs;
  support::FakeClock clock;
  support::SeededRandom random;
  const std::int64_t later = to_ns(clock.wall() + std::chrono::hours(1));
  {
    Operators operators(fs, clock, random, "/operators");
    must(operators.invite("olga", random.id<Digest>(), later));
    must(operators.invite("omar", random.id<Digest>(), later));
    EXPECT_TRUE(operators.health().empty());
    EXPECT_EQ(operators.invite("O", random.id<Digest>(), later).error().code, Errc::Usage);
    EXPECT_EQ(operators.revoke("nobody").error().code, Errc::NotFound);
  }
  Bytes bad = must(fs::read_file(fs, "/operators/olga.operator", 100'000));
  bad[20] ^= 1;
  must(fs::replace_file(fs, "/operators/olga.operator", bad, 0600));
  Operators operators(fs, clock, random, "/operators");
  EXPECT_FALSE(operators.find("olga"));
  EXPECT_TRUE(operators.find("omar"));
  ASSERT_EQ(operators.health().size(), 1u);
  EXPECT_EQ(operators.health()[0].file, "operators/olga.operator");
  must(operators.invite("olga", random.id<Digest>(), later));
  EXPECT_TRUE(operators.health().empty());
}

TEST(Tokens, AZeroDigestEqualsNothing) {
  support::SeededRandom random;
  const Digest a = random.id<Digest>(), zero{};
  Digest b = a;
  EXPECT_TRUE(same_token(a, b));
  b.bytes[31] ^= 1;
  EXPECT_FALSE(same_token(a, b));
  EXPECT_FALSE(same_token(zero, zero));
  EXPECT_EQ(new_token_secret(random).size(), kTokenSecretBytes);
  EXPECT_NE(request_digest("ab", as_bytes("c")), request_digest("a", as_bytes("bc")));
}

TEST(RateLimit, GivesEveryAddressItsMinuteAndAllOfThemTheirs) {
  support::FakeClock clock;
  RateLimit limit(clock, 3, 5);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limit.allow("192.0.2.1:" + std::to_string(1000 + i)));
  EXPECT_FALSE(limit.allow("192.0.2.1:5"));
  EXPECT_TRUE(limit.allow("192.0.2.2:1"));
  EXPECT_TRUE(limit.allow("192.0.2.3:1"));
  EXPECT_FALSE(limit.allow("192.0.2.4:1"));  // the bucket of all is empty
  clock.advance(std::chrono::seconds(20));
  EXPECT_TRUE(limit.allow("192.0.2.1:6"));
  EXPECT_FALSE(limit.allow("192.0.2.1:7"));
  clock.advance(std::chrono::hours(1));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limit.allow("192.0.2.1:8"));
  EXPECT_FALSE(limit.allow("192.0.2.1:8"));
}

TEST(RateLimit, TellsAddressesApartByHostOrBySlash64) {
  EXPECT_EQ(rate_key("192.0.2.1:1"), rate_key("192.0.2.1:2"));
  EXPECT_NE(rate_key("192.0.2.1:1"), rate_key("192.0.2.2:1"));
  EXPECT_EQ(rate_key("[2001:db8:1:2:3::1]:1"), rate_key("[2001:db8:1:2:ffff::9]:2"));
  EXPECT_NE(rate_key("[2001:db8:1:2::1]:1"), rate_key("[2001:db8:1:3::1]:1"));
  EXPECT_NE(rate_key("[::ffff:192.0.2.1]:1"), rate_key("[::ffff:192.0.2.2]:1"));
}

TEST(RateLimit, StaysBoundedUnderEndlessAddresses) {
  support::FakeClock clock;
  RateLimit limit(clock, 2, 1'000'000);
  for (int i = 0; i < 10'000; ++i)
    (void)limit.allow("10." + std::to_string(i / 65536) + "." + std::to_string(i / 256 % 256) + "." +
                      std::to_string(i % 256) + ":1");
  EXPECT_TRUE(limit.allow("10.0.0.1:1"));      // known before the table was full
  EXPECT_FALSE(limit.allow("203.0.113.9:1"));  // newcomers share one bucket
  clock.advance(std::chrono::minutes(1));
  EXPECT_TRUE(limit.allow("203.0.113.9:1"));
}

}  // namespace
}  // namespace holdfast::session
