// What only the local store has: a directory that crashes, fills up and keeps what was left half-written.

#include "server/store/local_store.h"

#include <gtest/gtest.h>

#include "tests/support/faulty_fs.h"
#include "tests/support/seeded_random.h"

namespace holdfast::store {
namespace {

using support::CrashMode;
using support::FaultyFs;
using support::kCrashModes;

std::unique_ptr<ObjectStore> open(fs::FileSystem& fs) {
  Result<std::unique_ptr<ObjectStore>> store = open_local_store(fs, "/t/objects");
  EXPECT_TRUE(store) << store.error().message;
  return store ? std::move(*store) : nullptr;
}
Status put(ObjectStore& store, const std::string& name, ByteSpan bytes) {
  HF_TRY(const std::unique_ptr<ObjectWriter> writer, store.create(name));
  HF_TRY_DO(writer->append(bytes));
  return writer->commit();
}
std::string text(ObjectStore& store, const std::string& name) {
  const Result<std::uint64_t> size = store.size(name);
  if (!size) return "<" + std::string(errc_name(size.error().code)) + ">";
  return std::string(as_text(*store.get(name, 0, *size)));
}
std::size_t files_in(fs::FileSystem& fs, const std::string& path) { return fs.list(path)->size(); }

TEST(LocalStore, SweepsWhatWritersLeftWhenItOpens) {
  FaultyFs fs;
  {
    auto store = open(fs);
    auto writer = store->create("packs/a");
    ASSERT_TRUE(writer);
    ASSERT_TRUE((*writer)->append(as_bytes("half")));
    fs.disk().kill_process();
    fs.crash_after(0);
  }
  fs.reboot(CrashMode::KeepNamesWithoutData);
  EXPECT_EQ(files_in(fs, "/t/objects/tmp"), 1u);
  auto store = open(fs);
  EXPECT_EQ(files_in(fs, "/t/objects/tmp"), 0u);
  EXPECT_TRUE(put(*store, "packs/a", as_bytes("whole")));
  EXPECT_EQ(files_in(fs, "/t/objects/tmp"), 0u);
}

TEST(LocalStore, LosesNoAcknowledgedObjectWhereverItCrashes) {
  std::size_t states = 0;
  for (const CrashMode mode : kCrashModes) {
    for (std::uint64_t step = 0;; ++step) {
      FaultyFs fs;
      auto store = open(fs);
      ASSERT_TRUE(put(*store, "packs/aa/old", as_bytes("old")));
      fs.crash_after(step);
      const bool acknowledged = put(*store, "packs/bb/new", as_bytes("new object")).has_value();
      store.reset();
      if (!fs.crashed()) break;
      fs.reboot(mode, step);
      store = open(fs);
      const std::string where = "step " + std::to_string(step) + " " + support::crash_mode_name(mode);
      EXPECT_EQ(text(*store, "packs/aa/old"), "old") << where;
      const std::string found = text(*store, "packs/bb/new");
      EXPECT_TRUE(found == "new object" || (found == "<not-found>" && !acknowledged)) << found << " " << where;
      ++states;
    }
  }
  EXPECT_GE(states, 30u);
}

TEST(LocalStore, ReplacesAtomicallyWhereverItCrashes) {
  for (const CrashMode mode : kCrashModes) {
    for (std::uint64_t step = 0;; ++step) {
      FaultyFs fs;
      auto store = open(fs);
      ASSERT_TRUE(store->replace("slots/a", as_bytes("old")));
      fs.crash_after(step);
      const bool acknowledged = store->replace("slots/a", as_bytes("new slot")).has_value();
      store.reset();
      if (!fs.crashed()) break;
      fs.reboot(mode, step);
      store = open(fs);
      const std::string found = text(*store, "slots/a");
      EXPECT_TRUE(found == "new slot" || (found == "old" && !acknowledged)) << found << " step " << step;
    }
  }
}

TEST(LocalStore, RemovedStaysRemovedOnceItWasSaid) {
  for (std::uint64_t step = 0;; ++step) {
    FaultyFs fs;
    auto store = open(fs);
    ASSERT_TRUE(put(*store, "packs/a", as_bytes("x")));
    fs.crash_after(step);
    const bool acknowledged = store->remove("packs/a").has_value();
    store.reset();
    const bool crashed = fs.crashed();
    fs.reboot();
    store = open(fs);
    EXPECT_EQ(text(*store, "packs/a"), acknowledged ? "<not-found>" : "x");
    if (!crashed) break;
  }
}

/// The process is killed between the removal and its sync, and the machine stops after the next one has found it gone.
TEST(LocalStore, SaysGoneOnlyOfWhatACrashDoesNotBringBack) {
  for (std::uint64_t step = 0; step < 3; ++step) {
    FaultyFs fs;
    auto store = open(fs);
    ASSERT_TRUE(put(*store, "packs/a", as_bytes("x")));
    fs.crash_after(step);
    (void)store->remove("packs/a");
    store.reset();
    fs.restart_process();
    store = open(fs);
    const Status again = store->remove("packs/a");
    EXPECT_TRUE(again || again.error().code == Errc::NotFound) << step;
    store.reset();
    fs.reboot();
    EXPECT_EQ(text(*open(fs), "packs/a"), "<not-found>") << step;
  }
}

TEST(LocalStore, NeverAcknowledgesAfterAFailureAndWorksAgain) {
  for (const Errc code : {Errc::Io, Errc::DiskFull}) {
    for (std::uint64_t step = 0;; ++step) {
      FaultyFs fs;
      auto store = open(fs);
      fs.tear_at(step, code);
      const Status stored = put(*store, "packs/a", as_bytes("object"));
      if (!fs.struck()) break;
      ASSERT_FALSE(stored) << fs.struck_at();
      EXPECT_TRUE(stored.error().code == code || stored.error().code == Errc::Unknown) << fs.struck_at();
      EXPECT_TRUE(stored.error().code == Errc::Unknown || text(*store, "packs/a") == "<not-found>") << fs.struck_at();
      EXPECT_EQ(files_in(fs, "/t/objects/tmp"), 0u) << "left behind after " << fs.struck_at();
      EXPECT_TRUE(put(*store, "packs/b", as_bytes("next"))) << "after " << fs.struck_at();
      fs.reboot();
      EXPECT_EQ(text(*open(fs), "packs/b"), "next") << "after " << fs.struck_at();
    }
  }
}

TEST(LocalStore, NeverCommitsAWriterThatLostBytes) {
  FaultyFs fs;
  auto store = open(fs);
  auto writer = store->create("packs/a");
  ASSERT_TRUE(writer);
  fs.tear_at(0, Errc::DiskFull);
  EXPECT_FALSE((*writer)->append(as_bytes("123456")));
  EXPECT_FALSE((*writer)->append(as_bytes("7")));
  EXPECT_FALSE((*writer)->commit());
  EXPECT_EQ(text(*store, "packs/a"), "<not-found>");
}

TEST(LocalStore, GivesSpaceBackWhenTheDiskIsFull) {
  FaultyFs fs;
  auto store = open(fs);
  fs.disk().set_capacity(100);
  const Bytes big(200, 7);
  const Status full = put(*store, "packs/a", big);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Errc::DiskFull);
  EXPECT_EQ(*store->available_bytes(), 100u) << "the half-written file must be gone";
  EXPECT_TRUE(put(*store, "packs/b", ByteSpan(big).first(50)));
}

TEST(LocalStore, CostsTwoSyncsAnObjectInADirectoryThatIsThere) {
  FaultyFs fs;
  auto store = open(fs);
  ASSERT_TRUE(put(*store, "packs/aa/1", as_bytes("x")));
  const std::uint64_t before = fs.steps();
  ASSERT_TRUE(put(*store, "packs/aa/2", as_bytes("x")));
  EXPECT_EQ(fs.steps() - before, 5u) << "create, write, sync, rename, sync directory";
}

TEST(LocalStore, ListsNothingThatIsNoObject) {
  FaultyFs fs;
  auto store = open(fs);
  ASSERT_TRUE(put(*store, "packs/a", as_bytes("x")));
  for (const char* path :
       {"/t/objects/README", "/t/objects/packs/UPPER", "/t/objects/packs/.hidden", "/t/objects/tmp/9"}) {
    ASSERT_TRUE(fs.disk().create(path, 0600));
  }
  const auto listed = store->list("");
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ((*listed)[0].name, "packs/a");
}

TEST(LocalStore, ReportsADirectoryThatCannotBeOpened) {
  FaultyFs fs;
  ASSERT_TRUE(fs::make_directories(fs, "/t", 0700));
  ASSERT_TRUE(fs.create("/t/objects", 0600));
  const auto store = open_local_store(fs, "/t/objects");
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find("/t/objects"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::store
