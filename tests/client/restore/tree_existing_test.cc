// What stands in the target already, and what a restore that was killed has left there.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "tests/client/restore/tree_fixture.h"

namespace holdfast::restore {
namespace {

TEST_F(Tree, LeavesEverythingInPlaceUnderNever) {
  ASSERT_EQ(::mkdir(target.c_str(), 0755), 0);
  put(at("/f"), "mine");
  ASSERT_EQ(::symlink("mine", at("/s").c_str()), 0);
  ASSERT_EQ(::mkfifo(at("/p").c_str(), 0600), 0);
  ASSERT_EQ(::mkdir(at("/d").c_str(), 0711), 0);
  const struct stat before = stat_of(at("/d"));
  auto tree = open();
  EXPECT_EQ(*tree->begin_file(file("/f", 9)), nullptr);
  EXPECT_EQ(*tree->begin_file(file("/s", 9)), nullptr);
  good(tree->make(symlink_to("/f", "other")));
  good(tree->make(entry(EntryKind::Fifo, "/s")));
  good(tree->make(hardlink_to("/p", "/f")));
  good(tree->make(directory("/d")));
  good(tree->finish());
  EXPECT_EQ(tree->report().left_in_place, 5u);
  EXPECT_EQ(content_of(at("/f")), "mine");
  EXPECT_EQ(stat_of(at("/d")).st_mode, before.st_mode);
  EXPECT_EQ(ns_of(stat_of(at("/d"))), ns_of(before));
}

TEST_F(Tree, LeavesAFileThatAppearsWhileAnotherIsWrittenUnderNever) {
  auto tree = open();
  auto pending = *tree->begin_file(file("/f", 3));
  good(pending->write(0, as_bytes("new")));
  put(at("/f"), "meanwhile");
  good(pending->commit());
  pending.reset();
  EXPECT_EQ(content_of(at("/f")), "meanwhile");
  EXPECT_EQ(tree->report().left_in_place, 1u);
  EXPECT_EQ(tree->report().files, 0u);
  EXPECT_TRUE(temporaries().empty());
}

TEST_F(Tree, ReplacesUnderChangedWhatDiffersInSizeOrTime) {
  {
    auto tree = open();
    for (const char* name : {"/same", "/size", "/time"}) good(restore_file(*tree, file(name), "1234"));
    good(tree->make(symlink_to("/link", "a")));
    good(tree->make(symlink_to("/relink", "a")));
    good(tree->finish());
  }
  const auto kept = stat_of(at("/same")).st_ino;
  auto tree = open(Overwrite::Changed);
  good(restore_file(*tree, file("/same"), "abcd"));  // equal size and time: not looked into
  good(restore_file(*tree, file("/size"), "12345"));
  Entry newer = file("/time");
  newer.mtime_ns = kTime + 1;
  good(restore_file(*tree, newer, "abcd"));
  good(tree->make(symlink_to("/link", "a")));
  good(tree->make(symlink_to("/relink", "b")));
  EXPECT_EQ(stat_of(at("/same")).st_ino, kept);
  EXPECT_EQ(content_of(at("/size")), "12345");
  EXPECT_EQ(content_of(at("/time")), "abcd");
  EXPECT_EQ(std::filesystem::read_symlink(at("/relink")), "b");
  EXPECT_EQ(tree->report().unchanged, 2u);
  EXPECT_EQ(tree->report().left_in_place, 0u);
}

TEST_F(Tree, ReplacesEverythingButDirectoriesUnderAlways) {
  ASSERT_EQ(::mkdir(target.c_str(), 0755), 0);
  ASSERT_EQ(::mkdir(at("/d").c_str(), 0711), 0);
  ASSERT_EQ(::setxattr(at("/d").c_str(), "user.stale", "x", 1, 0), 0);
  ASSERT_EQ(::mkfifo(at("/f").c_str(), 0600), 0);
  put(at("/s"), "file");
  auto tree = open(Overwrite::Always);
  Entry dir = directory("/d");
  dir.mode = 0751;
  good(tree->make(dir));
  good(restore_file(*tree, file("/f"), "content"));
  good(tree->make(symlink_to("/s", "x")));
  good(tree->finish());
  EXPECT_EQ(content_of(at("/f")), "content");
  EXPECT_TRUE(S_ISLNK(stat_of(at("/s")).st_mode));
  EXPECT_EQ(stat_of(at("/d")).st_mode & 07777, 0751u);
  EXPECT_EQ(xattr_of(at("/d"), "user.stale"), "(none)");
}

TEST_F(Tree, NeverPutsAFileInADirectorysPlaceNorTheReverse) {
  for (const Overwrite overwrite : {Overwrite::Never, Overwrite::Changed, Overwrite::Always}) {
    std::filesystem::remove_all(target);
    ASSERT_EQ(::mkdir(target.c_str(), 0755), 0);
    ASSERT_EQ(::mkdir(at("/d").c_str(), 0755), 0);
    put(at("/d/inside"), "kept");
    put(at("/f"), "kept");
    auto tree = open(overwrite);
    EXPECT_EQ(tree->begin_file(file("/d", 1)).error().code, Errc::Exists);
    bad(tree->make(symlink_to("/d", "x")), Errc::Exists);
    bad(tree->make(hardlink_to("/d", "/f")), Errc::Exists);
    bad(tree->make(entry(EntryKind::Fifo, "/d")), Errc::Exists);
    bad(tree->make(directory("/f")), Errc::Exists);
    EXPECT_EQ(tree->begin_file(file("/f/below", 1)).error().code, Errc::Exists);
    good(tree->finish());
    EXPECT_EQ(content_of(at("/d/inside")), "kept");
    EXPECT_EQ(content_of(at("/f")), "kept");
  }
}

TEST_F(Tree, TouchesTheTargetItselfOnlyWhenItMadeItOrFoundItEmpty) {
  Entry slash = directory("/");
  slash.mode = 0751;
  {  // made
    auto tree = open();
    good(tree->make(slash));
    good(tree->finish());
    EXPECT_EQ(stat_of(target).st_mode & 07777, 0751u);
    EXPECT_EQ(ns_of(stat_of(target)), kTime);
  }
  for (const Overwrite overwrite : {Overwrite::Never, Overwrite::Always}) {  // there, with something in it
    put(at("/mine"), "x");
    ASSERT_EQ(::chmod(target.c_str(), 01777), 0);
    auto tree = open(overwrite);
    good(tree->make(slash));
    good(tree->finish());
    EXPECT_EQ(stat_of(target).st_mode & 07777, 01777u);
  }
  ASSERT_EQ(::unlink(at("/mine").c_str()), 0);
  auto tree = open(Overwrite::Always);  // a fresh file system
  good(tree->make(slash));
  good(tree->finish());
  EXPECT_EQ(stat_of(target).st_mode & 07777, 0751u);
}

TEST_F(Tree, MakesAMissingTargetAndItsParents) {
  const Result<std::unique_ptr<TreeWriter>> tree = TreeWriter::open({tmp / "a/b//c/", Overwrite::Never, true});
  ASSERT_TRUE(tree.has_value()) << tree.error().message;
  good(restore_file(**tree, file("/f"), "x"));
  EXPECT_EQ(content_of(tmp / "a/b/c/f"), "x");
}

TEST_F(Tree, RefusesATargetThatIsNoDirectory) {
  put(target, "file");
  const auto tree = TreeWriter::open({target, Overwrite::Never, true});
  ASSERT_FALSE(tree.has_value());
  EXPECT_NE(tree.error().message.find(target), std::string::npos);
  EXPECT_EQ(TreeWriter::open({"", Overwrite::Never, true}).error().code, Errc::Usage);
}

// ---- a restore that was killed ----

TEST_F(Tree, RemovesWhatAKilledRestoreLeft) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto tree = open();
    (void)tree->make(directory("/d"));
    auto in_root = tree->begin_file(file("/f", 100));
    auto below = tree->begin_file(file("/d/g", 100));
    (void)(*below)->write(0, as_bytes("torn"));
    ::_exit(temporaries().size() == 2 ? 0 : 1);  // no destructors
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_EQ(temporaries().size(), 2u);
  put(at("/.holdfast-tmp-mine"), "not one of ours");
  auto tree = open();
  good(tree->make(directory("/d")));
  good(restore_file(*tree, file("/d/g"), "whole"));
  good(tree->finish());
  EXPECT_EQ(temporaries(), (std::vector<std::string>{at("/.holdfast-tmp-mine")}));
  EXPECT_EQ(content_of(at("/d/g")), "whole");
  // Its directory was not finished; now it is, although it was there.
  EXPECT_EQ(stat_of(at("/d")).st_mode & 07777, 0755u);
  EXPECT_EQ(ns_of(stat_of(at("/d"))), kTime);
}

TEST_F(Tree, LeavesTheTemporaryFilesOfARunningRestoreAlone) {
  auto first = open();
  auto pending = *first->begin_file(file("/f", 5));
  good(pending->write(0, as_bytes("first")));
  auto second = open();
  good(restore_file(*second, file("/g"), "second"));
  good(pending->commit());
  EXPECT_EQ(content_of(at("/f")), "first");
}

}  // namespace
}  // namespace holdfast::restore
