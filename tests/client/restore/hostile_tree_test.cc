// Row 28 from end to end: a sealed manifest of a thief's, through the whole of a restore. What the tree writer alone
// makes of hostile entries is in tree_writer_test.cc. Nothing outside the target is written, linked, or touched.
#include "tests/client/restore/hostile_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <atomic>
#include <thread>

#include "client/restore/plan_directory.h"
#include "common/console/exit_code.h"

namespace holdfast::test {
namespace {

using manifest::Entry;
using manifest::EntryKind;
namespace files = std::filesystem;

Entry entry(EntryKind kind, std::string path, std::string link = "") {
  Entry made;
  made.source = "files";
  made.path = std::move(path);
  made.kind = kind;
  made.mode = kind == EntryKind::Directory ? 0755 : 0644;
  made.uid = ::geteuid();
  made.gid = ::getegid();
  made.link_target = std::move(link);
  if (kind == EntryKind::File) made.size = kContent.size();
  return made;
}
Entry file(std::string path) { return entry(EntryKind::File, std::move(path)); }
Entry directory(std::string path) { return entry(EntryKind::Directory, std::move(path)); }
Entry symlink(std::string path, std::string to) { return entry(EntryKind::Symlink, std::move(path), std::move(to)); }
Entry hardlink(std::string path, std::string to) { return entry(EntryKind::Hardlink, std::move(path), std::move(to)); }
Entry with(Entry made, const std::function<void(Entry&)>& change) {
  change(made);
  return made;
}

/// Everything that would tell of a change below `root`: names, contents, inodes, owners, modes, links, all times.
std::map<std::string, std::string> picture_of(const std::string& root) {
  std::map<std::string, std::string> picture;
  const auto add = [&](const std::string& path) {
    struct stat st{};
    EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
    std::string text;
    for (const long long value :
         {static_cast<long long>(st.st_ino), static_cast<long long>(st.st_mode), static_cast<long long>(st.st_uid),
          static_cast<long long>(st.st_gid), static_cast<long long>(st.st_size), static_cast<long long>(st.st_nlink),
          static_cast<long long>(st.st_mtim.tv_sec), static_cast<long long>(st.st_mtim.tv_nsec),
          static_cast<long long>(st.st_ctim.tv_sec), static_cast<long long>(st.st_ctim.tv_nsec)})
      text += std::to_string(value) + " ";
    if (S_ISREG(st.st_mode)) text += EnrolledClient::text_of(path);
    picture[path] = text;
  };
  add(root);
  for (const auto& each : files::recursive_directory_iterator(root)) add(each.path());
  return picture;
}

/// A client, a target to be, and beside it what must stay as it is.
class HostileTree : public ::testing::Test {
 protected:
  void SetUp() override {
    files::create_directories(outside + "/dir");
    std::ofstream(outside + "/secret") << "untouched";
    std::ofstream(outside + "/dir/deep") << "untouched too";
    ASSERT_EQ(::mkfifo((outside + "/pipe").c_str(), 0600), 0);
    before = picture_of(outside);
  }
  /// As the program would end.
  int restore(restore::Overwrite overwrite = restore::Overwrite::Never, std::vector<std::string> paths = {}) {
    restore::Archive archive(*client.remote, {}, *restore::own_key(client.ring));
    const restore::SnapshotInfo info = *archive.find("latest", "");
    restore::RestoreOptions options;
    options.paths = std::move(paths);
    options.target = {target, overwrite, ::geteuid() == 0};
    const Result<restore::RestoreReport> done = restore::run_restore(archive, info, options);
    if (!done) return console::exit_code(done.error().code);
    if (done->failed == 0) return console::kDone;
    return console::graver(console::kFailed, console::exit_code(*done->gravest));
  }

  EnrolledClient client;
  const std::string outside = client.root + "/outside", target = client.root + "/target";
  std::map<std::string, std::string> before;
};

struct Tree {
  std::string name;
  std::vector<Entry> entries;
  int code = console::kDamaged;
};

/// The manifest as a whole breaks a rule: nothing of it is restored.
std::vector<Tree> impossible_trees() {
  std::vector<Tree> trees;
  const std::pair<const char*, std::string> paths[] = {
      {"empty", ""},
      {"relative", "etc/passwd"},
      {"..", "/.."},
      {".. on the way", "/a/../../outside/secret"},
      {".. at the end", "/a/.."},
      {".", "/."},
      {"two slashes", "/a//b"},
      {"two slashes first", "//outside"},
      {"a slash at the end", "/a/"},
      {"a zero byte", std::string("/a\0b", 4)},
      {"only a zero byte", std::string("/\0", 2)},
      {"longer than a path may be", "/" + std::string(65'600, 'a')},
  };
  for (const auto& [name, path] : paths) {
    for (const EntryKind kind : {EntryKind::File, EntryKind::Directory, EntryKind::Symlink})
      trees.push_back({"path " + std::string(name), {entry(kind, path, kind == EntryKind::Symlink ? "x" : "")}});
    trees.push_back({"hard link to a path " + std::string(name), {file("/a"), hardlink("/b", path)}});
  }
  trees.push_back({"the same path twice", {file("/a"), file("/a")}});
  trees.push_back(
      {"a link, then a directory of its name", {symlink("/a", "../outside"), directory("/a"), file("/a/x")}});
  trees.push_back({"out of order", {file("/b"), file("/a")}});
  trees.push_back({"a child before its parent", {file("/d/x"), directory("/d")}});
  trees.push_back({"a kind of no meaning", {entry(static_cast<EntryKind>(77), "/a")}, console::kRefused});
  trees.push_back({"a link to nothing", {symlink("/a", "")}});
  trees.push_back({"a link with a zero byte", {symlink("/a", std::string("x\0y", 3))}});
  trees.push_back(
      {"attributes twice", {with(file("/a"), [](Entry& e) { e.xattrs = {{"user.x", "1"}, {"user.x", "2"}}; })}});
  trees.push_back({"an attribute with a zero byte",
                   {with(file("/a"), [](Entry& e) { e.xattrs = {{std::string("user.a\0b", 8), "1"}}; })}});
  return trees;
}

/// Each entry is well formed; it is the target, or another entry, that is in its way.
std::vector<Tree> crossing_trees(const std::string& outside) {
  std::vector<Tree> trees;
  for (const std::string& to : {outside, std::string("../outside"), std::string("/"), std::string("/proc/self/cwd")}) {
    trees.push_back({"a file below a link to " + to, {symlink("/l", to), file("/l/secret")}, console::kFailed});
    trees.push_back({"a directory below a link to " + to, {symlink("/l", to), directory("/l/dir")}, console::kFailed});
    trees.push_back({"a link below a link to " + to, {symlink("/l", to), symlink("/l/new", "x")}, console::kFailed});
    trees.push_back(
        {"a fifo below a link to " + to, {symlink("/l", to), entry(EntryKind::Fifo, "/l/new")}, console::kFailed});
    trees.push_back({"a hard link below a link to " + to,
                     {file("/a"), symlink("/l", to), hardlink("/l/new", "/a")},
                     console::kFailed});
    trees.push_back(
        {"a hard link to behind a link to " + to, {symlink("/l", to), hardlink("/m", "/l/secret")}, console::kDamaged});
  }
  trees.push_back({"a hard link to an outside file", {hardlink("/a", outside + "/secret")}});
  trees.push_back({"a hard link to /etc/passwd", {hardlink("/a", "/etc/passwd")}});
  trees.push_back({"a hard link to a link to the outside",
                   {symlink("/a", outside + "/secret"), hardlink("/b", "/a")},
                   console::kDone});
  trees.push_back({"a hard link to itself", {hardlink("/a", "/a")}});
  trees.push_back({"hard links to each other", {hardlink("/a", "/b"), hardlink("/b", "/a")}});
  trees.push_back({"a hard link to a later file", {hardlink("/a", "/b"), file("/b")}, console::kDone});
  trees.push_back({"a hard link to the root", {hardlink("/a", "/")}});
  trees.push_back({"a hard link to a directory", {directory("/d"), hardlink("/e", "/d")}});
  trees.push_back({"a file below a file", {file("/f"), file("/f/x")}, console::kFailed});
  trees.push_back({"a file below a fifo", {entry(EntryKind::Fifo, "/f"), file("/f/x")}, console::kFailed});
  trees.push_back({"a file at the root", {file("/")}});
  trees.push_back({"a stream among files",
                   {with(entry(EntryKind::Stream, "/s"), [](Entry& e) { e.size = kContent.size(); })},
                   console::kDone});
  trees.push_back({"names of the writer's own",
                   {file("/" + std::string(restore::kTemporaryPrefix) + std::string(32, '0'))},
                   console::kDone});
  const std::string own = "/" + std::string(restore::kPlanDirectory);
  trees.push_back({"a file in place of the restore's own", {file(own)}, console::kRefused});
  trees.push_back({"a link in place of the restore's own", {symlink(own, outside)}, console::kRefused});
  trees.push_back({"a file among the restore's own", {directory(own), file(own + "/head")}, console::kRefused});
  trees.push_back({"a hard link to the restore's own", {hardlink("/a", own + "/head")}, console::kRefused});
  trees.push_back({"a component that no file system has", {file("/" + std::string(256, 'n'))}, console::kFailed});
  trees.push_back({"a size of 2^63", {with(file("/big"), [](Entry& e) { e.size = std::uint64_t{1} << 63; })}});
  trees.push_back({"a false digest", {with(file("/hole"), [](Entry& e) { e.size = 1 << 20; })}});
  trees.push_back({"setuid without its owner",
                   {with(file("/s"),
                         [](Entry& e) {
                           e.mode = 06755;
                           e.uid = e.gid = 0xffffffff;
                         })},
                   console::kDone});
  trees.push_back(
      {"a device in place of everything",
       {with(entry(EntryKind::BlockDevice, "/dev"), [](Entry& e) { e.rdev = makedev(8, 0); }), file("/dev/x")},
       console::kFailed});
  return trees;
}

TEST_F(HostileTree, ReachesNothingOutsideTheTarget) {
  std::vector<Tree> trees = impossible_trees();
  for (Tree& one : crossing_trees(outside)) trees.push_back(std::move(one));
  EXPECT_GE(trees.size(), 60u);
  for (const Tree& one : trees) {
    commit_tree(client, one.entries);
    for (const restore::Overwrite overwrite : {restore::Overwrite::Never, restore::Overwrite::Always}) {
      SCOPED_TRACE(one.name + ", mode " + std::to_string(static_cast<int>(overwrite)));
      files::remove_all(target);
      const bool unprivileged_device = ::geteuid() != 0 && one.name.starts_with("a device");
      const int code = restore(overwrite);
      if (!unprivileged_device) {
        EXPECT_EQ(code, one.code);
      }
      EXPECT_EQ(picture_of(outside), before);
    }
    client.remote->rows.clear();
  }
}

TEST_F(HostileTree, IsNotLedAstrayByWhatWaitsInTheTarget) {
  const std::vector<std::pair<std::string, std::function<void()>>> plants = {
      {"a link to a directory in a directory's place", [&] { files::create_symlink(outside, target + "/d"); }},
      {"a relative one", [&] { files::create_symlink("../outside", target + "/d"); }},
      {"a link that leads nowhere", [&] { files::create_symlink(outside + "/new", target + "/d"); }},
      {"a link to itself", [&] { files::create_symlink("d", target + "/d"); }},
      {"a link deeper down",
       [&] {
         files::create_directories(target + "/d");
         files::create_symlink(outside + "/dir", target + "/d/e");
       }},
      {"a link in a file's place",
       [&] {
         files::create_directories(target + "/d/e");
         files::create_symlink(outside + "/secret", target + "/d/e/deep");
       }},
      {"a fifo in a file's place",
       [&] {
         files::create_directories(target + "/d/e");
         ASSERT_EQ(::mkfifo((target + "/d/e/deep").c_str(), 0600), 0);
       }},
      {"a fifo in a directory's place", [&] { ASSERT_EQ(::mkfifo((target + "/d").c_str(), 0600), 0); }},
  };
  commit_tree(client, {directory("/d"), directory("/d/e"), file("/d/e/deep"), hardlink("/d/e/other", "/d/e/deep"),
                       symlink("/d/e/s", "x"), file("/d/secret")});
  for (const auto& [name, plant] : plants) {
    for (const restore::Overwrite overwrite :
         {restore::Overwrite::Never, restore::Overwrite::Changed, restore::Overwrite::Always}) {
      for (const bool one_path : {false, true}) {
        SCOPED_TRACE(name + ", mode " + std::to_string(static_cast<int>(overwrite)));
        files::remove_all(target);
        files::create_directory(target);
        plant();
        (void)restore(overwrite, one_path ? std::vector<std::string>{"/d/e/other"} : std::vector<std::string>{});
        EXPECT_EQ(picture_of(outside), before);
      }
    }
  }
}

TEST_F(HostileTree, IsNotLedAstrayByAThreadThatSwapsDirectoriesForLinks) {
  std::vector<Entry> entries = {directory("/d"), directory("/d/e")};
  for (int i = 10; i < 40; ++i) entries.push_back(file("/d/e/f" + std::to_string(i)));
  entries.push_back(hardlink("/d/e/h", "/d/e/f10"));
  entries.push_back(symlink("/d/e/s", "x"));
  entries.push_back(file("/d/secret"));
  commit_tree(client, entries);
  files::create_directories(target + "/d/e");
  files::create_symlink(outside, target + "/trap");
  files::create_symlink("../../outside/dir", target + "/trap2");
  std::atomic<bool> stop{false};
  std::thread racer([&] {
    const std::pair<std::string, std::string> pairs[] = {{target + "/trap", target + "/d"},
                                                         {target + "/trap2", target + "/d/e"}};
    for (unsigned i = 0; !stop; ++i) {
      const auto& [link, place] = pairs[i % 2];
      ::renameat2(AT_FDCWD, link.c_str(), AT_FDCWD, place.c_str(), RENAME_EXCHANGE);
      if (i % 3 == 0) std::this_thread::yield();
      struct stat st{};  // a swap may be refused: no link stays in a directory's place
      while (::lstat(place.c_str(), &st) == 0 && S_ISLNK(st.st_mode))
        ::renameat2(AT_FDCWD, link.c_str(), AT_FDCWD, place.c_str(), RENAME_EXCHANGE);
    }
  });
  int done = 0, rounds = 0;
  const MonotonicTime end = system_clock().monotonic() + std::chrono::seconds(3);
  for (; system_clock().monotonic() < end || rounds < 20; ++rounds)
    done += restore(restore::Overwrite::Always) == console::kDone ? 1 : 0;
  stop = true;
  racer.join();
  EXPECT_EQ(picture_of(outside), before);
  RecordProperty("rounds", rounds);
  RecordProperty("done", done);
}

}  // namespace
}  // namespace holdfast::test
