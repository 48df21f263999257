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

Bytes padded(Bytes body) {
  body.resize(padded_length(body.size()));
  return body;
}

TEST(Body, DecodesTheGoodVectors) {
  for (const VectorCase& c : read_vectors("sealing/bodies_good.txt")) {
    const Result<Body> body = decode_body(padded(c["body"]));
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
    const Result<Body> decoded = decode_body(body);
    ASSERT_FALSE(decoded.has_value()) << to_hex(c["body"]);
    EXPECT_EQ(static_cast<std::uint64_t>(decoded.error().code), c.number("errc")) << decoded.error().message;
  }
}

TEST(Body, SurvivesEveryTruncation) {
  const Bytes raw(40000, 'x');
  const Bytes body = encode_body(raw, {1000, 39000}, 3);
  for (std::size_t n = 0; n < body.size(); ++n) ASSERT_FALSE(decode_body(ByteSpan(body).first(n)).has_value()) << n;
}

TEST(Body, SurvivesFlippedBytes) {
  support::SeededRandom random(7);
  Bytes raw(20000);
  for (std::uint8_t& byte : raw) byte = static_cast<std::uint8_t>('a' + random.below(4));
  Bytes body = encode_body(raw, {20000}, 3);
  ASSERT_EQ(body[0], 1);  // compressed
  for (std::size_t i = 0; i < body.size(); i += i < 64 ? 1 : 7) {
    for (const std::uint8_t flip : {0x01, 0x10, 0xff}) {
      body[i] ^= flip;
      const Result<Body> decoded = decode_body(body);  // wrong content is possible here: the AEAD stands before
      if (decoded) {
        ASSERT_LE(decoded->raw.size(), blob::kMaxRawBytes);
      }
      body[i] ^= flip;
    }
  }
}

TEST(Body, KeepsSparseRepeatsThatTheProbeMisses) {
  // Noise in the probe's four places, text elsewhere: stored raw or compressed, it comes back.
  support::SeededRandom random(8);
  Bytes raw(1u << 20, 'z');
  for (std::size_t i = 0; i < 4; ++i) {
    const Bytes noise = random.bytes(4096);
    std::copy(noise.begin(), noise.end(), raw.begin() + static_cast<std::ptrdiff_t>((raw.size() - 4096) / 3 * i));
  }
  const Result<Body> body = decode_body(encode_body(raw, {1u << 20}, 3));
  ASSERT_TRUE(body.has_value());
  EXPECT_TRUE(body->raw == raw);
}

}  // namespace
}  // namespace holdfast::sealing
