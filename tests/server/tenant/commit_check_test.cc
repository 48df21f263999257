#include "server/tenant/commit_check.h"

#include <gtest/gtest.h>

#include <unordered_map>

#include "tests/support/seeded_random.h"

namespace holdfast::tenant {
namespace {

using blob::BlobRef;
using blob::Type;

/// Entries as an index would answer, and how often it was asked.
class Store {
 public:
  BlobRef add(Type type, std::vector<BlobRef> children = {}) {
    pack::Entry entry;
    entry.blob = random_.id<BlobId>();
    entry.run = run_;
    entry.type = type;
    entry.record_digest = random_.id<Digest>();
    std::sort(children.begin(), children.end());
    entry.children = std::move(children);
    entries_[entry.ref()] = entry;
    return entry.ref();
  }
  void remove(const BlobRef& ref) { entries_.erase(ref); }
  snapshot::Root root(const BlobRef& ref) const { return {ref.run, ref.blob, entries_.at(ref).record_digest}; }
  std::vector<BlobId> missing(const BlobRef& root_ref, const std::optional<BlobRef>& base = {}) {
    return missing_at(root(root_ref), base);
  }
  std::vector<BlobId> missing_at(const snapshot::Root& at, const std::optional<BlobRef>& base = {}) {
    lookups = 0;
    const auto found = find_missing(at, base, [&](const BlobRef& ref) -> Result<std::optional<pack::Entry>> {
      ++lookups;
      const auto known = entries_.find(ref);
      if (known == entries_.end()) return std::optional<pack::Entry>();
      return std::optional(known->second);
    });
    EXPECT_TRUE(found.has_value());
    return found ? *found : std::vector<BlobId>{};
  }
  /// `n` data blobs under one segment.
  BlobRef leaf(std::size_t n) {
    std::vector<BlobRef> children;
    for (std::size_t i = 0; i < n; ++i) children.push_back(add(Type::Data));
    return add(Type::Leaf, children);
  }
  pack::Entry& at(const BlobRef& ref) { return entries_.at(ref); }

  std::size_t lookups = 0;

 private:
  support::SeededRandom random_;
  RunId run_ = random_.id<RunId>();
  std::unordered_map<BlobRef, pack::Entry, RefHash> entries_;
};

TEST(CommitCheck, AcceptsATreeThatIsAllThere) {
  Store store;
  EXPECT_TRUE(store.missing(store.add(Type::Index, {store.leaf(3), store.leaf(2)})).empty());
  EXPECT_TRUE(store.missing(store.leaf(0)).empty());
}

TEST(CommitCheck, NamesAMissingDataBlob) {
  Store store;
  const BlobRef gone = store.add(Type::Data);
  const BlobRef root = store.add(Type::Index, {store.leaf(2), store.add(Type::Leaf, {gone})});
  store.remove(gone);
  EXPECT_EQ(store.missing(root), std::vector<BlobId>{gone.blob});
}

TEST(CommitCheck, NamesAMissingExtentSegmentAndWhatAPresentOneLost) {
  Store store;
  const BlobRef data = store.add(Type::Data);
  const BlobRef deep = store.add(Type::Extents, {data});
  const BlobRef top = store.add(Type::Extents, {deep});
  const BlobRef root = store.add(Type::Leaf, {top});
  EXPECT_TRUE(store.missing(root).empty());
  store.remove(data);
  EXPECT_EQ(store.missing(root), std::vector<BlobId>{data.blob});  // the segments above it prove nothing
  store.remove(deep);
  EXPECT_EQ(store.missing(root), std::vector<BlobId>{deep.blob});
}

TEST(CommitCheck, NamesAMissingRootAndOneWithOtherBytes) {
  Store store;
  const BlobRef root = store.leaf(1);
  snapshot::Root other = store.root(root);
  other.record_digest.bytes[0] ^= 1;
  EXPECT_EQ(store.missing_at(other), std::vector<BlobId>{root.blob});
  const snapshot::Root gone = store.root(root);
  store.remove(root);
  EXPECT_EQ(store.missing_at(gone), std::vector<BlobId>{root.blob});
}

TEST(CommitCheck, RefusesACopyOfAnotherRun) {
  Store store;
  const BlobRef data = store.add(Type::Data);
  BlobRef other = data;
  other.run.bytes[0] ^= 1;
  EXPECT_EQ(store.missing(store.add(Type::Leaf, {other})), std::vector<BlobId>{data.blob});
}

TEST(CommitCheck, RefusesTypesThatDoNotBelongTogether) {
  Store store;
  const BlobRef data = store.add(Type::Data);
  const BlobRef extents = store.add(Type::Extents, {data});
  const BlobRef leaf = store.add(Type::Leaf, {data});
  for (const BlobRef& root : {data, extents}) EXPECT_EQ(store.missing(root), std::vector<BlobId>{root.blob});
  for (const auto& [parent, child] : {std::pair(Type::Index, data), {Type::Index, extents}, {Type::Leaf, leaf}}) {
    EXPECT_EQ(store.missing(store.add(parent, {child})), std::vector<BlobId>{child.blob});
  }
  const BlobRef nested = store.add(Type::Extents, {leaf});
  EXPECT_EQ(store.missing(store.add(Type::Leaf, {nested})), std::vector<BlobId>{leaf.blob});
}

TEST(CommitCheck, DoesNotLookBelowWhatTheBaseProves) {
  Store store;
  const BlobRef proven = store.leaf(500);
  const BlobRef base = store.add(Type::Index, {proven, store.leaf(500)});
  const BlobRef root = store.add(Type::Index, {proven, store.leaf(4)});
  EXPECT_TRUE(store.missing(root, base).empty());
  EXPECT_LT(store.lookups, 550u);  // the leaf that only the base has, and the new one; never the 500 below `proven`
  EXPECT_TRUE(store.missing(base, base).empty());
  EXPECT_EQ(store.lookups, 1u);
}

TEST(CommitCheck, WalksDownOnlyTheChangedExtentsOfALongStream) {
  Store store;
  std::vector<BlobRef> extents;
  for (int i = 0; i < 100; ++i) {
    std::vector<BlobRef> data;
    for (int j = 0; j < 100; ++j) data.push_back(store.add(Type::Data));
    extents.push_back(store.add(Type::Extents, data));
  }
  const BlobRef base = store.add(Type::Leaf, {store.add(Type::Extents, extents)});
  const BlobRef fresh = store.add(Type::Data);
  extents[50] = store.add(Type::Extents, {fresh, store.at(extents[50]).children[7]});
  const BlobRef root = store.add(Type::Leaf, {store.add(Type::Extents, extents)});
  EXPECT_TRUE(store.missing(root, base).empty());
  EXPECT_LT(store.lookups, 130u);
  store.remove(fresh);
  EXPECT_EQ(store.missing(root, base), std::vector<BlobId>{fresh.blob});
}

TEST(CommitCheck, IsNotFooledByASegmentThatIsPresentButDead) {
  Store store;
  const BlobRef data = store.add(Type::Data);
  const BlobRef dead = store.add(Type::Leaf, {data});
  const BlobRef base = store.add(Type::Index, {store.leaf(2)});
  store.remove(data);  // collected with an old snapshot; the segment outlived it
  EXPECT_EQ(store.missing(store.add(Type::Index, {dead}), base), std::vector<BlobId>{data.blob});
}

TEST(CommitCheck, EndsOnCyclesAndRefusesEndlessDepth) {
  Store store;
  const BlobRef a = store.add(Type::Index);
  const BlobRef b = store.add(Type::Index, {a});
  store.at(a).children = {b};
  EXPECT_TRUE(store.missing(a).empty());

  BlobRef chain = store.leaf(0);
  for (int i = 0; i < 100; ++i) chain = store.add(Type::Index, {chain});
  const auto found = find_missing(store.root(chain), {}, [&](const BlobRef& ref) -> Result<std::optional<pack::Entry>> {
    return std::optional(store.at(ref));
  });
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().code, Errc::Limit);
}

TEST(CommitCheck, NamesAtMostAThousand) {
  Store store;
  std::vector<BlobRef> children;
  for (int i = 0; i < 3000; ++i) children.push_back(store.add(Type::Data));
  const BlobRef root = store.add(Type::Leaf, children);
  for (const BlobRef& child : children) store.remove(child);
  EXPECT_EQ(store.missing(root).size(), kMaxMissing);
}

TEST(CommitCheck, HandsOnTheErrorOfALookup) {
  Store store;
  const auto found =
      find_missing(store.root(store.leaf(0)), {}, [](const BlobRef&) -> Result<std::optional<pack::Entry>> {
        return Error{Errc::Io, "the index does not answer"};
      });
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().code, Errc::Io);
}

}  // namespace
}  // namespace holdfast::tenant
