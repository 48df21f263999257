#include "common/crypto/aead.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/common/crypto/vector_file.h"

namespace holdfast::crypto {
namespace {

using holdfast::testing::read_vectors;
using holdfast::testing::VectorCase;

void check_vectors(Cipher cipher, const std::string& path) {
  for (const VectorCase& c : read_vectors(path)) {
    const Key key{c["key"]};
    Bytes sealed = to_bytes(as_bytes("before"));
    seal(cipher, key, c["nonce"], c["associated"], c["plaintext"], sealed);
    EXPECT_EQ(to_hex(ByteSpan(sealed).subspan(6)), to_hex(c["sealed"]));
    EXPECT_EQ(as_text(ByteSpan(sealed).first(6)), "before");

    const Result<Bytes> opened = open(cipher, key, c["nonce"], c["associated"], c["sealed"]);
    ASSERT_TRUE(opened.has_value());
    EXPECT_EQ(*opened, c["plaintext"]);
  }
}

TEST(Aead, AnswersTheVectorsOfAes256Gcm) { check_vectors(Cipher::Aes256Gcm, "crypto/aes_256_gcm.txt"); }
TEST(Aead, AnswersTheVectorsOfXChaCha20Poly1305) {
  check_vectors(Cipher::XChaCha20Poly1305, "crypto/xchacha20_poly1305.txt");
}

class EachCipher : public ::testing::TestWithParam<Cipher> {
 protected:
  const Cipher cipher = GetParam();
  const Key key{Bytes(32, 1)};
  const Bytes nonce = Bytes(nonce_bytes(cipher), 2);
  const Bytes associated = Bytes(20, 3);
  const Bytes plaintext = Bytes(77, 4);
  Bytes sealed() const {
    Bytes out;
    seal(cipher, key, nonce, associated, plaintext, out);
    return out;
  }
  void expect_closed(const Key& k, ByteSpan n, ByteSpan a, ByteSpan s) const {
    const Result<Bytes> opened = open(cipher, k, n, a, s);
    ASSERT_FALSE(opened.has_value());
    ASSERT_EQ(opened.error().code, Errc::WrongKey);
  }
};

/// Calls `check` with each bit of `bytes` flipped in turn.
template <class Check>
void with_each_bit_flipped(ByteSpan bytes, const Check& check) {
  Bytes changed = to_bytes(bytes);
  for (std::size_t bit = 0; bit < changed.size() * 8; ++bit) {
    const std::uint8_t mask = static_cast<std::uint8_t>(1u << (bit % 8));
    changed[bit / 8] ^= mask;
    check(ByteSpan(changed));
    changed[bit / 8] ^= mask;
  }
}

TEST_P(EachCipher, RefusesEveryFlippedBitOfWhatWasSealed) {
  with_each_bit_flipped(sealed(), [&](ByteSpan bad) { expect_closed(key, nonce, associated, bad); });
}

TEST_P(EachCipher, RefusesEveryFlippedBitOfKeyNonceAndAssociatedBytes) {
  const Bytes good = sealed();
  with_each_bit_flipped(key.span(), [&](ByteSpan bad) { expect_closed(Key{bad}, nonce, associated, good); });
  with_each_bit_flipped(nonce, [&](ByteSpan bad) { expect_closed(key, bad, associated, good); });
  with_each_bit_flipped(associated, [&](ByteSpan bad) { expect_closed(key, nonce, bad, good); });
}

TEST_P(EachCipher, RefusesEveryShorterAndOneLongerMessage) {
  Bytes bytes = sealed();
  for (std::size_t n = 0; n < bytes.size(); ++n) expect_closed(key, nonce, associated, ByteSpan(bytes).first(n));
  bytes.push_back(0);
  expect_closed(key, nonce, associated, bytes);
}

TEST_P(EachCipher, RefusesTheOtherCipher) {
  const Cipher other = cipher == Cipher::Aes256Gcm ? Cipher::XChaCha20Poly1305 : Cipher::Aes256Gcm;
  EXPECT_FALSE(open(other, key, Bytes(nonce_bytes(other), 2), associated, sealed()).has_value());
}

TEST_P(EachCipher, SealsNothingAtAll) {
  Bytes out;
  seal(cipher, key, nonce, {}, {}, out);
  EXPECT_EQ(out.size(), kTagBytes);
  const Result<Bytes> opened = open(cipher, key, nonce, {}, out);
  ASSERT_TRUE(opened.has_value());
  EXPECT_TRUE(opened->empty());
}

TEST_P(EachCipher, ServesSeveralThreads) {
  const Bytes good = sealed();
  std::vector<std::thread> threads;
  std::array<int, 4> opened{};
  for (int& count : opened)
    threads.emplace_back([&, this] {
      for (int i = 0; i < 200; ++i) count += open(cipher, key, nonce, associated, good).has_value() && sealed() == good;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(opened, (std::array<int, 4>{200, 200, 200, 200}));
}

INSTANTIATE_TEST_SUITE_P(Ciphers, EachCipher, ::testing::Values(Cipher::Aes256Gcm, Cipher::XChaCha20Poly1305),
                         [](const auto& p) {
                           return p.param == Cipher::Aes256Gcm ? "Aes256Gcm" : "XChaCha20Poly1305";
                         });

TEST(Aead, KnowsExactlyTwoCiphers) {
  int known = 0;
  for (int n = 0; n < 256; ++n) known += is_known(static_cast<Cipher>(n));
  EXPECT_EQ(known, 2);
  EXPECT_TRUE(is_known(preferred_cipher()));
}

TEST(AeadDeathTest, StopsOnANonceOfTheWrongLength) {
  Bytes out;
  EXPECT_DEATH(seal(Cipher::Aes256Gcm, Key(), Bytes(24), {}, {}, out), "nonce");
  EXPECT_DEATH((void)open(Cipher::XChaCha20Poly1305, Key(), Bytes(12), {}, Bytes(16)), "nonce");
}

}  // namespace
}  // namespace holdfast::crypto
