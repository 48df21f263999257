#include "client/dedup/usage.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/client/dedup/known_chunks.h"
#include "tests/support/seeded_random.h"

namespace holdfast::dedup {
namespace {

using namespace testing;

constexpr std::uint32_t kRaw = 1u << 20;
constexpr std::int64_t kDay = 24ll * 3600 * 1'000'000'000;
constexpr std::int64_t kStart = 1000 * kDay;

blob::BlobRef ref(std::uint64_t number, std::uint8_t run = 0x11) {
  blob::BlobRef made = blob_of(number);
  made.run.bytes.fill(run);
  return made;
}

/// Blobs of one run, committed at kStart, of which `used` bytes each are used.
Usage blobs(std::size_t count, std::uint32_t used, std::uint8_t run = 0x11) {
  Usage usage;
  for (std::size_t i = 0; i < count; ++i) {
    usage.note(ref(i, run), kRaw, kStart);
    usage.add(ref(i, run), used);
  }
  return usage;
}

TEST(Usage, CountsWhatIsUsedOfEachBlob) {
  Usage usage;
  usage.add(ref(1), 100);
  usage.add(ref(1), 50);
  EXPECT_EQ(usage.find(ref(1))->used_bytes, 150u);
  EXPECT_EQ(usage.find(ref(1))->raw_bytes, 0u) << "not known yet";
  usage.note(ref(1), 1000, kStart);
  usage.add(ref(1), 200);
  EXPECT_EQ(usage.find(ref(1))->used_bytes, 350u);
  EXPECT_EQ(usage.committed_ns(*usage.find(ref(1))), kStart);
  EXPECT_EQ(usage.find(ref(2)), nullptr);
  EXPECT_EQ(usage.find(ref(1, 0x12)), nullptr) << "the same id under another run is another blob";
}

TEST(Usage, NeverCountsMoreThanABlobHas) {
  Usage usage;
  usage.note(ref(1), 1000, 0);
  for (int i = 0; i < 5; ++i) usage.add(ref(1), 800);  // the same bytes used by five files
  EXPECT_EQ(usage.find(ref(1))->used_bytes, 1000u);
  usage.add(ref(2), std::uint64_t{1} << 40);
  usage.add(ref(2), std::uint64_t{1} << 40);
  usage.note(ref(2), 500, 0);
  EXPECT_EQ(usage.find(ref(2))->used_bytes, 500u);
}

TEST(Usage, RunsAreCommittedOnce) {
  Usage usage;
  usage.note(ref(1, 0x11), kRaw, kStart);
  usage.note(ref(2, 0x12), kRaw, 0);
  usage.note(ref(3, 0x11), kRaw, 0);  // does not unset what is known of its run
  usage.commit(kStart + 5);
  EXPECT_EQ(usage.committed_ns(*usage.find(ref(1, 0x11))), kStart);
  EXPECT_EQ(usage.committed_ns(*usage.find(ref(2, 0x12))), kStart + 5);
  EXPECT_EQ(usage.committed_ns(*usage.find(ref(3, 0x11))), kStart);
}

TEST(Usage, IsTheSameAfterEncodingButForWhatTheNextRunCounts) {
  support::SeededRandom random(2);
  Usage usage;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const auto run = static_cast<std::uint8_t>(1 + random.below(20));
    usage.note(ref(i, run), static_cast<std::uint32_t>(1 + random.below(4u << 20)), kStart + run);
    usage.add(ref(i, run), random.below(1u << 20));
    if (i % 7 == 0) usage.retire(ref(i, run));
  }
  const Bytes bytes = usage.encode();
  Result<Usage> again = Usage::decode(bytes);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->encode(), bytes);
  ASSERT_EQ(again->blobs().size(), 3000u);
  for (const auto& [key, blob] : usage.blobs()) {
    const auto found = again->blobs().find(key);
    ASSERT_NE(found, again->blobs().end());
    EXPECT_EQ(found->second.raw_bytes, blob.raw_bytes);
    EXPECT_EQ(found->second.retired, blob.retired);
    EXPECT_EQ(again->committed_ns(found->second), usage.committed_ns(blob));
    EXPECT_EQ(found->second.used_bytes, 0u) << "the next snapshot uses what it uses";
  }
}

TEST(Usage, OfNothingIsThreeBytes) {
  EXPECT_EQ(to_hex(Usage().encode()), "010000");
  EXPECT_TRUE(Usage::decode(Usage().encode()));
}

TEST(Usage, HostileBytesAreRefused) {
  const Bytes good = blobs(20, 100).encode();
  for (std::size_t n = 0; n < good.size(); ++n) EXPECT_FALSE(Usage::decode(ByteSpan(good).first(n))) << "cut to " << n;
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(Usage::decode(longer));
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const std::uint8_t flip : {0x01, 0x80, 0xff}) {
      Bytes bad = good;
      bad[i] ^= flip;
      (void)Usage::decode(bad);  // anything but a crash
    }
  }
  const auto refused = [](std::string_view hex) {
    const Result<Usage> got = Usage::decode(*from_hex(std::string(hex)));
    EXPECT_FALSE(got) << hex;
    if (!got) {
      EXPECT_EQ(got.error().code, Errc::Corrupt) << hex;
    }
  };
  const std::string run = "01" + std::string(32, '1') + std::string(16, '0');
  refused("");
  refused("020000");                                                             // another version
  refused("01ffffffffffffffffff01");                                             // runs beyond the bytes that are there
  refused("0100ffffff7f");                                                       // blobs likewise
  refused("01" + run + "01" + "a0a0a0a0a0a0a0a0" + "01" + "01" + "00");          // a run that does not exist
  refused("01" + run + "01" + "a0a0a0a0a0a0a0a0" + "01" + "00" + "02");          // neither retired nor not
  refused("01" + run + "01" + "a0a0a0a0a0a0a0a0" + "8080808010" + "00" + "00");  // 4 GiB raw
  refused("01" + run + "02" + "a0a0a0a0a0a0a0a0" + "010000" + "a0a0a0a0a0a0a0a0" + "010000");  // the same blob twice
}

RewriteLimits limits() { return {}; }

TEST(PlanRewrites, RetiresNothingWithinBounds) {
  Usage usage = blobs(1000, kRaw / 2 + 1);
  plan_rewrites(usage, limits(), kStart + 19 * kDay);
  EXPECT_EQ(usage.totals().retired_blobs, 0u);
}

TEST(PlanRewrites, SpreadsPartlyUsedBlobsOverTheLastThirdOfTheirAge) {
  std::size_t before = 0;
  for (int day = 18; day <= 31; ++day) {
    Usage usage = blobs(3000, kRaw - 1000);
    plan_rewrites(usage, limits(), kStart + day * kDay);
    const std::size_t retired = usage.totals().retired_blobs;
    if (day < 20) {
      EXPECT_EQ(retired, 0u) << "day " << day;
    } else if (day < 30) {
      EXPECT_NEAR(static_cast<double>(retired), 300.0 * (day - 20), 90) << "day " << day;
    } else {
      EXPECT_EQ(retired, 3000u) << "day " << day;
    }
    EXPECT_GE(retired, before) << "who was due stays due";
    before = retired;
  }
}

TEST(PlanRewrites, NeverRetiresAWhollyUsedBlobByItsAge) {
  Usage usage = blobs(100, kRaw);
  plan_rewrites(usage, limits(), kStart + 10'000 * kDay);
  EXPECT_EQ(usage.totals().retired_blobs, 0u);
}

TEST(PlanRewrites, KnowsNoAgeOfBlobsWithoutLengthOrDate) {
  Usage usage;
  usage.add(ref(1), 100);  // its length was never learnt
  usage.note(ref(2), 1000, 0);
  usage.add(ref(2), 900);
  plan_rewrites(usage, limits(), kStart + 10'000 * kDay);
  EXPECT_EQ(usage.totals().retired_blobs, 0u);
}

TEST(PlanRewrites, AClockThatWentBackRetiresNothing) {
  Usage usage = blobs(100, kRaw - 1);
  plan_rewrites(usage, limits(), kStart - 100 * kDay);
  plan_rewrites(usage, limits(), std::numeric_limits<std::int64_t>::min() / 4);
  EXPECT_EQ(usage.totals().retired_blobs, 0u);
}

TEST(PlanRewrites, BoundsDeadBytesByRetiringTheSparsest) {
  Usage usage;
  constexpr std::size_t kCount = 1000;
  std::vector<std::uint32_t> used;
  for (std::size_t i = 0; i < kCount; ++i) {
    used.push_back(static_cast<std::uint32_t>(1 + i * (kRaw / 2) / kCount));  // a quarter in the mean
    usage.note(ref(i), kRaw, kStart);
    usage.add(ref(i), used.back());
  }
  plan_rewrites(usage, limits(), kStart + kDay);
  // What stays and what is written anew, over what is used: within the bound, and no blob more than that takes.
  const Usage::Totals totals = usage.totals();
  ASSERT_GT(totals.retired_blobs, 0u);
  const std::uint64_t kept_raw = (totals.blobs - totals.retired_blobs) * kRaw;
  EXPECT_LE(static_cast<double>(kept_raw + totals.retired_bytes), 2.0 * static_cast<double>(totals.used_bytes));
  EXPECT_GT(static_cast<double>(kept_raw + totals.retired_bytes + kRaw), 2.0 * static_cast<double>(totals.used_bytes));
  for (std::size_t i = 0; i < kCount; ++i) EXPECT_EQ(usage.is_retired(ref(i)), i < totals.retired_blobs) << i;
}

TEST(PlanRewrites, CountsWhollyUsedBlobsForTheWholeSnapshot) {
  Usage usage = blobs(1000, kRaw);  // so much is used that one sparse blob does not matter
  usage.note(ref(5000), kRaw, kStart);
  usage.add(ref(5000), 1);
  plan_rewrites(usage, limits(), kStart + kDay);
  EXPECT_EQ(usage.totals().retired_blobs, 0u);
}

/// Blobs of one chunk, all of it used.
Usage small_blobs(std::size_t count, std::uint32_t bytes) {
  Usage usage;
  for (std::size_t i = 0; i < count; ++i) {
    usage.note(ref(i), bytes, kStart);
    usage.add(ref(i), bytes);
  }
  return usage;
}

TEST(PlanRewrites, PutsSmallBlobsTogetherForTheyAreStoredAs16KiB) {
  Usage usage = small_blobs(1000, 4096);
  plan_rewrites(usage, limits(), kStart);
  const Usage::Totals totals = usage.totals();
  const std::uint64_t stored = (totals.blobs - totals.retired_blobs) * 16384 + totals.retired_bytes;
  const std::uint64_t most = 2 * totals.used_bytes + 65536;
  EXPECT_LE(stored, most);
  EXPECT_GT(stored + 16384, most) << "and no more than that";
}

TEST(PlanRewrites, LeavesAFewSmallBlobsAlone) {
  Usage usage = small_blobs(4, 10);
  plan_rewrites(usage, limits(), kStart);
  EXPECT_EQ(usage.totals().retired_blobs, 0u);
  Usage among_large = blobs(100, kRaw);
  for (std::size_t i = 0; i < 100; ++i) {
    among_large.note(ref(1000 + i), 10, kStart);
    among_large.add(ref(1000 + i), 10);
  }
  plan_rewrites(among_large, limits(), kStart);
  EXPECT_EQ(among_large.totals().retired_blobs, 0u);
}

TEST(PlanRewrites, KeepsWhatWasRetiredBefore) {
  Usage usage = blobs(10, kRaw);
  usage.retire(ref(3));
  plan_rewrites(usage, limits(), kStart + kDay);
  EXPECT_TRUE(usage.is_retired(ref(3)));
  EXPECT_EQ(usage.totals().retired_blobs, 1u);
}

TEST(PlanRewrites, OfNothingIsNothing) {
  Usage usage;
  plan_rewrites(usage, limits(), kStart);
  EXPECT_EQ(usage.totals().blobs, 0u);
}

}  // namespace
}  // namespace holdfast::dedup
