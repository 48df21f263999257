#include "common/crypto/sign.h"

#include <gtest/gtest.h>

#include "common/crypto/hash.h"
#include "tests/common/crypto/vector_file.h"

namespace holdfast::crypto {
namespace {

using holdfast::testing::read_vectors;
using holdfast::testing::VectorCase;

TEST(Ed25519, AnswersTheVectorsOfRfc8032) {
  for (const VectorCase& c : read_vectors("crypto/ed25519.txt")) {
    const SigningKey key(Key{c["seed"]});
    EXPECT_EQ(key.public_key(), c.id<PublicKey>("public_key"));
    EXPECT_EQ(key.sign(c["message"]).hex(), c.id<Signature>("signature").hex());
    EXPECT_TRUE(verify(key.public_key(), c["message"], c.id<Signature>("signature")));
  }
}

TEST(Ed25519, RefusesSmallOrderKeysAndSecondFormsOfASignature) {
  for (const VectorCase& c : read_vectors("crypto/ed25519_bad.txt"))
    EXPECT_FALSE(verify(c.id<PublicKey>("public_key"), c["message"], c.id<Signature>("signature")));
}

TEST(Ed25519, RefusesEveryFlippedBit) {
  const SigningKey key(Key{Bytes(32, 5)});
  Bytes message = to_bytes(as_bytes("holdfast"));
  const Signature good = key.sign(message);
  const auto flip = [](auto& bytes, std::size_t bit) { bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8)); };
  for (std::size_t bit = 0; bit < 512; ++bit) {
    Signature bad = good;
    flip(bad.bytes, bit);
    ASSERT_FALSE(verify(key.public_key(), message, bad)) << "signature bit " << bit;
  }
  for (std::size_t bit = 0; bit < 256; ++bit) {
    PublicKey bad = key.public_key();
    flip(bad.bytes, bit);
    ASSERT_FALSE(verify(bad, message, good)) << "key bit " << bit;
  }
  for (std::size_t bit = 0; bit < message.size() * 8; ++bit) {
    flip(message, bit);
    ASSERT_FALSE(verify(key.public_key(), message, good)) << "message bit " << bit;
    flip(message, bit);
  }
}

TEST(Ed25519, GeneratesDifferentKeys) {
  EXPECT_NE(SigningKey::generate(system_random()).public_key(), SigningKey::generate(system_random()).public_key());
}

TEST(X25519, AnswersTheVectorsOfRfc7748) {
  for (const VectorCase& c : read_vectors("crypto/x25519.txt"))
    EXPECT_EQ(WrapKeyPair(Key{c["private_key"]}).public_key(), c.id<PublicKey>("public_key"));
}

TEST(X25519, NamesARecipientByTheDigestOfItsKey) {
  const WrapKeyPair pair(Key{Bytes(32, 6)});
  const Digest whole = digest(pair.public_key().bytes);
  EXPECT_TRUE(same_bytes(pair.recipient().bytes, ByteSpan(whole.bytes).first(16)));
  EXPECT_EQ(pair.recipient(), recipient_of(pair.public_key()));
}

TEST(Argon2id, AnswersTheVectors) {
  for (const VectorCase& c : read_vectors("crypto/argon2id.txt")) {
    const Result<Key> key = derive_from_password(
        c["password"], c["salt"],
        {static_cast<std::uint32_t>(c.number("passes")), static_cast<std::uint32_t>(c.number("memory_kib"))});
    ASSERT_TRUE(key.has_value());
    EXPECT_EQ(to_hex(key->span()), to_hex(c["key"]));
  }
}

TEST(Argon2id, RefusesParametersOutOfBoundsBeforeAnyWork) {
  const Bytes salt(16);
  const auto refused = [&](PasswordParameters parameters, std::size_t password_bytes = 4) {
    const Result<Key> key = derive_from_password(Bytes(password_bytes), salt, parameters);
    return !key.has_value() && key.error().code == Errc::Limit;
  };
  EXPECT_TRUE(refused({0, 8}));
  EXPECT_TRUE(refused({17, 8}));
  EXPECT_TRUE(refused({0xffffffff, 8}));
  EXPECT_TRUE(refused({1, 7}));
  EXPECT_TRUE(refused({1, (1u << 20) + 1}));
  EXPECT_TRUE(refused({1, 0xffffffff}));
  EXPECT_TRUE(refused({1, 8}, 65537));
}

TEST(Argon2id, DependsOnEveryInput) {
  const auto key = [](std::string_view password, std::uint8_t salt, PasswordParameters parameters) {
    return to_hex(derive_from_password(as_bytes(password), Bytes(16, salt), parameters)->span());
  };
  const std::string base = key("secret", 1, {1, 16});
  EXPECT_NE(base, key("Secret", 1, {1, 16}));
  EXPECT_NE(base, key("secret", 2, {1, 16}));
  EXPECT_NE(base, key("secret", 1, {2, 16}));
  EXPECT_NE(base, key("secret", 1, {1, 24}));
  EXPECT_EQ(base, key("secret", 1, {1, 16}));
}

}  // namespace
}  // namespace holdfast::crypto
