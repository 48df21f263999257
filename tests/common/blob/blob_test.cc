#include "common/blob/blob.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/common/crypto/vector_file.h"
#include "tests/support/seeded_random.h"

namespace holdfast::blob {
namespace {

using holdfast::testing::read_vectors;
using holdfast::testing::VectorCase;

Bytes join(std::initializer_list<ByteSpan> parts) {
  Bytes out;
  for (const ByteSpan part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

struct Sample {
  Header header;
  std::vector<BlobRef> children;
  Bytes record;
};

Sample make_sample(Random& random, Type type, std::uint8_t cipher, std::size_t child_count, std::size_t body_bytes) {
  Sample sample;
  for (std::size_t i = 0; i < child_count; ++i) sample.children.push_back({random.id<BlobId>(), random.id<RunId>()});
  std::sort(sample.children.begin(), sample.children.end());
  sample.header = {kProfile1,
                   cipher,
                   type,
                   random.id<DomainId>(),
                   42,
                   random.id<RunId>(),
                   random.id<BlobId>(),
                   static_cast<std::uint32_t>(child_count),
                   static_cast<std::uint32_t>(body_bytes)};
  Bytes rest((cipher == 1 ? 12u : 24u) + body_bytes + 16);
  random.fill(rest);
  sample.record = join({encode_header(sample.header), encode_children(sample.children), rest});
  return sample;
}

TEST(BlobRecord, DecodesTheGoodVectors) {
  for (const VectorCase& c : read_vectors("blob/good.txt")) {
    const Result<RecordView> view = decode_record(c["record"]);
    ASSERT_TRUE(view.has_value()) << view.error().message;
    EXPECT_EQ(encode_header(view->header), to_bytes(view->header_bytes));
    EXPECT_EQ(encode_children(decode_children(view->child_bytes)), to_bytes(view->child_bytes));
    EXPECT_EQ(record_digest(c["record"]), c.id<Digest>("digest"));
    TenantId tenant;
    tenant.bytes.fill(0xaa);
    EXPECT_EQ(associated_bytes(tenant, *view), c["associated"]);
  }
}

TEST(BlobRecord, RefusesTheBadVectors) {
  for (const VectorCase& c : read_vectors("blob/bad.txt")) {
    const Result<RecordView> view = decode_record(c["record"]);
    ASSERT_FALSE(view.has_value()) << to_hex(c["record"]);
    EXPECT_EQ(static_cast<std::uint64_t>(view.error().code), c.number("errc")) << view.error().message;
  }
}

TEST(BlobRecord, GivesBackWhatWasEncoded) {
  support::SeededRandom random(1);
  for (const Type type : {Type::Data, Type::Leaf, Type::Index, Type::Extents}) {
    for (const std::uint8_t cipher : {1, 2}) {
      const Sample sample = make_sample(random, type, cipher, type == Type::Data ? 0 : 5, 100);
      const Result<RecordView> view = decode_record(sample.record);
      ASSERT_TRUE(view.has_value()) << view.error().message;
      EXPECT_EQ(view->header.type, type);
      EXPECT_EQ(view->header.cipher, cipher);
      EXPECT_EQ(view->header.domain, sample.header.domain);
      EXPECT_EQ(view->header.epoch, 42u);
      EXPECT_EQ(view->header.ref(), sample.header.ref());
      EXPECT_EQ(decode_children(view->child_bytes), sample.children);
      EXPECT_EQ(view->nonce.size(), cipher == 1 ? 12u : 24u);
      EXPECT_EQ(view->sealed.size(), 116u);
      EXPECT_EQ(join({view->header_bytes, view->child_bytes, view->nonce, view->sealed}), sample.record);
    }
  }
}

TEST(BlobRecord, RefusesEveryTruncationAndAnyByteMore) {
  support::SeededRandom random(2);
  Sample sample = make_sample(random, Type::Leaf, 2, 3, 40);
  for (std::size_t n = 0; n < sample.record.size(); ++n)
    ASSERT_FALSE(decode_record(ByteSpan(sample.record).first(n)).has_value()) << n;
  sample.record.push_back(0);
  EXPECT_FALSE(decode_record(sample.record).has_value());
}

TEST(BlobRecord, SurvivesEveryFlippedByteAndTheDigestNoticesEach) {
  support::SeededRandom random(3);
  Sample sample = make_sample(random, Type::Index, 1, 4, 40);
  const Digest good = record_digest(sample.record);
  for (std::size_t i = 0; i < sample.record.size(); ++i) {
    for (const std::uint8_t flip : {0x01, 0x80, 0xff}) {
      sample.record[i] ^= flip;
      const Result<RecordView> view = decode_record(sample.record);
      if (view) {
        const std::size_t clear = view->header_bytes.size() + view->child_bytes.size() + view->nonce.size();
        ASSERT_EQ(clear + view->sealed.size(), sample.record.size());
      }
      ASSERT_NE(record_digest(sample.record), good);
      sample.record[i] ^= flip;
    }
  }
}

TEST(BlobRecord, AssociatedBytesDependOnTenantHeaderAndChildren) {
  support::SeededRandom random(4);
  Sample sample = make_sample(random, Type::Leaf, 1, 2, 40);
  const TenantId tenant = random.id<TenantId>();
  const auto associated = [&](const TenantId& t) { return associated_bytes(t, *decode_record(sample.record)); };
  const Bytes base = associated(tenant);
  EXPECT_NE(base, associated(random.id<TenantId>()));
  for (const std::size_t at : {std::size_t{8}, kHeaderBytes + 2 * kChildBytes - 1}) {  // domain, last child's run
    sample.record[at] ^= 1;
    EXPECT_NE(base, associated(tenant)) << at;
    sample.record[at] ^= 1;
  }
}

TEST(BlobRecord, HoldsTheMostChildrenAndTheLargestBody) {
  support::SeededRandom random(5);
  const Sample sample = make_sample(random, Type::Index, 2, kMaxChildren, kMaxBodyBytes);
  EXPECT_EQ(sample.record.size(), kMaxRecordBytes);
  const Result<RecordView> view = decode_record(sample.record);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(decode_children(view->child_bytes).size(), kMaxChildren);
  const Result<RecordView> longer = decode_record(join({sample.record, Bytes(1)}));
  ASSERT_FALSE(longer.has_value());
  EXPECT_EQ(longer.error().code, Errc::Limit);
}

TEST(BlobRecord, KnowsExactlyFourTypes) {
  int known = 0;
  for (int n = 0; n < 256; ++n) known += is_known(static_cast<Type>(n));
  EXPECT_EQ(known, 4);
}

TEST(BlobRecordDeathTest, StopsOnUnsortedOrRepeatedChildren) {
  support::SeededRandom random(6);
  std::vector<BlobRef> children{{random.id<BlobId>(), {}}, {random.id<BlobId>(), {}}};
  std::sort(children.begin(), children.end(), std::greater<>());
  EXPECT_DEATH((void)encode_children(children), "children");
  children[1] = children[0];
  EXPECT_DEATH((void)encode_children(children), "children");
}

}  // namespace
}  // namespace holdfast::blob
