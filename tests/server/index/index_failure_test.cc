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

  /// Reads everything. Corrupt is an honest answer; anything else must be complete up to its generation, before
  /// verify() is asked.
  Status judge(BlobIndex& index) const {
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
    return index.verify();
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
  std::size_t opened = 0, corrupt = 0;
  std::uint64_t step = 0;
  for (bool crashed = true; crashed && !HasFailure(); ++step) {
    const support::CrashMode mode = support::kCrashModes[step % std::size(support::kCrashModes)];
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
  EXPECT_GT(step, 60u);
  EXPECT_GT(opened, corrupt * 4) << "opened " << opened << ", corrupt " << corrupt;
  std::cout << step << " steps: opened " << opened << ", corrupt " << corrupt << "\n";
}

/// The files of an index that was closed in good order.
using Image = std::map<std::string, Bytes>;

Image image_of(fs::FileSystem& fs) {
  Image image;
  const auto files = fs.list(kDirectory);
  EXPECT_TRUE(files);
  if (!files) return image;
  for (const fs::DirectoryEntry& file : *files) {
    const auto bytes = fs::read_file(fs, fs::join(kDirectory, file.name), 1u << 20);
    EXPECT_TRUE(bytes) << bytes.error().message;
    if (bytes) image[file.name] = *bytes;
  }
  return image;
}

void put_image(fs::FileSystem& fs, const Image& image) {
  ASSERT_TRUE(fs.make_directory(kDirectory, 0700));
  for (const auto& [name, bytes] : image) {
    const Status created = fs::create_file(fs, fs::join(kDirectory, name), bytes, 0600);
    ASSERT_TRUE(created) << created.error().message;
  }
}

/// Opens a healthy index on a disk that `inject` has made fail. False: no fault struck, the last step is past.
bool opens_or_says_why(const History& history, const Image& healthy, Errc injected,
                       const std::function<void(support::FaultyFs&)>& inject) {
  support::FaultyFs fs;
  put_image(fs, healthy);
  inject(fs);
  auto index = BlobIndex::open(kDirectory, small_shared(), &fs);
  const bool struck = fs.struck();
  SCOPED_TRACE(fs.struck_at());
  if (!index) {
    EXPECT_EQ(index.error().code, injected) << index.error().message;
  }
  fs.clear_faults();
  if (index) index->reset();
  // Whatever the failed attempt has left behind, nothing is lost.
  index = BlobIndex::open(kDirectory, small_shared(), &fs);
  EXPECT_TRUE(index) << index.error().message;
  if (!index) return struck;
  EXPECT_EQ(*(*index)->generation(), 7u);
  const Status judged = history.judge(**index);
  EXPECT_TRUE(judged) << judged.error().message;
  return struck;
}
bool is_table(const std::string& name) { return name.ends_with(".sst"); }

/// Tables and a log, and what was done to get them.
struct Worked {
  History history{10};
  Image image;
  Worked() {
    support::MemFs fs;
    const Status worked = work(fs, history);
    EXPECT_TRUE(worked) << worked.error().message;
    image = image_of(fs);
    EXPECT_TRUE(std::any_of(image.begin(), image.end(), [](const auto& file) { return is_table(file.first); }));
  }
};

/// True: the damage was noticed. Otherwise the index is as good as an older one.
bool notices(const History& history, const Image& damaged) {
  support::MemFs fs;
  put_image(fs, damaged);
  const auto index = BlobIndex::open(kDirectory, small_shared(), &fs);
  const Status judged = index ? history.judge(**index) : Status(index.error());
  if (!judged) {
    EXPECT_EQ(judged.error().code, Errc::Corrupt) << judged.error().message;
  }
  return !judged;
}

TEST(IndexFailure, ADiskThatFailsWhileOpeningIsNoReasonToRebuild) {
  using support::FaultyFs;
  struct Way {
    const char* name;
    void (FaultyFs::*fail)(std::uint64_t, Errc);
    std::vector<Errc> codes;
    std::uint64_t least_steps;  ///< fewer: the fault did not reach RocksDB
  };
  const Way ways[] = {{"fail_at", &FaultyFs::fail_at, {Errc::Io, Errc::DiskFull}, 5},
                      {"fail_from", &FaultyFs::fail_from, {Errc::Io, Errc::DiskFull}, 5},
                      {"tear_at", &FaultyFs::tear_at, {Errc::Io, Errc::DiskFull}, 5},
                      {"fail_read_at", &FaultyFs::fail_read_at, {Errc::Io}, 20},
                      {"fail_reads_from", &FaultyFs::fail_reads_from, {Errc::Io}, 20}};
  const Worked good;
  for (const Way& way : ways) {
    for (const Errc code : way.codes) {
      std::uint64_t step = 0;
      for (bool struck = true; struck; ++step) {
        SCOPED_TRACE(std::string(way.name) + " " + std::to_string(step) + ", error " + std::string(errc_name(code)));
        struck = opens_or_says_why(good.history, good.image, code, [&](FaultyFs& fs) { (fs.*way.fail)(step, code); });
      }
      EXPECT_GE(step, way.least_steps) << way.name;
      std::cout << way.name << ", " << errc_name(code) << ": " << step << " steps\n";
    }
  }
}

TEST(IndexDamage, IsNotSeenWhereThereIsNone) {
  const Worked good;
  EXPECT_FALSE(notices(good.history, good.image));
}

TEST(IndexDamage, AnyFileMayBeMissing) {
  const Worked good;
  for (const auto& [name, bytes] : good.image) {
    SCOPED_TRACE(name);
    Image damaged = good.image;
    damaged.erase(name);
    EXPECT_TRUE(notices(good.history, damaged) || !is_table(name));
  }
}

TEST(IndexDamage, AnyFileMayBeCutAnywhere) {
  const Worked good;
  for (const auto& [name, bytes] : good.image) {
    for (std::size_t part = 0; part < 16 && !bytes.empty(); ++part) {
      Image damaged = good.image;
      damaged[name].resize(bytes.size() * part / 16);
      SCOPED_TRACE(name + " cut to " + std::to_string(damaged[name].size()));
      EXPECT_TRUE(notices(good.history, damaged) || !is_table(name));
    }
  }
}

TEST(IndexDamage, AnyByteMayBeFlipped) {
  const Worked good;
  support::SeededRandom random(77);
  for (const auto& [name, bytes] : good.image) {
    for (int i = 0; i < 16 && !bytes.empty(); ++i) {
      Image damaged = good.image;
      const std::uint64_t at = random.below(bytes.size());
      damaged[name][at] ^= static_cast<std::uint8_t>(1u << random.below(8));
      SCOPED_TRACE(name + " byte " + std::to_string(at));
      (void)notices(good.history, damaged);
    }
  }
}

TEST(IndexDamage, TablesMayBeSwapped) {
  const Worked good;
  std::vector<std::string> tables;
  for (const auto& [name, bytes] : good.image) {
    if (is_table(name)) tables.push_back(name);
  }
  ASSERT_GE(tables.size(), 2u);
  Image damaged = good.image;
  std::swap(damaged[tables[0]], damaged[tables[1]]);
  EXPECT_TRUE(notices(good.history, damaged));
}

TEST(IndexDamage, AMarkOfDamageIsNotForgottenWithTheTableThatHoldsIt) {
  // The mark alone is in the last table, a later generation in the log: cut the manifest, and the mark is gone.
  support::MemFs sample;
  History history(20);
  const auto packs = history.new_packs(1, 2, 3);
  {
    const auto index = BlobIndex::open(kDirectory, small_shared(), &sample);
    ASSERT_TRUE(index);
    ASSERT_TRUE((*index)->add_packs_in_bulk(packs));
    ASSERT_TRUE((*index)->set_generation(1));
    ASSERT_TRUE((*index)->mark_damaged(packs[0].id));
    ASSERT_TRUE((*index)->add_packs_in_bulk({}));  // so that the mark goes into a table
    ASSERT_TRUE((*index)->set_generation(2));
  }
  const Image image = image_of(sample);
  std::size_t refused = 0;
  for (const auto& [name, bytes] : image) {
    if (!name.starts_with("MANIFEST")) continue;
    for (std::size_t length = 0; length <= bytes.size(); length += 11) {
      Image damaged = image;
      damaged[name].resize(length);
      support::MemFs fs;
      put_image(fs, damaged);
      const auto index = BlobIndex::open(kDirectory, small_shared(), &fs);
      if (!index) ++refused;
      if (!index || *(*index)->generation() < 2) continue;
      const pack::Entry& entry = packs[0].entries[0];
      EXPECT_TRUE((*index)->find(entry.domain, entry.epoch, entry.blob)->empty()) << name << " cut to " << length;
    }
  }
  EXPECT_GT(refused, 0u);
}

}  // namespace
}  // namespace holdfast::index
