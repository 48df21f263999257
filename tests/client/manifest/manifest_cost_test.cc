// What a manifest costs when little changes: bytes of sealed records, and how often somebody must be asked.

#include <gtest/gtest.h>

#include <set>

#include "client/manifest/cut_window.h"
#include "tests/client/manifest/sample_tree.h"

namespace holdfast::manifest {
namespace {

using namespace testing;

/// As a tree of small files has them: a hundred in a directory, sixty groups of content for a thousand of them.
std::vector<Entry> small_files(std::size_t count) {
  support::SeededRandom random(5);
  std::vector<Entry> out;
  std::uint32_t offset = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string directory = "/srv/shop/" + std::to_string(10'000 + i / 100);
    if (i % 100 == 0) {
      Entry e = file_entry(directory);
      e.kind = EntryKind::Directory;
      e.content_digest = {};
      out.push_back(std::move(e));
    }
    Entry e =
        file_entry(directory + "/page" + std::to_string(100 + i % 100) + ".html", 200 + random.below(3000), i / 600);
    e.content_digest = random.id<Digest>();
    e.mtime_ns += static_cast<std::int64_t>(random.below(1u << 30));
    e.extents[0].offset = i % 600 == 0 ? offset = 0 : offset;
    offset += static_cast<std::uint32_t>(e.size);
    out.push_back(std::move(e));
  }
  return out;
}

/// Each segment as it is before anybody stores it.
struct Written {
  std::map<BlobId, std::pair<blob::Type, std::uint64_t>> bytes;  ///< sealed, with what the pack's footer says of it
  std::size_t asked = 0;                                         ///< calls of the sink
};

std::uint64_t stored_bytes(const Segment& segment) {
  const std::size_t body = 15 + segment.plaintext.size();  // raw: none here is long enough to be compressed
  const std::uint64_t record = 84 + 12 + 16 + sealing::padded_length(body, sealing::kSegmentPaddingFloor);
  return record + 117 + 2 * blob::kChildBytes * segment.children.size();  // the list stands in the footer once more
}

Written write(const std::vector<Entry>& entries) {
  Written out;
  ManifestWriter writer(blob_key(), [&](const std::vector<Segment>& segments) -> Result<std::vector<blob::BlobRef>> {
    ++out.asked;
    std::vector<blob::BlobRef> refs;
    for (const Segment& one : segments) {
      EXPECT_LT(one.plaintext.size(), sealing::kMinCompressed);
      out.bytes[one.id] = {one.type, stored_bytes(one)};
      refs.push_back({one.id, filled<RunId>(0x11)});
    }
    return refs;
  });
  for (const Entry& e : entries) EXPECT_TRUE(writer.add(e));
  EXPECT_TRUE(writer.finish());
  return out;
}

std::size_t of_type(const Written& written, blob::Type type) {
  return static_cast<std::size_t>(std::count_if(written.bytes.begin(), written.bytes.end(),
                                                [&](const auto& one) { return one.second.first == type; }));
}

struct Change {
  std::size_t segments = 0;
  std::uint64_t bytes = 0;
};
Change change(const Written& before, const Written& after) {
  Change out;
  for (const auto& [id, one] : after.bytes) {
    if (before.bytes.contains(id)) continue;
    ++out.segments;
    out.bytes += one.second;
  }
  return out;
}

TEST(ManifestCost, OfOneChangedFileAmongAHundredThousandIsTwentyFourKibibytes) {
  std::vector<Entry> entries = small_files(100'000);
  const Written before = write(entries);
  std::uint64_t all = 0;
  for (const auto& [id, one] : before.bytes) all += one.second;
  EXPECT_LE(all / entries.size(), 90u);
  for (const std::size_t at : {std::size_t{77}, std::size_t{61'803}}) {
    const Entry was = entries[at];
    entries[at].content_digest = filled<Digest>(0xee);
    entries[at].mtime_ns += 5'000'000'000;
    const Change changed = change(before, write(entries));
    EXPECT_EQ(changed.segments, 3u) << "a leaf, an index above it, the root";
    EXPECT_LE(changed.bytes, 24u << 10);
    entries[at] = was;
  }
}

TEST(ManifestCost, OfAFileMoreOrLessIsSeldomMoreThanOneLeaf) {
  const std::vector<Entry> entries = small_files(8'000);
  const Written before = write(entries);
  EXPECT_GT(of_type(before, blob::Type::Leaf), 70u);
  support::SeededRandom random(11);
  std::size_t total = 0, worst = 0;
  constexpr std::size_t kTries = 40;
  for (std::size_t i = 0; i < kTries; ++i) {
    std::vector<Entry> other = entries;
    const std::size_t at = 1 + random.below(entries.size() - 1);
    if (i % 2 == 0) {
      other.insert(other.begin() + static_cast<std::ptrdiff_t>(at), file_entry(other[at - 1].path + "-copy", 100, 3));
    } else {
      other.erase(other.begin() + static_cast<std::ptrdiff_t>(at));
    }
    const std::size_t segments = change(before, write(other)).segments;
    total += segments;
    worst = std::max(worst, segments);
  }
  EXPECT_LE(total, kTries * 7 / 2) << "leaf, index, root: 3 are the least";
  EXPECT_LE(worst, 12u);
}

TEST(ManifestCost, LeavesBelowOneIndexAreStoredTogether) {
  const Written written = write(small_files(8'000));
  EXPECT_EQ(of_type(written, blob::Type::Leaf) + of_type(written, blob::Type::Index), written.bytes.size());
  EXPECT_LE(written.asked, of_type(written, blob::Type::Index) + of_type(written, blob::Type::Leaf) / 24 + 1);
}

TEST(ManifestCost, ALeafWithItsClearListFitsEightKibibytes) {
  std::vector<Entry> entries = small_files(3'000);
  support::SeededRandom random(6);
  for (std::size_t i = 3; i < entries.size(); i += 29) {
    if (has_content(entries[i].kind)) give_extents(entries[i], 1 + random.below(20), random);
  }
  SegmentStore store;
  ASSERT_TRUE(write_tree(store, entries));
  std::size_t full = 0, leaves = 0;
  for (const auto& [ref, segment] : store.segments) {
    if (segment.type != blob::Type::Leaf) continue;
    const std::size_t bytes = segment.plaintext.size() + segment.children.size() * blob::kChildBytes;
    EXPECT_LE(bytes, 8192u - 15);
    full += bytes > 4u << 10;
    ++leaves;
  }
  EXPECT_GT(full, leaves * 9 / 10);
}

TEST(CutWindow, EndsBehindTheLeastHashOfTheLastPart) {
  const std::vector<std::uint64_t> hashes = {1, 9, 7, 8, 5, 6, 9, 4, 8, 9, 5, 7, 6};
  const auto odds = [&](std::size_t i) { return hashes.at(i); };
  std::vector<std::size_t> sizes;
  for (std::size_t i = 0; i < hashes.size(); ++i) sizes.push_back(100 * (i + 1));
  EXPECT_EQ(best_end(sizes, 200, odds), 8u);   // the 4
  EXPECT_EQ(best_end(sizes, 100, odds), 1u);   // the 1 is in the last part as well
  EXPECT_EQ(best_end(sizes, 1200, odds), 8u);  // eight places at least
  EXPECT_EQ(best_end({5000}, 200, odds), 1u);
  EXPECT_EQ(best_end({10, 20}, 200, odds), 1u);
}

}  // namespace
}  // namespace holdfast::manifest
