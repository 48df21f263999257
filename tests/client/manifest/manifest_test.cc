// The tree: what goes in comes out, little changes when little changes, and nothing that lies is believed.

#include "client/manifest/manifest.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/client/manifest/sample_tree.h"

namespace holdfast::manifest {
namespace {

using namespace testing;

std::size_t count_new(const SegmentStore& before, const SegmentStore& after) {
  return static_cast<std::size_t>(std::count_if(after.segments.begin(), after.segments.end(),
                                                [&](const auto& s) { return !before.segments.contains(s.first); }));
}

std::size_t count_of(const SegmentStore& store, blob::Type type) {
  return static_cast<std::size_t>(std::count_if(store.segments.begin(), store.segments.end(),
                                                [&](const auto& s) { return s.second.type == type; }));
}

TEST(Manifest, GivesBackRandomTrees) {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    support::SeededRandom random(seed);
    const std::vector<Entry> entries = random_entries(random, random.below(seed < 20 ? 60 : 1500));
    SegmentStore store;
    const auto finished = write_tree(store, entries);
    ASSERT_TRUE(finished.has_value()) << finished.error().message;
    EXPECT_EQ(finished->entries, entries.size());
    EXPECT_EQ(finished->segments, store.order.size());
    const auto read = read_tree(store, finished->root);
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_TRUE(*read == entries);
  }
}

TEST(Manifest, OfNothingHasARoot) {
  SegmentStore store;
  const auto finished = write_tree(store, {});
  ASSERT_TRUE(finished.has_value());
  EXPECT_EQ(store.segments.at(finished->root).type, blob::Type::Leaf);
  const auto read = read_tree(store, finished->root);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_TRUE(read->empty());
}

TEST(Manifest, StoresChildrenBeforeParentsAndNamesThemInClear) {
  SegmentStore store;
  std::vector<Entry> entries = tall_entries(2000);
  support::SeededRandom random(4);
  give_extents(entries[700], 30000, random);
  const auto finished = write_tree(store, entries);
  ASSERT_TRUE(finished.has_value());
  std::set<blob::BlobRef> stored;
  std::size_t named = 0;
  for (const blob::BlobRef& ref : store.order) {
    const Segment& segment = store.segments.at(ref);
    for (const blob::BlobRef& child : segment.children) {
      if (!store.segments.contains(child)) continue;
      EXPECT_TRUE(stored.contains(child));
      ++named;
    }
    stored.insert(ref);
  }
  EXPECT_EQ(finished->root, store.order.back());
  EXPECT_EQ(named + 1, store.segments.size());  // every segment but the root has its parent
  EXPECT_GE(count_of(store, blob::Type::Index), 4u);
  EXPECT_GE(count_of(store, blob::Type::Extents), 10u);
}

TEST(Manifest, KeepsSegmentsWithinTheirBounds) {
  SegmentStore store;
  std::vector<Entry> entries;
  for (std::size_t i = 0; i < 30000; ++i)
    entries.push_back(file_entry("/srv/" + std::to_string(1'000'000 + i), 100, i / 50));
  const auto finished = write_tree(store, entries);
  ASSERT_TRUE(finished.has_value());
  const std::size_t leaves = count_of(store, blob::Type::Leaf);
  const std::uint64_t mean = finished->plaintext_bytes / finished->segments;
  EXPECT_GT(leaves, 10u);
  EXPECT_GT(mean, kSegmentTargetBytes / 3);
  EXPECT_LT(mean, kSegmentTargetBytes * 2);
  for (const auto& [ref, segment] : store.segments) EXPECT_LE(segment.plaintext.size(), kSegmentMaxBytes);
}

TEST(Manifest, ClosesALeafBeforeItsChildrenOverflow) {
  SegmentStore store;
  std::vector<Entry> entries;
  for (std::size_t i = 0; i < 400; ++i) {
    Entry e = file_entry("/" + std::to_string(1000 + i));
    for (std::size_t j = 0; j < 200; ++j) e.extents.push_back({data_ref(i * 200 + j), 0, 1});
    e.size = 200;
    entries.push_back(e);
  }
  const auto finished = write_tree(store, entries);
  ASSERT_TRUE(finished.has_value()) << finished.error().message;
  for (const auto& [ref, segment] : store.segments) EXPECT_LE(segment.children.size(), blob::kMaxChildren);
  const auto read = read_tree(store, finished->root);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_TRUE(*read == entries);
}

TEST(Manifest, HoldsTheLargestEntry) {
  Entry e = file_entry("/" + std::string(kMaxPathBytes - 1, 'p'));
  e.xattrs = {{"user.big", std::string(kMaxXattrBytes - 8, 'x')}};
  for (std::size_t i = 0; i < kSpillExtents; ++i) e.extents.push_back({data_ref(i), 0, 1});
  e.size = kSpillExtents;
  SegmentStore store;
  const std::vector<Entry> entries = {file_entry("/a"), e, file_entry("/q")};
  const auto finished = write_tree(store, entries);
  ASSERT_TRUE(finished.has_value()) << finished.error().message;
  const auto read = read_tree(store, finished->root);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_TRUE(*read == entries);
}

TEST(Manifest, EqualTreesHaveEqualRoots) {
  support::SeededRandom random(9);
  const std::vector<Entry> entries = random_entries(random, 800);
  SegmentStore one, other;
  EXPECT_EQ(write_tree(one, entries)->root, write_tree(other, entries)->root);
  std::vector<Entry> touched = entries;
  touched[400].mtime_ns += 1;
  EXPECT_NE(write_tree(one, entries)->root, write_tree(other, touched)->root);
}

TEST(Manifest, IsCutElsewhereUnderAnotherKey) {
  const std::vector<Entry> entries = tall_entries(300);
  const auto sizes_under = [&](std::uint8_t key) {
    std::vector<std::size_t> sizes;
    ManifestWriter writer(key_of(key), one_by_one([&](Segment segment) -> Result<blob::BlobRef> {
                            sizes.push_back(segment.plaintext.size());
                            return blob::BlobRef{segment.id, filled<RunId>(1)};
                          }));
    for (const Entry& e : entries) EXPECT_TRUE(writer.add(e));
    EXPECT_TRUE(writer.finish());
    return sizes;
  };
  EXPECT_NE(sizes_under(0x42), sizes_under(0x43));
}

TEST(Manifest, AnInsertionChangesOneLeafAndThePathAboveIt) {
  const std::vector<Entry> entries = tall_entries(2000);  // so large that a leaf holds two at most
  SegmentStore before;
  ASSERT_TRUE(write_tree(before, entries));
  std::size_t worst = 0, total = 0, tries = 0;
  for (std::size_t at = 37; at < entries.size(); at += 251, ++tries) {
    std::vector<Entry> more = entries;
    more.insert(more.begin() + static_cast<std::ptrdiff_t>(at), file_entry(entries[at - 1].path + "x"));
    SegmentStore after;
    ASSERT_TRUE(write_tree(after, more));
    const std::size_t changed = count_new(before, after);
    worst = std::max(worst, changed);
    total += changed;
  }
  EXPECT_GT(before.segments.size(), 80u);
  EXPECT_LE(worst, 10u);  // one or a few segments on each of three levels
  EXPECT_LE(total, tries * 5);
}

TEST(Manifest, AnExtentInsertedIntoALongListChangesFewExtentSegments) {
  support::SeededRandom random(12);
  Entry big = file_entry("/dump");
  give_extents(big, 60'000, random);
  SegmentStore before;
  ASSERT_TRUE(write_tree(before, {big}));
  EXPECT_GT(count_of(before, blob::Type::Extents), 30u);
  for (const std::size_t at : {std::size_t{3}, std::size_t{777}, std::size_t{30'000}, std::size_t{59'999}}) {
    Entry more = big;
    more.extents.insert(more.extents.begin() + static_cast<std::ptrdiff_t>(at), Extent{data_ref(9'999'999), 5, 77});
    more.size += 77;
    SegmentStore after;
    const auto finished = write_tree(after, {more});
    ASSERT_TRUE(finished.has_value());
    EXPECT_LE(count_new(before, after), 8u) << "inserted at " << at;
    const auto read = read_tree(after, finished->root);
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_TRUE((*read)[0] == more);
  }
}

TEST(Manifest, HoldsLongListsOfHolesAndOfRepeatedContent) {
  std::vector<Entry> entries = {file_entry("/holes"), file_entry("/repeated")};
  for (std::size_t i = 0; i < 50'000; ++i) {
    entries[0].extents.push_back({{}, 0, 1});
    entries[1].extents.push_back({data_ref(1), 64, 4096});
  }
  entries[0].size = 50'000;
  entries[1].size = 50'000 * 4096;
  SegmentStore store;
  const auto finished = write_tree(store, entries);
  ASSERT_TRUE(finished.has_value()) << finished.error().message;
  const auto read = read_tree(store, finished->root);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_TRUE(*read == entries);
}

TEST(Manifest, SubtreesAreWhatAFilterOfAllWouldGive) {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    support::SeededRandom random(seed);
    std::vector<Entry> entries = random_entries(random, 1500);
    SegmentStore store;
    const blob::BlobRef root = write_tree(store, entries)->root;
    std::vector<std::string> paths = {"/", "/a", "/b", "/nothing here", "/\xff"};
    for (int i = 0; i < 25; ++i) paths.push_back(random_path(random));
    for (int i = 0; i < 25; ++i) paths.push_back(entries[random.below(entries.size())].path);
    for (const std::string& path : paths) {
      std::vector<Entry> expected;
      std::copy_if(entries.begin(), entries.end(), std::back_inserter(expected),
                   [&](const Entry& e) { return is_at_or_below(e.path, path); });
      const auto found = read_below(store, root, path);
      ASSERT_TRUE(found.has_value()) << found.error().message;
      EXPECT_TRUE(*found == expected) << path;
    }
  }
}

TEST(Manifest, SubtreesOpenOnlyWhatIsOnTheWay) {
  std::vector<Entry> entries = tall_entries(2000, 300);
  support::SeededRandom random(2);
  give_extents(entries[10], 5000, random);
  SegmentStore store;
  const blob::BlobRef root = write_tree(store, entries)->root;
  store.opened.clear();
  const auto found = read_below(store, root, "/1001200");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->size(), 1u);
  EXPECT_GT(store.segments.size(), 80u);
  EXPECT_LE(store.opened.size(), 5u);
  store.opened.clear();
  EXPECT_TRUE(read_below(store, root, "/0")->empty());
  EXPECT_LE(store.opened.size(), 3u);  // nobody but the last leaf says that no further source follows
}

TEST(Manifest, SubtreesOfAnImpossiblePathAreAUsageError) {
  SegmentStore store;
  const blob::BlobRef root = write_tree(store, {})->root;
  EXPECT_EQ(read_below(store, root, "relative").error().code, Errc::Usage);
}

TEST(Manifest, StopsWhenTheVisitorHasHadEnough) {
  SegmentStore store;
  const blob::BlobRef root = write_tree(store, tall_entries(500))->root;
  store.opened.clear();
  ManifestReader reader(blob_key(), root, store.opener());
  std::size_t seen = 0;
  EXPECT_TRUE(reader.visit_all(
      [&](Entry) -> Status { return ++seen == 3 ? Status(Error{Errc::Canceled, "enough"}) : Status(); }));
  EXPECT_EQ(seen, 3u);
  EXPECT_LT(store.opened.size(), 8u);
}

TEST(Manifest, HandsTheVisitorsErrorOn) {
  SegmentStore store;
  const blob::BlobRef root = write_tree(store, tall_entries(5))->root;
  ManifestReader reader(blob_key(), root, store.opener());
  EXPECT_EQ(reader.visit_all([](Entry) -> Status { return Error{Errc::DiskFull, "no space"}; }).error().code,
            Errc::DiskFull);
}

TEST(Manifest, ASignalDuringAFetchIsNotMistakenForTheVisitorsWish) {
  SegmentStore store;
  const blob::BlobRef root = write_tree(store, tall_entries(500))->root;
  ManifestReader reader(blob_key(), root, [](const blob::BlobRef&, blob::Type) -> Result<sealing::OpenedBlob> {
    return Error{Errc::Canceled, "signal"};
  });
  EXPECT_EQ(reader.visit_all([](Entry) -> Status { return {}; }).error().code, Errc::Canceled);
}

TEST(Manifest, WriterRefusesAnEntryThatBreaksTheRules) {
  SegmentStore store;
  ManifestWriter writer(blob_key(), store.sink());
  Entry e = file_entry("/f", 10);
  e.size = 11;
  EXPECT_EQ(writer.add(e).error().code, Errc::Corrupt);
}

TEST(Manifest, WriterHandsTheSinksErrorOn) {
  ManifestWriter writer(blob_key(),
                        one_by_one([](Segment) -> Result<blob::BlobRef> { return Error{Errc::Quota, "full"}; }));
  ASSERT_TRUE(writer.add(file_entry("/f")));
  EXPECT_EQ(writer.finish().error().code, Errc::Quota);
}

TEST(Manifest, SegmentsStandWhereTheSinkSays) {
  // The server has the leaves from an earlier run: parents name that run.
  std::map<BlobId, Segment> stored;
  ManifestWriter writer(blob_key(), one_by_one([&](Segment segment) -> Result<blob::BlobRef> {
                          const RunId run = filled<RunId>(segment.type == blob::Type::Leaf ? 0x77 : 0x88);
                          const BlobId id = segment.id;
                          stored[id] = std::move(segment);
                          return blob::BlobRef{id, run};
                        }));
  for (const Entry& e : tall_entries(100)) ASSERT_TRUE(writer.add(e));
  const auto finished = writer.finish();
  ASSERT_TRUE(finished.has_value());
  EXPECT_EQ(finished->root.run, filled<RunId>(0x88));
  for (const auto& [id, segment] : stored) {
    if (segment.type != blob::Type::Index) continue;
    for (const blob::BlobRef& child : segment.children)
      EXPECT_EQ(child.run, filled<RunId>(stored.at(child.blob).type == blob::Type::Leaf ? 0x77 : 0x88));
  }
}

// ---- lies ----

TEST(ManifestReader, RefusesASegmentWithAnyByteFlipped) {
  SegmentStore store;
  std::vector<Entry> entries = tall_entries(60, 300);
  support::SeededRandom random(8);
  give_extents(entries[7], 600, random);
  const blob::BlobRef root = write_tree(store, entries)->root;
  for (auto& [ref, segment] : store.segments) {
    for (std::size_t i = 0; i < segment.plaintext.size(); i += 7) {
      segment.plaintext[i] ^= 0x20;
      EXPECT_FALSE(read_tree(store, root)) << "byte " << i;
      segment.plaintext[i] ^= 0x20;
    }
    for (std::size_t i = 0; i < segment.children.size(); i += 50) {
      const std::vector<blob::BlobRef> children = segment.children;
      segment.children[i].run.bytes[3] ^= 1;
      EXPECT_FALSE(read_tree(store, root)) << "child " << i;
      segment.children = children;
      segment.children.erase(segment.children.begin() + static_cast<std::ptrdiff_t>(i));
      EXPECT_FALSE(read_tree(store, root)) << "child " << i;
      segment.children = children;
    }
  }
  EXPECT_TRUE(read_tree(store, root).has_value());
}

TEST(ManifestReader, RefusesOneSegmentInThePlaceOfAnother) {
  SegmentStore store;
  const blob::BlobRef root = write_tree(store, tall_entries(300))->root;
  const blob::BlobRef first = store.order[0], second = store.order[1];
  std::swap(store.segments[first], store.segments[second]);
  const auto read = read_tree(store, root);
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, Errc::Corrupt);
}

TEST(ManifestReader, NamesTheSegmentThatIsMissing) {
  SegmentStore store;
  const blob::BlobRef root = write_tree(store, tall_entries(300))->root;
  const blob::BlobRef gone = store.order[2];
  store.segments.erase(gone);
  const auto read = read_tree(store, root);
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, Errc::NotFound);
  EXPECT_NE(read.error().message.find(gone.blob.hex()), std::string::npos);
}

TEST(ManifestReader, OfAnotherKeyBelievesNothing) {
  SegmentStore store;
  const blob::BlobRef root = write_tree(store, tall_entries(3))->root;
  ManifestReader reader(key_of(0x43), root, store.opener());
  EXPECT_EQ(reader.visit_all([](Entry) -> Status { return {}; }).error().code, Errc::Corrupt);
}

/// Trees whose author holds the keys and lies.
struct Forger {
  SegmentStore store;

  blob::BlobRef leaf(const std::vector<Entry>& entries) {
    std::set<blob::BlobRef> refs;
    std::vector<LeafItem> items;
    for (const Entry& e : entries) {
      items.push_back({e, std::nullopt});
      for (const Extent& x : e.extents) refs.insert(x.blob);
    }
    const RefTable table(std::vector<blob::BlobRef>(refs.begin(), refs.end()));
    return store.put(blob::Type::Leaf, table.refs(), encode_leaf(items, table));
  }
  blob::BlobRef index(unsigned level, const std::vector<IndexItem>& items) {
    std::set<blob::BlobRef> refs;
    for (const IndexItem& item : items) refs.insert(item.child);
    const RefTable table(std::vector<blob::BlobRef>(refs.begin(), refs.end()));
    return store.put(blob::Type::Index, table.refs(), encode_index({level, items}, table));
  }
  blob::BlobRef extents(const ExtentSegment& segment) {
    std::set<blob::BlobRef> refs;
    for (const Extent& x : segment.extents) refs.insert(x.blob);
    for (const ExtentItem& item : segment.items) refs.insert(item.child);
    const RefTable table(std::vector<blob::BlobRef>(refs.begin(), refs.end()));
    return store.put(blob::Type::Extents, table.refs(), encode_extents(segment, table));
  }
  blob::BlobRef spilled(std::uint64_t size, std::uint64_t count, const blob::BlobRef& root) {
    Entry e = file_entry("/f");
    e.size = size;
    const RefTable table({root});
    return store.put(blob::Type::Leaf, {root}, encode_leaf({{e, Spill{root, count}}}, table));
  }
  Errc read(const blob::BlobRef& root) {
    const auto entries = read_tree(store, root);
    return entries ? Errc{} : entries.error().code;
  }
};

IndexItem item(const std::string& path, std::uint64_t entries, const blob::BlobRef& child) {
  return {{"www", path}, entries, child};
}

TEST(ManifestReader, AcceptsTheForgersHonestTree) {
  Forger f;
  const blob::BlobRef a = f.leaf({file_entry("/a"), file_entry("/b")}), c = f.leaf({file_entry("/c")});
  EXPECT_EQ(f.read(f.index(1, {item("/a", 2, a), item("/c", 1, c)})), Errc{});
}

TEST(ManifestReader, RefusesTheSameLeafTwice) {
  Forger f;
  const blob::BlobRef a = f.leaf({file_entry("/a")});
  EXPECT_EQ(f.read(f.index(1, {item("/a", 1, a), item("/b", 1, a)})), Errc::Corrupt);
}

TEST(ManifestReader, RefusesOverlappingKeyRanges) {
  Forger f;
  const blob::BlobRef a = f.leaf({file_entry("/a"), file_entry("/d")}), c = f.leaf({file_entry("/c")});
  EXPECT_EQ(f.read(f.index(1, {item("/a", 2, a), item("/c", 1, c)})), Errc::Corrupt);
  const blob::BlobRef left = f.index(1, {item("/a", 2, a)}), right = f.index(1, {item("/c", 1, c)});
  EXPECT_EQ(f.read(f.index(2, {item("/a", 2, left), item("/c", 1, right)})), Errc::Corrupt);
}

TEST(ManifestReader, RefusesASubtreeThatBeginsElsewhere) {
  Forger f;
  const blob::BlobRef a = f.leaf({file_entry("/b")});
  EXPECT_EQ(f.read(f.index(1, {item("/a", 1, a)})), Errc::Corrupt);
  EXPECT_EQ(f.read(f.index(2, {item("/a", 1, f.index(1, {item("/b", 1, a)}))})), Errc::Corrupt);
}

TEST(ManifestReader, RefusesWrongCounts) {
  Forger f;
  const blob::BlobRef a = f.leaf({file_entry("/a")});
  EXPECT_EQ(f.read(f.index(1, {item("/a", 2, a)})), Errc::Corrupt);
  const blob::BlobRef inner = f.index(1, {item("/a", 1, a)});
  EXPECT_EQ(f.read(f.index(2, {item("/a", 2, inner)})), Errc::Corrupt);
  const blob::BlobRef b = f.leaf({file_entry("/b")});
  const blob::BlobRef wraps = f.index(1, {item("/a", UINT64_MAX, a), item("/b", 2, b)});
  EXPECT_EQ(f.read(f.index(2, {item("/a", 1, wraps)})), Errc::Corrupt);
}

TEST(ManifestReader, RefusesLevelsThatDoNotDescendByOne) {
  Forger f;
  const blob::BlobRef inner = f.index(1, {item("/a", 1, f.leaf({file_entry("/a")}))});
  EXPECT_EQ(f.read(f.index(2, {item("/a", 1, inner)})), Errc{});
  EXPECT_EQ(f.read(f.index(3, {item("/a", 1, inner)})), Errc::Corrupt);
  EXPECT_EQ(f.read(f.index(1, {item("/a", 1, inner)})), Errc::Corrupt);  // an index where a leaf must be
}

TEST(ManifestReader, RefusesAnEmptyLeafBelowAnIndex) {
  Forger f;
  EXPECT_EQ(f.read(f.index(1, {item("/a", 1, f.leaf({}))})), Errc::Corrupt);
}

TEST(ManifestReader, RefusesExtentTreesThatBreakTheirPromises) {
  Forger f;
  ExtentSegment plain;
  for (std::size_t i = 0; i < 300; ++i) plain.extents.push_back({data_ref(i), 0, 10});
  const blob::BlobRef level0 = f.extents(plain);
  EXPECT_EQ(f.read(f.spilled(3000, 300, level0)), Errc{});
  EXPECT_EQ(f.read(f.spilled(3001, 300, level0)), Errc::Corrupt);
  EXPECT_EQ(f.read(f.spilled(2999, 300, level0)), Errc::Corrupt);
  EXPECT_EQ(f.read(f.spilled(3000, 299, level0)), Errc::Corrupt);
  EXPECT_EQ(f.read(f.spilled(3000, 301, level0)), Errc::Corrupt);

  const auto above = [&](unsigned level, std::vector<ExtentItem> items) {
    return f.extents({level, {}, std::move(items)});
  };
  EXPECT_EQ(f.read(f.spilled(6000, 600, above(1, {{300, 3000, level0}, {300, 3000, level0}}))), Errc{});
  EXPECT_EQ(f.read(f.spilled(6000, 600, above(2, {{300, 3000, level0}, {300, 3000, level0}}))), Errc::Corrupt);
  EXPECT_EQ(f.read(f.spilled(6000, 600, above(1, {{301, 3000, level0}, {299, 3000, level0}}))), Errc::Corrupt);
  EXPECT_EQ(f.read(f.spilled(6000, 600, above(1, {{300, 3001, level0}, {300, 2999, level0}}))), Errc::Corrupt);
}

TEST(ManifestReader, IsNotBlownUpByAnExtentBomb) {
  // Every level names the one below many times: a few segments that would unfold to 2^60 extents.
  Forger f;
  ExtentSegment plain;
  for (std::size_t i = 0; i < 1000; ++i) plain.extents.push_back({data_ref(1), 0, 1});
  blob::BlobRef top = f.extents(plain);
  std::uint64_t count = 1000;
  for (unsigned level = 1; level < 6; ++level) {
    std::vector<ExtentItem> items(1000, ExtentItem{count, count, top});
    top = f.extents({level, {}, items});
    count *= 1000;
  }
  EXPECT_EQ(f.read(f.spilled(count, count, top)), Errc::Corrupt);
  EXPECT_LE(f.store.opened.size(), 4u);
}

TEST(ManifestReader, RefusesADataBlobWhereASegmentMustBe) {
  Forger f;
  const blob::BlobRef data = f.store.put(blob::Type::Data, {}, Bytes(100, 7));
  EXPECT_EQ(f.read(data), Errc::Corrupt);
  EXPECT_EQ(f.read(f.index(1, {item("/a", 1, data)})), Errc::Corrupt);
}

}  // namespace
}  // namespace holdfast::manifest
