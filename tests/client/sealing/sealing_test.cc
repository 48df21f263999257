#include "client/sealing/sealing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "client/sealing/blob_key.h"
#include "common/crypto/hash.h"
#include "tests/common/crypto/fixed_random.h"
#include "tests/common/crypto/vector_file.h"
#include "tests/support/seeded_random.h"

namespace holdfast::sealing {
namespace {

using blob::BlobRef;
using blob::Type;
using holdfast::testing::FixedRandom;
using holdfast::testing::read_vectors;
using holdfast::testing::VectorCase;
using support::SeededRandom;

template <class Id>
Id filled(std::uint8_t byte) {
  Id id;
  id.bytes.fill(byte);
  return id;
}

std::vector<std::uint32_t> numbers(ByteSpan bytes) {
  std::vector<std::uint32_t> out;
  for (ByteReader in(bytes); in.left() > 0;) out.push_back(in.u32());
  return out;
}

crypto::Key counting_key() {
  Bytes bytes(32);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
  return crypto::Key{ByteSpan(bytes)};
}

class Sealing : public ::testing::Test {
 protected:
  const Space space{filled<TenantId>(0xaa), filled<DomainId>(0xd0), 7};
  const BlobRef ref{filled<BlobId>(0xb0), filled<RunId>(0x11)};
  const crypto::Key run_key = counting_key();
  SeededRandom random{1};

  Sealer sealer(crypto::Cipher cipher = crypto::preferred_cipher()) {
    return {space, ref.run, run_key, random, 3, cipher};
  }
  Bytes sealed(ByteSpan raw, Type type = Type::Data, const std::vector<BlobRef>& children = {}) {
    return *sealer().seal(type, ref.blob, children, raw, {static_cast<std::uint32_t>(raw.size())});
  }
  Result<OpenedBlob> opened(ByteSpan record, Type type = Type::Data) { return open(space, ref, type, run_key, record); }
  void expect_refused(const Result<OpenedBlob>& result, Errc errc) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, errc) << result.error().message;
  }
};

TEST_F(Sealing, WritesTheRecordsOfTheVectorsAndOpensThem) {
  for (const VectorCase& c : read_vectors("sealing/records.txt")) {
    FixedRandom nonce(c["nonce"]);
    const Type type = static_cast<Type>(c.number("type"));
    const std::vector<BlobRef> children = blob::decode_children(c["children"]);
    const Sealer one(space, ref.run, run_key, nonce, 3, static_cast<crypto::Cipher>(c.number("cipher")));
    const Result<Bytes> record = one.seal(type, ref.blob, children, c["raw"], numbers(c["chunks"]));
    ASSERT_TRUE(record.has_value());
    EXPECT_EQ(record->size(), c.number("record_bytes"));
    const Digest digest = c.id<Digest>("record_digest");
    EXPECT_EQ(blob::record_digest(*record), digest);

    const Result<OpenedBlob> blob = open(space, ref, type, run_key, *record, &digest);
    ASSERT_TRUE(blob.has_value()) << blob.error().message;
    EXPECT_EQ(blob->raw, c["raw"]);
    EXPECT_EQ(blob->chunk_bytes, numbers(c["chunks"]));
    EXPECT_EQ(blob->children, children);
  }
}

TEST_F(Sealing, GivesBackContentOfEverySizeAndKind) {
  for (const std::size_t bytes : {0u, 1u, 100u, 16383u, 16384u, 16385u, 65536u, 200000u, 1u << 20, 4u << 20}) {
    Bytes noise = random.bytes(bytes);
    Bytes text(bytes, 'a');
    for (std::size_t i = 0; i < text.size(); i += 37) text[i] = static_cast<std::uint8_t>(i);
    for (const Bytes& raw : {noise, text}) {
      const Result<OpenedBlob> blob = opened(sealed(raw));
      ASSERT_TRUE(blob.has_value()) << blob.error().message;
      ASSERT_TRUE(blob->raw == raw) << bytes;
    }
  }
}

TEST_F(Sealing, CompressesTextAndStoresNoiseAsItIs) {
  EXPECT_LT(sealed(Bytes(1u << 20, 'a')).size(), 20000u);
  const std::size_t noise = sealed(random.bytes(1u << 20)).size();
  EXPECT_GT(noise, 1u << 20);
  EXPECT_LE(noise, padded_length((1u << 20) + 64) + 200);
}

TEST_F(Sealing, NeverCompressesLessThanSixteenKibibytes) {
  const Bytes raw(kMinCompressed - 1, 'a');
  const Bytes record = sealed(raw);
  const auto view = blob::decode_record(record);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->header.body_bytes, padded_length(raw.size() + 16));  // head of 1 + 4 + 4 + 3 + 4 bytes
}

TEST_F(Sealing, HidesLengthsUpToTheFloorAndStaysWithinPadmesBound) {
  EXPECT_EQ(padded_length(0), kPaddingFloor);
  EXPECT_EQ(padded_length(kPaddingFloor), kPaddingFloor);
  // The paper's rule by hand: 2^20 + 1 has exponent 20 and ⌊log2 20⌋ + 1 = 5 bits shown, so 15 bits are rounded up.
  EXPECT_EQ(padded_length((1u << 20) + 1), (1u << 20) + (1u << 15));
  EXPECT_EQ(padded_length(1u << 20), 1u << 20);
  for (std::size_t n = kPaddingFloor + 1; n < 6u << 20; n += 997) {
    const std::size_t padded = padded_length(n);
    ASSERT_GE(padded, n);
    ASSERT_LE(padded - n, n * 12 / 100);
    ASSERT_EQ(padded_length(padded), padded);
  }
}

TEST_F(Sealing, KeepsTheLargestBlobWithinARecord) {
  const std::vector<std::uint32_t> chunks(blob::kMaxChunks, 64);
  const Bytes raw = random.bytes(blob::kMaxRawBytes);
  ASSERT_EQ(chunks.size() * 64, raw.size());
  const Result<Bytes> record = sealer().seal(Type::Data, ref.blob, {}, raw, chunks);
  ASSERT_TRUE(record.has_value());
  const Result<OpenedBlob> blob = opened(*record);
  ASSERT_TRUE(blob.has_value()) << blob.error().message;
  EXPECT_EQ(blob->chunk_bytes, chunks);
}

TEST_F(Sealing, RefusesToSealWhatNoReaderWouldTake) {
  const auto errc = [](const Result<Bytes>& r) { return r ? Errc{} : r.error().code; };
  const Bytes raw(blob::kMaxRawBytes + 1);
  EXPECT_EQ(errc(sealer().seal(Type::Data, ref.blob, {}, raw, {static_cast<std::uint32_t>(raw.size())})), Errc::Limit);
  const std::vector<std::uint32_t> ones(blob::kMaxChunks + 1, 1);
  EXPECT_EQ(errc(sealer().seal(Type::Data, ref.blob, {}, Bytes(ones.size()), ones)), Errc::Limit);
  std::vector<BlobRef> children(blob::kMaxChildren + 1);
  for (BlobRef& child : children) child.blob = random.id<BlobId>();
  std::sort(children.begin(), children.end());
  EXPECT_EQ(errc(sealer().seal(Type::Leaf, ref.blob, children, Bytes(1), {1})), Errc::Limit);
}

TEST_F(Sealing, RefusesEveryTruncation) {
  const Bytes record = sealed(Bytes(10, 'x'));
  for (std::size_t n = 0; n < record.size(); n += n < 200 ? 1 : 61)
    ASSERT_FALSE(opened(ByteSpan(record).first(n)).has_value()) << n;
}

TEST_F(Sealing, RefusesEveryFlippedByteOfTheClearPartAndManyOfTheBody) {
  Bytes record = sealed(Bytes(10, 'x'), Type::Leaf, {{filled<BlobId>(1), filled<RunId>(2)}});
  for (std::size_t i = 0; i < record.size(); i += i < 300 ? 1 : 61) {
    for (const std::uint8_t flip : {0x01, 0x80}) {
      record[i] ^= flip;
      ASSERT_FALSE(opened(record, Type::Leaf).has_value()) << i;
      record[i] ^= flip;
    }
  }
  EXPECT_TRUE(opened(record, Type::Leaf).has_value());
}

TEST_F(Sealing, ChecksTheRecordDigestBeforeAnythingElse) {
  Bytes record = sealed(Bytes(10, 'x'));
  const Digest digest = blob::record_digest(record);
  record[0] ^= 1;
  const Result<OpenedBlob> result = open(space, ref, Type::Data, run_key, record, &digest);
  expect_refused(result, Errc::Corrupt);
  EXPECT_NE(result.error().message.find("digest"), std::string::npos);
}

TEST_F(Sealing, RefusesARecordThatStandsForAnother) {
  const Bytes record = sealed(Bytes(10, 'x'));
  const auto open_as = [&](const Space& s, const BlobRef& r, Type t) { return open(s, r, t, run_key, record); };
  expect_refused(open_as(space, {filled<BlobId>(1), ref.run}, Type::Data), Errc::Corrupt);
  expect_refused(open_as(space, {ref.blob, filled<RunId>(1)}, Type::Data), Errc::Corrupt);
  expect_refused(open_as(space, ref, Type::Leaf), Errc::Corrupt);
  expect_refused(open_as({space.tenant, filled<DomainId>(1), 7}, ref, Type::Data), Errc::Corrupt);
  expect_refused(open_as({space.tenant, space.domain, 8}, ref, Type::Data), Errc::Corrupt);
  expect_refused(open_as({filled<TenantId>(1), space.domain, 7}, ref, Type::Data), Errc::WrongKey);
}

TEST_F(Sealing, RefusesAnotherRunsKey) {
  const Bytes record = sealed(Bytes(10, 'x'));
  expect_refused(open(space, ref, Type::Data, crypto::Key(), record), Errc::WrongKey);
}

TEST_F(Sealing, ServesManyThreadsWithOneSealer) {
  const Sealer one = sealer();
  const Bytes raw(100000, 'b');
  std::vector<std::thread> threads;
  std::array<int, 4> good{};
  for (int& count : good)
    threads.emplace_back([&, this] {
      for (int i = 0; i < 20; ++i) {
        const Result<Bytes> record = one.seal(Type::Data, ref.blob, {}, raw, {100000});
        count += record && opened(*record)->raw == raw;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, (std::array<int, 4>{20, 20, 20, 20}));
}

TEST_F(Sealing, SealsUnderTheKeyAndNonceThatBlobKeyMakes) {
  for (const crypto::Cipher cipher : {crypto::Cipher::Aes256Gcm, crypto::Cipher::XChaCha20Poly1305}) {
    const Bytes record = *sealer(cipher).seal(Type::Data, ref.blob, {}, Bytes(10, 'x'), {10});
    const auto view = blob::decode_record(record);
    ASSERT_TRUE(view.has_value());
    EXPECT_TRUE(crypto::open(cipher, blob_key(run_key, cipher, ref.blob), view->nonce,
                             blob::associated_bytes(space.tenant, *view), view->sealed));
  }
}

/// A (key, nonce) pair, as bytes that sort.
using Pair = std::array<std::uint8_t, 32 + 24>;

TEST(SealingPairs, AreDistinctOverAMillionSeals) {
  // Each blob is sealed 500 times in the same run, the worst that resumed uploads and lost answers could bring: then only
  // the nonce keeps its seals apart. SealsUnderTheKeyAndNonceThatBlobKeyMakes ties these two functions to the Sealer.
  constexpr std::size_t kPairs = 1000000, kSealsPerBlob = 500;
  const crypto::Key run_key = crypto::Key::random(system_random());
  std::vector<Pair> pairs;
  pairs.reserve(kPairs);
  for (std::size_t i = 0; i < kPairs; i += kSealsPerBlob) {
    const crypto::Cipher cipher = i % 2000 < 1000 ? crypto::Cipher::Aes256Gcm : crypto::Cipher::XChaCha20Poly1305;
    const crypto::Key key = blob_key(run_key, cipher, system_random().id<BlobId>());
    for (std::size_t j = 0; j < kSealsPerBlob; ++j) {
      Pair& pair = pairs.emplace_back();
      std::copy(key.span().begin(), key.span().end(), pair.begin());
      const Bytes nonce = draw_nonce(system_random(), cipher);
      std::copy(nonce.begin(), nonce.end(), pair.begin() + 32);
    }
  }
  std::sort(pairs.begin(), pairs.end());
  EXPECT_EQ(std::adjacent_find(pairs.begin(), pairs.end()), pairs.end());
}

TEST(BlobKey, DiffersByRunCipherAndBlob) {
  const crypto::Key run = counting_key();
  const BlobId id = filled<BlobId>(1);
  const crypto::Key key = blob_key(run, crypto::Cipher::Aes256Gcm, id);
  EXPECT_FALSE(key.equals(blob_key(crypto::Key(), crypto::Cipher::Aes256Gcm, id)));
  EXPECT_FALSE(key.equals(blob_key(run, crypto::Cipher::XChaCha20Poly1305, id)));
  EXPECT_FALSE(key.equals(blob_key(run, crypto::Cipher::Aes256Gcm, filled<BlobId>(2))));
  EXPECT_TRUE(key.equals(blob_key(run, crypto::Cipher::Aes256Gcm, id)));
}

TEST(SealedPart, AnswersItsVector) {
  for (const VectorCase& c : read_vectors("sealing/part.txt")) {
    FixedRandom nonce(c["nonce"]);
    EXPECT_EQ(to_hex(seal_part(counting_key(), c["associated"], c["plaintext"], nonce)), to_hex(c["sealed"]));
    const Result<Bytes> part = open_part(counting_key(), c["associated"], c["sealed"]);
    ASSERT_TRUE(part.has_value());
    EXPECT_EQ(*part, c["plaintext"]);
  }
}

TEST(SealedPart, HidesItsLengthInStepsAndComesBackWhole) {
  SeededRandom random;
  for (const std::size_t n : {0u, 1u, 251u, 252u, 253u, 1000u, 250000u}) {
    const Bytes plaintext = random.bytes(n);
    const Bytes sealed = seal_part(counting_key(), {}, plaintext, random);
    EXPECT_EQ((sealed.size() - 40) % 256, 0u);
    const Result<Bytes> part = open_part(counting_key(), {}, sealed);
    ASSERT_TRUE(part.has_value());
    EXPECT_EQ(*part, plaintext);
  }
}

TEST(SealedPart, RefusesChangedBytesTruncationsAndAnotherPlace) {
  SeededRandom random;
  Bytes sealed = seal_part(counting_key(), as_bytes("here"), as_bytes("names"), random);
  EXPECT_FALSE(open_part(counting_key(), as_bytes("there"), sealed).has_value());
  EXPECT_FALSE(open_part(crypto::Key(), as_bytes("here"), sealed).has_value());
  for (std::size_t n = 0; n < sealed.size(); ++n)
    ASSERT_FALSE(open_part(counting_key(), as_bytes("here"), ByteSpan(sealed).first(n)).has_value());
  for (std::uint8_t& byte : sealed) {
    byte ^= 1;
    ASSERT_FALSE(open_part(counting_key(), as_bytes("here"), sealed).has_value());
    byte ^= 1;
  }
}

}  // namespace
}  // namespace holdfast::sealing
