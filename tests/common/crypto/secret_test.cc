#include "common/crypto/secret.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <type_traits>

#include "tests/common/crypto/fixed_random.h"

namespace holdfast::crypto {
namespace {

static_assert(!std::is_copy_constructible_v<Key> && !std::is_copy_assignable_v<Key>);
static_assert(std::is_nothrow_move_constructible_v<Key>);

TEST(Secret, BeginsAsZeros) { EXPECT_TRUE(same_bytes(Key().span(), Bytes(32, 0))); }

TEST(Secret, KeepsWhatItWasGivenAndClonesItAloud) {
  Bytes bytes(64);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
  const Secret<64> secret{ByteSpan(bytes)};
  const Secret<64> clone = secret.clone();
  EXPECT_TRUE(same_bytes(clone.span(), bytes));
  EXPECT_NE(clone.span().data(), secret.span().data());
  EXPECT_TRUE(secret.equals(clone));
}

TEST(Secret, DiffersInEveryBit) {
  const Key key{Bytes(32, 0)};
  for (std::size_t bit = 0; bit < 256; ++bit) {
    Key other = key.clone();
    other.mutable_span()[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    ASSERT_FALSE(key.equals(other)) << bit;
  }
}

TEST(Secret, ComesFromTheGivenRandom) {
  holdfast::testing::FixedRandom random(Bytes(32, 0x42));
  EXPECT_TRUE(same_bytes(Key::random(random).span(), Bytes(32, 0x42)));
}

TEST(Secret, MovesWithoutCopying) {
  Key first{Bytes(32, 9)};
  const std::uint8_t* const where = first.span().data();
  const Key second = std::move(first);
  EXPECT_EQ(second.span().data(), where);
}

TEST(Secret, ManyCanBeHeldAtOnce) {
  std::vector<Key> keys;
  for (int i = 0; i < 5000; ++i) keys.emplace_back(Bytes(32, static_cast<std::uint8_t>(i)));
  for (int i = 0; i < 5000; ++i) ASSERT_EQ(keys[static_cast<std::size_t>(i)].span()[31], static_cast<std::uint8_t>(i));
}

TEST(SecretDeathTest, RefusesAnotherLength) { EXPECT_DEATH(Key{Bytes(31)}, "size"); }

TEST(Secret, IsWipedWhenFreed) {
  const std::uint8_t* where = nullptr;
  {
    const Secret<64> secret{Bytes(64, 0xff)};
    where = secret.span().data();
  }
  // The slot stays mapped for the next secret; its first bytes link the free slots.
  EXPECT_TRUE(same_bytes(ByteSpan(where + 8, 56), Bytes(56, 0)));
}

TEST(Secret, BeginsAsZerosInAUsedSlotToo) {
  for (int i = 0; i < 3; ++i) {
    Key key;
    ASSERT_TRUE(same_bytes(key.span(), Bytes(32, 0)));
    std::fill(key.mutable_span().begin(), key.mutable_span().end(), std::uint8_t{0xff});
  }
}

TEST(Secret, ManyThreadsTakeAndReturnSecrets) {
  std::vector<std::thread> threads;
  std::array<bool, 4> good{true, true, true, true};
  for (std::size_t t = 0; t < good.size(); ++t)
    threads.emplace_back([&good, t] {
      for (int i = 0; i < 500; ++i) {
        std::vector<Key> keys;
        for (int j = 0; j < 20; ++j) keys.emplace_back(Bytes(32, static_cast<std::uint8_t>(t)));
        for (const Key& key : keys) good[t] = good[t] && key.span()[0] == t && key.span()[31] == t;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, (std::array<bool, 4>{true, true, true, true}));
}

TEST(Wipe, ZeroesABuffer) {
  Bytes buffer(100, 0xff);
  wipe(buffer);
  EXPECT_EQ(buffer, Bytes(100, 0));
  wipe({});
}

}  // namespace
}  // namespace holdfast::crypto
