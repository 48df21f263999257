#include "common/crypto/hash.h"

#include <gtest/gtest.h>

#include "tests/common/crypto/vector_file.h"

namespace holdfast::crypto {
namespace {

using holdfast::testing::read_vectors;
using holdfast::testing::VectorCase;

TEST(Hash, AnswersTheVectorsOfBlake2b) {
  for (const VectorCase& c : read_vectors("crypto/blake2b_256.txt")) {
    const Digest expected = c.id<Digest>("digest");
    if (c["key"].empty()) {
      EXPECT_EQ(digest(c["message"]), expected);
      EXPECT_EQ(digest({c["message"], ByteSpan{}}), expected);
    } else {
      const Key key{c["key"]};
      EXPECT_EQ(keyed_digest(key, c["message"]), expected);
      EXPECT_EQ(Hasher(key).update(c["message"]).finish(), expected);
    }
  }
}

TEST(Hash, DerivesTheVectorsOfKeyDerivation) {
  for (const VectorCase& c : read_vectors("crypto/derive.txt")) {
    const Key derived = derive(Key{c["parent"]}, c.text("label"), c["context"]);
    EXPECT_TRUE(same_bytes(derived.span(), c["key"]));
  }
}

TEST(Hash, IsTheSameHoweverTheMessageIsCut) {
  const Bytes message(1000, 0x5a);
  for (std::size_t cut = 0; cut <= message.size(); ++cut) {
    Hasher hasher;
    hasher.update(ByteSpan(message).first(cut)).update(ByteSpan(message).subspan(cut));
    ASSERT_EQ(hasher.finish(), digest(message)) << cut;
  }
}

TEST(Hash, ACopyGoesOnFromWhereTheOriginalStood) {
  Hasher first;
  first.update(as_bytes("ab"));
  Hasher second = first;
  EXPECT_EQ(second.update(as_bytes("c")).finish(), digest(as_bytes("abc")));
  EXPECT_EQ(first.finish(), digest(as_bytes("ab")));
}

// The reference implementation's vectors for 128-bit output: key 00 01 … 0f, message 00 01 … of n bytes.
TEST(ShortHash, AnswersTheReferenceVectors) {
  Bytes key(32);
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  const Key counting{ByteSpan(key)};
  EXPECT_EQ(to_hex(short_hash(counting, {})), "a3817f04ba25a8e66df67214c7550293");
  EXPECT_EQ(to_hex(short_hash(counting, ByteSpan(key).first(1))), "da87c1d86b99af44347659119b22fc45");
  key[16] = 0xff;  // the first half alone is the key
  EXPECT_EQ(to_hex(short_hash(Key{ByteSpan(key)}, {})), "a3817f04ba25a8e66df67214c7550293");
}

TEST(Derive, KeepsLabelAndContextApart) {
  const Key parent{Bytes(32, 7)};
  const Key a = derive(parent, "blob", as_bytes("x"));
  EXPECT_FALSE(a.equals(derive(parent, "blobx")));
  EXPECT_FALSE(a.equals(derive(parent, "blo", as_bytes("bx"))));
  EXPECT_FALSE(a.equals(derive(parent, "blob", as_bytes("y"))));
  EXPECT_FALSE(a.equals(derive(Key{Bytes(32, 8)}, "blob", as_bytes("x"))));
  EXPECT_TRUE(a.equals(derive(parent, "blob", as_bytes("x"))));
}

TEST(DeriveDeathTest, RefusesAnEmptyOrOverlongLabel) {
  const Key parent;
  EXPECT_DEATH((void)derive(parent, ""), "label");
  EXPECT_DEATH((void)derive(parent, std::string(256, 'x')), "label");
}

}  // namespace
}  // namespace holdfast::crypto
