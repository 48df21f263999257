#include <gtest/gtest.h>

#include <functional>

#include "tests/common/crypto/vector_file.h"
#include "tests/common/journal/samples.h"

namespace holdfast::journal {
namespace {

/// Decodes and encodes again: equal bytes mean that every field came through and that the encoding is canonical.
struct Codec {
  const char* name;
  Bytes sample;
  std::function<Result<Bytes>(ByteSpan)> again;
};

template <class Payload>
std::function<Result<Bytes>(ByteSpan)> again(Result<Payload> (*decode)(ByteSpan)) {
  return [decode](ByteSpan bytes) -> Result<Bytes> {
    HF_TRY(const Payload payload, decode(bytes));
    return encode(payload);
  };
}

std::vector<Codec> codecs() {
  return {
      {"tenant", encode(sample_tenant()), again(decode_tenant)},
      {"client", encode(sample_client()), again(decode_client)},
      {"session", encode(sample_session()), again(decode_session)},
      {"packs", encode(sample_packs()), again(decode_packs)},
      {"commit", encode(sample_commit()), again(decode_commit)},
      {"expire-session", encode(sample_expire_session()), again(decode_expire_session)},
      {"damage", encode(sample_damage()), again(decode_damage)},
      {"source", encode(sample_source()), again(decode_source)},
      {"lock", encode(sample_lock()), again(decode_lock)},
      {"undelete", encode(sample_undelete()), again(decode_undelete)},
      {"deleted", encode(sample_deleted()), again(decode_deleted)},
      {"erased", encode(sample_erased()), again(decode_erased)},
      {"condemn", encode(sample_condemn()), again(decode_condemn)},
      {"removed", encode(sample_removed()), again(decode_removed)},
      {"clock", encode(sample_clock()), again(decode_clock)},
      {"fork", encode(sample_fork()), again(decode_fork)},
  };
}

TEST(JournalPayloads, AreTheSameBytesAsTheVectors) {
  const auto cases = holdfast::testing::read_vectors("journal/payloads.txt");
  ASSERT_EQ(cases.size(), 1u);
  for (const Codec& codec : codecs()) {
    EXPECT_EQ(to_hex(codec.sample), to_hex(cases[0][codec.name])) << codec.name;
    const auto bytes = codec.again(cases[0][codec.name]);
    ASSERT_TRUE(bytes) << codec.name << ": " << bytes.error().message;
    EXPECT_EQ(*bytes, codec.sample) << codec.name;
  }
}

TEST(JournalPayloads, KeepEveryField) {
  const auto client = decode_client(encode(sample_client()));
  ASSERT_TRUE(client);
  EXPECT_EQ(client->id, sample_client().id);
  EXPECT_EQ(client->name, "web-1");
  EXPECT_EQ(client->state, ClientPayload::State::Enrolled);
  EXPECT_EQ(client->token_digest, sample_client().token_digest);
  EXPECT_EQ(client->token_expires_ns, sample_client().token_expires_ns);
  EXPECT_EQ(client->request_digest, sample_client().request_digest);
  EXPECT_EQ(client->certificate_pem, sample_client().certificate_pem);
  EXPECT_EQ(client->client_certificate, sample_client().client_certificate);

  const auto packs = decode_packs(encode(sample_packs()));
  ASSERT_TRUE(packs);
  ASSERT_EQ(packs->packs.size(), 2u);
  EXPECT_EQ(packs->packs[1].id, sample_packs().packs[1].id);
  EXPECT_EQ(packs->packs[1].store_epoch, 4u);
  EXPECT_EQ(packs->packs[1].bytes, 70'000u);
  EXPECT_EQ(packs->packs[1].footer_digest, sample_packs().packs[1].footer_digest);

  const auto commit = decode_commit(encode(sample_commit()));
  ASSERT_TRUE(commit);
  EXPECT_EQ(commit->sequence, 42u);
  EXPECT_EQ(commit->lock_not_before_ns, sample_commit().lock_not_before_ns);
  EXPECT_EQ(commit->plan, "2y");
  EXPECT_EQ(commit->core, sample_commit().core);
}

TEST(JournalPayloads, RefuseToBeCutAtAnyLength) {
  for (const Codec& codec : codecs()) {
    for (std::size_t n = 0; n < codec.sample.size(); ++n) {
      const auto bytes = codec.again(ByteSpan(codec.sample).first(n));
      ASSERT_FALSE(bytes) << codec.name << " cut to " << n;
      EXPECT_EQ(bytes.error().code, Errc::Corrupt) << codec.name << " cut to " << n;
    }
  }
}

TEST(JournalPayloads, RefuseBytesTooMany) {
  for (Codec& codec : codecs()) {
    codec.sample.push_back(0);
    const auto bytes = codec.again(codec.sample);
    ASSERT_FALSE(bytes) << codec.name;
    EXPECT_EQ(bytes.error().code, Errc::Corrupt) << codec.name;
  }
}

TEST(JournalPayloads, RefuseOtherVersions) {
  for (Codec& codec : codecs()) {
    codec.sample[0] = 2;
    EXPECT_EQ(codec.again(codec.sample).error().code, Errc::TooNew) << codec.name;
    codec.sample[0] = 0;
    EXPECT_EQ(codec.again(codec.sample).error().code, Errc::Corrupt) << codec.name;
  }
}

// Whatever the bytes are: an error, or a payload whose only encoding they are.
TEST(JournalPayloads, HaveOneEncodingOnlyAlsoAfterAnyFlippedByte) {
  for (const Codec& codec : codecs()) {
    for (std::size_t i = 0; i < codec.sample.size(); ++i) {
      for (const std::uint8_t flip : {0x01, 0x80, 0xFF}) {
        Bytes changed = codec.sample;
        changed[i] ^= flip;
        const auto bytes = codec.again(changed);
        if (bytes) {
          EXPECT_EQ(*bytes, changed) << codec.name << " byte " << i;
        }
      }
    }
  }
}

TEST(JournalPayloads, RefuseTextsLongerThanTheirLimit) {
  // A tenant's name: version, id, then the length.
  Bytes tenant = encode(TenantPayload{counted<TenantId>(1), std::string(kMaxNameBytes, 'n'), "30d", 0});
  ASSERT_TRUE(decode_tenant(tenant));
  tenant[17] = 0;
  tenant[18] = 1;  // 256
  tenant.insert(tenant.begin() + 21, 'n');
  EXPECT_EQ(decode_tenant(tenant).error().code, Errc::Corrupt);
}

TEST(JournalPayloads, RefuseACountOfPacksThatIsNotThere) {
  Bytes packs = encode(sample_packs());
  packs[17] = packs[18] = packs[19] = packs[20] = 0xFF;
  EXPECT_EQ(decode_packs(packs).error().code, Errc::Corrupt);
}

TEST(JournalPayloads, RefuseUnknownStatesOfAClient) {
  Bytes client = encode(sample_client());
  const std::size_t state = 1 + 16 + 4 + 5;
  ASSERT_EQ(client[state], 2);
  for (const std::uint8_t value : {0, 4, 255}) {
    client[state] = value;
    EXPECT_EQ(decode_client(client).error().code, Errc::Corrupt) << int{value};
  }
}

TEST(JournalPayloads, TakeAsManyPacksAsALimitAllows) {
  PacksPayload most;
  most.packs.resize(kMaxPacksPerRecord);
  const Bytes bytes = encode(most);
  EXPECT_LE(bytes.size(), kMaxPayloadBytes);
  const auto decoded = decode_packs(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->packs.size(), kMaxPacksPerRecord);
}

TEST(JournalPayloads, TakeAsMuchOfACondemnationAsItsLimitsAllow) {
  CondemnPayload most;
  most.packs.resize(kMaxPacksPerRecord);
  most.slots.resize(kMaxPacksPerRecord);
  most.releases.resize(kMaxReleasesPerRecord);
  most.releases[7].packs.resize(kMaxReleasedPacks);
  const Bytes bytes = encode(most);
  EXPECT_LE(bytes.size(), kMaxPayloadBytes);
  const auto decoded = decode_condemn(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->releases[7].packs.size(), kMaxReleasedPacks);
}

TEST(JournalPayloads, CutTheTextOfADamageToItsLimit) {
  const auto damage = decode_damage(encode(DamagePayload{counted<PackId>(1), std::string(5000, 'x')}));
  ASSERT_TRUE(damage);
  EXPECT_EQ(damage->what, std::string(kMaxDamageTextBytes, 'x'));
}

}  // namespace
}  // namespace holdfast::journal
