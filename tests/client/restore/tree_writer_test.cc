#include "client/restore/tree_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include "client/restore/tree_made.h"
#include "tests/support/reference.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::restore {
namespace {

using manifest::Entry;
using manifest::EntryKind;

constexpr std::int64_t kTime = 1'600'000'000'123'456'789;

bool is_root() { return ::geteuid() == 0; }

Entry entry(EntryKind kind, std::string path) {
  Entry made;
  made.source = "files";
  made.path = std::move(path);
  made.kind = kind;
  made.mode = kind == EntryKind::Directory ? 0755 : 0644;
  made.uid = ::geteuid();
  made.gid = ::getegid();
  made.mtime_ns = kTime;
  return made;
}
Entry directory(std::string path) { return entry(EntryKind::Directory, std::move(path)); }
Entry file(std::string path, std::uint64_t size = 0) {
  Entry made = entry(EntryKind::File, std::move(path));
  made.size = size;
  return made;
}
Entry link(EntryKind kind, std::string path, std::string target) {
  Entry made = entry(kind, std::move(path));
  made.link_target = std::move(target);
  return made;
}
Entry symlink_to(std::string path, std::string target) {
  return link(EntryKind::Symlink, std::move(path), std::move(target));
}
Entry hardlink_to(std::string path, std::string first) {
  return link(EntryKind::Hardlink, std::move(path), std::move(first));
}

struct stat stat_of(const std::string& path) {
  struct stat st{};
  EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
  return st;
}
bool exists(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0;
}
std::int64_t ns_of(const struct stat& st) { return st.st_mtim.tv_sec * 1'000'000'000LL + st.st_mtim.tv_nsec; }
std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void put(const std::string& path, std::string_view bytes) { std::ofstream(path, std::ios::binary) << bytes; }
std::string xattr_of(const std::string& path, const char* name) {
  char value[65536];
  const ssize_t n = ::lgetxattr(path.c_str(), name, value, sizeof value);
  return n < 0 ? "(none)" : std::string(value, static_cast<std::size_t>(n));
}

Status restore_file(TreeWriter& tree, Entry what, std::string_view bytes) {
  what.size = bytes.size();
  HF_TRY(std::unique_ptr<PendingFile> pending, tree.begin_file(what));
  if (!pending) return {};
  HF_TRY_DO(pending->write(0, as_bytes(bytes)));
  return pending->commit();
}

class Tree : public ::testing::Test {
 protected:
  std::string at(const std::string& path) const { return target + path; }
  std::unique_ptr<TreeWriter> open(Overwrite overwrite = Overwrite::Never, bool set_owner = true) const {
    Result<std::unique_ptr<TreeWriter>> tree = TreeWriter::open({target, overwrite, set_owner});
    EXPECT_TRUE(tree.has_value()) << (tree ? "" : tree.error().message);
    return tree ? *std::move(tree) : nullptr;
  }
  static void good(const Status& status) { EXPECT_TRUE(status.has_value()) << (status ? "" : status.error().message); }
  static void bad(const Status& status, Errc code) {
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().code, code) << status.error().message;
  }
  std::vector<std::string> temporaries() const {
    std::vector<std::string> found;
    for (const auto& each : std::filesystem::recursive_directory_iterator(target))
      if (each.path().filename().string().starts_with(kTemporaryPrefix)) found.push_back(each.path());
    return found;
  }

  support::TemporaryDirectory tmp;
  const std::string target = tmp / "target";
};

// struct posix_acl_xattr: user::rw-, user:999:r--, group::r--, mask::r--, other::---
const std::string kAcl(
    "\x02\0\0\0"
    "\x01\0\x06\0\xff\xff\xff\xff"
    "\x02\0\x04\0\xe7\x03\0\0"
    "\x04\0\x04\0\xff\xff\xff\xff"
    "\x10\0\x04\0\xff\xff\xff\xff"
    "\x20\0\0\0\xff\xff\xff\xff",
    44);
// struct vfs_cap_data, revision 2: CAP_NET_RAW, permitted and effective
const std::string kCapability(
    "\x01\0\0\x02"
    "\0\x20\0\0"
    "\0\0\0\0"
    "\0\0\0\0"
    "\0\0\0\0",
    20);

TEST_F(Tree, RestoresAFileWithItsBytesModeAndTime) {
  auto tree = open();
  Entry what = file("/dir/name");
  what.mode = 0640;
  good(tree->make(directory("/dir")));
  good(restore_file(*tree, what, "content"));
  good(tree->finish());
  EXPECT_EQ(content_of(at("/dir/name")), "content");
  EXPECT_EQ(stat_of(at("/dir/name")).st_mode, S_IFREG | 0640u);
  EXPECT_EQ(ns_of(stat_of(at("/dir/name"))), kTime);
  EXPECT_EQ(stat_of(at("/dir")).st_mode, S_IFDIR | 0755u);
  EXPECT_EQ(ns_of(stat_of(at("/dir"))), kTime);
  EXPECT_EQ(tree->report().files, 1u);
  EXPECT_EQ(tree->report().bytes, 7u);
  EXPECT_TRUE(temporaries().empty());
}

TEST_F(Tree, HidesAFileUntilItIsCommittedAndLeavesNothingOtherwise) {
  auto tree = open();
  auto pending = *tree->begin_file(file("/f", 4));
  good(pending->write(0, as_bytes("half")));
  EXPECT_FALSE(exists(at("/f")));
  EXPECT_EQ(temporaries().size(), 1u);
  EXPECT_EQ(stat_of(temporaries()[0]).st_mode & 07777, 0600u);
  pending.reset();
  EXPECT_FALSE(exists(at("/f")));
  EXPECT_TRUE(temporaries().empty());
}

TEST_F(Tree, LeavesHolesUnallocatedAndCutsToSize) {
  auto tree = open();
  auto hole = *tree->begin_file(file("/hole", 5'000'000));  // row B11
  good(hole->commit());
  auto large = *tree->begin_file(file("/large", (std::uint64_t{5} << 30) + 3));
  good(large->write(std::uint64_t{5} << 30, as_bytes("end")));
  good(large->commit());
  auto tail = *tree->begin_file(file("/tail", 1 << 20));
  good(tail->write(0, as_bytes("head")));
  good(tail->commit());
  EXPECT_EQ(stat_of(at("/hole")).st_size, 5'000'000);
  EXPECT_EQ(stat_of(at("/hole")).st_blocks, 0);
  EXPECT_EQ(stat_of(at("/large")).st_size, (std::int64_t{5} << 30) + 3);
  EXPECT_LE(stat_of(at("/large")).st_blocks, 64);
  EXPECT_EQ(stat_of(at("/tail")).st_size, 1 << 20);
  EXPECT_LE(stat_of(at("/tail")).st_blocks, 64);
}

TEST_F(Tree, TakesWritesInAnyOrder) {
  auto tree = open();
  auto pending = *tree->begin_file(file("/f", 9));
  good(pending->write(6, as_bytes("ghi")));
  good(pending->write(0, as_bytes("abc")));
  good(pending->write(3, as_bytes("def")));
  good(pending->commit());
  EXPECT_EQ(content_of(at("/f")), "abcdefghi");
}

TEST_F(Tree, RestoresEveryOtherKind) {
  auto tree = open();
  good(tree->make(symlink_to("/link", "../nowhere \xff")));
  Entry fifo = entry(EntryKind::Fifo, "/fifo");
  fifo.mode = 0621;
  good(tree->make(fifo));
  good(tree->make(entry(EntryKind::Socket, "/socket")));
  Entry character = entry(EntryKind::CharDevice, "/chr"), block = entry(EntryKind::BlockDevice, "/blk");
  character.rdev = makedev(259, 70000);
  block.rdev = makedev(8, 1);
  good(tree->make(character));
  good(tree->make(block));
  good(tree->finish());
  char text[100];
  EXPECT_EQ(std::string(text, static_cast<std::size_t>(::readlink(at("/link").c_str(), text, sizeof text))),
            "../nowhere \xff");
  EXPECT_EQ(ns_of(stat_of(at("/link"))), kTime);
  EXPECT_EQ(stat_of(at("/fifo")).st_mode, S_IFIFO | 0621u);
  EXPECT_EQ(ns_of(stat_of(at("/fifo"))), kTime);
  EXPECT_EQ(stat_of(at("/socket")).st_mode, S_IFSOCK | 0644u);
  if (is_root()) {
    EXPECT_EQ(stat_of(at("/chr")).st_rdev, makedev(259, 70000));
    EXPECT_EQ(stat_of(at("/blk")).st_mode, S_IFBLK | 0644u);
    EXPECT_EQ(tree->report().devices_not_made, 0u);
  } else {
    EXPECT_EQ(tree->report().devices_not_made, 2u);
  }
}

TEST_F(Tree, RestoresOwnersSetuidBitsCapabilitiesAndAclsTogether) {
  HF_NEEDS(is_root(), "root");
  auto tree = open();
  Entry what = file("/f");
  what.uid = 1234;
  what.gid = 5678;
  what.mode = 06640;
  what.xattrs = {{"security.capability", kCapability},
                 {"system.posix_acl_access", kAcl},
                 {"trusted.t", std::string("\0x", 2)},
                 {"user.u", ""}};
  good(restore_file(*tree, what, "x"));
  Entry dir = directory("/d");
  dir.uid = 1234;
  dir.mode = 03770;
  dir.xattrs = {{"system.posix_acl_default", kAcl}, {"user.d", "on a directory"}};
  good(tree->make(dir));
  Entry symbolic = symlink_to("/l", "f");
  symbolic.uid = 1234;
  symbolic.xattrs = {{"trusted.l", "v"}};
  good(tree->make(symbolic));
  good(tree->finish());
  const struct stat st = stat_of(at("/f"));
  EXPECT_EQ(st.st_uid, 1234u);
  EXPECT_EQ(st.st_gid, 5678u);
  EXPECT_EQ(st.st_mode & 07777, 06640u);
  EXPECT_EQ(xattr_of(at("/f"), "security.capability"), kCapability);
  EXPECT_EQ(xattr_of(at("/f"), "system.posix_acl_access"), kAcl);
  EXPECT_EQ(xattr_of(at("/f"), "trusted.t"), std::string("\0x", 2));
  EXPECT_EQ(xattr_of(at("/f"), "user.u"), "");
  EXPECT_EQ(ns_of(st), kTime);
  EXPECT_EQ(stat_of(at("/d")).st_mode & 07777, 03770u);
  EXPECT_EQ(xattr_of(at("/d"), "system.posix_acl_default"), kAcl);
  EXPECT_EQ(xattr_of(at("/d"), "user.d"), "on a directory");
  EXPECT_EQ(stat_of(at("/l")).st_uid, 1234u);
  EXPECT_EQ(xattr_of(at("/l"), "trusted.l"), "v");
  EXPECT_EQ(tree->report().owners_not_set + tree->report().attributes_not_set, 0u);
}

TEST_F(Tree, KeepsAnAclOfTheTargetFromReachingWhatIsRestored) {
  ASSERT_EQ(::mkdir(target.c_str(), 0755), 0);
  HF_NEEDS(::setxattr(target.c_str(), "system.posix_acl_default", kAcl.data(), kAcl.size(), 0) == 0, "ACLs");
  auto tree = open();
  good(tree->make(directory("/d")));
  good(restore_file(*tree, file("/d/f"), "x"));
  good(tree->finish());
  EXPECT_EQ(xattr_of(at("/d"), "system.posix_acl_default"), "(none)");
  EXPECT_EQ(xattr_of(at("/d"), "system.posix_acl_access"), "(none)");
  EXPECT_EQ(xattr_of(at("/d/f"), "system.posix_acl_access"), "(none)");
  EXPECT_EQ(stat_of(at("/d")).st_mode & 07777, 0755u);
  EXPECT_EQ(stat_of(at("/d/f")).st_mode & 07777, 0644u);
}

TEST_F(Tree, RestoresTimesBefore1970AndFarAhead) {
  auto tree = open();
  const std::vector<std::int64_t> times = {-1, -1'000'000'000, -1'500'000'001, 0, 4'102'444'800'000'000'001};
  for (std::size_t i = 0; i < times.size(); ++i) {
    Entry what = file("/" + std::to_string(i));
    what.mtime_ns = times[i];
    good(restore_file(*tree, what, "x"));
    EXPECT_EQ(ns_of(stat_of(at(what.path))), times[i]);
  }
}

TEST_F(Tree, FillsDirectoriesThatWillBeReadOnlyOrClosed) {
  for (const mode_t mode : {0500u, 0555u, 0u}) {
    const std::string name = "/d" + std::to_string(mode);
    auto tree = open();
    Entry dir = directory(name), inner = directory(name + "/inner");
    dir.mode = inner.mode = mode;
    good(tree->make(dir));
    good(restore_file(*tree, file(name + "/f"), "x"));
    good(tree->make(inner));
    good(restore_file(*tree, file(name + "/inner/g"), "y"));
    good(tree->finish());
    EXPECT_EQ(stat_of(at(name)).st_mode & 07777, mode);
    EXPECT_EQ(ns_of(stat_of(at(name))), kTime);
    ASSERT_EQ(::chmod(at(name).c_str(), 0700), 0);
    EXPECT_EQ(stat_of(at(name + "/inner")).st_mode & 07777, mode);
    ASSERT_EQ(::chmod(at(name + "/inner").c_str(), 0700), 0);
  }
}

TEST_F(Tree, MakesParentsThatNobodyNamed) {
  auto tree = open();
  good(restore_file(*tree, file("/a/b/c/f"), "x"));
  good(tree->finish());
  EXPECT_EQ(content_of(at("/a/b/c/f")), "x");
  EXPECT_EQ(stat_of(at("/a/b")).st_mode & 07777, 0700u);
}

// ---- hard links ----

TEST_F(Tree, LinksToTheFirstLinkItRestored) {
  auto tree = open();
  good(restore_file(*tree, file("/a"), "content"));
  good(tree->make(hardlink_to("/d/b", "/a")));
  good(tree->make(hardlink_to("/c", "/a")));
  good(tree->make(symlink_to("/s", "x")));
  good(tree->make(hardlink_to("/t", "/s")));
  good(tree->finish());
  EXPECT_EQ(stat_of(at("/a")).st_nlink, 3u);
  EXPECT_EQ(stat_of(at("/d/b")).st_ino, stat_of(at("/a")).st_ino);
  EXPECT_EQ(stat_of(at("/t")).st_ino, stat_of(at("/s")).st_ino);
  EXPECT_EQ(ns_of(stat_of(at("/c"))), kTime);
  EXPECT_TRUE(temporaries().empty());
}

TEST_F(Tree, NamesAFirstLinkThatIsAbsentOrWasLeftInPlace) {
  ASSERT_EQ(::mkdir(target.c_str(), 0755), 0);
  put(at("/old"), "not what was backed up");
  auto tree = open();
  for (const char* first : {"/absent", "/no/such/directory"}) {
    const Status status = tree->make(hardlink_to("/l", first));
    bad(status, Errc::NotFound);
    EXPECT_NE(status.error().message.find(first), std::string::npos);
  }
  EXPECT_EQ(*tree->begin_file(file("/old", 3)), nullptr);
  bad(tree->make(hardlink_to("/l", "/old")), Errc::NotFound);
  EXPECT_FALSE(exists(at("/l")));
  EXPECT_EQ(stat_of(at("/old")).st_nlink, 1u);
}

TEST_F(Tree, LinksUnderChangedToAFirstLinkThatWasEqual) {
  {
    auto tree = open();
    good(restore_file(*tree, file("/a"), "same"));
  }
  auto tree = open(Overwrite::Changed);
  good(restore_file(*tree, file("/a"), "same"));
  good(tree->make(hardlink_to("/b", "/a")));
  good(tree->make(hardlink_to("/b", "/a")));
  EXPECT_EQ(stat_of(at("/a")).st_nlink, 2u);
  EXPECT_EQ(tree->report().unchanged, 2u);
  EXPECT_TRUE(temporaries().empty());
}

TEST_F(Tree, ReplacesWhatStandsInAHardLinksPlaceUnderAlways) {
  ASSERT_EQ(::mkdir(target.c_str(), 0755), 0);
  put(at("/b"), "other");
  auto tree = open(Overwrite::Always);
  good(restore_file(*tree, file("/a"), "x"));
  good(tree->make(hardlink_to("/b", "/a")));
  good(tree->make(hardlink_to("/b", "/a")));  // twice: rename of two links of one file does nothing
  EXPECT_EQ(stat_of(at("/b")).st_ino, stat_of(at("/a")).st_ino);
  EXPECT_TRUE(temporaries().empty());
}

// ---- what is there already ----

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

// ---- many, deep, full ----

TEST_F(Tree, KeepsThousandsOfFilesPendingWithFewDescriptors) {
  auto tree = open();
  std::vector<std::unique_ptr<PendingFile>> pending;
  for (int i = 0; i < 1500; ++i)
    pending.push_back(*tree->begin_file(file("/d" + std::to_string(i % 40) + "/f" + std::to_string(i), 8)));
  for (int i = 0; i < 1500; ++i) good(pending[static_cast<std::size_t>(i)]->write(0, as_bytes("half")));
  const int lowest_free = ::open("/dev/null", O_RDONLY);
  ::close(lowest_free);
  EXPECT_LT(lowest_free, 900);
  for (int i = 1499; i >= 0; --i) good(pending[static_cast<std::size_t>(i)]->write(4, as_bytes("full")));
  for (int i = 0; i < 1500; i += 2) good(pending[static_cast<std::size_t>(i)]->commit());
  pending.clear();
  for (int i = 0; i < 1500; ++i) {
    const std::string path = at("/d" + std::to_string(i % 40) + "/f" + std::to_string(i));
    EXPECT_EQ(exists(path), i % 2 == 0);
    EXPECT_EQ(content_of(path), i % 2 == 0 ? "halffull" : "");
  }
  EXPECT_TRUE(temporaries().empty());
}

TEST_F(Tree, GoesDeeperThanPathMaxAndItsOpenDescriptors) {
  auto tree = open();
  std::string path;
  for (int i = 0; i < 400; ++i) {
    path += "/" + std::string(20, 'd');
    good(tree->make(directory(path)));
  }
  good(restore_file(*tree, file(path + "/f"), "bottom"));
  good(tree->make(hardlink_to(path + "/g", path + "/f")));
  good(restore_file(*tree, file("/z"), "top"));
  good(tree->finish());
  int fd = ::open(target.c_str(), O_PATH);
  for (int i = 0; i < 400; ++i) {
    const int next = ::openat(fd, std::string(20, 'd').c_str(), O_PATH);
    ::close(fd);
    fd = next;
    struct stat st{};
    ASSERT_EQ(::fstat(fd, &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0755u);
    EXPECT_EQ(ns_of(st), kTime);
  }
  struct stat st{};
  ASSERT_EQ(::fstatat(fd, "g", &st, 0), 0);
  EXPECT_EQ(st.st_nlink, 2u);
  ::close(fd);
}

TEST_F(Tree, SaysThatTheDiskIsFullAndCleansUp) {
  HF_NEEDS(is_root(), "root");
  ASSERT_EQ(::mkdir(target.c_str(), 0755), 0);
  ASSERT_EQ(::mount("none", target.c_str(), "tmpfs", 0, "size=256k"), 0);
  {
    auto tree = open();
    bad(restore_file(*tree, file("/f"), std::string(1 << 20, 'x')), Errc::DiskFull);
    EXPECT_TRUE(temporaries().empty());
    good(restore_file(*tree, file("/small"), "fits"));
    good(tree->finish());
    EXPECT_EQ(content_of(at("/small")), "fits");
  }
  EXPECT_EQ(::umount(target.c_str()), 0);
}

TEST(MadeDirectories, ComeBackInReverseFromMemoryAndDisk) {
  support::TemporaryDirectory tmp;
  MadeDirectories made(std::make_shared<const Descriptor>(::open(tmp.path().c_str(), O_PATH)));
  constexpr int kCount = 30'000;
  for (int i = 0; i < kCount; ++i) {
    Entry dir = directory("/some/path/" + std::to_string(i));
    dir.mtime_ns = -i;
    if (i % 100 == 0) dir.xattrs = {{"user.a", std::string(5000, 'x')}, {"user.b", ""}};
    ASSERT_TRUE(made.push(dir, 7, static_cast<std::uint64_t>(i)).has_value());
  }
  EXPECT_TRUE(std::filesystem::is_empty(tmp.path()));  // what was spilled has no name
  for (int i = kCount; i-- > 0;) {
    const auto top = made.pop();
    ASSERT_TRUE(top.has_value() && top->has_value());
    EXPECT_EQ((*top)->entry.path, "/some/path/" + std::to_string(i));
    EXPECT_EQ((*top)->entry.mtime_ns, -i);
    EXPECT_EQ((*top)->inode, static_cast<std::uint64_t>(i));
    EXPECT_EQ((*top)->entry.xattrs.size(), i % 100 == 0 ? 2u : 0u);
  }
  EXPECT_FALSE(made.pop()->has_value());
}

// ---- without rights ----

// In a child process as nobody, below a target it owns; true when `body` held.
template <class Body>
bool as_nobody(const std::string& target, Body body) {
  if (::mkdir(target.c_str(), 0755) != 0) return false;
  const std::string parent = target.substr(0, target.rfind('/'));
  if (is_root() && (::chown(target.c_str(), 65534, 65534) != 0 || ::chmod(parent.c_str(), 0755) != 0)) return false;
  const pid_t child = ::fork();
  if (child == 0) {
    if (is_root() && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(99);
    ::_exit(body() ? 0 : 1);
  }
  int status = -1;
  return ::waitpid(child, &status, 0) == child && status == 0;
}

TEST_F(Tree, CountsWhatItHasNoRightToSetAndMakesNoForeignFileSetuid) {
  EXPECT_TRUE(as_nobody(target, [&] {
    auto tree = open();
    Entry foreign = file("/foreign");
    foreign.uid = 0;
    foreign.gid = 0;
    foreign.mode = 06755;
    foreign.xattrs = {{"security.capability", kCapability}, {"trusted.t", "x"}, {"user.u", "kept"}};
    if (!restore_file(*tree, foreign, "x")) return false;
    Entry own = file("/own");
    own.uid = ::geteuid();
    own.gid = ::getegid();
    own.mode = 04711;
    if (!restore_file(*tree, own, "x")) return false;
    Entry device = entry(EntryKind::CharDevice, "/dev");
    device.rdev = makedev(1, 3);
    Entry dir = directory("/d");
    dir.mode = 0;
    dir.uid = ::geteuid();
    dir.gid = ::getegid();
    if (!tree->make(device) || !tree->make(dir) || !restore_file(*tree, file("/d/inside"), "x") || !tree->finish())
      return false;
    const TargetReport& report = tree->report();
    const bool counted = report.owners_not_set == 1 && report.attributes_not_set == 3 && report.devices_not_made == 1;
    return counted && (stat_of(at("/foreign")).st_mode & 07777) == 0755 &&
           xattr_of(at("/foreign"), "user.u") == "kept" && (stat_of(at("/own")).st_mode & 07777) == 04711 &&
           !exists(at("/dev")) && (stat_of(at("/d")).st_mode & 07777) == 0;
  }));
}

TEST_F(Tree, AsksForNoOwnerWhenToldNotTo) {
  HF_NEEDS(is_root(), "root");
  auto tree = open(Overwrite::Never, false);
  Entry what = file("/f");
  what.uid = 1234;
  what.mode = 04755;
  good(restore_file(*tree, what, "x"));
  EXPECT_EQ(stat_of(at("/f")).st_uid, 0u);
  EXPECT_EQ(stat_of(at("/f")).st_mode & 07777, 0755u);
  EXPECT_EQ(tree->report().owners_not_set, 1u);
}

// ---- row 28: nothing is written outside the target ----

/// Everything below a directory, as far as anyone could tell a change: content, inode, and the change time, which
/// moves with every write, link, chmod, chown or attribute.
std::map<std::string, std::string> picture_of(const std::string& root, bool with_change_time) {
  std::map<std::string, std::string> picture;
  const auto add = [&](const std::string& path) {
    const struct stat st = stat_of(path);
    std::string text = std::to_string(st.st_ino) + " " + std::to_string(st.st_mode) + " " + std::to_string(st.st_uid) +
                       ":" + std::to_string(st.st_gid) + " " + std::to_string(st.st_size) + " " +
                       std::to_string(ns_of(st));
    if (with_change_time)
      text += " " + std::to_string(st.st_nlink) + " " + std::to_string(st.st_ctim.tv_sec) + "." +
              std::to_string(st.st_ctim.tv_nsec);
    if (S_ISREG(st.st_mode)) text += " " + content_of(path);
    picture[path] = text;
  };
  add(root);
  for (const auto& each : std::filesystem::recursive_directory_iterator(root)) add(each.path());
  return picture;
}

class Escape : public Tree {
 protected:
  void SetUp() override {
    ASSERT_EQ(::mkdir(outside.c_str(), 0750), 0);
    ASSERT_EQ(::mkdir((outside + "/dir").c_str(), 0700), 0);
    put(outside + "/secret", "untouched");
    put(outside + "/dir/deep", "untouched too");
    ASSERT_EQ(::mkfifo((outside + "/pipe").c_str(), 0600), 0);
  }
  const std::string outside = tmp / "outside";
};

struct Hostile {
  std::string name;
  std::function<void(const std::string& target, const std::string& outside)> plant;  ///< what waits in the target
  std::vector<Entry> entries;
  std::optional<Errc> last;   ///< what the last entry must answer, whatever the overwrite mode
  bool shares_inode = false;  ///< an outside inode has a name in the target: its change time may move
};

void plant_link(const std::string& path, const std::string& to) { ASSERT_EQ(::symlink(to.c_str(), path.c_str()), 0); }
void plant_directory(const std::string& path) { ASSERT_EQ(::mkdir(path.c_str(), 0755), 0); }

Entry with(Entry e, const std::function<void(Entry&)>& change) {
  change(e);
  return e;
}

Status offer(TreeWriter& tree, const Entry& what) {
  if (what.kind != EntryKind::File || what.path == "/kind/file") return tree.make(what);
  HF_TRY(std::unique_ptr<PendingFile> pending, tree.begin_file(what));
  if (!pending) return {};
  if (what.size < 100) HF_TRY_DO(pending->write(0, as_bytes(std::string(what.size, 'e'))));
  return pending->commit();
}

std::vector<Hostile> hostile_cases(const std::string& outside) {
  std::vector<Hostile> cases;
  const auto no_plant = [](const std::string&, const std::string&) {};
  // Paths that must never reach the kernel, under every kind.
  const std::vector<std::string> bad_paths = {
      "",
      "relative",
      "../outside/new",
      "/../outside/new",
      "/..",
      "/.",
      "/a/../../outside/new",
      "/a/..",
      "/./a",
      "/a/./b",
      "//a",
      "/a//b",
      "/a/",
      std::string("/a\0b", 4),
      std::string("/\0", 2),
      "/a/../../../../../../../../tmp/x",
      "..",
      ".",
      "./a",
      "\n/..",
      std::string(70'000, '/'),
      "/" + std::string(65'600, 'a'),
  };
  for (const std::string& path : bad_paths) {
    const std::string shown = "path " + printable(path.substr(0, 40));
    for (const EntryKind kind : {EntryKind::File, EntryKind::Directory, EntryKind::Symlink, EntryKind::Fifo})
      cases.push_back({shown, no_plant, {link(kind, path, "x")}, Errc::Corrupt});
    cases.push_back({shown + " of a hard link", no_plant, {hardlink_to(path, "/a")}, Errc::Corrupt});
    cases.push_back({shown + " as a first link", no_plant, {hardlink_to("/l", path)}, Errc::Corrupt});
  }
  for (const EntryKind kind : {EntryKind::File, EntryKind::Symlink, EntryKind::Fifo, EntryKind::CharDevice})
    cases.push_back({"something else than a directory at /", no_plant, {link(kind, "/", "x")}, Errc::Corrupt});
  cases.push_back({"hard link to /", no_plant, {hardlink_to("/l", "/")}, Errc::Corrupt});
  cases.push_back({"hard link to a directory", no_plant, {directory("/d"), hardlink_to("/l", "/d")}, Errc::Corrupt});
  cases.push_back({"hard link to an outside path", no_plant, {hardlink_to("/l", outside + "/secret")}, Errc::NotFound});
  cases.push_back({"hard link to /etc/passwd", no_plant, {hardlink_to("/l", "/etc/passwd")}, Errc::NotFound});

  // A link in the way, made by the manifest itself or planted, to all kinds of places.
  const std::vector<std::string> link_targets = {
      outside, "../outside", "/",    "/proc/self/root" + outside, "/proc/self/cwd",
      ".",     "..",         "loop", "./../outside/dir",          "/dev/fd"};
  for (const std::string& to : link_targets) {
    const auto plant = [to](const std::string& t, const std::string&) { plant_link(t + "/loop", to); };
    const std::string shown = "link to " + to + ": ";
    cases.push_back({shown + "made by the manifest, then a file through it",
                     no_plant,
                     {symlink_to("/loop", to), file("/loop/new", 4)},
                     Errc::Exists});
    cases.push_back({shown + "made by the manifest, then a directory in its place",
                     no_plant,
                     {symlink_to("/loop", to), directory("/loop")},
                     Errc::Exists});
    cases.push_back({shown + "file through it", plant, {file("/loop/secret", 4)}, Errc::Exists});
    cases.push_back({shown + "file deep through it", plant, {file("/loop/dir/deep", 4)}, Errc::Exists});
    cases.push_back({shown + "directory through it", plant, {directory("/loop/new")}, Errc::Exists});
    cases.push_back({shown + "directory in its place",
                     plant,
                     {with(directory("/loop"), [](Entry& e) { e.mode = 0777; })},
                     Errc::Exists});
    cases.push_back({shown + "symlink through it", plant, {symlink_to("/loop/new", "x")}, Errc::Exists});
    cases.push_back({shown + "fifo through it", plant, {entry(EntryKind::Fifo, "/loop/new")}, Errc::Exists});
    cases.push_back({shown + "device through it", plant, {entry(EntryKind::CharDevice, "/loop/new")}, Errc::Exists});
    cases.push_back({shown + "socket through it", plant, {entry(EntryKind::Socket, "/loop/new")}, Errc::Exists});
    cases.push_back(
        {shown + "hard link through it", plant, {file("/a", 1), hardlink_to("/loop/new", "/a")}, Errc::Exists});
    cases.push_back({shown + "hard link from behind it", plant, {hardlink_to("/new", "/loop/secret")}, Errc::NotFound});
    cases.push_back({shown + "hard link to the link", plant, {hardlink_to("/new", "/loop")}, Errc::NotFound});
  }

  // The last component: what stands there is never written through.
  for (const std::string& to : {outside + "/secret", outside + "/new", outside + "/pipe", outside + "/dir"}) {
    const auto plant = [to](const std::string& t, const std::string&) { plant_link(t + "/f", to); };
    cases.push_back({"file over a link to " + to, plant, {file("/f", 4)}, {}});
    cases.push_back({"fifo over a link to " + to, plant, {entry(EntryKind::Fifo, "/f")}, {}});
    cases.push_back(
        {"owner of a link to " + to, plant, {with(symlink_to("/f", to), [](Entry& e) { e.uid = 1234; })}, {}});
  }
  cases.push_back({"file over another link of an outside file",
                   [](const std::string& t, const std::string& o) {
                     ASSERT_EQ(::link((o + "/secret").c_str(), (t + "/f").c_str()), 0);
                   },
                   {file("/f", 4)},
                   {},
                   true});
  cases.push_back({"link to another link of an outside file",
                   [](const std::string& t, const std::string& o) {
                     ASSERT_EQ(::link((o + "/secret").c_str(), (t + "/f").c_str()), 0);
                   },
                   {with(hardlink_to("/g", "/f"),
                         [](Entry& e) {
                           e.mode = 0777;
                           e.uid = 1234;
                         })},
                   {},
                   true});
  cases.push_back({"file over a fifo",
                   [](const std::string& t, const std::string&) { ASSERT_EQ(::mkfifo((t + "/f").c_str(), 0600), 0); },
                   {file("/f", 4)},
                   {}});
  if (is_root())
    cases.push_back({"file over a device",
                     [](const std::string& t, const std::string&) {
                       ASSERT_EQ(::mknod((t + "/f").c_str(), S_IFCHR | 0600, makedev(1, 1)), 0);
                     },
                     {file("/f", 4)},
                     {}});
  cases.push_back({"device, then a file over it",
                   no_plant,
                   {with(entry(EntryKind::BlockDevice, "/f"), [](Entry& e) { e.rdev = makedev(8, 0); }), file("/f", 4)},
                   {}});

  // Names that mean something elsewhere.
  for (const std::string& name :
       {std::string("a\nb"), std::string("-rf"), std::string("back\\slash"), std::string("..."), std::string("..a"),
        std::string("a.."), std::string(" "), std::string("\x1b[2J"), std::string("\xff\xfe"), std::string(255, 'n'),
        std::string("*"), std::string("$(reboot)"), std::string(kTemporaryPrefix) + std::string(32, '0'),
        std::string("~"), std::string("C:\\x"), std::string("%2e%2e")})
    cases.push_back({"name " + printable(name), no_plant, {directory("/d"), file("/d/" + name, 4)}, {}});
  cases.push_back({"name too long", no_plant, {file("/" + std::string(256, 'n'), 4)}, Errc::Io});

  // Attributes that grant or confuse.
  const auto set = [&](std::string name, std::function<void(Entry&)> change, std::optional<Errc> last = {}) {
    cases.push_back({std::move(name), no_plant, {with(file("/f", 4), change)}, last});
  };
  set("setuid root", [](Entry& e) {
    e.mode = 06777;
    e.uid = 0;
  });
  set("every mode bit", [](Entry& e) { e.mode = 0xffffffff; });
  set("owner -1", [](Entry& e) {
    e.uid = e.gid = 0xffffffff;
    e.mode = 06755;
  });
  set("all capabilities", [](Entry& e) { e.xattrs = {{"security.capability", kCapability}}; });
  set("capability that is none", [](Entry& e) { e.xattrs = {{"security.capability", "garbage"}}; });
  set("ACL that is none", [](Entry& e) { e.xattrs = {{"system.posix_acl_access", "garbage"}}; });
  set("attribute without a name", [](Entry& e) { e.xattrs = {{"", "x"}}; }, Errc::Corrupt);
  set("attribute with a zero byte", [](Entry& e) { e.xattrs = {{std::string("user.a\0b", 8), "x"}}; }, Errc::Corrupt);
  set(
      "attribute with a long name", [](Entry& e) { e.xattrs = {{"user." + std::string(300, 'x'), "x"}}; },
      Errc::Corrupt);
  set("attribute of no namespace", [](Entry& e) { e.xattrs = {{"x", "x"}}; });
  set("attribute too large", [](Entry& e) { e.xattrs = {{"user.x", std::string(70'000, 'x')}}; });
  set("the first and last times", [](Entry& e) { e.mtime_ns = INT64_MIN; });
  set("the last time", [](Entry& e) { e.mtime_ns = INT64_MAX; });
  set("size 2^63", [](Entry& e) { e.size = std::uint64_t{1} << 63; }, Errc::Corrupt);
  set("size 2^64-1", [](Entry& e) { e.size = UINT64_MAX; }, Errc::Corrupt);
  set("size 2^63-1", [](Entry& e) { e.size = INT64_MAX; });
  cases.push_back({"stream", no_plant, {entry(EntryKind::Stream, "/s")}, Errc::Corrupt});
  cases.push_back({"file made as if it had no content", no_plant, {file("/kind/file", 1)}, Errc::Corrupt});
  cases.push_back({"kind 99", no_plant, {entry(static_cast<EntryKind>(99), "/k")}, Errc::Corrupt});
  cases.push_back({"empty link", no_plant, {symlink_to("/l", "")}, Errc::Corrupt});
  cases.push_back({"link with a zero byte", no_plant, {symlink_to("/l", std::string("a\0b", 3))}, Errc::Corrupt});
  cases.push_back({"link of 4096 bytes", no_plant, {symlink_to("/l", std::string(4096, 'x'))}, Errc::Corrupt});
  cases.push_back({"link of 4095 bytes", no_plant, {symlink_to("/l", std::string(4095, 'x'))}, {}});
  cases.push_back({"file below a file", no_plant, {file("/f", 1), file("/f/g", 1)}, Errc::Exists});
  cases.push_back({"directory over a file", no_plant, {file("/f", 1), directory("/f")}, Errc::Exists});
  cases.push_back({"file over a directory", no_plant, {directory("/d"), file("/d", 1)}, Errc::Exists});
  cases.push_back({"hard link to itself", no_plant, {hardlink_to("/l", "/l")}, Errc::NotFound});
  cases.push_back({"file below a device",
                   no_plant,
                   {entry(EntryKind::CharDevice, "/dev"), file("/dev/x", 1)},
                   is_root() ? std::optional(Errc::Exists) : std::nullopt});
  cases.push_back({"entry named as the target's parent",
                   no_plant,
                   {symlink_to("/up", ".."), symlink_to("/up2", "up/outside"), file("/up2/secret", 4)},
                   Errc::Exists});
  cases.push_back({"attributes of a planted directory",
                   [](const std::string& t, const std::string& o) {
                     plant_directory(t + "/d");
                     plant_link(t + "/d/l", o);
                   },
                   {directory("/d"), with(directory("/d/l"),
                                          [](Entry& e) {
                                            e.uid = 1234;
                                            e.mode = 07777;
                                          })},
                   Errc::Exists});
  return cases;
}

TEST_F(Escape, WritesNothingOutsideTheTargetWhateverTheManifestSays) {
  const std::vector<Hostile> cases = hostile_cases(outside);
  EXPECT_GE(cases.size(), 60u);
  for (const Hostile& one : cases)
    for (const Overwrite overwrite : {Overwrite::Never, Overwrite::Changed, Overwrite::Always}) {
      SCOPED_TRACE(one.name + ", mode " + std::to_string(static_cast<int>(overwrite)));
      std::filesystem::remove_all(target);
      ASSERT_EQ(::mkdir(target.c_str(), 0755), 0);
      one.plant(target, outside);
      const auto before = picture_of(outside, !one.shares_inode);
      auto tree = open(overwrite);
      ASSERT_NE(tree, nullptr);
      Status status;
      for (const Entry& each : one.entries) status = offer(*tree, each);
      if (one.last && status) ADD_FAILURE() << "the last entry was taken";
      if (one.last && !status) {
        EXPECT_EQ(status.error().code, *one.last) << status.error().message;
      }
      good(tree->finish());
      tree.reset();
      EXPECT_EQ(picture_of(outside, !one.shares_inode), before);
    }
  // And nothing beside the two.
  std::set<std::string> names;
  for (const auto& each : std::filesystem::directory_iterator(tmp.path())) names.insert(each.path().filename());
  EXPECT_EQ(names, (std::set<std::string>{"outside", "target"}));
}

TEST_F(Escape, SetsNoAttributesThroughALinkThatTookADirectorysPlace) {
  for (const Overwrite overwrite : {Overwrite::Never, Overwrite::Always}) {
    std::filesystem::remove_all(target);
    const auto before = picture_of(outside, true);
    auto tree = open(overwrite);
    Entry dir = directory("/d");
    dir.mode = 07777;
    dir.xattrs = {{"user.x", "y"}};
    good(tree->make(dir));
    good(tree->make(directory("/e")));  // the writer's own way down leads elsewhere now
    ASSERT_EQ(::rmdir(at("/d").c_str()), 0);
    plant_link(at("/d"), outside);
    good(tree->finish());
    EXPECT_EQ(picture_of(outside, true), before);
    EXPECT_EQ(tree->report().attributes_not_set, 1u);
  }
}

TEST_F(Escape, FinishesAFileInItsOwnDirectoryWhenALinkTookThatsPlace) {
  const auto before = picture_of(outside, true);
  auto tree = open();
  good(tree->make(directory("/d")));
  auto pending = *tree->begin_file(file("/d/secret", 4));
  ASSERT_EQ(::rename(at("/d").c_str(), at("/e").c_str()), 0);
  plant_link(at("/d"), outside);
  good(pending->write(0, as_bytes("evil")));
  good(pending->commit());
  good(tree->finish());
  EXPECT_EQ(content_of(at("/e/secret")), "evil");
  EXPECT_EQ(picture_of(outside, true), before);
}

TEST_F(Escape, NeverOpensALinkThatTookATemporaryFilesPlace) {
  const auto before = picture_of(outside, true);
  auto tree = open();
  auto first = *tree->begin_file(file("/victim", 4));
  std::vector<std::unique_ptr<PendingFile>> others;  // so many that the first one's descriptor is taken
  for (int i = 0; i < 600; ++i) others.push_back(*tree->begin_file(file("/f" + std::to_string(i), 4)));
  std::string temporary;
  for (const std::string& name : temporaries()) {
    ASSERT_EQ(::unlink(name.c_str()), 0);
    plant_link(name, outside + "/secret");
  }
  Status status = first->write(0, as_bytes("evil"));
  EXPECT_FALSE(status.has_value());
  for (const auto& other : others) {
    (void)other->write(0, as_bytes("evil"));
    (void)other->commit();
  }
  first.reset();
  others.clear();
  good(tree->finish());
  EXPECT_EQ(picture_of(outside, true), before);
}

TEST_F(Escape, RefusesAnotherFileThatTookATemporaryFilesPlace) {
  auto tree = open();
  auto first = *tree->begin_file(file("/victim", 4));
  const std::string temporary = temporaries().at(0);
  std::vector<std::unique_ptr<PendingFile>> others;
  for (int i = 0; i < 600; ++i) others.push_back(*tree->begin_file(file("/f" + std::to_string(i), 4)));
  ASSERT_EQ(::rename(temporary.c_str(), at("/aside").c_str()), 0);
  ASSERT_EQ(::link((outside + "/secret").c_str(), temporary.c_str()), 0);
  bad(first->write(0, as_bytes("evil")), Errc::Denied);
  EXPECT_EQ(content_of(outside + "/secret"), "untouched");
}

TEST_F(Escape, StaysInsideWhileAnotherThreadSwapsDirectoriesForLinks) {
  ASSERT_EQ(::mkdir(target.c_str(), 0755), 0);
  ASSERT_EQ(::mkdir(at("/d").c_str(), 0755), 0);
  ASSERT_EQ(::mkdir(at("/d/e").c_str(), 0755), 0);
  const std::string trap = at("/trap"), deep_trap = at("/trap2");
  plant_link(trap, outside);
  plant_link(deep_trap, "../../outside/dir");
  const auto before = picture_of(outside, true);
  std::atomic<bool> stop = false;
  std::thread racer([&] {
    const std::string directory_path = at("/d"), deep_path = at("/d/e");
    const auto swap = [](const std::string& a, const std::string& b) {
      ::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE);
    };
    // A file system may refuse a swap now and then: then the next one must not leave the link in the directory's place.
    const auto put_back = [&](const std::string& link, const std::string& directory) {
      struct stat st{};
      while (::lstat(directory.c_str(), &st) == 0 && S_ISLNK(st.st_mode)) swap(link, directory);
    };
    for (unsigned i = 0; !stop; ++i) {
      swap(trap, directory_path);
      if (i % 4 == 0) std::this_thread::yield();  // the other thread meets the link, …
      put_back(trap, directory_path);
      if (i % 4 == 2) std::this_thread::yield();  // … and the directory, however few processors there are
      swap(deep_trap, deep_path);
      put_back(deep_trap, deep_path);
    }
  });
  int written = 0, refused = 0;
  std::string last;
  for (int round = 0; round < 150; ++round) {
    auto tree = open(Overwrite::Always);
    const std::string n = std::to_string(round);
    const std::vector<Entry> entries = {with(directory("/d"), [](Entry& e) { e.mode = 0777; }),
                                        with(directory("/d/e"), [](Entry& e) { e.mode = 0770; }),
                                        file("/d/e/deep", 4),
                                        file("/d/e/new" + n, 4),
                                        symlink_to("/d/e/s" + n, "x"),
                                        entry(EntryKind::Fifo, "/d/e/p" + n),
                                        hardlink_to("/d/e/h" + n, "/d/e/new" + n),
                                        hardlink_to("/d/h" + n, "/d/e/deep"),
                                        file("/d/secret", 4),
                                        directory("/d/new" + n)};
    for (const Entry& each : entries) {
      const Status offered = offer(*tree, each);
      ++(offered ? written : refused);
      if (!offered) last = each.path + ": " + offered.error().message;
    }
    (void)tree->finish();
  }
  stop = true;
  racer.join();
  EXPECT_EQ(picture_of(outside, true), before);
  EXPECT_GT(written, 0) << "the last refusal: " << last;
  RecordProperty("written", written);
  RecordProperty("refused", refused);
}

}  // namespace
}  // namespace holdfast::restore
