#include "server/collect/marker.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "server/collect/remains.h"
#include "tests/support/seeded_random.h"

namespace holdfast::collect {
namespace {

TEST(Marks, HoldsExactlyWhatWasInsertedWhileItGrows) {
  support::SeededRandom random;
  Marks marks(random, 0);
  const Space space{random.id<DomainId>(), 1};
  std::vector<blob::BlobRef> in, out;
  for (int i = 0; i < 20'000; ++i) {
    in.push_back({random.id<BlobId>(), random.id<RunId>()});
    out.push_back({in.back().blob, random.id<RunId>()});  // the same blob under another run is another thing
    EXPECT_TRUE(marks.insert(marks.image(space, in.back())));
    EXPECT_FALSE(marks.insert(marks.image(space, in.back())));
  }
  EXPECT_EQ(marks.size(), in.size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    EXPECT_TRUE(marks.contains(marks.image(space, in[i])));
    EXPECT_FALSE(marks.contains(marks.image(space, out[i])));
    EXPECT_FALSE(marks.contains(marks.image({space.domain, 2}, in[i])));
  }
  EXPECT_EQ(marks.seen(), 0u);
  EXPECT_TRUE(marks.see(marks.image(space, in[0])));
  EXPECT_TRUE(marks.see(marks.image(space, in[0])));
  EXPECT_FALSE(marks.see(marks.image(space, out[0])));
  EXPECT_EQ(marks.seen(), 1u);
  EXPECT_TRUE(marks.contains(marks.image(space, in[0])));
  EXPECT_FALSE(marks.insert(marks.image(space, in[0])));
}

/// Random trees over a set of blobs, against a plain search.
struct Forest {
  support::SeededRandom random;
  Space space;
  std::vector<pack::Entry> entries;
  std::multimap<blob::BlobRef, std::size_t> by_ref;
  std::size_t lookups = 0;

  explicit Forest(std::uint64_t seed) : random(seed), space{random.id<DomainId>(), 1} {
    const auto layer = [&](blob::Type type, std::size_t count, std::size_t below, std::size_t most) {
      const std::size_t first = entries.size();
      for (std::size_t i = 0; i < count; ++i) {
        pack::Entry entry;
        entry.domain = space.domain;
        entry.epoch = space.epoch;
        entry.blob = random.id<BlobId>();
        entry.run = random.id<RunId>();
        entry.type = type;
        for (std::uint64_t n = most == 0 ? 0 : random.below(most); n > 0; --n)
          entry.children.push_back(entries[below + random.below(first - below)].ref());
        by_ref.emplace(entry.ref(), entries.size());
        entries.push_back(entry);
      }
      return first;
    };
    layer(blob::Type::Data, 300, 0, 0);
    layer(blob::Type::Extents, 20, 0, 8);
    layer(blob::Type::Leaf, 60, 0, 12);
    const std::size_t leaves = entries.size() - 60;
    layer(blob::Type::Index, 10, leaves, 8);
    layer(blob::Type::Index, 5, leaves, 5);
  }
  Marker::Lookup lookup() {
    return [this](const Space&, const blob::BlobRef& ref) -> Result<std::vector<index::Location>> {
      ++lookups;
      std::vector<index::Location> out;
      const auto [first, last] = by_ref.equal_range(ref);
      for (auto it = first; it != last; ++it) out.push_back({{}, 1, entries[it->second]});
      return out;
    };
  }
  void reach(const blob::BlobRef& ref, std::set<blob::BlobRef>& out) const {
    if (!out.insert(ref).second) return;
    const auto [first, last] = by_ref.equal_range(ref);
    for (auto it = first; it != last; ++it)
      for (const blob::BlobRef& child : entries[it->second].children) reach(child, out);
  }
  std::unique_ptr<Marks> extents() {
    auto out = std::make_unique<Marks>(random, 0);
    for (const pack::Entry& entry : entries)
      if (entry.type == blob::Type::Extents) out->insert(out->image(space, entry.ref()));
    return out;
  }
};

TEST(Marker, MarksWhatAPlainSearchReachesWithAndWithoutKnowingTheExtents) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Forest forest(seed);
    const std::unique_ptr<Marks> extents = forest.extents();
    for (const Marks* const known : {static_cast<const Marks*>(nullptr), static_cast<const Marks*>(extents.get())}) {
      Marks marks(forest.random, 0);
      Marker marker(marks, known, forest.lookup());
      std::set<blob::BlobRef> wanted;
      forest.lookups = 0;
      for (int i = 0; i < 3; ++i) {
        const blob::BlobRef root = forest.entries[forest.entries.size() - 1 - forest.random.below(15)].ref();
        ASSERT_TRUE(marker.mark({forest.space, root, "a root"}));
        forest.reach(root, wanted);
      }
      EXPECT_EQ(marks.size(), wanted.size()) << "seed " << seed;
      for (const pack::Entry& entry : forest.entries)
        EXPECT_EQ(marks.contains(marks.image(forest.space, entry.ref())), wanted.contains(entry.ref()));
      EXPECT_TRUE(marker.unproven().empty());
      EXPECT_TRUE(known == nullptr || forest.lookups <= 95) << "data is not looked up";
    }
  }
}

TEST(Marker, SaysWhatItCannotFindAndFollowsEveryCopy) {
  Forest forest(7);
  pack::Entry hidden = forest.entries[0];
  pack::Entry lie = forest.entries[320];  // a leaf; this copy of it names nothing
  const std::size_t honest = 320;
  lie.children.clear();
  forest.by_ref.emplace(lie.ref(), forest.entries.size());
  forest.entries.push_back(lie);
  Marks marks(forest.random, 0);
  Marker marker(marks, nullptr, forest.lookup());
  ASSERT_TRUE(marker.mark({forest.space, lie.ref(), "a root"}));
  for (const blob::BlobRef& child : forest.entries[honest].children)
    EXPECT_TRUE(marks.contains(marks.image(forest.space, child)));
  const blob::BlobRef nowhere{forest.random.id<BlobId>(), hidden.run};
  ASSERT_TRUE(marker.mark({forest.space, nowhere, "snapshot shop/7"}));
  ASSERT_EQ(marker.unproven().size(), 1u);
  EXPECT_NE(marker.unproven().begin()->second.find("snapshot shop/7"), std::string::npos);
  EXPECT_NE(marker.unproven().begin()->second.find(nowhere.blob.hex()), std::string::npos);
}

TEST(Remains, ArePacksWithWhatOnlyThisRootReachesAndDataIsNotLookedUp) {
  for (std::uint64_t seed = 100; seed < 130; ++seed) {
    Forest forest(seed);
    const blob::BlobRef kept = forest.entries[forest.entries.size() - 1].ref();
    const blob::BlobRef gone = forest.entries[forest.entries.size() - 2].ref();
    Marks marks(forest.random, 0);
    Marker marker(marks, nullptr, forest.lookup());
    ASSERT_TRUE(marker.mark({forest.space, kept, "kept"}));
    std::set<blob::BlobRef> alive, all;
    forest.reach(kept, alive);
    forest.reach(gone, all);
    const blob::BlobRef lost = seed % 2 == 0 ? blob::BlobRef{} : *all.rbegin();
    DeadBlobs dead;
    std::set<PackId> wanted;
    std::size_t segments = 0;
    for (const pack::Entry& entry : forest.entries) {
      if (alive.contains(entry.ref()) || entry.ref() == lost) continue;
      const bool segment = entry.type != blob::Type::Data;
      for (const PackId& pack : {forest.random.id<PackId>(), forest.random.id<PackId>()}) {
        dead.add(marks.image(forest.space, entry.ref()), pack, segment);
        if (all.contains(entry.ref())) wanted.insert(pack);
      }
      segments += all.contains(entry.ref()) && segment ? 1 : 0;
    }
    dead.sort();
    forest.lookups = 0;
    const Result<Remains> found =
        find_remains(marks, dead, forest.lookup(), {forest.space, gone, "gone"}, forest.random);
    ASSERT_TRUE(found);
    const bool hidden = all.contains(lost) && !alive.contains(lost);
    EXPECT_EQ(found->all_found, !hidden);
    if (!hidden) {
      EXPECT_EQ(found->packs, wanted);
      EXPECT_EQ(forest.lookups, segments);
    }
    EXPECT_TRUE(std::includes(wanted.begin(), wanted.end(), found->packs.begin(), found->packs.end()));
  }
}

TEST(Remains, AreNamedInAsManyPartsAsTheyNeed) {
  support::SeededRandom random(9);
  journal::CondemnPayload::Release whole{random.id<SnapshotId>(), {}, false};
  EXPECT_EQ(in_parts(whole, 3).size(), 1u) << "none is a part too: it is released";
  EXPECT_FALSE(in_parts(whole, 3)[0].more);
  for (std::size_t packs = 1; packs <= 10; ++packs) {
    whole.packs.push_back(random.id<PackId>());
    const auto parts = in_parts(whole, 3);
    EXPECT_EQ(parts.size(), (packs + 2) / 3);
    std::vector<PackId> all;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      EXPECT_EQ(parts[i].snapshot, whole.snapshot);
      EXPECT_LE(parts[i].packs.size(), 3u);
      EXPECT_EQ(parts[i].more, i + 1 < parts.size());
      all.insert(all.end(), parts[i].packs.begin(), parts[i].packs.end());
    }
    EXPECT_EQ(all, whole.packs);
  }
}

}  // namespace
}  // namespace holdfast::collect
