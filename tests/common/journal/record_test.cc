#include <gtest/gtest.h>

#include "common/crypto/hash.h"
#include "tests/common/crypto/vector_file.h"
#include "tests/common/journal/samples.h"

namespace holdfast::journal {
namespace {

constexpr std::size_t kChained = kHeadBytes - 32;

// Writes the right digest over a head that was changed on purpose.
void reseal(Bytes& record) {
  const Digest digest = crypto::digest(ByteSpan(record).first(kChained));
  std::copy(digest.bytes.begin(), digest.bytes.end(), record.begin() + kChained);
}

void expect_same(const Record& a, const Record& b) {
  EXPECT_EQ(a.number, b.number);
  EXPECT_EQ(a.epoch, b.epoch);
  EXPECT_EQ(a.generation, b.generation);
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.vault_ns, b.vault_ns);
  EXPECT_EQ(a.wall_ns, b.wall_ns);
  EXPECT_EQ(a.previous, b.previous);
  EXPECT_EQ(a.salt, b.salt);
  EXPECT_EQ(a.payload_digest, b.payload_digest);
  EXPECT_EQ(a.digest, b.digest);
  EXPECT_EQ(a.payload, b.payload);
}

Bytes sample_bytes(std::size_t i) {
  std::vector<Record> chain = sample_chain();
  return encode(chain[i]);
}

TEST(JournalRecord, GivesBackWhatWasEncodedAndItsLength) {
  std::vector<Record> chain = sample_chain();
  Bytes all;
  for (Record& record : chain) {
    const Bytes bytes = encode(record);
    EXPECT_EQ(bytes.size(), kHeadBytes + record.payload.size());
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  ByteSpan rest = all;
  for (const Record& record : chain) {
    const auto decoded = decode(rest);
    ASSERT_TRUE(decoded) << decoded.error().message;
    expect_same(decoded->record, record);
    rest = rest.subspan(decoded->bytes);
  }
  EXPECT_TRUE(rest.empty());
}

TEST(JournalRecord, CarriesAnEmptyPayload) {
  Record record = sample_chain()[0];
  record.payload.clear();
  const Bytes bytes = encode(record);
  EXPECT_EQ(bytes.size(), kHeadBytes);
  const auto decoded = decode(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(decoded->record.payload.empty());
}

TEST(JournalRecord, HeadAloneTellsThePayloadsLength) {
  const Bytes bytes = sample_bytes(1);
  const auto head = decode_head(ByteSpan(bytes).first(kHeadBytes));
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->payload_bytes, bytes.size() - kHeadBytes);
  EXPECT_EQ(head->record.number, 2u);
  EXPECT_TRUE(head->record.payload.empty());
}

TEST(JournalRecord, IsTheSameBytesAsTheVectors) {
  const auto cases = holdfast::testing::read_vectors("journal/records.txt");
  std::vector<Record> chain = sample_chain();
  ASSERT_EQ(cases.size(), chain.size());
  for (std::size_t i = 0; i < chain.size(); ++i) {
    EXPECT_EQ(to_hex(encode(chain[i])), to_hex(cases[i]["record"]));
    const auto decoded = decode(cases[i]["record"]);
    ASSERT_TRUE(decoded) << decoded.error().message;
    expect_same(decoded->record, chain[i]);
    EXPECT_TRUE(check_link(i == 0 ? nullptr : &chain[i - 1], decoded->record));
  }
}

TEST(JournalRecord, RefusesTheBadVectorsAsTheySay) {
  for (const auto& bad : holdfast::testing::read_vectors("journal/bad.txt")) {
    const auto decoded = decode(bad["record"]);
    ASSERT_FALSE(decoded) << bad.text("why");
    EXPECT_EQ(static_cast<std::uint64_t>(decoded.error().code), bad.number("errc"))
        << bad.text("why") << ": " << decoded.error().message;
  }
}

TEST(JournalRecord, RefusesToBeCutAtAnyLength) {
  const Bytes bytes = sample_bytes(2);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const auto decoded = decode(ByteSpan(bytes).first(n));
    ASSERT_FALSE(decoded) << n;
    EXPECT_EQ(decoded.error().code, Errc::Corrupt) << n;
  }
}

TEST(JournalRecord, NoticesEveryFlippedBit) {
  const Bytes good = sample_bytes(0);
  for (std::size_t i = 0; i < good.size() * 8; ++i) {
    Bytes bad = good;
    bad[i / 8] ^= static_cast<std::uint8_t>(1u << (i % 8));
    const auto decoded = decode(bad);
    ASSERT_FALSE(decoded) << "bit " << i;
    const bool version = i / 8 == 4 || i / 8 == 5;
    EXPECT_EQ(decoded.error().code, version ? Errc::TooNew : Errc::Corrupt) << "bit " << i;
  }
}

TEST(JournalRecord, RefusesHeadsThatAreSealedButWrong) {
  struct Case {
    std::size_t at;
    std::uint32_t value;
    std::size_t width;
    Errc code;
  };
  const Case cases[] = {
      {6, 0, 2, Errc::Corrupt},                   // kind 0
      {6, 13, 2, Errc::TooNew},                   // reserved kind
      {6, 0xFFFF, 2, Errc::TooNew},               //
      {8, kMaxPayloadBytes + 1, 4, Errc::Limit},  // payload length
      {8, 0xFFFFFFFF, 4, Errc::Limit},            //
      {8, kMaxPayloadBytes, 4, Errc::Corrupt},    // allowed, but not there
      {12, 1, 4, Errc::Corrupt},                  // reserved bytes
      {15, 0x80, 1, Errc::Corrupt},               //
  };
  for (const Case& c : cases) {
    Bytes bytes = sample_bytes(0);
    for (std::size_t i = 0; i < c.width; ++i) bytes[c.at + i] = static_cast<std::uint8_t>(c.value >> (8 * i));
    reseal(bytes);
    const auto decoded = decode(bytes);
    ASSERT_FALSE(decoded) << c.at << " = " << c.value;
    EXPECT_EQ(decoded.error().code, c.code) << c.at << " = " << c.value << ": " << decoded.error().message;
  }
  Record unnumbered = sample_chain()[0];
  unnumbered.number = 0;
  EXPECT_EQ(decode(encode(unnumbered)).error().code, Errc::Corrupt);
}

TEST(JournalRecord, NoticesAnotherPayloadOfTheSameLength) {
  Bytes bytes = sample_bytes(0);
  bytes.back() ^= 1;
  const auto decoded = decode(bytes);
  ASSERT_FALSE(decoded);
  EXPECT_NE(decoded.error().message.find("record 1"), std::string::npos) << decoded.error().message;
}

TEST(JournalRecord, HidesEqualPayloadsBehindTheirSalt) {
  Record a = sample_chain()[0], b = a;
  b.salt[0] ^= 1;
  (void)encode(a);
  (void)encode(b);
  EXPECT_NE(a.payload_digest, b.payload_digest);
}

TEST(JournalChain, AcceptsTheChainAndNothingElse) {
  const std::vector<Record> chain = sample_chain();
  EXPECT_TRUE(check_link(nullptr, chain[0]));
  EXPECT_TRUE(check_link(&chain[0], chain[1]));
  EXPECT_TRUE(check_link(&chain[1], chain[2]));

  EXPECT_FALSE(check_link(nullptr, chain[1])) << "removed first record";
  EXPECT_FALSE(check_link(&chain[0], chain[2])) << "removed record";
  EXPECT_FALSE(check_link(&chain[1], chain[1])) << "repeated record";
  EXPECT_FALSE(check_link(&chain[1], chain[0])) << "reordered records";
}

TEST(JournalChain, RefusesAForkInsertedUnderTheSameNumber) {
  const std::vector<Record> chain = sample_chain();
  Record fork = chain[1];
  fork.wall_ns += 1;
  (void)encode(fork);
  EXPECT_TRUE(check_link(&chain[0], fork));
  const Status next = check_link(&fork, chain[2]);
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().code, Errc::Corrupt);
  EXPECT_NE(next.error().message.find("record 3"), std::string::npos) << next.error().message;
}

TEST(JournalChain, RefusesAFirstRecordThatNamesAPreviousOne) {
  Record first = sample_chain()[0];
  first.previous = counted<Digest>(1);
  EXPECT_FALSE(check_link(nullptr, first));
}

TEST(JournalChain, RefusesEpochsAndGenerationsThatGoBack) {
  const std::vector<Record> chain = sample_chain();
  Record older = chain[2];
  older.epoch = chain[1].epoch - 1;
  EXPECT_FALSE(check_link(&chain[1], older));
  older = chain[2];
  older.generation = 0;
  EXPECT_FALSE(check_link(&chain[1], older));
}

}  // namespace
}  // namespace holdfast::journal
