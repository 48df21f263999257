#include <gtest/gtest.h>

#include "common/crypto/sign.h"
#include "tests/common/crypto/fixed_random.h"
#include "tests/common/crypto/vector_file.h"

namespace holdfast::crypto {
namespace {

using holdfast::testing::FixedRandom;
using holdfast::testing::read_vectors;
using holdfast::testing::VectorCase;

TEST(Hpke, AnswersTheVectorOfRfc9180) {
  for (const VectorCase& c : read_vectors("crypto/hpke_psk.txt")) {
    const WrapKeyPair recipient(Key{c["recipient"]});
    ASSERT_EQ(recipient.public_key(), c.id<PublicKey>("recipient_public"));
    const Key psk{c["psk"]};
    const HpkeContext context{c["info"], c["associated"], &psk, c["psk_id"]};
    FixedRandom ephemeral(c["ephemeral"]);
    const Result<Wrapped> wrapped = hpke_seal(recipient.public_key(), context, c["plaintext"], ephemeral);
    ASSERT_TRUE(wrapped.has_value());
    EXPECT_EQ(wrapped->encapsulated, c.id<PublicKey>("encapsulated"));
    EXPECT_EQ(to_hex(wrapped->ciphertext), to_hex(c["ciphertext"]));

    const Result<Bytes> opened = hpke_open(recipient, context, {c.id<PublicKey>("encapsulated"), c["ciphertext"]});
    ASSERT_TRUE(opened.has_value());
    EXPECT_EQ(*opened, c["plaintext"]);
  }
}

class HpkeOpen : public ::testing::Test {
 protected:
  const WrapKeyPair recipient{Key{Bytes(32, 1)}};
  const Key psk{Bytes(32, 2)};
  const Bytes info = to_bytes(as_bytes("info"));
  const Bytes associated = to_bytes(as_bytes("associated"));
  const Bytes psk_id = to_bytes(as_bytes("id"));
  const Bytes plaintext = Bytes(32, 3);
  const Wrapped wrapped = [this] {
    FixedRandom random(Bytes(32, 4));
    return *hpke_seal(recipient.public_key(), {info, associated, &psk, psk_id}, plaintext, random);
  }();

  void expect_closed(const WrapKeyPair& who, const HpkeContext& context, const Wrapped& what) const {
    const Result<Bytes> opened = hpke_open(who, context, what);
    ASSERT_FALSE(opened.has_value());
    ASSERT_EQ(opened.error().code, Errc::WrongKey);
  }
};

TEST_F(HpkeOpen, OpensWhatWasSealed) {
  const Result<Bytes> opened = hpke_open(recipient, {info, associated, &psk, psk_id}, wrapped);
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ(*opened, plaintext);
}

TEST_F(HpkeOpen, RefusesEveryFlippedBitOfTheWrap) {
  const HpkeContext context{info, associated, &psk, psk_id};
  for (std::size_t bit = 0; bit < wrapped.ciphertext.size() * 8; ++bit) {
    Wrapped bad = wrapped;
    bad.ciphertext[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    expect_closed(recipient, context, bad);
  }
  for (std::size_t bit = 0; bit < 256; ++bit) {  // also bit 255, which X25519 itself ignores: enc is in the KEM context
    Wrapped bad = wrapped;
    bad.encapsulated.bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    expect_closed(recipient, context, bad);
  }
}

TEST_F(HpkeOpen, RefusesAnotherRecipientSecretInfoOrAssociatedBytes) {
  const Bytes other = to_bytes(as_bytes("other"));
  const Key other_psk{Bytes(32, 9)};
  expect_closed(WrapKeyPair(Key{Bytes(32, 8)}), {info, associated, &psk, psk_id}, wrapped);
  expect_closed(recipient, {other, associated, &psk, psk_id}, wrapped);
  expect_closed(recipient, {info, other, &psk, psk_id}, wrapped);
  expect_closed(recipient, {info, associated, &other_psk, psk_id}, wrapped);
  expect_closed(recipient, {info, associated, &psk, other}, wrapped);
  expect_closed(recipient, {associated, info, &psk, psk_id}, wrapped);
}

TEST_F(HpkeOpen, RefusesEveryTruncation) {
  for (std::size_t n = 0; n < wrapped.ciphertext.size(); ++n) {
    Wrapped bad = wrapped;
    bad.ciphertext.resize(n);
    expect_closed(recipient, {info, associated, &psk, psk_id}, bad);
  }
}

TEST_F(HpkeOpen, RefusesLowOrderKeysOnBothSides) {
  const HpkeContext context{info, associated, &psk, psk_id};
  for (const VectorCase& c : read_vectors("crypto/x25519_low_order.txt")) {
    const PublicKey bad = c.id<PublicKey>("public_key");
    const Result<Wrapped> sealed = hpke_seal(bad, context, plaintext, system_random());
    ASSERT_FALSE(sealed.has_value());
    EXPECT_EQ(sealed.error().code, Errc::Usage);
    expect_closed(recipient, context, {bad, wrapped.ciphertext});
  }
}

TEST_F(HpkeOpen, SealsDifferentlyEachTime) {
  const HpkeContext context{info, associated, &psk, psk_id};
  const Result<Wrapped> a = hpke_seal(recipient.public_key(), context, plaintext, system_random());
  const Result<Wrapped> b = hpke_seal(recipient.public_key(), context, plaintext, system_random());
  ASSERT_TRUE(a && b);
  EXPECT_NE(a->encapsulated, b->encapsulated);
  EXPECT_NE(a->ciphertext, b->ciphertext);
}

}  // namespace
}  // namespace holdfast::crypto
