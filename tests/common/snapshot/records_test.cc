#include "common/snapshot/records.h"

#include <gtest/gtest.h>

#include <functional>

#include "common/snapshot/stored_core.h"
#include "tests/common/crypto/vector_file.h"
#include "tests/common/snapshot/sample_records.h"
#include "tests/support/seeded_random.h"

namespace holdfast::snapshot {
namespace {

using holdfast::testing::read_vectors;
using holdfast::testing::VectorCase;
using namespace testing;

/// Decodes `bytes` as the named kind; what comes out is encoded again.
Result<Bytes> decode_and_encode(const std::string& kind, ByteSpan bytes) {
  if (kind == "certificate") {
    HF_TRY(const ClientCertificate c, decode_client_certificate(bytes));
    return encode_signed(c, root_key());
  }
  if (kind == "run") {
    HF_TRY(const RunRecord r, decode_run_record(bytes, client_key().public_key()));
    return encode_signed(r, client_key());
  }
  if (kind == "core") {
    HF_TRY(const VerifiedCore c, decode_core(bytes));
    return encode_signed(c.core, client_key());
  }
  if (kind == "receipt") {
    HF_TRY(const Receipt r, decode_receipt(bytes, server_key().public_key()));
    return encode_signed(r, server_key());
  }
  if (kind == "part") {
    HF_TRY(const SealedPart p, decode_sealed_part(bytes));
    return encode(p);
  }
  HF_ASSERT(kind == "slot");
  HF_TRY(const KeySlot s, decode_key_slot(bytes));
  return encode(s);
}

std::vector<std::pair<std::string, Bytes>> one_of_each() {
  std::vector<std::pair<std::string, Bytes>> out;
  for (const VectorCase& c : read_vectors("snapshot/good.txt")) out.emplace_back(c.text("kind"), c["record"]);
  return out;
}

TEST(Records, EncodeToTheGoodVectors) {
  const std::vector<VectorCase> vectors = read_vectors("snapshot/good.txt");
  ASSERT_EQ(vectors.size(), 8u);
  EXPECT_EQ(encode_signed(sample_certificate(), root_key()), vectors[0]["record"]);
  EXPECT_EQ(encode_signed(sample_run(), client_key()), vectors[1]["record"]);
  EXPECT_EQ(encode_signed(sample_core(), client_key()), vectors[3]["record"]);
  EXPECT_EQ(encode_signed(sample_receipt(), server_key()), vectors[5]["record"]);
  EXPECT_EQ(encode(sample_part()), vectors[6]["record"]);
}

TEST(Records, AreCanonical) {
  for (const auto& [kind, bytes] : one_of_each()) {
    const Result<Bytes> again = decode_and_encode(kind, bytes);
    ASSERT_TRUE(again.has_value()) << again.error().message;
    EXPECT_EQ(*again, bytes) << kind;
  }
}

TEST(Records, RefuseTheBadVectors) {
  for (const VectorCase& c : read_vectors("snapshot/bad.txt")) {
    const Result<Bytes> decoded = decode_and_encode(c.text("kind"), c["record"]);
    ASSERT_FALSE(decoded.has_value()) << c.text("kind") << " " << to_hex(c["record"]);
    EXPECT_EQ(static_cast<std::uint64_t>(decoded.error().code), c.number("errc")) << decoded.error().message;
  }
}

TEST(Records, AreRefusedWhenCutAnywhereOrLengthened) {
  for (const auto& [kind, bytes] : one_of_each()) {
    for (std::size_t n = 0; n < bytes.size(); ++n)
      EXPECT_FALSE(decode_and_encode(kind, ByteSpan(bytes).first(n))) << kind << " cut to " << n;
    Bytes longer = bytes;
    longer.push_back(0);
    EXPECT_FALSE(decode_and_encode(kind, longer)) << kind;
  }
}

TEST(Records, AreRefusedWithAnyBitFlipped) {
  for (const auto& [kind, bytes] : one_of_each()) {
    if (kind == "part") continue;  // authenticated by the seal around it
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      Bytes flipped = bytes;
      flipped[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
      EXPECT_FALSE(decode_and_encode(kind, flipped)) << kind << ", byte " << i;
    }
  }
}

TEST(Records, SurviveFlipsOfTheSealedPartWithoutHarm) {
  const Bytes bytes = encode(sample_part());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes flipped = bytes;
      flipped[i] ^= static_cast<std::uint8_t>(1 << bit);
      const Result<SealedPart> part = decode_sealed_part(flipped);
      if (part) {
        EXPECT_EQ(encode(*part), flipped) << "byte " << i;
      }
    }
  }
}

TEST(Records, OfOneKindAreNotTakenForAnother) {
  const auto all = one_of_each();
  for (const auto& [kind, bytes] : all) {
    for (const auto& [other, ignored] : all) {
      if (kind == other) continue;
      EXPECT_FALSE(decode_and_encode(other, bytes)) << kind << " as " << other;
    }
  }
}

TEST(Records, RandomBytesDoNotDecode) {
  support::SeededRandom random(20260101);
  for (int i = 0; i < 2000; ++i) {
    const Bytes noise = random.bytes(random.below(600));
    for (const char* kind : {"certificate", "run", "core", "receipt", "part", "slot"})
      EXPECT_FALSE(decode_and_encode(kind, noise));
  }
}

TEST(RunRecord, IsReadWithoutKeyByWhoeverHasNoCertificateYet) {
  Bytes bytes = encode_signed(sample_run(), client_key());
  bytes.back() ^= 1;
  EXPECT_FALSE(decode_run_record(bytes, client_key().public_key()));
  const Result<RunRecord> record = decode_run_record_unverified(bytes);
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->run, sample_run().run);
  EXPECT_EQ(record->recipients, sample_run().recipients);
}

TEST(RunRecord, IsRefusedBeyondItsBound) {
  const Bytes bytes(kMaxRunRecordBytes + 1);
  EXPECT_EQ(decode_run_record_unverified(bytes).error().code, Errc::Limit);
}

TEST(Core, IdIsTheDigestOfItsBytes) {
  for (const VectorCase& c : read_vectors("snapshot/good.txt")) {
    if (c.text("kind") != "core") continue;
    const Result<VerifiedCore> core = decode_core(c["record"]);
    ASSERT_TRUE(core.has_value()) << core.error().message;
    EXPECT_EQ(core->id, c.id<SnapshotId>("id"));
    EXPECT_EQ(snapshot_id(c["record"]), core->id);
  }
}

TEST(Core, IsRefusedWithAForgedCertificate) {
  const crypto::SigningKey forger(key_of(0x66));
  ClientCertificate certificate = sample_certificate();
  certificate.signing_key = forger.public_key();
  certificate.root = forger.public_key();
  Core core = sample_core();
  core.certificate = encode_signed(certificate, forger);
  // It verifies in itself: that the root is another one is for the caller to see.
  const Result<VerifiedCore> forged = decode_core(encode_signed(core, forger));
  ASSERT_TRUE(forged.has_value());
  EXPECT_NE(forged->certificate.root, root_key().public_key());
  // With the true root's name on it, it does not.
  core.certificate = encode_signed(sample_certificate(), root_key());
  EXPECT_EQ(decode_core(encode_signed(core, forger)).error().code, Errc::Corrupt);
}

TEST(Core, FromTheServersOwnJournalIsReadWithoutItsSignatures) {
  const Core core = sample_core();
  const Bytes bytes = encode_signed(core, crypto::SigningKey(key_of(0x66)));
  EXPECT_FALSE(decode_core(bytes).has_value());
  const Result<Core> stored = decode_stored_core(bytes);
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(encode_signed(*stored, client_key()), encode_signed(core, client_key()));
  EXPECT_EQ(decode_stored_core(ByteSpan(bytes).first(bytes.size() - 1)).error().code, Errc::Corrupt);
}

TEST(Core, HoldsTheMostOfEverything) {
  Core core = sample_core();
  core.sources.clear();
  for (std::size_t i = 0; i < kMaxSources; ++i) {
    SourceNote note;
    note.id.bytes[0] = static_cast<std::uint8_t>(i >> 8);
    note.id.bytes[1] = static_cast<std::uint8_t>(i);
    core.sources.push_back(note);
  }
  core.sealed.assign(kMaxSealedPartBytes, 0xee);
  const Bytes bytes = encode_signed(core, client_key());
  EXPECT_LE(bytes.size(), kMaxCoreBytes);
  EXPECT_TRUE(decode_core(bytes).has_value());
}

TEST(SealedPart, AtItsLargestFitsIntoACore) {
  SealedPart part = sample_part();
  part.host.assign(255, 'h');
  part.sources.clear();
  part.domain_keys.clear();
  for (std::size_t i = 0; i < 1024; ++i) {
    SealedPart::Source source{{}, std::string(128, 'n'), std::string(32, 'k')};
    source.id.bytes[0] = static_cast<std::uint8_t>(i >> 8);
    source.id.bytes[1] = static_cast<std::uint8_t>(i);
    part.sources.push_back(source);
    part.domain_keys.push_back({filled<DomainId>(1), static_cast<std::uint32_t>(i), Bytes(32, 9)});
  }
  const Bytes bytes = encode(part);
  EXPECT_LE(bytes.size() + 4096, kMaxSealedPartBytes);
  EXPECT_TRUE(decode_sealed_part(bytes).has_value());
}

TEST(SealedPart, IsEncodedInOneOrderWhateverTheCallersWas) {
  SealedPart part = sample_part();
  std::swap(part.sources[0], part.sources[1]);
  EXPECT_EQ(encode(part), encode(sample_part()));
}

}  // namespace
}  // namespace holdfast::snapshot
