#include "server/coordinator/head_slot.h"

#include <gtest/gtest.h>

#include "tests/common/crypto/vector_file.h"

namespace holdfast::coordinator {
namespace {

using holdfast::testing::read_vectors;
using holdfast::testing::VectorCase;

Bytes slot_of(const VectorCase& vector) {
  Bytes out = vector["fields"];
  out.resize(kSlotBytes - Digest::kBytes);
  const Bytes& digest = vector["digest"];
  out.insert(out.end(), digest.begin(), digest.end());
  return out;
}

TEST(HeadSlot, DecodesAndEncodesTheGoodVectors) {
  for (const VectorCase& vector : read_vectors("head/good.txt")) {
    const Bytes bytes = slot_of(vector);
    const Result<HeadSlot> slot = decode_head_slot(bytes);
    ASSERT_TRUE(slot) << slot.error().message;
    EXPECT_EQ(slot->head.epoch, vector.number("epoch"));
    EXPECT_EQ(Bytes(slot->token.begin(), slot->token.end()), vector["token"]);
    EXPECT_EQ(slot->head.generation, vector.number("generation"));
    EXPECT_EQ(slot->head.number, vector.number("number"));
    EXPECT_EQ(slot->head.digest, vector.id<Digest>("record"));
    EXPECT_EQ(slot->head.segment, vector.number("segment"));
    EXPECT_EQ(slot->head.segment_bytes, vector.number("segment_bytes"));
    EXPECT_EQ(static_cast<std::uint64_t>(slot->written_ns), vector.number("written"));
    EXPECT_EQ(encode_head_slot(*slot), bytes);
  }
}

TEST(HeadSlot, RefusesTheBadVectors) {
  for (const VectorCase& vector : read_vectors("head/bad.txt")) {
    const Result<HeadSlot> slot = decode_head_slot(slot_of(vector));
    ASSERT_FALSE(slot) << to_hex(vector["fields"]);
    EXPECT_EQ(static_cast<std::uint64_t>(slot.error().code), vector.number("errc")) << slot.error().message;
  }
}

TEST(HeadSlot, RefusesAnyFlippedByte) {
  const Bytes good = slot_of(read_vectors("head/good.txt")[1]);
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= static_cast<std::uint8_t>(1u << (at % 8));
    const Result<HeadSlot> slot = decode_head_slot(bad);
    ASSERT_FALSE(slot) << at;
    EXPECT_EQ(slot.error().code, Errc::Corrupt) << at;
  }
}

TEST(HeadSlot, RefusesAnyOtherLength) {
  Bytes bytes = slot_of(read_vectors("head/good.txt")[1]);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const Result<HeadSlot> slot = decode_head_slot(ByteSpan(bytes).first(n));
    ASSERT_FALSE(slot) << n;
    EXPECT_EQ(slot.error().code, Errc::Corrupt);
  }
  bytes.push_back(0);
  EXPECT_FALSE(decode_head_slot(bytes));
}

}  // namespace
}  // namespace holdfast::coordinator
