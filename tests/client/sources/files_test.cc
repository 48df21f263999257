#include "client/sources/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <thread>

#include "client/sources/content.h"
#include "tests/client/sources/collector.h"
#include "tests/support/reference.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::sources {
namespace {

using manifest::EntryKind;

class Files : public ::testing::Test {
 protected:
  void SetUp() override {
    root = tmp / "root";
    directory("");
  }

  std::string at(const std::string& name) const { return name.empty() ? root : root + "/" + name; }
  void directory(const std::string& name) const { ASSERT_EQ(::mkdir(at(name).c_str(), 0755), 0) << name; }
  void file(const std::string& name, std::string_view bytes = "") const {
    std::ofstream out(at(name), std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(out.good()) << name;
  }

  FilesOptions options() const {
    FilesOptions made;
    made.roots = {root};
    return made;
  }
  Collector walk_all(const FilesOptions& with) const {
    Collector seen;
    const Status status = walk(with, seen);
    EXPECT_TRUE(status.has_value()) << (status ? "" : status.error().message);
    return seen;
  }
  Collector walk_all() const { return walk_all(options()); }

  support::TemporaryDirectory tmp;
  std::string root;
};

bool is_root() { return ::geteuid() == 0; }

// Runs in a child process as nobody; the child's exit code says whether `body` held.
template <class Body>
void as_nobody(Body body) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (is_root() && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(99);
    ::_exit(body() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "child: " << status;
}

TEST_F(Files, VisitsParentsThenEverythingInManifestOrder) {
  for (const char* d : {"a", "a.b", "a/x", "b"}) directory(d);
  for (const char* f : {"a/z", "a/x/1", "a-", "a.b/q", "b/\xff", "b/A", "b/a", "a0"}) file(f);
  const Collector seen = walk_all();
  EXPECT_TRUE(seen.problems.empty());
  const std::vector<std::string> expected = {"",       "/a",  "/a/x", "/a/x/1", "/a/z", "/a-",    "/a.b",
                                             "/a.b/q", "/a0", "/b",   "/b/A",   "/b/a", "/b/\xff"};
  EXPECT_EQ(seen.below(root), expected);
  EXPECT_EQ(seen.founds.front().entry.path, "/");
  for (std::size_t i = 1; i < seen.founds.size(); ++i) {
    const manifest::Entry& before = seen.founds[i - 1].entry;
    EXPECT_TRUE(manifest::compare_keys(before, seen.founds[i].entry) < 0) << before.path;
  }
  EXPECT_EQ(seen.find(tmp.path())->entry.kind, EntryKind::Directory);
  EXPECT_EQ(seen.find(root)->entry.source, "files");
}

TEST_F(Files, VisitsSharedParentsOfSeveralRootsOnceAndInOrder) {
  for (const char* d : {"p", "p/q", "p/q/r", "p/s", "t"}) directory(d);
  file("p/q/r/1");
  file("p/s/2");
  FilesOptions with = options();
  with.roots = {at("t"), at("p/s"), at("p/q/r"), at("p/q/r"), at("p/q/r/1")};
  const Collector seen = walk_all(with);
  const std::vector<std::string> expected = {"", "/p", "/p/q", "/p/q/r", "/p/q/r/1", "/p/s", "/p/s/2", "/t"};
  EXPECT_EQ(seen.below(root), expected);
}

TEST_F(Files, TakesRootsOfAnyKind) {
  file("f", "x");
  ASSERT_EQ(::symlink("nowhere", at("l").c_str()), 0);
  ASSERT_EQ(::mkfifo(at("p").c_str(), 0600), 0);
  FilesOptions with = options();
  with.roots = {at("f"), at("l"), at("p")};
  const Collector seen = walk_all(with);
  EXPECT_EQ(seen.find(at("f"))->entry.kind, EntryKind::File);
  EXPECT_EQ(seen.find(at("l"))->entry.kind, EntryKind::Symlink);
  EXPECT_EQ(seen.find(at("p"))->entry.kind, EntryKind::Fifo);
}

TEST_F(Files, RefusesRootsThatAreMissingOrNotPlain) {
  Collector seen;
  FilesOptions with = options();
  with.roots = {at("absent")};
  Status status = walk(with, seen);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Errc::NotFound);
  EXPECT_NE(status.error().message.find(at("absent")), std::string::npos);
  with.roots = {at("absent/below")};
  EXPECT_EQ(walk(with, seen).error().code, Errc::NotFound);
  for (const std::string& bad : {std::string("relative"), root + "/", root + "//x", root + "/../x", root + "/.",
                                 std::string(), std::string("//")}) {
    with.roots = {bad};
    status = walk(with, seen);
    ASSERT_FALSE(status.has_value()) << bad;
    EXPECT_EQ(status.error().code, Errc::Usage) << bad;
  }
}

TEST_F(Files, FollowsNoLinkAboveARoot) {
  directory("real");
  file("real/secret");
  ASSERT_EQ(::symlink("real", at("link").c_str()), 0);
  FilesOptions with = options();
  with.roots = {at("link/secret")};
  Collector seen;
  const Status status = walk(with, seen);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Errc::Usage);
  EXPECT_EQ(seen.find(at("link/secret")), nullptr);
}

TEST_F(Files, TellsEveryKindOfEntry) {
  file("file", "abc");
  directory("dir");
  ASSERT_EQ(::symlink("../dangling \xff", at("link").c_str()), 0);
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0620), 0);
  const int socket_fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(at("sock").size(), sizeof address.sun_path);
  std::strcpy(address.sun_path, at("sock").c_str());
  ASSERT_EQ(::bind(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(socket_fd);
  if (is_root()) {
    ASSERT_EQ(::mknod(at("chr").c_str(), S_IFCHR | 0640, makedev(259, 70000)), 0);
    ASSERT_EQ(::mknod(at("blk").c_str(), S_IFBLK | 0600, makedev(8, 1)), 0);
  }
  const Collector seen = walk_all();
  EXPECT_TRUE(seen.problems.empty());
  EXPECT_EQ(seen.find(at("file"))->entry.kind, EntryKind::File);
  EXPECT_EQ(seen.find(at("file"))->entry.size, 3u);
  EXPECT_TRUE(seen.find(at("file"))->open);
  EXPECT_EQ(seen.find(at("dir"))->entry.kind, EntryKind::Directory);
  EXPECT_EQ(seen.find(at("dir"))->entry.size, 0u);
  EXPECT_FALSE(seen.find(at("dir"))->open);
  EXPECT_EQ(seen.find(at("link"))->entry.kind, EntryKind::Symlink);
  EXPECT_EQ(seen.find(at("link"))->entry.link_target, "../dangling \xff");
  EXPECT_EQ(seen.find(at("fifo"))->entry.kind, EntryKind::Fifo);
  EXPECT_EQ(seen.find(at("sock"))->entry.kind, EntryKind::Socket);
  if (is_root()) {
    EXPECT_EQ(seen.find(at("chr"))->entry.kind, EntryKind::CharDevice);
    EXPECT_EQ(seen.find(at("chr"))->entry.rdev, makedev(259, 70000));
    EXPECT_EQ(seen.find(at("blk"))->entry.kind, EntryKind::BlockDevice);
  }
}

TEST_F(Files, ReadsOwnersModesAndTimesToTheNanosecond) {
  file("f", "x");
  ASSERT_EQ(::chmod(at("f").c_str(), 06751), 0);
  const timespec times[2] = {{1, 2}, {-5, 999'999'999}};  // before 1970
  ASSERT_EQ(::utimensat(AT_FDCWD, at("f").c_str(), times, 0), 0);
  const Collector seen = walk_all();
  const Found& found = *seen.find(at("f"));
  EXPECT_EQ(found.entry.mode, 06751u);
  EXPECT_EQ(found.entry.uid, ::geteuid());
  EXPECT_EQ(found.entry.mtime_ns, -5 * 1'000'000'000LL + 999'999'999);
  if (is_root()) {
    EXPECT_EQ(found.entry.owner, "root");
    EXPECT_EQ(found.entry.group, "root");
  }
  struct stat st{};
  ASSERT_EQ(::stat(at("f").c_str(), &st), 0);
  EXPECT_EQ(found.stat.inode, st.st_ino);
  EXPECT_EQ(found.stat.device, st.st_dev);
  EXPECT_EQ(found.stat.size, 1u);
  EXPECT_EQ(found.stat.mtime_ns, found.entry.mtime_ns);
  EXPECT_EQ(found.stat.ctime_ns, st.st_ctim.tv_sec * 1'000'000'000LL + st.st_ctim.tv_nsec);
}

TEST_F(Files, LeavesTheNameOfAnUnknownOwnerEmpty) {
  HF_NEEDS(is_root(), "root");
  file("f");
  ASSERT_EQ(::chown(at("f").c_str(), 3'999'999'999u, 3'999'999'998u), 0);
  const Collector seen = walk_all();
  EXPECT_EQ(seen.find(at("f"))->entry.uid, 3'999'999'999u);
  EXPECT_EQ(seen.find(at("f"))->entry.gid, 3'999'999'998u);
  EXPECT_EQ(seen.find(at("f"))->entry.owner, "");
  EXPECT_EQ(seen.find(at("f"))->entry.group, "");
}

TEST_F(Files, ReadsExtendedAttributesOfEveryKindSorted) {
  file("f");
  directory("d");
  ASSERT_EQ(::setxattr(at("f").c_str(), "user.z", "\0\xff", 2, 0), 0);
  ASSERT_EQ(::setxattr(at("f").c_str(), "user.a", "", 0, 0), 0);
  ASSERT_EQ(::setxattr(at("d").c_str(), "user.dir", "on a directory", 14, 0), 0);
  if (is_root()) {
    ASSERT_EQ(::symlink("f", at("l").c_str()), 0);
    ASSERT_EQ(::lsetxattr(at("l").c_str(), "trusted.link", "v", 1, 0), 0);
    ASSERT_EQ(::mkfifo(at("p").c_str(), 0600), 0);
    ASSERT_EQ(::setxattr(at("p").c_str(), "trusted.fifo", "w", 1, 0), 0);
  }
  const Collector seen = walk_all();
  EXPECT_TRUE(seen.problems.empty());
  const std::vector<manifest::Xattr> expected = {{"user.a", ""}, {"user.z", std::string("\0\xff", 2)}};
  EXPECT_EQ(seen.find(at("f"))->entry.xattrs, expected);
  EXPECT_EQ(seen.find(at("d"))->entry.xattrs, (std::vector<manifest::Xattr>{{"user.dir", "on a directory"}}));
  if (is_root()) {
    EXPECT_EQ(seen.find(at("l"))->entry.xattrs, (std::vector<manifest::Xattr>{{"trusted.link", "v"}}));
    EXPECT_EQ(seen.find(at("p"))->entry.xattrs, (std::vector<manifest::Xattr>{{"trusted.fifo", "w"}}));
  }
}

TEST_F(Files, ReadsAclsAndCapabilitiesAsTheKernelKeepsThem) {
  HF_NEEDS(is_root(), "root");
  // struct posix_acl_xattr: version 2, then (tag, permissions, id).
  const std::string acl(
      "\x02\0\0\0"
      "\x01\0\x06\0\xff\xff\xff\xff"
      "\x02\0\x04\0\xe7\x03\0\0"
      "\x04\0\x04\0\xff\xff\xff\xff"
      "\x10\0\x04\0\xff\xff\xff\xff"
      "\x20\0\0\0\xff\xff\xff\xff",
      44);
  // struct vfs_cap_data, revision 2: CAP_NET_RAW permitted and effective.
  const std::string capability(
      "\x01\0\0\x02"
      "\0\x20\0\0"
      "\0\0\0\0"
      "\0\0\0\0"
      "\0\0\0\0",
      20);
  file("f");
  directory("d");
  ASSERT_EQ(::setxattr(at("f").c_str(), "system.posix_acl_access", acl.data(), acl.size(), 0), 0);
  ASSERT_EQ(::setxattr(at("f").c_str(), "security.capability", capability.data(), capability.size(), 0), 0);
  ASSERT_EQ(::setxattr(at("d").c_str(), "system.posix_acl_default", acl.data(), acl.size(), 0), 0);
  const Collector seen = walk_all();
  const std::vector<manifest::Xattr> expected = {{"security.capability", capability}, {"system.posix_acl_access", acl}};
  EXPECT_EQ(seen.find(at("f"))->entry.xattrs, expected);
  EXPECT_EQ(seen.find(at("d"))->entry.xattrs, (std::vector<manifest::Xattr>{{"system.posix_acl_default", acl}}));
}

TEST_F(Files, NamesLaterLinksOfAnInodeAfterTheFirst) {
  directory("a");
  directory("b");
  file("a/first", "content");
  ASSERT_EQ(::link(at("a/first").c_str(), at("b/second").c_str()), 0);
  ASSERT_EQ(::link(at("a/first").c_str(), at("third").c_str()), 0);
  ASSERT_EQ(::symlink("x", at("b/s1").c_str()), 0);
  ASSERT_EQ(::linkat(AT_FDCWD, at("b/s1").c_str(), AT_FDCWD, at("b/s2").c_str(), 0), 0);
  const Collector seen = walk_all();
  EXPECT_EQ(seen.find(at("a/first"))->entry.kind, EntryKind::File);
  for (const char* later : {"b/second", "third"}) {
    const Found& found = *seen.find(at(later));
    EXPECT_EQ(found.entry.kind, EntryKind::Hardlink);
    EXPECT_EQ(found.entry.link_target, at("a/first"));
    EXPECT_EQ(found.entry.size, 0u);
    EXPECT_FALSE(found.open);
  }
  EXPECT_EQ(seen.find(at("b/s1"))->entry.kind, EntryKind::Symlink);
  EXPECT_EQ(seen.find(at("b/s2"))->entry.kind, EntryKind::Hardlink);
}

TEST_F(Files, LetsTheNextLinkComeFirstWhenTheFirstCannotBeOpened) {
  for (const char* d : {"a", "b", "c"}) directory(d);
  file("a/1", "content");
  ASSERT_EQ(::link(at("a/1").c_str(), at("b/2").c_str()), 0);
  ASSERT_EQ(::link(at("a/1").c_str(), at("c/3").c_str()), 0);
  Collector seen;
  seen.on_found = [&](const Found& found) -> Status {
    if (found.entry.path != at("a/1")) return {};
    EXPECT_EQ(::unlink(at("a/1").c_str()), 0);
    EXPECT_EQ(found.open().error().code, Errc::NotFound);
    return {};
  };
  ASSERT_TRUE(walk(options(), seen).has_value());
  EXPECT_EQ(seen.find(at("b/2"))->entry.kind, EntryKind::File);
  EXPECT_EQ(seen.find(at("c/3"))->entry.link_target, at("b/2"));
}

TEST(LinkTable, ForgetsAnInodeWhenItsLastLinkWasMet) {
  LinkTable table;
  EXPECT_FALSE(table.first_path({1, 2}, 2, "/a"));
  EXPECT_EQ(table.first_path({1, 2}, 2, "/b"), "/a");
  EXPECT_FALSE(table.first_path({1, 2}, 2, "/c"));  // the number was used again
}

TEST_F(Files, ExcludesByPatternWithoutLookingInside) {
  for (const char* d : {"keep", "cache", "cache/in"}) directory(d);
  for (const char* f : {"keep/a.o", "keep/a.c", "cache/in/x", "cache/kept"}) file(f);
  FilesOptions with = options();
  with.excludes = *GlobList::compile({"*.o", "cache/", "!kept"});
  const Collector seen = walk_all(with);
  EXPECT_EQ(seen.below(root), (std::vector<std::string>{"", "/keep", "/keep/a.c"}));
  EXPECT_NE(seen.skip_at(at("cache")), nullptr);
  EXPECT_NE(seen.skip_at(at("keep/a.o")), nullptr);
}

TEST_F(Files, TakesARootThatAPatternMatches) {
  file("x.log", "1");
  FilesOptions with = options();
  with.roots = {at("x.log")};
  with.excludes = *GlobList::compile({"*.log", "/**"});
  EXPECT_NE(walk_all(with).find(at("x.log")), nullptr);
}

TEST_F(Files, LeavesItsOwnStateOut) {
  directory("state");
  file("state/secret");
  FilesOptions with = options();
  with.skip_paths = {at("state")};
  const Collector seen = walk_all(with);
  EXPECT_EQ(seen.below(root), (std::vector<std::string>{""}));
  EXPECT_NE(seen.skip_at(at("state")), nullptr);
}

TEST_F(Files, KeepsATaggedDirectoryAndItsTagButNothingElse) {
  for (const char* d : {"good", "good/sub", "forged", "short", "marked"}) directory(d);
  file("good/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# comment");
  file("good/data");
  file("good/sub/x");
  file("forged/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc56");
  file("forged/data");
  file("short/CACHEDIR.TAG", "Signature:");
  file("short/data");
  file("marked/.nobackup");
  file("marked/data");
  const Collector seen = walk_all();
  const std::vector<std::string> expected = {"",
                                             "/forged",
                                             "/forged/CACHEDIR.TAG",
                                             "/forged/data",
                                             "/good",
                                             "/good/CACHEDIR.TAG",
                                             "/marked",
                                             "/marked/.nobackup",
                                             "/short",
                                             "/short/CACHEDIR.TAG",
                                             "/short/data"};
  EXPECT_EQ(seen.below(root), expected);
  EXPECT_NE(seen.skip_at(at("good"))->why.find("CACHEDIR.TAG"), std::string::npos);
  EXPECT_NE(seen.skip_at(at("marked"))->why.find(".nobackup"), std::string::npos);
  FilesOptions deaf = options();
  deaf.honour_cachedir_tag = false;
  deaf.markers = {};
  EXPECT_EQ(walk_all(deaf).founds.size(), seen.founds.size() + 4);
}

TEST_F(Files, NeverFollowsATagThatIsALinkOrWaitsForAFifo) {
  directory("link");
  directory("fifo");
  file("real", "Signature: 8a477f597d28d172789f06886806bc55");
  ASSERT_EQ(::symlink("../real", at("link/CACHEDIR.TAG").c_str()), 0);
  ASSERT_EQ(::mkfifo(at("fifo/CACHEDIR.TAG").c_str(), 0600), 0);
  file("link/data");
  file("fifo/data");
  const Collector seen = walk_all();
  EXPECT_NE(seen.find(at("link/data")), nullptr);
  EXPECT_NE(seen.find(at("fifo/data")), nullptr);
}

TEST_F(Files, NamesOtherFileSystemsAndStaysOut) {
  HF_NEEDS(is_root(), "root");
  directory("mnt");
  directory("proc");
  file("one");
  file("other");
  ASSERT_EQ(::mount("none", at("mnt").c_str(), "tmpfs", 0, "size=64k"), 0);
  file("mnt/inside");
  ASSERT_EQ(::mount("proc", at("proc").c_str(), "proc", 0, nullptr), 0);
  ASSERT_EQ(::mount(at("mnt/inside").c_str(), at("other").c_str(), nullptr, MS_BIND, nullptr), 0);
  const Collector seen = walk_all();
  FilesOptions across = options();
  across.one_file_system = false;
  const Collector all = walk_all(across);
  EXPECT_EQ(::umount(at("other").c_str()), 0);
  EXPECT_EQ(::umount(at("proc").c_str()), 0);
  EXPECT_EQ(::umount2(at("mnt").c_str(), MNT_DETACH), 0);  // what was found there holds its directory

  EXPECT_EQ(seen.below(root), (std::vector<std::string>{"", "/mnt", "/one", "/proc"}));
  EXPECT_EQ(seen.skip_at(at("mnt"))->why, "other file system");
  EXPECT_EQ(seen.skip_at(at("other"))->why, "other file system");
  EXPECT_EQ(all.below(root), (std::vector<std::string>{"", "/mnt", "/mnt/inside", "/one", "/other", "/proc"}));
  EXPECT_EQ(all.skip_at(at("proc"))->why, "kernel file system");
}

TEST(KernelDirectories, AreVisitedButNotEntered) {
  FilesOptions with;
  with.roots = {"/"};
  with.one_file_system = false;
  with.excludes = *GlobList::compile({"/*", "!/proc", "!/sys", "!/dev", "!/run"});
  Collector seen;
  ASSERT_TRUE(walk(with, seen).has_value());
  for (const char* path : {"/dev", "/proc", "/run", "/sys"}) {
    ASSERT_NE(seen.find(path), nullptr) << path;
    EXPECT_EQ(seen.skip_at(path)->why, "kernel file system");
  }
  EXPECT_EQ(seen.founds.size(), 5u);
}

TEST_F(Files, WalksDeeperThanPathMaxAndThanItsOpenDescriptors) {
  constexpr int kLevels = 1200;
  const std::string name(20, 'd');
  int fd = ::open(root.c_str(), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < kLevels; ++i) {
    ASSERT_EQ(::mkdirat(fd, name.c_str(), 0755), 0);
    ASSERT_EQ(::symlinkat("t", fd, "zz"), 0);  // to be visited on the way back
    const int next = ::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY);
    ::close(fd);
    fd = next;
  }
  ::close(::openat(fd, "bottom", O_CREAT | O_WRONLY, 0600));
  ::close(fd);

  Collector seen;
  int most_open = 0;
  seen.on_found = [&](const Found& found) -> Status {
    if (found.entry.kind == EntryKind::File) {
      most_open = ::open("/dev/null", O_RDONLY);  // the lowest free number
      ::close(most_open);
    }
    return {};
  };
  ASSERT_TRUE(walk(options(), seen).has_value());
  EXPECT_TRUE(seen.problems.empty()) << seen.problems.front().error.message;
  EXPECT_EQ(seen.below(root).size(), 2u * kLevels + 2);
  EXPECT_GT(seen.founds[kLevels + 3].entry.path.size(), 4096u);
  EXPECT_LT(most_open, static_cast<int>(kMaxOpenDirectories) + 40);
  for (std::size_t i = 1; i < seen.founds.size(); ++i)
    ASSERT_TRUE(manifest::compare_keys(seen.founds[i - 1].entry, seen.founds[i].entry) < 0);
}

TEST_F(Files, ReportsPathsBeyondTheLimitAndGoesOn) {
  const std::string name(250, 'd');
  int fd = ::open(root.c_str(), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 270; ++i) {
    ASSERT_EQ(::mkdirat(fd, name.c_str(), 0755), 0);
    const int next = ::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY);
    ::close(fd);
    fd = next;
  }
  ::close(fd);
  file("z");
  const Collector seen = walk_all();
  ASSERT_EQ(seen.problems.size(), 1u);
  EXPECT_EQ(seen.problems[0].error.code, Errc::Limit);
  EXPECT_NE(seen.find(at("z")), nullptr);
}

TEST_F(Files, GoesOnAfterADirectoryWasMovedAway) {
  // The chain is deep enough that the moved directory's own descriptor is closed by then.
  std::string path = root;
  int fd = ::open(root.c_str(), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(::mkdirat(fd, "d", 0755), 0);
    ASSERT_EQ(::symlinkat("t", fd, "z"), 0);
    const int next = ::openat(fd, "d", O_RDONLY | O_DIRECTORY);
    ::close(fd);
    fd = next;
  }
  ::close(::openat(fd, "bottom", O_CREAT | O_WRONLY, 0600));
  ::close(fd);
  directory("elsewhere");
  bool moved = false;
  Collector seen;
  seen.on_found = [&](const Found& found) -> Status {
    // Level 2 goes elsewhere: on the way back ".." of level 3 is still level 2, but level 1 is above it no longer.
    if (found.entry.kind == EntryKind::File && !std::exchange(moved, true)) {
      EXPECT_EQ(::rename(at("d/d").c_str(), at("elsewhere/d").c_str()), 0);
    }
    return {};
  };
  ASSERT_TRUE(walk(options(), seen).has_value());
  EXPECT_TRUE(seen.problems.empty());  // level 1 was found again from the top
  EXPECT_NE(seen.find(at("z")), nullptr);
  EXPECT_NE(seen.find(at("d/z")), nullptr);
}

TEST_F(Files, NamesADirectoryThatCannotBeFoundAgain) {
  int fd = ::open(root.c_str(), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(::mkdirat(fd, "d", 0755), 0);
    ASSERT_EQ(::symlinkat("t", fd, "z"), 0);
    const int next = ::openat(fd, "d", O_RDONLY | O_DIRECTORY);
    ::close(fd);
    fd = next;
  }
  ::close(::openat(fd, "bottom", O_CREAT | O_WRONLY, 0600));
  ::close(fd);
  const std::string outside = tmp / "outside";
  ASSERT_EQ(::mkdir(outside.c_str(), 0755), 0);
  Collector seen;
  seen.on_found = [&](const Found& found) -> Status {
    if (found.entry.kind != EntryKind::File) return {};
    EXPECT_EQ(::rename(at("d/d/d").c_str(), (outside + "/d").c_str()), 0);  // level 3 out of the tree
    EXPECT_EQ(::rename(at("d/d").c_str(), (outside + "/e").c_str()), 0);    // and level 2
    return {};
  };
  ASSERT_TRUE(walk(options(), seen).has_value());
  ASSERT_EQ(seen.problems.size(), 1u);
  EXPECT_EQ(seen.problems[0].path, at("d/d"));
  EXPECT_EQ(seen.find(at("d/d/z")), nullptr);
  EXPECT_NE(seen.find(at("d/z")), nullptr);
  for (const Found& found : seen.founds) EXPECT_FALSE(found.entry.path.starts_with(outside));
}

TEST_F(Files, ReportsWhatItMayNotReadAndGoesOn) {
  directory("closed");
  file("closed/x");
  file("secret", "x");
  file("z", "x");
  directory("nosearch");
  file("nosearch/x");
  ASSERT_EQ(::chmod(at("closed").c_str(), 0), 0);
  ASSERT_EQ(::chmod(at("secret").c_str(), 0), 0);
  ASSERT_EQ(::chmod(at("nosearch").c_str(), 0444), 0);
  ASSERT_EQ(::chmod(tmp.path().c_str(), 0755), 0);
  as_nobody([&] {
    Collector seen;
    if (!walk(options(), seen)) return false;
    const Problem* closed = seen.problem_at(at("closed"));
    const Problem* nosearch = seen.problem_at(at("nosearch/x"));
    return closed && closed->error.code == Errc::Denied && nosearch && nosearch->error.code == Errc::Denied &&
           seen.find(at("closed")) && seen.find(at("nosearch")) && seen.find(at("z")) && seen.find(at("secret")) &&
           seen.find(at("secret"))->open().error().code == Errc::Denied && seen.find(at("z"))->open().has_value();
  });
  FilesOptions with = options();
  with.roots = {at("closed")};
  as_nobody([&] {
    Collector seen;
    const Status status = walk(with, seen);
    return !status && status.error().code == Errc::Denied;
  });
  ASSERT_EQ(::chmod(at("closed").c_str(), 0755), 0);
  ASSERT_EQ(::chmod(at("nosearch").c_str(), 0755), 0);
}

TEST_F(Files, EndsWithTheVisitorsError) {
  file("a");
  file("b");
  Collector seen;
  seen.on_found = [&](const Found& found) -> Status {
    if (found.entry.path == at("a")) return Error{Errc::Canceled, "enough"};
    return {};
  };
  const Status status = walk(options(), seen);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Errc::Canceled);
  EXPECT_EQ(seen.find(at("b")), nullptr);
}

TEST_F(Files, WalksThreeThousandNamesInOrder) {
  for (int i = 0; i < 3000; ++i) file("n" + std::to_string(i * 7919 % 3000));
  const Collector seen = walk_all();
  const std::vector<std::string> names = seen.below(root);
  EXPECT_EQ(names.size(), 3001u);
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
}

TEST_F(Files, KeepsNamesThatAreNotText) {
  const std::vector<std::string> names = {"\x01\x02", "-rf", "a\nb", "back\\slash", "sp ace", std::string(255, '\xfe'),
                                          "\xc3\x28", "*",   "tab\t"};
  for (const std::string& name : names) file(name);
  const Collector seen = walk_all();
  for (const std::string& name : names) EXPECT_NE(seen.find(at(name)), nullptr) << printable(name);
}

// ---- row 29: what changes while it is read ----

TEST_F(Files, MarksWhatVanishesWhileBeingRead) {
  directory("d");
  for (const char* f : {"a", "b", "d/x", "e"}) file(f, "content");
  Collector seen;
  seen.on_found = [&](const Found& found) -> Status {
    if (found.entry.path == at("a")) {
      EXPECT_EQ(::unlink(at("b").c_str()), 0);  // before it is looked at
      EXPECT_EQ(::unlink(at("d/x").c_str()), 0);
      EXPECT_EQ(::rmdir(at("d").c_str()), 0);
    }
    if (found.entry.path == at("e")) {
      EXPECT_EQ(::unlink(at("e").c_str()), 0);  // before it is opened
      EXPECT_EQ(found.open().error().code, Errc::NotFound);
      EXPECT_EQ(found.open().error().message, "vanished while being read");
    }
    return {};
  };
  ASSERT_TRUE(walk(options(), seen).has_value());
  for (const char* gone : {"b", "d"}) {
    ASSERT_NE(seen.problem_at(at(gone)), nullptr) << gone;
    EXPECT_EQ(seen.problem_at(at(gone))->error.code, Errc::NotFound);
    EXPECT_EQ(seen.find(at(gone)), nullptr);
  }
}

TEST_F(Files, NeverFollowsALinkThatTakesAFilesPlace) {
  const std::string outside = tmp / "outside";
  std::ofstream(outside) << "not to be read";
  file("f", "content");
  Collector seen;
  seen.on_found = [&](const Found& found) -> Status {
    if (found.entry.path != at("f")) return {};
    EXPECT_EQ(::unlink(at("f").c_str()), 0);
    EXPECT_EQ(::symlink(outside.c_str(), at("f").c_str()), 0);
    const auto opened = found.open();
    EXPECT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code, Errc::NotFound);
    return {};
  };
  ASSERT_TRUE(walk(options(), seen).has_value());
}

TEST_F(Files, NeverWaitsForWhatTakesAFilesPlace) {
  file("f", "content");
  file("g", "content");
  Collector seen;
  seen.on_found = [&](const Found& found) -> Status {
    if (found.entry.kind != EntryKind::File) return {};
    EXPECT_EQ(::unlink(found.entry.path.c_str()), 0);
    const int made = found.entry.path == at("f") ? ::mkfifo(at("f").c_str(), 0600) : ::mkdir(at("g").c_str(), 0700);
    EXPECT_EQ(made, 0);
    EXPECT_EQ(found.open().error().code, Errc::NotFound);
    return {};
  };
  ASSERT_TRUE(walk(options(), seen).has_value());
}

TEST_F(Files, NeverFollowsALinkThatTakesADirectorysPlace) {
  const std::string outside = tmp / "outside";
  ASSERT_EQ(::mkdir(outside.c_str(), 0755), 0);
  std::ofstream(outside + "/secret") << "x";
  file("a");
  directory("d");
  Collector seen;
  seen.on_found = [&](const Found& found) -> Status {
    if (found.entry.path != at("a")) return {};
    EXPECT_EQ(::rmdir(at("d").c_str()), 0);
    EXPECT_EQ(::symlink(outside.c_str(), at("d").c_str()), 0);
    return {};
  };
  ASSERT_TRUE(walk(options(), seen).has_value());
  EXPECT_EQ(seen.find(at("d"))->entry.kind, EntryKind::Symlink);
  EXPECT_EQ(seen.find(at("d/secret")), nullptr);
}

TEST_F(Files, StaysInsideWhileAnotherThreadSwapsDirectoriesForLinks) {
  const std::string outside = tmp / "outside";
  ASSERT_EQ(::mkdir(outside.c_str(), 0755), 0);
  std::ofstream(outside + "/secret") << "do not read";
  for (int i = 0; i < 20; ++i) {
    directory("d" + std::to_string(i));
    file("d" + std::to_string(i) + "/inside", "fine");
  }
  const std::string link = tmp / "link";
  ASSERT_EQ(::symlink(outside.c_str(), link.c_str()), 0);
  std::atomic<bool> stop = false;
  std::thread racer([&] {
    for (unsigned i = 0; !stop; ++i) {
      const std::string victim = at("d" + std::to_string(i % 20));
      ::renameat2(AT_FDCWD, link.c_str(), AT_FDCWD, victim.c_str(), RENAME_EXCHANGE);
      ::renameat2(AT_FDCWD, link.c_str(), AT_FDCWD, victim.c_str(), RENAME_EXCHANGE);
    }
  });
  for (int round = 0; round < 200; ++round) {
    Collector seen;
    seen.on_found = [&](const Found& found) -> Status {
      EXPECT_EQ(found.entry.path.find("secret"), std::string::npos);
      if (!found.open) return {};
      const auto content = found.open();
      if (!content) return {};
      EXPECT_EQ(read_all(**content).bytes, "fine");
      return {};
    };
    EXPECT_TRUE(walk(options(), seen).has_value());
  }
  stop = true;
  racer.join();
}

class Content : public Files {
 protected:
  // Walks, and hands the one file's Found to `use` while the walk stands still there.
  void with_file(const std::string& name, const std::function<void(const Found&)>& use) const {
    Collector seen;
    bool used = false;
    seen.on_found = [&](const Found& found) -> Status {
      if (found.entry.path == at(name)) {
        use(found);
        used = true;
      }
      return {};
    };
    ASSERT_TRUE(walk(options(), seen).has_value());
    EXPECT_TRUE(used);
  }
};

TEST_F(Content, ReadsBytesExactlyWithAnyBuffer) {
  std::string bytes(300'001, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 >> 3 | 1);
  file("f", bytes);
  for (const std::size_t buffer : {1u << 20, 4096u, 7777u}) {
    with_file("f", [&](const Found& found) {
      const auto content = found.open();
      ASSERT_TRUE(content.has_value());
      const ReadBack read = read_all(**content, buffer);
      EXPECT_EQ(read.bytes, bytes);
      EXPECT_FALSE(read.changed);
      EXPECT_EQ((*content)->opened(), found.stat);
    });
  }
}

TEST_F(Content, ReadsAnEmptyFile) {
  file("f");
  with_file("f", [&](const Found& found) { EXPECT_TRUE(read_all(**found.open()).pieces.empty()); });
}

TEST_F(Content, CanBeOpenedAfterTheWalk) {
  file("f", "late");
  const Collector seen = walk_all();
  std::string read;
  std::thread([&] { read = read_all(**seen.find(at("f"))->open()).bytes; }).join();
  EXPECT_EQ(read, "late");
}

TEST_F(Content, TellsHolesFromData) {
  const int fd = ::open(at("f").c_str(), O_CREAT | O_WRONLY, 0600);
  constexpr std::uint64_t kBlock = 1u << 20;
  ASSERT_EQ(::pwrite(fd, "head", 4, 0), 4);
  ASSERT_EQ(::pwrite(fd, "middle", 6, 4 * kBlock), 6);
  ASSERT_EQ(::ftruncate(fd, 8 * kBlock), 0);
  ::close(fd);
  with_file("f", [&](const Found& found) {
    const ReadBack read = read_all(**found.open());
    ASSERT_EQ(read.bytes.size(), 8 * kBlock);
    EXPECT_EQ(read.bytes.substr(0, 4), "head");
    EXPECT_EQ(read.bytes.substr(4 * kBlock, 6), "middle");
    ASSERT_EQ(read.pieces.size(), 4u);
    EXPECT_FALSE(read.pieces[0].first);
    EXPECT_TRUE(read.pieces[1].first);
    EXPECT_FALSE(read.pieces[2].first);
    EXPECT_TRUE(read.pieces[3].first);
    EXPECT_LT(read.pieces[0].second + read.pieces[2].second, 300'000u);
  });
}

TEST_F(Content, SkipsOverATerabyteOfHoleAtOnce) {
  const int fd = ::open(at("f").c_str(), O_CREAT | O_WRONLY, 0600);
  ASSERT_EQ(::ftruncate(fd, std::int64_t{1} << 40), 0);
  ASSERT_EQ(::pwrite(fd, "end", 3, (std::int64_t{1} << 40) - 3), 3);
  ::close(fd);
  with_file("f", [&](const Found& found) {
    EXPECT_EQ(found.entry.size, std::uint64_t{1} << 40);
    const auto content = found.open();
    Bytes buffer(1u << 20);
    int calls = 0;
    std::uint64_t total = 0;
    for (;; ++calls) {
      const auto piece = (*content)->read(buffer);
      ASSERT_TRUE(piece.has_value());
      if (piece->bytes == 0) break;
      total += piece->bytes;
    }
    EXPECT_EQ(total, std::uint64_t{1} << 40);
    EXPECT_LE(calls, 3);
  });
}

TEST_F(Content, ReadsOneHoleOfFiveMegabytesAsOneHole) {  // row B11
  const int fd = ::open(at("f").c_str(), O_CREAT | O_WRONLY, 0600);
  ASSERT_EQ(::ftruncate(fd, 5'000'000), 0);
  ::close(fd);
  with_file("f", [&](const Found& found) {
    const ReadBack read = read_all(**found.open());
    EXPECT_EQ(read.pieces, (std::vector<std::pair<bool, std::uint64_t>>{{true, 5'000'000}}));
  });
}

TEST_F(Content, ReadsNoMoreThanWasThereWhenAFileGrows) {
  file("f", "1234");
  with_file("f", [&](const Found& found) {
    const auto content = found.open();
    std::ofstream(at("f"), std::ios::app) << "5678";
    const ReadBack read = read_all(**content);
    EXPECT_EQ(read.bytes, "1234");
    EXPECT_TRUE(read.changed);
  });
}

TEST_F(Content, MarksAFileThatShrinksWhileBeingRead) {
  file("f", std::string(100'000, 'x'));
  with_file("f", [&](const Found& found) {
    const auto content = found.open();
    Bytes buffer(1000);
    ASSERT_EQ((*content)->read(buffer)->bytes, 1000u);
    ASSERT_EQ(::truncate(at("f").c_str(), 500), 0);
    const ReadBack rest = read_all(**content);
    EXPECT_EQ(rest.bytes, "");
    EXPECT_TRUE(rest.changed);
  });
}

TEST_F(Content, MarksAFileRewrittenInPlaceWithItsOldTime) {
  file("f", "1234");
  with_file("f", [&](const Found& found) {
    const auto content = found.open();
    struct stat st{};
    ASSERT_EQ(::stat(at("f").c_str(), &st), 0);
    // The kernel's clock ticks coarsely; the change time has to move for anyone to notice.
    const timespec times[2] = {st.st_atim, st.st_mtim};
    for (struct stat now = st; now.st_ctim.tv_nsec == st.st_ctim.tv_nsec && now.st_ctim.tv_sec == st.st_ctim.tv_sec;) {
      std::ofstream(at("f"), std::ios::in) << "9999";
      ASSERT_EQ(::utimensat(AT_FDCWD, at("f").c_str(), times, 0), 0);
      ASSERT_EQ(::stat(at("f").c_str(), &now), 0);
    }
    EXPECT_TRUE(read_all(**content).changed);
  });
}

TEST_F(Content, MarksAFileReplacedBetweenTheLookAndTheOpening) {
  file("f", "old!");
  file("new", "new content");
  with_file("f", [&](const Found& found) {
    ASSERT_EQ(::rename(at("new").c_str(), at("f").c_str()), 0);
    const auto first = found.open();
    const ReadBack read = read_all(**first);
    EXPECT_EQ(read.bytes, "new content");
    EXPECT_TRUE(read.changed);
    // Read again it holds still, and tells what it is now.
    const auto again = found.open();
    EXPECT_FALSE(read_all(**again).changed);
    EXPECT_EQ((*again)->opened()->size, 11u);
    EXPECT_NE((*again)->opened()->inode, found.stat.inode);
  });
}

TEST_F(Content, LeavesTheAccessTimeAlone) {
  file("f", "x");
  const timespec times[2] = {{1'000'000, 5}, {2'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, at("f").c_str(), times, 0), 0);
  with_file("f", [&](const Found& found) { read_all(**found.open()); });
  struct stat st{};
  ASSERT_EQ(::stat(at("f").c_str(), &st), 0);
  EXPECT_EQ(st.st_atim.tv_sec, 1'000'000);
}

}  // namespace
}  // namespace holdfast::sources
