// Trees side by side: all that differs is seen, what is shared is read once or not at all, and nothing that lies is
// believed.

#include "client/manifest/tree_merge.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/client/manifest/sample_tree.h"

namespace holdfast::manifest {
namespace {

using namespace testing;

/// All of a store's segments, and how often it was asked.
BatchOpener batches(SegmentStore& store, std::size_t* requests = nullptr) {
  return [open = store.opener(), requests](const std::vector<blob::BlobRef>& refs, blob::Type type,
                                           std::vector<Result<sealing::OpenedBlob>>* out) {
    if (requests != nullptr) ++*requests;
    for (const blob::BlobRef& ref : refs) out->push_back(open(ref, type));
    return Status{};
  };
}

/// Snapshots of one history in one store, as they follow each other.
struct History {
  SegmentStore store;
  std::size_t requests = 0;
  std::vector<std::vector<Entry>> states;
  std::vector<blob::BlobRef> roots;

  void add(std::vector<Entry> state) {
    const auto finished = write_tree(store, state);
    ASSERT_TRUE(finished.has_value()) << finished.error().message;
    states.push_back(std::move(state));
    roots.push_back(finished->root);
  }
  TreeMerge merge(TreeMerge::Options options = {}) {
    store.opened.clear();
    requests = 0;
    std::vector<TreeToRead> trees;
    for (const blob::BlobRef& root : roots) trees.push_back({&blob_key(), root, batches(store, &requests)});
    return TreeMerge(std::move(trees), std::move(options));
  }
  /// Every segment of one tree.
  std::set<blob::BlobRef> reach(const blob::BlobRef& root) const {
    std::set<blob::BlobRef> out{root};
    for (const blob::BlobRef& child : store.segments.at(root).children) {
      if (store.segments.contains(child)) out.merge(reach(child));
    }
    return out;
  }
};

/// Changes, removes and adds a few entries, in one place or all over.
std::vector<Entry> next_state(support::SeededRandom& random, std::vector<Entry> state) {
  const std::size_t steps = random.below(12);
  const std::size_t from = state.empty() || random.below(2) == 0 ? 0 : random.below(state.size());
  for (std::size_t i = 0; i < steps; ++i) {
    const std::size_t at = state.empty() ? 0 : std::min(state.size() - 1, from + random.below(state.size()));
    switch (state.empty() ? 2 : random.below(4)) {
      case 0:
        state.erase(state.begin() + static_cast<std::ptrdiff_t>(at),
                    state.begin() + static_cast<std::ptrdiff_t>(std::min(
                                        state.size(), at + 1 + random.below(random.below(20) == 0 ? 200 : 2))));
        break;
      case 1:
        state[at].mtime_ns += 1;
        break;
      default: {
        Entry made = random_entry(random);
        if (random.below(2) == 0) made.path += "/" + std::string(2000, 'q');
        if (check_path(made.path)) state.push_back(std::move(made));
        sort_unique(state);
      }
    }
  }
  return state;
}

std::vector<Entry> first_state(support::SeededRandom& random) {
  std::vector<Entry> state = random_entries(random, random.below(400));
  for (Entry& one : tall_entries(random.below(300), 2000)) state.push_back(std::move(one));
  sort_unique(state);
  return state;
}

using Key = std::pair<std::string, std::string>;
Key key_of_entry(const Entry& entry) { return {entry.source, entry.path}; }

/// What a merge delivered of each tree. Extents that were not read are left out of the comparison.
struct Delivered {
  std::vector<std::map<Key, Entry>> trees;
  std::vector<Key> order;
};

Entry without_long_lists(Entry entry) {
  if (entry.extents.size() > kSpillExtents) entry.extents.clear();
  return entry;
}

Delivered run(TreeMerge merge, std::size_t trees) {
  Delivered out;
  out.trees.resize(trees);
  for (;;) {
    auto versions = merge.next();
    EXPECT_TRUE(versions.has_value()) << versions.error().message;
    if (!versions || !*versions) return out;
    EXPECT_FALSE((*versions)->empty());
    out.order.push_back(key_of_entry((*versions)->front().entry));
    for (const Version& version : **versions) {
      EXPECT_EQ(key_of_entry(version.entry), out.order.back());
      EXPECT_FALSE(version.trees.empty());
      EXPECT_TRUE(!version.spill || version.entry.extents.empty());
      for (const std::size_t tree : version.trees)
        EXPECT_TRUE(out.trees[tree].emplace(out.order.back(), version.entry).second) << "delivered twice";
    }
  }
}

bool is_in_order(const std::vector<Key>& keys) {
  return std::is_sorted(keys.begin(), keys.end(), [](const Key& a, const Key& b) {
    return compare(KeyView{a.first, a.second}, KeyView{b.first, b.second}) == std::strong_ordering::less;
  });
}

History random_history(std::uint64_t seed, std::size_t most = 6) {
  support::SeededRandom random(seed);
  History history;
  history.add(first_state(random));
  const std::size_t count = 1 + random.below(most);
  for (std::size_t i = 0; i < count; ++i) history.add(next_state(random, history.states.back()));
  return history;
}

TEST(TreeMerge, DeliversEveryEntryOfEveryTreeInOrder) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History history = random_history(seed);
    const Delivered got = run(history.merge(), history.roots.size());
    EXPECT_TRUE(is_in_order(got.order));
    for (std::size_t i = 0; i < history.states.size(); ++i) {
      std::map<Key, Entry> expected;
      for (const Entry& one : history.states[i]) expected.emplace(key_of_entry(one), without_long_lists(one));
      EXPECT_TRUE(got.trees[i] == expected) << "tree " << i;
    }
  }
}

TEST(TreeMerge, SkippingWhatIsCommonLosesNoDifference) {
  for (std::uint64_t seed = 101; seed <= 110; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History history = random_history(seed, 1);
    const Delivered got = run(history.merge({.skip_common = true, .below = {}}), 2);
    EXPECT_TRUE(is_in_order(got.order));
    std::set<Key> keys;
    std::array<std::map<Key, Entry>, 2> naive;
    for (std::size_t i = 0; i < 2; ++i) {
      for (const Entry& one : history.states[i]) {
        naive[i].emplace(key_of_entry(one), one);
        keys.insert(key_of_entry(one));
      }
    }
    for (const Key& key : keys) {
      const bool there = naive[0].contains(key), here = naive[1].contains(key);
      const bool differs = there != here || !(naive[0][key] == naive[1][key]);
      if (!differs) {
        EXPECT_EQ(got.trees[0].contains(key), got.trees[1].contains(key));
        continue;
      }
      EXPECT_EQ(got.trees[0].contains(key), there) << key.second;
      EXPECT_EQ(got.trees[1].contains(key), here) << key.second;
    }
    const std::set<blob::BlobRef> first = history.reach(history.roots[0]), second = history.reach(history.roots[1]);
    for (const blob::BlobRef& ref : history.store.opened) {
      if (ref == history.roots[0] || ref == history.roots[1]) continue;
      EXPECT_FALSE(first.contains(ref) && second.contains(ref)) << "opened for nothing: " << ref.blob.hex();
    }
  }
}

TEST(TreeMerge, OpensEverySegmentOnce) {
  for (std::uint64_t seed = 201; seed <= 204; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History history = random_history(seed, 12);
    run(history.merge(), history.roots.size());
    std::map<blob::BlobRef, int> times;
    for (const blob::BlobRef& ref : history.store.opened) ++times[ref];
    const std::set<blob::BlobRef> roots(history.roots.begin(), history.roots.end());
    for (const auto& [ref, count] : times) {
      // A root's level is not known before it is opened: as another tree's subtree it may be met once more.
      EXPECT_TRUE(count == 1 || roots.contains(ref)) << ref.blob.hex();
    }
  }
}

TEST(TreeMerge, DoesNotOpenWhatTwoTreesShare) {
  History history;
  std::vector<Entry> entries = tall_entries(3000);
  history.add(entries);
  entries[1234].mtime_ns += 1;
  entries.insert(entries.begin() + 2500, file_entry(entries[2499].path + "x"));
  history.add(entries);
  ASSERT_GT(history.store.segments.size(), 100u);
  const Delivered got = run(history.merge({.skip_common = true, .below = {}}), 2);
  EXPECT_LE(history.store.opened.size(), 24u);  // two paths from the root to a leaf or two, in two trees
  const std::set<blob::BlobRef> once(history.store.opened.begin(), history.store.opened.end());
  EXPECT_EQ(once.size(), history.store.opened.size());
  EXPECT_EQ(got.trees[1].at(key_of_entry(entries[1234])).mtime_ns, entries[1234].mtime_ns);
  EXPECT_FALSE(got.trees[0].contains(key_of_entry(entries[2500])));

  history.roots[0] = history.roots[1];
  EXPECT_TRUE(run(history.merge({.skip_common = true, .below = {}}), 2).order.empty());
  EXPECT_TRUE(history.store.opened.empty());
}

TEST(TreeMerge, FetchesManySegmentsWithOneRequest) {
  History history;
  std::vector<Entry> entries = tall_entries(4000);
  history.add(entries);
  for (std::size_t i = 0; i < entries.size(); i += 3) entries[i].mtime_ns += 1;
  history.add(entries);
  EXPECT_EQ(run(history.merge(), 2).order.size(), 4000u);
  EXPECT_GT(history.store.opened.size(), 300u);
  EXPECT_LE(history.requests, history.store.opened.size() / 4);
  run(history.merge({.skip_common = true, .below = {}}), 2);
  EXPECT_GT(history.store.opened.size(), 300u);
  EXPECT_LE(history.requests, history.store.opened.size() / 4);
}

TEST(TreeMerge, KnowsSharedSegmentsByIdWhicheverRunStoredThem) {
  const std::vector<Entry> entries = tall_entries(300);
  SegmentStore one(0x11), other(0x22);
  const auto first = write_tree(one, entries), second = write_tree(other, entries);
  TreeMerge merge({{&blob_key(), first->root, batches(one)}, {&blob_key(), second->root, batches(other)}}, {});
  EXPECT_EQ(run(std::move(merge), 2).trees[1].size(), entries.size());
  // An index names the runs of its children and so has another id: leaves are shared.
  for (const blob::BlobRef& ref : other.opened) EXPECT_EQ(other.segments.at(ref).type, blob::Type::Index);
}

TEST(TreeMerge, TreesUnderDifferentKeysShareNothing) {
  SegmentStore one, other;
  const auto first = write_tree(one, tall_entries(50));
  const crypto::Key key = key_of(0x43);
  ManifestWriter writer(key, other.sink());
  for (const Entry& entry : tall_entries(50)) ASSERT_TRUE(writer.add(entry));
  const auto second = writer.finish();
  TreeMerge merge({{&blob_key(), first->root, batches(one)}, {&key, second->root, batches(other)}},
                  {.skip_common = true, .below = {}});
  const Delivered got = run(std::move(merge), 2);
  EXPECT_EQ(got.trees[0].size(), 50u);
  EXPECT_TRUE(got.trees[0] == got.trees[1]);
}

TEST(TreeMerge, BelowPathsNothingElseIsDelivered) {
  for (std::uint64_t seed = 301; seed <= 305; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History history = random_history(seed, 2);
    support::SeededRandom random(seed);
    const std::vector<std::string> below{random_path(random), "/1000007", "/a"};
    const Delivered got = run(history.merge({.skip_common = false, .below = below}), history.roots.size());
    for (std::size_t i = 0; i < history.states.size(); ++i) {
      std::map<Key, Entry> expected;
      for (const Entry& one : history.states[i]) {
        if (std::any_of(below.begin(), below.end(), [&](const auto& path) { return is_at_or_below(one.path, path); }))
          expected.emplace(key_of_entry(one), without_long_lists(one));
      }
      EXPECT_TRUE(got.trees[i] == expected) << "tree " << i;
    }
  }
}

TEST(TreeMerge, LeavesADirectoryWithoutOpeningWhatIsInIt) {
  History history;
  std::vector<Entry> entries{file_entry("/a")};
  entries[0].kind = EntryKind::Directory;
  for (std::size_t i = 0; i < 2000; ++i)
    entries.push_back(file_entry("/a/" + std::to_string(1'000'000 + i) + std::string(2000, 'n')));
  entries.push_back(file_entry("/b"));
  history.add(entries);
  TreeMerge merge = history.merge();
  EXPECT_EQ((**merge.next())[0].entry.path, "/a");
  merge.leave("/a");
  EXPECT_EQ((**merge.next())[0].entry.path, "/b");
  EXPECT_FALSE(merge.next()->has_value());
  EXPECT_LE(history.store.opened.size(), 8u);
}

TEST(TreeMerge, RefusesASegmentThatBreaksTheBoundsOfAnyTreeThatSharesIt) {
  // Both trees name one leaf; the second says that less follows below it than there is.
  SegmentStore store;
  const auto leaf = [&](const std::vector<std::string>& paths) {
    std::vector<LeafItem> items;
    for (const std::string& path : paths) items.push_back({file_entry(path), std::nullopt});
    return store.put(blob::Type::Leaf, {}, encode_leaf(items, RefTable({})));
  };
  const auto index = [&](std::vector<IndexItem> items) {
    std::vector<blob::BlobRef> children;
    for (const IndexItem& item : items) children.push_back(item.child);
    std::sort(children.begin(), children.end());
    return store.put(blob::Type::Index, children, encode_index({1, std::move(items)}, RefTable(children)));
  };
  const blob::BlobRef shared = leaf({"/b", "/m"}), honest = leaf({"/x"}), early = leaf({"/c"});
  const blob::BlobRef good = index({{{"www", "/b"}, 2, shared}, {{"www", "/x"}, 1, honest}});
  const blob::BlobRef bad = index({{{"www", "/b"}, 2, shared}, {{"www", "/c"}, 1, early}});
  const blob::BlobRef miscounted = index({{{"www", "/b"}, 3, shared}, {{"www", "/x"}, 1, honest}});
  for (const blob::BlobRef& second : {bad, miscounted}) {
    TreeMerge merge({{&blob_key(), good, batches(store)}, {&blob_key(), second, batches(store)}}, {});
    const auto got = merge.next();
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code, Errc::Corrupt);
  }
}

TEST(TreeMerge, NamesASegmentThatIsNotThereOrWasExchanged) {
  History history;
  history.add(tall_entries(300));
  const blob::BlobRef lost = history.store.order.front();
  const Segment kept = history.store.segments.at(lost);
  history.store.segments.erase(lost);
  TreeMerge merge = history.merge();
  const auto missing = merge.next();
  ASSERT_FALSE(missing.has_value());
  EXPECT_NE(missing.error().message.find(lost.blob.hex()), std::string::npos) << missing.error().message;

  history.store.segments[lost] = kept;
  history.store.segments[lost].plaintext.back() ^= 1;
  TreeMerge again = history.merge();
  EXPECT_EQ(again.next().error().code, Errc::Corrupt);
}

TEST(TreeMerge, OfNothingIsEmpty) {
  History history;
  history.add({});
  history.add({file_entry("/only")});
  const Delivered got = run(history.merge(), 2);
  EXPECT_EQ(got.order.size(), 1u);
  EXPECT_TRUE(got.trees[0].empty());
  EXPECT_FALSE(TreeMerge({}, {}).next()->has_value());
}

}  // namespace
}  // namespace holdfast::manifest
