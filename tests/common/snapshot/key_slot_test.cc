#include <gtest/gtest.h>

#include "common/snapshot/records.h"
#include "tests/common/crypto/vector_file.h"
#include "tests/common/snapshot/sample_records.h"
#include "tests/support/seeded_random.h"

namespace holdfast::snapshot {
namespace {

using namespace testing;

struct Fixture {
  crypto::WrapKeyPair read{key_of(0x81)};
  crypto::WrapKeyPair recovery{key_of(0x82)};
  crypto::Key read_secret = key_of(0x91);
  crypto::Key recovery_secret = key_of(0x92);
  RunRecord record = sample_run();
  Bytes signed_record = encode_signed(record, client_key());
  support::SeededRandom random{3};

  Result<KeySlot> wrap() {
    return wrap_run_key(run_key(), record, signed_record,
                        {{read.public_key(), &read_secret}, {recovery.public_key(), &recovery_secret}}, random);
  }
};

TEST(KeySlot, OpensForEachRecipient) {
  Fixture f;
  const Result<KeySlot> wrapped = f.wrap();
  ASSERT_TRUE(wrapped.has_value()) << wrapped.error().message;
  const Result<KeySlot> slot = decode_key_slot(encode(*wrapped));
  ASSERT_TRUE(slot.has_value()) << slot.error().message;
  const Result<crypto::Key> by_read = unwrap_run_key(*slot, f.record, f.signed_record, f.read, f.read_secret);
  const Result<crypto::Key> by_recovery =
      unwrap_run_key(*slot, f.record, f.signed_record, f.recovery, f.recovery_secret);
  ASSERT_TRUE(by_read.has_value() && by_recovery.has_value());
  EXPECT_TRUE(by_read->equals(run_key()));
  EXPECT_TRUE(by_recovery->equals(run_key()));
}

TEST(KeySlot, OpensTheVector) {
  for (const auto& c : holdfast::testing::read_vectors("snapshot/slot.txt")) {
    const Result<KeySlot> slot = decode_key_slot(c["slot"]);
    const Result<RunRecord> record = decode_run_record_unverified(c["run_record"]);
    ASSERT_TRUE(slot.has_value() && record.has_value());
    const crypto::WrapKeyPair recipient{crypto::Key(c["recipient_private"])};
    const Result<crypto::Key> opened =
        unwrap_run_key(*slot, *record, c["run_record"], recipient, crypto::Key(c["wrap_secret"]));
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    EXPECT_EQ(to_bytes(opened->span()), c["run_key"]);
  }
}

TEST(KeySlot, StaysShutForAnyoneElse) {
  Fixture f;
  const KeySlot slot = *f.wrap();
  const crypto::WrapKeyPair stranger(key_of(0x83));
  EXPECT_EQ(unwrap_run_key(slot, f.record, f.signed_record, stranger, f.read_secret).error().code, Errc::WrongKey);
  EXPECT_EQ(unwrap_run_key(slot, f.record, f.signed_record, f.read, f.recovery_secret).error().code, Errc::WrongKey);
}

TEST(KeySlot, IsBoundToTheSignedRunRecord) {
  Fixture f;
  const KeySlot slot = *f.wrap();
  RunRecord other = f.record;
  other.time_ns += 1;
  EXPECT_EQ(unwrap_run_key(slot, other, encode_signed(other, client_key()), f.read, f.read_secret).error().code,
            Errc::WrongKey);
}

TEST(KeySlot, OfAnotherRunIsRefused) {
  Fixture f;
  KeySlot slot = *f.wrap();
  slot.run = filled<RunId>(0x12);
  EXPECT_EQ(unwrap_run_key(slot, f.record, f.signed_record, f.read, f.read_secret).error().code, Errc::Corrupt);
}

TEST(KeySlot, IsRefusedWhenItHoldsAnotherKeyThanTheRecordCommitsTo) {
  Fixture f;
  RunRecord lying = f.record;
  const crypto::Key other_key = key_of(0x53);
  lying.commitment = commit_to(other_key, lying.run);
  // Wrapped under the honest record's digest by someone with the wrap secrets, shown with the lying record.
  const Bytes honest_bytes = f.signed_record;
  const KeySlot slot = *f.wrap();
  EXPECT_EQ(unwrap_run_key(slot, lying, honest_bytes, f.read, f.read_secret).error().code, Errc::Corrupt);
}

TEST(KeySlot, NeedsARecipientAndEachOnlyOnce) {
  Fixture f;
  EXPECT_EQ(wrap_run_key(run_key(), f.record, f.signed_record, {}, f.random).error().code, Errc::Usage);
  const std::vector<WrapTarget> twice(2, WrapTarget{f.read.public_key(), &f.read_secret});
  EXPECT_EQ(wrap_run_key(run_key(), f.record, f.signed_record, twice, f.random).error().code, Errc::Usage);
  const std::vector<WrapTarget> many(kMaxRecipients + 1, WrapTarget{f.read.public_key(), &f.read_secret});
  EXPECT_EQ(wrap_run_key(run_key(), f.record, f.signed_record, many, f.random).error().code, Errc::Limit);
}

TEST(KeySlot, DamageNeverOpensToAnotherKey) {
  Fixture f;
  const Bytes bytes = encode(*f.wrap());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Bytes flipped = bytes;
    flipped[i] ^= 0x10;
    EXPECT_FALSE(decode_key_slot(flipped)) << "byte " << i;
  }
}

TEST(Commitment, DependsOnKeyAndRun) {
  EXPECT_NE(commit_to(run_key(), filled<RunId>(1)), commit_to(run_key(), filled<RunId>(2)));
  EXPECT_NE(commit_to(run_key(), filled<RunId>(1)), commit_to(key_of(0x53), filled<RunId>(1)));
}

}  // namespace
}  // namespace holdfast::snapshot
