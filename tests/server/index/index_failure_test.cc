// What the index is worth when the disk fails, the machine stops, or somebody damages its files. The promise: it opens
// with everything up to the generation that it states, or it is Corrupt and gets rebuilt. Never a silent hole.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "server/index/blob_index.h"
#include "tests/server/index/footers.h"
#include "tests/support/faulty_fs.h"

namespace holdfast::index {
namespace {

const std::string kDirectory = "/index";

std::shared_ptr<Shared> small_shared() { return make_shared_resources(8u << 20, 8u << 20); }

/// Packs by the generation that added them, and what an index may say of them.
class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed), domain_(random_.id<DomainId>()) {}

  std::vector<pack::Footer> new_packs(std::uint64_t generation, std::size_t packs, std::size_t blobs) {
    std::vector<pack::Footer> made;
    for (std::size_t i = 0; i < packs; ++i) made.push_back(random_footer(random_, domain_, blobs));
    for (const pack::Footer& footer : made) packs_[footer.id] = {generation, footer};
    return made;
  }

  /// Reads everything. Corrupt is an honest answer; anything else must be complete up to its generation.
  Status judge(BlobIndex& index) const {
    HF_TRY_DO(index.verify());
    HF_TRY(const std::uint64_t generation, index.generation());
    std::map<PackId, std::size_t> seen;
    HF_TRY_DO(index.for_each([&](const Location& location) -> Status {
      const auto pack = packs_.find(location.pack);
      EXPECT_NE(pack, packs_.end()) << "a pack that was never added";
      if (pack == packs_.end()) return {};
      const auto& entries = pack->second.footer.entries;
      EXPECT_NE(std::find(entries.begin(), entries.end(), location.entry), entries.end()) << "an entry that never was";
      ++seen[location.pack];
      return {};
    }));
    for (const auto& [id, pack] : packs_) {
      const std::size_t blobs = seen.contains(id) ? seen[id] : 0;
      if (pack.generation <= generation) {
        EXPECT_EQ(blobs, pack.footer.entries.size())
            << "generation " << generation << " without the pack of generation " << pack.generation;
      } else {
        EXPECT_TRUE(blobs == 0 || blobs == pack.footer.entries.size()) << "half a pack";
      }
    }
    return {};
  }

 private:
  struct Pack {
    std::uint64_t generation = 0;
    pack::Footer footer;
  };
  support::SeededRandom random_;
  DomainId domain_;
  std::map<PackId, Pack> packs_;
};

/// Normal work, a bulk, normal work, tables and log both in use; stops at the first error.
Status work(fs::FileSystem& fs, History& history) {
  HF_TRY(const auto index, BlobIndex::open(kDirectory, small_shared(), &fs));
  HF_TRY_DO(index->add_packs(history.new_packs(1, 1, 5), 1));
  HF_TRY_DO(index->add_packs(history.new_packs(2, 2, 3), 2));
  HF_TRY_DO(index->add_packs_in_bulk(history.new_packs(4, 3, 10)));
  HF_TRY_DO(index->set_generation(4));
  HF_TRY_DO(index->add_packs(history.new_packs(5, 1, 4), 5));
  HF_TRY_DO(index->add_packs_in_bulk(history.new_packs(6, 1, 4)));
  HF_TRY_DO(index->add_packs(history.new_packs(6, 1, 4), 6));
  return index->add_packs(history.new_packs(7, 1, 4), 7);
}

TEST(IndexFailure, AFailingDiskReachesRocksDbAndStopsTheIndex) {
  support::FaultyFs fs;
  History history(1);
  auto index = BlobIndex::open(kDirectory, small_shared(), &fs);
  ASSERT_TRUE(index) << index.error().message;
  ASSERT_TRUE((*index)->add_packs(history.new_packs(1, 1, 3), 1));

  fs.fail_on(support::Operation::Write, ".log");
  const Status failed = (*index)->add_packs(history.new_packs(2, 1, 3), 2);
  ASSERT_FALSE(failed) << "RocksDB did not go through our file system";
  EXPECT_EQ(failed.error().code, Errc::Io);
  EXPECT_TRUE(fs.struck());
  EXPECT_FALSE((*index)->set_generation(2)) << "a log with a torn record must not be written on";

  index->reset();
  index = BlobIndex::open(kDirectory, small_shared(), &fs);
  ASSERT_TRUE(index) << index.error().message;
  EXPECT_EQ(*(*index)->generation(), 1u);
  const Status judged = history.judge(**index);
  EXPECT_TRUE(judged) << judged.error().message;
}

TEST(IndexFailure, AFullDiskIsToldFromABrokenOne) {
  support::FaultyFs fs;
  History history(2);
  const auto index = BlobIndex::open(kDirectory, small_shared(), &fs);
  ASSERT_TRUE(index);
  fs.fail_from(0, Errc::DiskFull);
  const Status failed = (*index)->add_packs(history.new_packs(1, 1, 3), 1);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::DiskFull) << failed.error().message;
  fs.clear_faults();
}

TEST(IndexFailure, AFailedFlushOfARebuildIsNotAcknowledged) {
  support::FaultyFs fs;
  History history(3);
  const auto index = BlobIndex::open(kDirectory, small_shared(), &fs);
  ASSERT_TRUE(index);
  ASSERT_TRUE((*index)->add_packs_in_bulk(history.new_packs(3, 2, 20)));
  fs.fail_on(support::Operation::Sync, ".sst");
  EXPECT_FALSE((*index)->set_generation(3));
  EXPECT_TRUE(fs.struck());
}

TEST(IndexFailure, WhereverTheMachineStopsTheIndexKeepsItsWordOrIsCorrupt) {
  std::size_t opened = 0, corrupt = 0, steps = 0;
  for (std::uint64_t step = 0;; ++step, ++steps) {
    bool crashed = false;
    for (int round = 0; round < 2; ++round) {
      // Every step meets two ways of losing what was not synced, all of them in turn.
      const support::CrashMode mode = support::kCrashModes[(step + 3 * static_cast<std::uint64_t>(round)) % 6];
      SCOPED_TRACE("step " + std::to_string(step) + ", " + support::crash_mode_name(mode));
      support::FaultyFs fs;
      History history(step);
      fs.crash_after(step);
      (void)work(fs, history);
      crashed = fs.crashed();
      fs.reboot(mode, step);

      const auto index = BlobIndex::open(kDirectory, small_shared(), &fs);
      if (!index) {
        EXPECT_EQ(index.error().code, Errc::Corrupt) << index.error().message;
        ++corrupt;
        continue;
      }
      const Status judged = history.judge(**index);
      EXPECT_TRUE(judged || judged.error().code == Errc::Corrupt) << judged.error().message;
      ++opened;
    }
    if (!crashed || HasFailure()) break;
  }
  RecordProperty("steps", static_cast<int>(steps));
  EXPECT_GT(steps, 30u);
  EXPECT_GT(opened, corrupt * 4) << "opened " << opened << ", corrupt " << corrupt;
}

/// An index that was closed in good order, with tables and a log.
void make_index(fs::FileSystem& fs, History& history) {
  const Status worked = work(fs, history);
  ASSERT_TRUE(worked) << worked.error().message;
}

void judge_damaged(fs::FileSystem& fs, const History& history, std::size_t* noticed) {
  const auto index = BlobIndex::open(kDirectory, small_shared(), &fs);
  if (!index) {
    EXPECT_EQ(index.error().code, Errc::Corrupt) << index.error().message;
    ++*noticed;
    return;
  }
  const Status judged = history.judge(**index);
  if (judged) return;
  EXPECT_EQ(judged.error().code, Errc::Corrupt) << judged.error().message;
  ++*noticed;
}

std::vector<fs::DirectoryEntry> index_files() {
  support::MemFs fs;
  History history(10);
  make_index(fs, history);
  auto files = fs.list(kDirectory);
  EXPECT_TRUE(files);
  return *std::move(files);
}

bool is_table(const std::string& name) { return name.ends_with(".sst"); }

TEST(IndexDamage, AnyFileMayBeMissing) {
  for (const fs::DirectoryEntry& file : index_files()) {
    SCOPED_TRACE(file.name);
    support::MemFs fs;
    History history(10);
    make_index(fs, history);
    if (!fs.unlink(fs::join(kDirectory, file.name))) continue;
    std::size_t noticed = 0;
    judge_damaged(fs, history, &noticed);
    if (is_table(file.name)) {
      EXPECT_EQ(noticed, 1u);
    }
  }
}

TEST(IndexDamage, AnyFileMayBeCutAnywhere) {
  for (const fs::DirectoryEntry& file : index_files()) {
    for (std::uint64_t part = 0; part < 12; ++part) {
      const std::uint64_t length = file.size * part / 12;
      SCOPED_TRACE(file.name + " cut to " + std::to_string(length));
      support::MemFs fs;
      History history(10);
      make_index(fs, history);
      const auto opened = fs.open_write(fs::join(kDirectory, file.name));
      if (!opened) continue;
      ASSERT_TRUE((*opened)->truncate(length));
      std::size_t noticed = 0;
      judge_damaged(fs, history, &noticed);
      if (is_table(file.name)) {
        EXPECT_EQ(noticed, 1u);
      }
    }
  }
}

TEST(IndexDamage, AnyByteMayBeFlipped) {
  support::SeededRandom random(77);
  for (const fs::DirectoryEntry& file : index_files()) {
    if (file.size == 0) continue;
    for (int i = 0; i < 12; ++i) {
      const std::uint64_t at = random.below(file.size);
      SCOPED_TRACE(file.name + " byte " + std::to_string(at));
      support::MemFs fs;
      History history(10);
      make_index(fs, history);
      const auto opened = fs.open_write(fs::join(kDirectory, file.name));
      if (!opened) continue;
      std::uint8_t byte = 0;
      ASSERT_TRUE((*opened)->read_at(at, MutableByteSpan(&byte, 1)));
      byte ^= 0x40;
      ASSERT_TRUE((*opened)->write_at(at, ByteSpan(&byte, 1)));
      std::size_t noticed = 0;
      judge_damaged(fs, history, &noticed);
    }
  }
}

}  // namespace
}  // namespace holdfast::index
