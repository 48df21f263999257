#include "client/restore/tree_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "client/restore/tree_made.h"
#include "tests/client/restore/tree_fixture.h"
#include "tests/support/reference.h"

namespace holdfast::restore {
namespace {

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

}  // namespace
}  // namespace holdfast::restore
