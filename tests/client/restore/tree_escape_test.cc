// Row 28: nothing is written, linked or touched outside the target, whatever the manifest or another process says.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <atomic>
#include <climits>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include "tests/client/restore/tree_fixture.h"

namespace holdfast::restore {
namespace {

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
