#include "client/sealing/body.h"

#include <gtest/gtest.h>

#include "client/sealing/sealing.h"
#include "common/crypto/hash.h"
#include "tests/common/crypto/vector_file.h"
#include "tests/support/seeded_random.h"

namespace holdfast::sealing {
namespace {

using holdfast::testing::read_vectors;
using holdfast::testing::VectorCase;

Bytes padded(Bytes body, blob::Type type) {
  body.resize(padded_length(body.size(), padding_floor(type, static_cast<Encoding>(body[0]))));
  return body;
}

blob::Type type_of(const VectorCase& c) {
  return c.has("type") ? static_cast<blob::Type>(c.number("type")) : blob::Type::Data;
}

TEST(Body, DecodesTheGoodVectors) {
  for (const VectorCase& c : read_vectors("sealing/bodies_good.txt")) {
    const Bytes bytes = padded(c["body"], type_of(c));
    if (c.has("padded_bytes")) {
      EXPECT_EQ(bytes.size(), c.number("padded_bytes"));
    }
    const Result<Body> body = decode_body(bytes, type_of(c));
    ASSERT_TRUE(body.has_value()) << body.error().message;
    EXPECT_EQ(body->raw.size(), c.number("raw_bytes"));
    EXPECT_EQ(crypto::digest(body->raw), c.id<Digest>("raw_digest"));
    ByteWriter chunks;
    for (const std::uint32_t length : body->chunk_bytes) chunks.u32(length);
    EXPECT_EQ(chunks.take(), c["chunks"]);
  }
}

TEST(Body, RefusesTheBadVectors) {
  for (const VectorCase& c : read_vectors("sealing/bodies_bad.txt")) {
    Bytes body = c["body"];
    const std::size_t bytes = c.has("pad_to") ? c.number("pad_to") : padded_length(body.size());
    if (bytes > body.size()) body.resize(bytes);
    if (c.has("pad_byte")) body.back() = static_cast<std::uint8_t>(c.number("pad_byte"));
    const Result<Body> decoded = decode_body(body, type_of(c));
    ASSERT_FALSE(decoded.has_value()) << to_hex(c["body"]);
    EXPECT_EQ(static_cast<std::uint64_t>(decoded.error().code), c.number("errc")) << decoded.error().message;
  }
}

TEST(Body, SurvivesEveryTruncation) {
  const Bytes raw(40000, 'x');
  const Bytes body = encode_body(raw, {1000, 39000}, 3, blob::Type::Data);
  for (std::size_t n = 0; n < body.size(); ++n)
    ASSERT_FALSE(decode_body(ByteSpan(body).first(n), blob::Type::Data).has_value()) << n;
}

TEST(Body, SurvivesFlippedBytes) {
  support::SeededRandom random(7);
  Bytes raw(20000);
  for (std::uint8_t& byte : raw) byte = static_cast<std::uint8_t>('a' + random.below(4));
  Bytes body = encode_body(raw, {20000}, 3, blob::Type::Data);
  ASSERT_EQ(body[0], 1);  // compressed
  for (std::size_t i = 0; i < body.size(); i += i < 64 ? 1 : 7) {
    for (const std::uint8_t flip : {0x01, 0x10, 0xff}) {
      body[i] ^= flip;
      const Result<Body> decoded =
          decode_body(body, blob::Type::Data);  // wrong content is possible here: the AEAD stands before
      if (decoded) {
        ASSERT_LE(decoded->raw.size(), blob::kMaxRawBytes);
      }
      body[i] ^= flip;
    }
  }
}

TEST(Body, OfASegmentIsPaddedInSmallerSteps) {
  const auto length_of = [](std::size_t raw_bytes, blob::Type type) {
    const Bytes raw(raw_bytes, 'x');
    const Bytes body = encode_body(raw, {static_cast<std::uint32_t>(raw_bytes)}, 3, type);
    const Result<Body> decoded = decode_body(body, type);
    EXPECT_TRUE(decoded && decoded->raw == raw);
    // Nobody may read it by the other rule, unless both give the same length.
    EXPECT_EQ(decode_body(body, type == blob::Type::Data ? blob::Type::Leaf : blob::Type::Data).has_value(),
              type != blob::Type::Data && body.size() >= kPaddingFloor);
    return body.size();
  };
  for (const blob::Type type : {blob::Type::Leaf, blob::Type::Index, blob::Type::Extents}) {
    EXPECT_EQ(length_of(1, type), 4096u);
    EXPECT_EQ(length_of(4096 - 15, type), 4096u);
    EXPECT_EQ(length_of(4096 - 14, type), 6144u);
    EXPECT_EQ(length_of(8192 - 15, type), 8192u);
    EXPECT_EQ(length_of(8192 - 14, type), 10240u);
    EXPECT_EQ(length_of(14336 - 14, type), 16384u);
    EXPECT_EQ(length_of(kMinCompressed - 1, type), 16384u + 1024);
    EXPECT_EQ(length_of(kMinCompressed, type), kPaddingFloor);  // compressed to a few bytes: how few does not show
    EXPECT_EQ(length_of(1u << 20, type), kPaddingFloor);
  }
  EXPECT_EQ(length_of(1, blob::Type::Data), kPaddingFloor);
}

TEST(Body, KeepsSparseRepeatsThatTheProbeMisses) {
  // Noise in the probe's four places, text elsewhere: stored raw or compressed, it comes back.
  support::SeededRandom random(8);
  Bytes raw(1u << 20, 'z');
  for (std::size_t i = 0; i < 4; ++i) {
    const Bytes noise = random.bytes(4096);
    std::copy(noise.begin(), noise.end(), raw.begin() + static_cast<std::ptrdiff_t>((raw.size() - 4096) / 3 * i));
  }
  const Result<Body> body = decode_body(encode_body(raw, {1u << 20}, 3, blob::Type::Data), blob::Type::Data);
  ASSERT_TRUE(body.has_value());
  EXPECT_TRUE(body->raw == raw);
}

}  // namespace
}  // namespace holdfast::sealing
