#include "server/index/layout.h"

#include <gtest/gtest.h>

#include "tests/server/index/footers.h"

namespace holdfast::index {
namespace {

template <class Id>
Id counted(std::uint8_t first) {
  Id id;
  for (std::uint8_t& byte : id.bytes) byte = first++;
  return id;
}

struct Encoded {
  std::string key, value;
};

Encoded encode(const pack::Entry& entry, const PackId& pack, std::uint64_t store_epoch) {
  Encoded out;
  put_blob_key(out.key, entry, pack);
  put_blob_value(out.value, entry, store_epoch);
  return out;
}

pack::Entry leaf() {
  support::SeededRandom random(1);
  pack::Entry entry = random_entry(random, random.id<DomainId>());
  entry.type = blob::Type::Leaf;
  entry.offset = 0x01020304;
  entry.children = {{counted<BlobId>(1), counted<RunId>(1)}, {counted<BlobId>(2), counted<RunId>(1)}};
  return entry;
}

TEST(IndexLayout, GivesBackEveryField) {
  const Encoded row = encode(leaf(), counted<PackId>(9), 1u << 20);
  EXPECT_EQ(row.key.size(), kBlobKeyBytes);
  const auto location = decode_blob(row.key, row.value);
  ASSERT_TRUE(location) << location.error().message;
  EXPECT_EQ(location->entry, leaf());
  EXPECT_EQ(location->pack, counted<PackId>(9));
  EXPECT_EQ(location->store_epoch, 1u << 20);
  EXPECT_EQ(*pack_of_blob_key(row.key), counted<PackId>(9));
}

TEST(IndexLayout, IsAsTheDocumentShowsIt) {
  pack::Entry entry;
  entry.domain = counted<DomainId>(0x40);
  entry.epoch = 0x01020304;
  entry.blob = counted<BlobId>(0x60);
  entry.run = counted<RunId>(0);
  entry.offset = 40;
  entry.length = 4096;
  entry.record_digest = counted<Digest>(0x20);
  const Encoded row = encode(entry, counted<PackId>(0xA0), 300);
  EXPECT_EQ(to_hex(as_bytes(row.key)),
            "62404142434445464748494a4b4c4d4e4f01020304"
            "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
            "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf00000028");
  EXPECT_EQ(to_hex(as_bytes(row.value)),
            "ac02000102030405060708090a0b0c0d0e0f018020"
            "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f00");
}

TEST(IndexLayout, SortsCopiesByEpochAndOffsetAsNumbers) {
  pack::Entry low = leaf(), high = leaf();
  low.epoch = 0xFF;
  high.epoch = 0x100;
  EXPECT_LT(encode(low, PackId{}, 1).key, encode(high, PackId{}, 1).key);
  high.epoch = low.epoch;
  low.offset = 0xFF;
  high.offset = 0x100;
  EXPECT_LT(encode(low, PackId{}, 1).key, encode(high, PackId{}, 1).key);
}

TEST(IndexLayout, RefusesKeysAndValuesOfOtherLengths) {
  const Encoded row = encode(leaf(), counted<PackId>(9), 5);
  for (std::size_t n = 0; n < row.value.size(); ++n) {
    EXPECT_EQ(decode_blob(row.key, row.value.substr(0, n)).error().code, Errc::Corrupt) << n;
  }
  EXPECT_EQ(decode_blob(row.key, row.value + '\0').error().code, Errc::Corrupt);
  for (std::size_t n = 0; n < row.key.size(); ++n) {
    EXPECT_EQ(decode_blob(row.key.substr(0, n), row.value).error().code, Errc::Corrupt) << n;
    EXPECT_EQ(pack_of_blob_key(row.key.substr(0, n)).error().code, Errc::Corrupt) << n;
  }
  EXPECT_EQ(decode_number("1234567").error().code, Errc::Corrupt);
  EXPECT_EQ(decode_number("123456789").error().code, Errc::Corrupt);
  EXPECT_EQ(decode_pack_key("p123").error().code, Errc::Corrupt);
}

TEST(IndexLayout, RefusesValuesOutOfBounds) {
  pack::Entry entry = leaf();
  entry.type = static_cast<blob::Type>(9);
  Encoded row = encode(entry, PackId{}, 1);
  EXPECT_EQ(decode_blob(row.key, row.value).error().code, Errc::Corrupt);
  entry = leaf();
  entry.length = ~std::uint32_t{0};
  row = encode(entry, PackId{}, 1);
  EXPECT_EQ(decode_blob(row.key, row.value).error().code, Errc::Corrupt);
}

}  // namespace
}  // namespace holdfast::index
