// The formats: golden vectors, and hostile bytes.

#include "client/manifest/segment.h"

#include <gtest/gtest.h>

#include "client/manifest/extent_tree.h"
#include "tests/client/manifest/sample_tree.h"
#include "tests/common/crypto/vector_file.h"

namespace holdfast::manifest {
namespace {

using namespace testing;
using holdfast::testing::read_vectors;
using holdfast::testing::VectorCase;

struct Parsed {
  blob::Type type;
  std::vector<blob::BlobRef> children;
  Bytes plaintext;
};

Parsed parse(const VectorCase& c) {
  return {static_cast<blob::Type>(c.number("type")), blob::decode_children(c["children"]), c["plaintext"]};
}

/// Everything a reader looks at in one segment, then the same segment from what was read.
Result<Bytes> decode_and_encode(const Parsed& p) {
  const RefTable refs(p.children);
  if (p.type == blob::Type::Index) {
    HF_TRY(const IndexSegment segment, decode_index(p.plaintext, p.children));
    return encode_index(segment, refs);
  }
  if (p.type == blob::Type::Extents) {
    HF_TRY(const ExtentSegment segment, decode_extents(p.plaintext, p.children));
    return encode_extents(segment, refs);
  }
  HF_TRY(LeafReader leaf, LeafReader::open(p.plaintext, p.children));
  std::vector<LeafItem> items;
  for (;;) {
    HF_TRY(std::optional<DecodedEntry> entry, leaf.next());
    if (!entry) return encode_leaf(items, refs);
    items.push_back({std::move(entry->entry), entry->spill});
  }
}

TEST(Segments, AreReadAndWrittenAsInTheGoodVectors) {
  for (const VectorCase& c : read_vectors("manifest/good.txt")) {
    const Parsed p = parse(c);
    const Result<Bytes> again = decode_and_encode(p);
    ASSERT_TRUE(again.has_value()) << again.error().message;
    EXPECT_EQ(*again, p.plaintext);
    EXPECT_EQ(segment_id(blob_key(), p.type, p.children, p.plaintext), c.id<BlobId>("id"));
  }
}

TEST(Segments, TheLeafVectorHoldsWhatItSays) {
  const Parsed p = parse(read_vectors("manifest/good.txt")[0]);
  Result<LeafReader> leaf = LeafReader::open(p.plaintext, p.children);
  ASSERT_TRUE(leaf.has_value());
  std::vector<DecodedEntry> entries;
  for (;;) {
    Result<std::optional<DecodedEntry>> next = leaf->next();
    ASSERT_TRUE(next.has_value()) << next.error().message;
    if (!*next) break;
    EXPECT_TRUE((*next)->spill.has_value() || check_entry((*next)->entry).has_value());
    entries.push_back(**next);
  }
  ASSERT_EQ(entries.size(), 12u);
  const Entry& file = entries[4].entry;
  EXPECT_EQ(file.path, "/etc/app.conf");
  EXPECT_EQ(file.mode, 04755u);
  EXPECT_EQ(file.owner, "www-data");
  ASSERT_EQ(file.xattrs.size(), 2u);
  EXPECT_EQ(file.xattrs[0].value, std::string("\1\0", 2));
  ASSERT_EQ(file.extents.size(), 1u);
  EXPECT_EQ(file.extents[0].offset, 100u);
  const Entry& sparse = entries[9].entry;
  EXPECT_TRUE(sparse.changed_while_read);
  EXPECT_EQ(sparse.size, std::uint64_t{1} << 40);
  EXPECT_TRUE(sparse.extents[0].is_hole());
  ASSERT_TRUE(entries[11].spill);
  EXPECT_EQ(entries[11].spill->count, 1000u);
  EXPECT_EQ(entries[11].entry.mtime_ns, -1);
}

TEST(Segments, OfTheBadVectorsAreRefused) {
  for (const VectorCase& c : read_vectors("manifest/bad.txt")) {
    const Parsed p = parse(c);
    Errc code{};
    std::string message = "accepted";
    if (p.type == blob::Type::Extents) {
      const Result<ExtentSegment> segment = decode_extents(p.plaintext, p.children);
      if (!segment) code = segment.error().code, message = segment.error().message;
    } else {
      SegmentStore store;
      const Result<std::vector<Entry>> entries = read_tree(store, store.put(p.type, p.children, p.plaintext));
      if (!entries) code = entries.error().code, message = entries.error().message;
    }
    EXPECT_EQ(static_cast<std::uint64_t>(code), c.number("errc")) << message << "\n" << to_hex(p.plaintext);
  }
}

TEST(Segments, CutAnywhereAreRefused) {
  for (const VectorCase& c : read_vectors("manifest/good.txt")) {
    Parsed p = parse(c);
    const Bytes whole = p.plaintext;
    for (std::size_t n = 0; n < whole.size(); ++n) {
      p.plaintext.assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
      EXPECT_FALSE(decode_and_encode(p)) << "cut to " << n;
    }
  }
}

TEST(Segments, WithAFlippedBitAreRefusedOrStillCanonical) {
  for (const VectorCase& c : read_vectors("manifest/good.txt")) {
    Parsed p = parse(c);
    for (std::size_t i = 0; i < p.plaintext.size() * 8; ++i) {
      p.plaintext[i / 8] ^= static_cast<std::uint8_t>(1u << (i % 8));
      const Result<Bytes> again = decode_and_encode(p);
      if (again) {
        EXPECT_EQ(*again, p.plaintext) << "bit " << i;
      }
      p.plaintext[i / 8] ^= static_cast<std::uint8_t>(1u << (i % 8));
    }
  }
}

TEST(Segments, IdsDependOnKeyTypeChildrenAndText) {
  const std::vector<blob::BlobRef> one = {data_ref(1)}, other = {data_ref(1, 0x12)};
  const Bytes text = {1, 2, 3};
  const BlobId id = segment_id(blob_key(), blob::Type::Leaf, one, text);
  EXPECT_NE(id, segment_id(key_of(0x43), blob::Type::Leaf, one, text));
  EXPECT_NE(id, segment_id(blob_key(), blob::Type::Index, one, text));
  EXPECT_NE(id, segment_id(blob_key(), blob::Type::Leaf, other, text));
  EXPECT_NE(id, segment_id(blob_key(), blob::Type::Leaf, one, Bytes{1, 2, 4}));
}

TEST(BodyBytes, NeverUnderestimatesAnEncoding) {
  support::SeededRandom random(77);
  for (int i = 0; i < 500; ++i) {
    const Entry e = random_entry(random);
    std::vector<blob::BlobRef> children;
    for (const Extent& x : e.extents) {
      if (!x.is_hole()) children.push_back(x.blob);
    }
    std::sort(children.begin(), children.end());
    children.erase(std::unique(children.begin(), children.end()), children.end());
    ByteWriter out;
    encode_entry(out, e, nullptr, std::nullopt, RefTable(children));
    EXPECT_LE(out.size(), body_bytes(e, false) + e.path.size() + e.source.size() + 24) << e.path;
  }
}

}  // namespace
}  // namespace holdfast::manifest
