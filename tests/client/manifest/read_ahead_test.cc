// Walks that fetch the next segments together, and extents that are handed on without standing in memory.
#include "client/manifest/read_ahead.h"

#include <gtest/gtest.h>

#include "tests/client/manifest/sample_tree.h"

namespace holdfast::manifest {
namespace {

using namespace testing;

/// Opens from a store and counts requests.
struct CountedOpener {
  SegmentStore& store;
  std::size_t requests = 0, longest = 0;

  BatchOpener opener() {
    return
        [this](const std::vector<blob::BlobRef>& refs, blob::Type type, std::vector<Result<sealing::OpenedBlob>>* out) {
          ++requests;
          longest = std::max(longest, refs.size());
          for (const blob::BlobRef& ref : refs) out->push_back(store.opener()(ref, type));
          return Status{};
        };
  }
};

std::size_t count_of(const SegmentStore& store, blob::Type type) {
  std::size_t count = 0;
  for (const blob::BlobRef& ref : store.opened) count += store.segments.at(ref).type == type ? 1 : 0;
  return count;
}

Entry long_entry(std::size_t extents) {
  support::SeededRandom random(9);
  Entry entry = file_entry("/long");
  give_extents(entry, extents, random);
  return entry;
}

TEST(ReadAhead, FetchesTheLeavesOfAWholeWalkInFewRequests) {
  SegmentStore store;
  const std::vector<Entry> entries = tall_entries(1500);
  const auto written = write_tree(store, entries);
  ASSERT_TRUE(written);
  ASSERT_GT(written->segments, 100u);
  CountedOpener counted{store};
  ManifestReader reader(blob_key(), written->root, counted.opener());
  std::vector<Entry> read;
  ASSERT_TRUE(reader.visit_all([&](Entry entry) -> Status {
    read.push_back(std::move(entry));
    return {};
  }));
  EXPECT_EQ(read, entries);
  EXPECT_EQ(store.opened.size(), written->segments) << "each once";
  EXPECT_LT(counted.requests, written->segments / 5);
  EXPECT_LE(counted.longest, kLeavesAhead);
}

TEST(ReadAhead, FetchesOneLeafForWhoLooksAtOneEntry) {
  SegmentStore store;
  const blob::BlobRef root = write_tree(store, tall_entries(1500))->root;
  CountedOpener counted{store};
  ManifestReader reader(blob_key(), root, counted.opener());
  ASSERT_TRUE(reader.visit_below("/", [](Entry) -> Status { return Error{Errc::Canceled, "seen"}; }));
  EXPECT_EQ(count_of(store, blob::Type::Leaf), 1u);
}

TEST(ReadAhead, HandsOnEverythingBeforeASegmentThatIsMissing) {
  SegmentStore store;
  const std::vector<Entry> entries = tall_entries(1500);
  const blob::BlobRef root = write_tree(store, entries)->root;
  std::vector<blob::BlobRef> leaves;
  for (const blob::BlobRef& ref : store.order) {
    if (store.segments.at(ref).type == blob::Type::Leaf) leaves.push_back(ref);
  }
  const blob::BlobRef gone = leaves.at(leaves.size() / 2);
  store.segments.erase(gone);
  CountedOpener counted{store};
  ManifestReader reader(blob_key(), root, counted.opener());
  std::size_t seen = 0;
  const Status walked = reader.visit_all([&](const Entry& entry) -> Status {
    EXPECT_EQ(entry, entries.at(seen++));
    return {};
  });
  ASSERT_FALSE(walked);
  EXPECT_EQ(walked.error().code, Errc::NotFound);
  EXPECT_NE(walked.error().message.find(gone.blob.hex()), std::string::npos);
  EXPECT_GT(seen, 300u);
}

TEST(ReadAhead, EndsWithTheConnectionsError) {
  SegmentStore store;
  const blob::BlobRef root = write_tree(store, tall_entries(300))->root;
  std::size_t requests = 0;
  ManifestReader reader(blob_key(), root,
                        BatchOpener([&](const std::vector<blob::BlobRef>& refs, blob::Type type,
                                        std::vector<Result<sealing::OpenedBlob>>* out) -> Status {
                          if (++requests > 2) return Error{Errc::Unreachable, "cut"};
                          for (const blob::BlobRef& ref : refs) out->push_back(store.opener()(ref, type));
                          return {};
                        }));
  EXPECT_EQ(reader.visit_all([](const Entry&) -> Status { return {}; }).error().code, Errc::Unreachable);
}

TEST(ReadAhead, LeavesExtentsAloneUntilTheyAreAskedFor) {
  SegmentStore store;
  const Entry entry = long_entry(60'000);
  const auto written = write_tree(store, {file_entry("/a", 5), entry});
  ASSERT_TRUE(written);
  CountedOpener counted{store};
  ManifestReader reader(blob_key(), written->root, counted.opener());
  std::optional<Spill> spill;
  Entry found;
  ASSERT_TRUE(reader.visit_entries("/", [&](Entry one, const std::optional<Spill>& elsewhere) -> Status {
    EXPECT_EQ(elsewhere.has_value(), one.path == "/long");
    EXPECT_EQ(one.extents.size(), elsewhere ? 0u : 1u);
    if (elsewhere) spill = elsewhere;
    found = std::move(one);
    return {};
  }));
  ASSERT_TRUE(spill);
  EXPECT_EQ(count_of(store, blob::Type::Extents), 0u);

  counted.requests = 0;
  std::vector<Extent> extents;
  ASSERT_TRUE(reader.visit_extents(found, *spill, [&](const Extent& one) -> Status {
    extents.push_back(one);
    return {};
  }));
  EXPECT_EQ(extents, entry.extents);
  EXPECT_GT(count_of(store, blob::Type::Extents), 30u);
  EXPECT_LT(counted.requests, 10u);
  EXPECT_LE(counted.longest, kExtentsAhead);
}

TEST(ReadAhead, StopsReadingExtentsWhenTheVisitorSaysSo) {
  SegmentStore store;
  const Entry entry = long_entry(60'000);
  ManifestReader reader(blob_key(), write_tree(store, {entry})->root, store.opener());
  std::optional<Spill> spill;
  ASSERT_TRUE(reader.visit_entries("/long", [&](const Entry&, const std::optional<Spill>& elsewhere) -> Status {
    spill = elsewhere;
    return {};
  }));
  std::size_t seen = 0;
  const Status ended = reader.visit_extents(entry, *spill, [&](const Extent&) -> Status {
    return ++seen == 10 ? Status(Error{Errc::DiskFull, "full"}) : Status();
  });
  EXPECT_EQ(ended.error().code, Errc::DiskFull);
  EXPECT_EQ(seen, 10u);
  EXPECT_LE(count_of(store, blob::Type::Extents), kExtentsAhead + 2);
}

TEST(ReadAhead, HoldsExtentsToWhatWasPromised) {
  SegmentStore store;
  Entry entry = long_entry(3'000);
  ManifestReader reader(blob_key(), write_tree(store, {entry})->root, store.opener());
  std::optional<Spill> spill;
  ASSERT_TRUE(reader.visit_entries("/long", [&](const Entry&, const std::optional<Spill>& elsewhere) -> Status {
    spill = elsewhere;
    return {};
  }));
  std::uint64_t seen = 0;
  const auto add = [&](const Extent& one) -> Status {
    seen += one.length;
    return {};
  };
  entry.size -= 1;
  EXPECT_EQ(reader.visit_extents(entry, *spill, add).error().code, Errc::Corrupt);
  EXPECT_EQ(seen, 0u);
  entry.size += 2;
  EXPECT_EQ(reader.visit_extents(entry, *spill, add).error().code, Errc::Corrupt);
}

TEST(ReadAhead, ASignalWhileExtentsAreFetchedIsNotMistakenForTheVisitorsWish) {
  SegmentStore store;
  const blob::BlobRef root = write_tree(store, {long_entry(3'000)})->root;
  const BlobOpener opener = store.opener();
  ManifestReader reader(blob_key(), root,
                        BlobOpener([&](const blob::BlobRef& ref, blob::Type type) -> Result<sealing::OpenedBlob> {
                          if (type == blob::Type::Extents) return Error{Errc::Canceled, "signal"};
                          return opener(ref, type);
                        }));
  EXPECT_EQ(reader.visit_all([](const Entry&) -> Status { return {}; }).error().code, Errc::Canceled);
}

}  // namespace
}  // namespace holdfast::manifest
