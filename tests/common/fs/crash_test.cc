// What the doubles promise about crashes, and what replace_file, create_file and make_directories promise through them.

#include <gtest/gtest.h>

#include "common/fs/file_system.h"
#include "tests/support/faulty_fs.h"

namespace holdfast::fs {
namespace {

using support::CrashMode;
using support::FaultyFs;
using support::kCrashModes;
using support::MemFs;

std::string text(FileSystem& fs, const std::string& path) {
  const Result<Bytes> bytes = read_file(fs, path, 1 << 20);
  return bytes ? std::string(as_text(*bytes)) : "<" + std::string(errc_name(bytes.error().code)) + ">";
}

std::unique_ptr<File> make(FileSystem& fs, const std::string& path, std::string_view contents) {
  Result<std::unique_ptr<File>> file = fs.create(path, 0600);
  EXPECT_TRUE(file);
  EXPECT_TRUE((*file)->append(as_bytes(contents)));
  return std::move(*file);
}

TEST(MemFs, LosesBytesThatWereNotSynced) {
  MemFs fs;
  auto file = make(fs, "/a", "kept");
  ASSERT_TRUE(file->sync());
  ASSERT_TRUE(fs.sync_directory("/"));
  ASSERT_TRUE(file->append(as_bytes(" lost")));
  ASSERT_TRUE(file->write_at(0, as_bytes("K")));
  fs.reboot();
  EXPECT_EQ(text(fs, "/a"), "kept");
}

TEST(MemFs, LosesNamesThatWereNotSynced) {
  MemFs fs;
  ASSERT_TRUE(make(fs, "/a", "one")->sync());
  ASSERT_TRUE(fs.sync_directory("/"));
  ASSERT_TRUE(make(fs, "/b", "two")->sync());
  ASSERT_TRUE(fs.unlink("/a"));
  fs.reboot();
  EXPECT_EQ(text(fs, "/a"), "one");
  EXPECT_EQ(text(fs, "/b"), "<not-found>");
}

TEST(MemFs, LosesARenameAsAWhole) {
  MemFs fs;
  ASSERT_TRUE(make(fs, "/a", "one")->sync());
  ASSERT_TRUE(fs.sync_directory("/"));
  ASSERT_TRUE(fs.rename("/a", "/b"));
  fs.reboot();
  EXPECT_EQ(text(fs, "/a"), "one");
  EXPECT_EQ(text(fs, "/b"), "<not-found>");
}

TEST(MemFs, KeepsNamesWithoutDataWhenAsked) {
  MemFs fs;
  make(fs, "/a", "one");
  fs.reboot(CrashMode::KeepNamesWithoutData);
  EXPECT_EQ(text(fs, "/a"), "");
}

TEST(MemFs, KeepsLengthsWithoutDataWhenAsked) {
  MemFs fs;
  make(fs, "/a", "one");
  fs.reboot(CrashMode::KeepLengthsWithoutData);
  EXPECT_EQ(text(fs, "/a"), std::string(3, '\0'));
}

TEST(MemFs, TearsOnlyTheLastWrite) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    MemFs fs;
    auto file = make(fs, "/a", "first");
    ASSERT_TRUE(file->append(as_bytes("second")));
    fs.reboot(CrashMode::TearLastWrite, seed);
    const std::string left = text(fs, "/a");
    EXPECT_TRUE(std::string_view("firstsecond").starts_with(left)) << left;
    EXPECT_GE(left.size(), 5u);
    EXPECT_LT(left.size(), 11u);
  }
}

TEST(MemFs, KeepsAPrefixOfWhatHappened) {
  bool some = false;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    MemFs fs;
    make(fs, "/a", "1");
    make(fs, "/b", "2");
    fs.reboot(CrashMode::KeepPrefix, seed);
    const std::string a = text(fs, "/a"), b = text(fs, "/b");
    EXPECT_TRUE(b == "<not-found>" || a == "1") << "later kept, earlier lost";
    some = some || (a == "1" && b != "2");
  }
  EXPECT_TRUE(some);
}

TEST(MemFs, FailsWhatWasOpenedBeforeTheCrashAndFreesLocks) {
  MemFs fs;
  auto file = make(fs, "/a", "x");
  auto lock = fs.lock("/lock");
  ASSERT_TRUE(lock);
  fs.reboot(CrashMode::KeepPrefix);
  Bytes out(1);
  EXPECT_FALSE(file->append(as_bytes("y")));
  EXPECT_FALSE(file->read_at(0, out));
  auto again = fs.lock("/lock");
  EXPECT_TRUE(again);
  lock->reset();  // the old one must not free the new one
  EXPECT_FALSE(fs.lock("/lock"));
}

TEST(MemFs, CutsWritesAtItsCapacity) {
  MemFs fs;
  fs.set_capacity(5);
  auto file = fs.create("/a", 0600);
  ASSERT_TRUE(file);
  const Status full = (*file)->append(as_bytes("1234567"));
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Errc::DiskFull);
  EXPECT_EQ(text(fs, "/a"), "12345");
  EXPECT_TRUE((*file)->write_at(0, as_bytes("x"))) << "overwriting needs no room";
  EXPECT_EQ(*fs.available_bytes("/"), 0u);
}

TEST(FaultyFs, FailsTheStepThatWasNamedAndNoOther) {
  FaultyFs fs;
  fs.fail_at(1, Errc::DiskFull);
  auto file = fs.create("/a", 0600);
  ASSERT_TRUE(file);
  const Status refused = (*file)->append(as_bytes("x"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::DiskFull);
  EXPECT_EQ(fs.struck_at(), "write /a");
  EXPECT_TRUE((*file)->append(as_bytes("y")));
  EXPECT_EQ(text(fs, "/a"), "y");
}

TEST(FaultyFs, AFailedSyncHasLostTheBytesForGood) {
  FaultyFs fs;
  auto file = make(fs, "/a", "x");
  ASSERT_TRUE(fs.sync_directory("/"));
  fs.fail_on(support::Operation::Sync, "/a");
  EXPECT_FALSE(file->sync());
  EXPECT_TRUE(file->sync()) << "the kernel forgets; so must nobody trust the second answer";
  EXPECT_EQ(text(fs, "/a"), "x");
  fs.reboot();
  EXPECT_EQ(text(fs, "/a"), "");
}

TEST(FaultyFs, AfterACrashNothingWorksUntilReboot) {
  FaultyFs fs;
  auto file = make(fs, "/a", "x");
  fs.crash_after(0);
  EXPECT_FALSE(file->sync());
  EXPECT_TRUE(fs.crashed());
  EXPECT_FALSE(fs.list("/"));
  EXPECT_FALSE(fs.lock("/lock"));
  fs.reboot(CrashMode::KeepNamesWithoutData);
  EXPECT_FALSE(fs.crashed());
  EXPECT_EQ(text(fs, "/a"), "");
}

TEST(FaultyFs, TearsAWriteInHalf) {
  FaultyFs fs;
  fs.tear_at(1);
  auto file = fs.create("/a", 0600);
  EXPECT_FALSE((*file)->append(as_bytes("123456")));
  EXPECT_EQ(text(fs, "/a"), "123");
}

TEST(ReplaceFile, LeavesOldOrNewBytesWhereverItCrashes) {
  std::size_t states = 0;
  for (const CrashMode mode : kCrashModes) {
    for (std::uint64_t step = 0;; ++step) {
      FaultyFs fs;
      ASSERT_TRUE(create_file(fs, "/a", as_bytes("old"), 0600));
      fs.crash_after(step);
      const bool acknowledged = replace_file(fs, "/a", as_bytes("new bytes"), 0600).has_value();
      if (!fs.crashed()) break;
      fs.reboot(mode, step);
      const std::string left = text(fs, "/a");
      EXPECT_TRUE(left == "new bytes" || (left == "old" && !acknowledged))
          << left << " at step " << step << ", " << support::crash_mode_name(mode);
      EXPECT_TRUE(replace_file(fs, "/a", as_bytes("after"), 0600)) << "what the crash left must not be in the way";
      ++states;
    }
  }
  EXPECT_GE(states, 20u);
}

TEST(ReplaceFile, KeepsTheOldBytesWhereverItFails) {
  for (std::uint64_t step = 0;; ++step) {
    FaultyFs fs;
    ASSERT_TRUE(create_file(fs, "/a", as_bytes("old"), 0600));
    fs.tear_at(step, Errc::DiskFull);
    const Status done = replace_file(fs, "/a", as_bytes("new"), 0600);
    if (!fs.struck()) break;
    ASSERT_FALSE(done);
    if (done.error().code == Errc::Unknown) continue;  // only the directory's sync was left
    EXPECT_EQ(done.error().code, Errc::DiskFull);
    EXPECT_EQ(text(fs, "/a"), "old") << fs.struck_at();
    EXPECT_EQ(fs.disk().list("/")->size(), 1u) << "left behind after " << fs.struck_at();
  }
}

TEST(MakeDirectories, IsDurableWhenItSaysSoWhereverAnEarlierCallFailed) {
  for (std::uint64_t step = 0;; ++step) {
    FaultyFs fs;
    fs.fail_at(step);
    const bool done = make_directories(fs, "/a/b/c", 0700).has_value();
    fs.clear_faults();
    ASSERT_TRUE(make_directories(fs, "/a/b/c", 0700));
    fs.reboot(CrashMode::DropUnsynced);
    EXPECT_TRUE(fs.stat("/a/b/c")) << "lost after step " << step;
    if (done) break;
  }
}

TEST(MakeDirectories, SyncsWhatAKilledProcessLeftUnsynced) {
  MemFs fs;
  ASSERT_TRUE(fs.make_directory("/a", 0700));  // made, not synced, process gone
  ASSERT_TRUE(make_directories(fs, "/a/b", 0700));
  fs.reboot();
  EXPECT_TRUE(fs.stat("/a/b"));

  ASSERT_TRUE(fs.make_directory("/c", 0700));
  ASSERT_TRUE(make_directories(fs, "/c", 0700));
  fs.reboot();
  EXPECT_TRUE(fs.stat("/c"));
}

}  // namespace
}  // namespace holdfast::fs
