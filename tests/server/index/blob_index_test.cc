#include "server/index/blob_index.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/server/index/footers.h"
#include "tests/support/mem_fs.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::index {
namespace {

using Key = std::tuple<DomainId, std::uint32_t, BlobId>;

std::shared_ptr<Shared> small_shared() { return make_shared_resources(8u << 20, 8u << 20); }

std::unique_ptr<BlobIndex> open_in(fs::FileSystem& fs, const std::string& directory = "/index") {
  auto index = BlobIndex::open(directory, small_shared(), &fs);
  EXPECT_TRUE(index) << index.error().message;
  return index ? *std::move(index) : nullptr;
}

Digest digest_of(BlobIndex& index) {
  const auto digest = index.contents_digest();
  EXPECT_TRUE(digest) << digest.error().message;
  return digest ? *digest : Digest{};
}

std::vector<Location> found(BlobIndex& index, const pack::Entry& entry) {
  auto copies = index.find(entry.domain, entry.epoch, entry.blob);
  EXPECT_TRUE(copies) << copies.error().message;
  return copies ? *std::move(copies) : std::vector<Location>{};
}

TEST(BlobIndex, FindsEveryEntryOfAnAddedPackWithItsChildren) {
  support::MemFs fs;
  support::SeededRandom random(1);
  const auto index = open_in(fs);
  const pack::Footer footer = random_footer(random, random.id<DomainId>(), 50);
  ASSERT_TRUE(index->add_packs({footer}, 7));

  for (const pack::Entry& entry : footer.entries) {
    const auto copies = found(*index, entry);
    ASSERT_EQ(copies.size(), 1u);
    EXPECT_EQ(copies[0].entry, entry);
    EXPECT_EQ(copies[0].pack, footer.id);
    EXPECT_EQ(copies[0].store_epoch, footer.store_epoch);
  }
  EXPECT_EQ(*index->generation(), 7u);
  EXPECT_EQ(*index->blob_count(), 50u);
}

TEST(BlobIndex, AnswersUnknownBlobsDomainsAndEpochsWithNothing) {
  support::MemFs fs;
  support::SeededRandom random(2);
  const auto index = open_in(fs);
  const pack::Footer footer = random_footer(random, random.id<DomainId>(), 1);
  ASSERT_TRUE(index->add_packs({footer}, 1));

  const pack::Entry& known = footer.entries[0];
  EXPECT_TRUE(index->find(known.domain, known.epoch, random.id<BlobId>())->empty());
  EXPECT_TRUE(index->find(random.id<DomainId>(), known.epoch, known.blob)->empty());
  EXPECT_TRUE(index->find(known.domain, known.epoch + 1, known.blob)->empty());
}

TEST(BlobIndex, ListsTheCopiesOfOneBlobInSeveralPacksAndOfSeveralRunsInOnePack) {
  support::MemFs fs;
  support::SeededRandom random(3);
  const auto index = open_in(fs);
  const pack::Entry one = random_entry(random, random.id<DomainId>());
  pack::Entry other_run = one;
  other_run.run = random.id<RunId>();
  const pack::Footer first = footer_of(random, {one, other_run}), second = footer_of(random, {one});
  ASSERT_TRUE(index->add_packs({first, second}, 1));

  std::vector<std::pair<PackId, RunId>> expected = {
      {first.id, one.run}, {first.id, other_run.run}, {second.id, one.run}};
  std::vector<std::pair<PackId, RunId>> seen;
  for (const Location& copy : found(*index, one)) seen.emplace_back(copy.pack, copy.entry.run);
  std::sort(expected.begin(), expected.end());
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(*index->blob_count(), 3u);
}

TEST(BlobIndex, LeavesOutDamagedPacksAlsoAfterReopening) {
  support::MemFs fs;
  support::SeededRandom random(4);
  const pack::Entry entry = random_entry(random, random.id<DomainId>());
  const pack::Footer good = footer_of(random, {entry}), bad = footer_of(random, {entry});
  Digest before;
  {
    const auto index = open_in(fs);
    ASSERT_TRUE(index->add_packs({good, bad}, 1));
    before = digest_of(*index);
    ASSERT_TRUE(index->mark_damaged(bad.id));
    ASSERT_EQ(found(*index, entry).size(), 1u);
  }
  const auto index = open_in(fs);
  const auto copies = found(*index, entry);
  ASSERT_EQ(copies.size(), 1u);
  EXPECT_EQ(copies[0].pack, good.id);
  EXPECT_EQ(digest_of(*index), before) << "marks of damage are not part of the contents";
  ASSERT_TRUE(index->mark_damaged(good.id));
  EXPECT_TRUE(found(*index, entry).empty());
}

TEST(BlobIndex, TakesAPackThatWasMarkedBeforeItWasAdded) {
  support::MemFs fs;
  support::SeededRandom random(5);
  const auto index = open_in(fs);
  const pack::Footer footer = random_footer(random, random.id<DomainId>(), 3);
  ASSERT_TRUE(index->mark_damaged(footer.id));
  ASSERT_TRUE(index->add_packs({footer}, 1));
  EXPECT_TRUE(found(*index, footer.entries[0]).empty());
}

TEST(BlobIndex, AddingAPackAgainChangesNothingButTheGeneration) {
  support::MemFs fs;
  support::SeededRandom random(6);
  const auto index = open_in(fs);
  const pack::Footer footer = random_footer(random, random.id<DomainId>(), 10);
  ASSERT_TRUE(index->add_packs({footer, footer}, 1));
  const Digest before = digest_of(*index);
  ASSERT_TRUE(index->add_packs({footer}, 2));
  EXPECT_EQ(*index->blob_count(), 10u);
  EXPECT_EQ(*index->generation(), 2u);
  EXPECT_EQ(digest_of(*index), before);
}

TEST(BlobIndex, KeepsEverythingOverACleanReopen) {
  support::TemporaryDirectory directory;
  support::SeededRandom random(7);
  const pack::Footer footer = random_footer(random, random.id<DomainId>(), 200);
  Digest before;
  {
    const auto index = open_in(fs::real(), directory / "index");
    ASSERT_TRUE(index->add_packs({footer}, 3));
    ASSERT_TRUE(index->set_generation(4));
    before = digest_of(*index);
  }
  const auto index = open_in(fs::real(), directory / "index");
  EXPECT_EQ(*index->generation(), 4u);
  EXPECT_EQ(*index->blob_count(), 200u);
  EXPECT_EQ(digest_of(*index), before);
}

TEST(BlobIndex, WorksOnRocksDbsOwnFileAccessToo) {
  support::TemporaryDirectory directory;
  support::SeededRandom random(8);
  const pack::Footer footer = random_footer(random, random.id<DomainId>(), 5);
  for (int round = 0; round < 2; ++round) {
    auto index = BlobIndex::open(directory / "index", small_shared());
    ASSERT_TRUE(index) << index.error().message;
    ASSERT_TRUE((*index)->add_packs({footer}, 1));
    EXPECT_EQ(*(*index)->blob_count(), 5u);
  }
}

TEST(BlobIndex, RefusesToOpenOneDirectoryTwice) {
  support::MemFs fs;
  const auto index = open_in(fs);
  const auto second = BlobIndex::open("/index", small_shared(), &fs);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::Locked) << second.error().message;
}

// The model is a std::map; whatever the index is asked must agree with it.
TEST(BlobIndex, AgreesWithAMapOverRandomOperations) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    support::MemFs fs;
    support::SeededRandom random(seed);
    std::multimap<Key, std::pair<PackId, pack::Entry>> model;
    std::vector<pack::Footer> packs;
    std::set<PackId> damaged;
    std::vector<pack::Entry> known;
    const DomainId domains[] = {random.id<DomainId>(), random.id<DomainId>()};
    std::uint64_t generation = 0;
    auto index = open_in(fs);

    for (int step = 0; step < 200; ++step) {
      const std::uint64_t choice = random.below(10);
      if (choice < 5) {  // a pack, some of its blobs known already
        std::vector<pack::Entry> entries;
        for (std::uint64_t n = 1 + random.below(12); n > 0; --n) {
          const bool again = !known.empty() && random.below(4) == 0;
          entries.push_back(again ? known[random.below(known.size())] : random_entry(random, domains[random.below(2)]));
        }
        const pack::Footer footer = footer_of(random, std::move(entries), random.below(1u << 30));
        ASSERT_TRUE(random.below(2) == 0 ? index->add_packs({footer}, ++generation)
                                         : index->add_packs_in_bulk({footer}));
        for (const pack::Entry& e : footer.entries) {
          model.insert({Key{e.domain, e.epoch, e.blob}, {footer.id, e}});
          known.push_back(e);
        }
        packs.push_back(footer);
      } else if (choice == 5 && !packs.empty()) {
        const PackId id = packs[random.below(packs.size())].id;
        damaged.insert(id);
        ASSERT_TRUE(index->mark_damaged(id));
      } else if (choice == 6) {
        ASSERT_TRUE(index->set_generation(++generation));
      } else if (choice == 7) {
        // Unlogged packs are durable only from the next generation on.
        ASSERT_TRUE(index->set_generation(++generation));
        index.reset();
        index = open_in(fs);
        ASSERT_NE(index, nullptr);
      } else if (!known.empty()) {
        const pack::Entry& asked = known[random.below(known.size())];
        std::vector<std::pair<PackId, std::uint64_t>> expected, seen;
        const auto [begin, end] = model.equal_range(Key{asked.domain, asked.epoch, asked.blob});
        for (auto it = begin; it != end; ++it) {
          if (!damaged.contains(it->second.first)) expected.emplace_back(it->second.first, it->second.second.offset);
        }
        for (const Location& copy : found(*index, asked)) seen.emplace_back(copy.pack, copy.entry.offset);
        std::sort(expected.begin(), expected.end());
        ASSERT_EQ(seen, expected);
      }
      ASSERT_EQ(*index->blob_count(), model.size());
      ASSERT_EQ(*index->generation(), generation);
    }

    std::size_t visited = 0;
    Key last{};
    ASSERT_TRUE(index->for_each([&](const Location& location) -> Status {
      const pack::Entry& e = location.entry;
      const Key key{e.domain, e.epoch, e.blob};
      EXPECT_LE(last, key);
      last = key;
      const auto [begin, end] = model.equal_range(key);
      EXPECT_TRUE(std::any_of(
          begin, end, [&](const auto& row) { return row.second.first == location.pack && row.second.second == e; }));
      ++visited;
      return {};
    }));
    EXPECT_EQ(visited, model.size());

    support::MemFs other;
    const auto rebuilt = open_in(other);
    std::reverse(packs.begin(), packs.end());
    ASSERT_TRUE(rebuilt->add_packs_in_bulk(packs));
    ASSERT_TRUE(rebuilt->set_generation(generation));
    EXPECT_EQ(digest_of(*rebuilt), digest_of(*index)) << "rebuilt in another order";
    EXPECT_EQ(*rebuilt->blob_count(), *index->blob_count());
  }
}

TEST(BlobIndex, HasAnotherDigestWhenOneEntryDiffers) {
  support::MemFs a, b;
  support::SeededRandom random(11);
  pack::Footer footer = random_footer(random, random.id<DomainId>(), 20);
  const auto first = open_in(a), second = open_in(b);
  ASSERT_TRUE(first->add_packs({footer}, 1));
  footer.entries[7].record_digest.bytes[31] ^= 1;
  ASSERT_TRUE(second->add_packs({footer}, 1));
  EXPECT_NE(digest_of(*first), digest_of(*second));
}

TEST(BlobIndex, HandsOutTheVisitorsError) {
  support::MemFs fs;
  support::SeededRandom random(12);
  const auto index = open_in(fs);
  ASSERT_TRUE(index->add_packs({random_footer(random, random.id<DomainId>(), 3)}, 1));
  const Status status = index->for_each([](const Location&) -> Status { return Error{Errc::Canceled, "enough"}; });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Errc::Canceled);
}

TEST(BlobIndex, MakesABulkDurableWithTheNextGeneration) {
  support::MemFs fs;
  support::SeededRandom random(13);
  const DomainId domain = random.id<DomainId>();
  std::vector<pack::Footer> packs;
  for (int i = 0; i < 20; ++i) packs.push_back(random_footer(random, domain, 100));
  {
    const auto index = open_in(fs);
    ASSERT_TRUE(index->add_packs_in_bulk(packs));
    EXPECT_EQ(*index->generation(), 0u);
    ASSERT_TRUE(index->set_generation(5));
    fs.kill_process();
  }
  const auto index = open_in(fs);
  EXPECT_EQ(*index->generation(), 5u);
  EXPECT_EQ(*index->blob_count(), 2000u);
  EXPECT_EQ(found(*index, packs[19].entries[99]).size(), 1u);
}

TEST(BlobIndex, ForgetsAnUnfinishedBulkWithoutClaimingItsGeneration) {
  support::MemFs fs;
  support::SeededRandom random(14);
  const pack::Footer logged = random_footer(random, random.id<DomainId>(), 3);
  {
    const auto index = open_in(fs);
    ASSERT_TRUE(index->add_packs({logged}, 1));
    ASSERT_TRUE(index->add_packs_in_bulk({random_footer(random, random.id<DomainId>(), 10)}));
    fs.kill_process();
  }
  const auto index = open_in(fs);
  EXPECT_EQ(*index->generation(), 1u);
  EXPECT_EQ(*index->blob_count(), 3u);
  EXPECT_EQ(found(*index, logged.entries[0]).size(), 1u);
}

TEST(BlobIndex, IsAfterARemovalAsIfThePackHadNeverBeen) {
  support::MemFs fs;
  support::SeededRandom random(41);
  const DomainId domain = random.id<DomainId>();
  const pack::Entry shared = random_entry(random, domain);
  const pack::Footer kept = footer_of(random, {shared, random_entry(random, domain)});
  const pack::Footer gone = footer_of(random, {shared, random_entry(random, domain)});
  const pack::Footer unreadable = random_footer(random, domain, 30);
  Digest without;
  {
    const auto index = open_in(fs, "/without");
    ASSERT_TRUE(index->add_packs({kept}, 5));
    without = digest_of(*index);
  }
  {
    const auto index = open_in(fs);
    ASSERT_TRUE(index->add_packs({gone, kept, unreadable}, 5));
    ASSERT_TRUE(index->mark_damaged(unreadable.id));
    ASSERT_TRUE(index->remove_packs({gone, random_footer(random, domain, 3)}));
    ASSERT_TRUE(index->remove_packs_by_search({unreadable.id, random.id<PackId>()}));
    ASSERT_TRUE(index->remove_packs({gone}));
    EXPECT_EQ(digest_of(*index), without);
    EXPECT_EQ(*index->pack_ids(), std::vector<PackId>{kept.id});
    EXPECT_EQ(*index->blob_count(), 2u);
    EXPECT_EQ(*index->generation(), 5u);
    ASSERT_EQ(found(*index, shared).size(), 1u);
    EXPECT_EQ(found(*index, shared)[0].pack, kept.id);
    EXPECT_TRUE(index->verify());
  }
  const auto again = open_in(fs);
  EXPECT_EQ(digest_of(*again), without);
  EXPECT_TRUE(again->verify());
}

TEST(BlobIndex, AsksForARebuildWhenARemovalMeetsAnotherPackThanWasAdded) {
  support::MemFs fs;
  support::SeededRandom random(42);
  const auto index = open_in(fs);
  pack::Footer footer = random_footer(random, random.id<DomainId>(), 4);
  ASSERT_TRUE(index->add_packs({footer}, 1));
  footer.entries.pop_back();
  EXPECT_EQ(index->remove_packs({footer}).error().code, Errc::Corrupt);
}

}  // namespace
}  // namespace holdfast::index
