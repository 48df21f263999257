#include "client/reading/compare.h"

#include <sys/wait.h>
#include <sys/xattr.h>

#include "tests/client/reading/history.h"

namespace holdfast::test {
namespace {

bool is_root() { return ::geteuid() == 0; }

class Compare : public History {
 protected:
  struct Told {
    Result<reading::CompareReport> done = Error{Errc::Io, "not run"};
    Lines lines, problems;
  };
  Told compare(reading::CompareOptions options, std::size_t snapshot = 1) {
    restore::Archive archive = this->archive();
    const std::vector<restore::SnapshotInfo> all = *archive.snapshots();
    Told told;
    options.on_difference = [&](const reading::Difference& one) { told.lines.push_back(line(one)); };
    options.on_problem = [&](const sources::Problem& one) { told.problems.push_back(below(one.path)); };
    told.done = reading::compare(archive, all.at(snapshot - 1), options);
    return told;
  }
  /// All of the directory.
  Lines lines(bool read_data = false) {
    const Told told = compare(everything(read_data));
    EXPECT_TRUE(told.done.has_value()) << told.done.error().message;
    EXPECT_TRUE(told.problems.empty());
    return told.lines;
  }
  reading::CompareOptions everything(bool read_data = false) const {
    reading::CompareOptions options;
    options.paths = {data()};
    options.read_data = read_data;
    return options;
  }
};

TEST_F(Compare, FindsNothingWhereNothingChanged) {
  file("a/b/c", "text");
  file("\xff\x01", std::string(300'000, 'x'));
  std::filesystem::create_symlink("a", data("link"));
  std::filesystem::create_hard_link(data("a/b/c"), data("z"));
  ::mkfifo(data("pipe").c_str(), 0600);
  back_up();
  EXPECT_EQ(lines(), Lines{});
  const Told told = compare(everything(true));
  EXPECT_EQ(told.lines, Lines{});
  EXPECT_EQ(told.done->entries, 8u);
  EXPECT_EQ(told.done->read_bytes, 300'004u);
}

TEST_F(Compare, SeesWhatStatSees) {
  for (const char* name : {"size", "time", "mode", "owner", "xattr", "kind", "removed", "same", "\xff"})
    file(name, "1");
  std::filesystem::create_directories(data("removed.d/sub"));
  std::filesystem::create_symlink("a", data("link"));
  set_time("", 1);
  set_time("link", 1);
  back_up();
  file("size", "12");
  set_time("time", 5);
  ::chmod(data("mode").c_str(), 0600);
  if (is_root()) {
    ASSERT_EQ(::chown(data("owner").c_str(), 12345, 12345), 0);
  }
  const bool has_xattrs = ::setxattr(data("xattr").c_str(), "user.x", "1", 1, 0) == 0;
  std::filesystem::remove(data("kind"));
  std::filesystem::create_directory(data("kind"));
  std::filesystem::remove(data("removed"));
  std::filesystem::remove_all(data("removed.d"));
  std::filesystem::remove(data("link"));
  std::filesystem::create_symlink("b", data("link"));
  set_time("link", 1);
  file("\xff", "22");
  file("new/x", "12345");
  set_time("", 1);
  Lines expected{"T data/kind kind", "M data/link target", "U data/mode mode", "+ data/new", "+ data/new/x"};
  if (is_root()) expected.emplace_back("U data/owner owner");
  for (const char* text :
       {"- data/removed", "- data/removed.d", "- data/removed.d/sub", "M data/size content", "U data/time mtime"})
    expected.emplace_back(text);
  if (has_xattrs) expected.emplace_back("U data/xattr xattrs");
  expected.emplace_back("M data/\xff content");
  EXPECT_EQ(lines(), expected);
}

TEST_F(Compare, ReadsDataToSeeWhatStatDoesNot) {
  file("quiet", std::string(200'000, 'a') + "b");
  file("other", "1");
  back_up();
  file("quiet", std::string(200'000, 'a') + "c");
  EXPECT_EQ(lines(false), Lines{});
  EXPECT_EQ(lines(true), (Lines{"M data/quiet content"}));
}

TEST_F(Compare, HolesMayLieElsewhere) {
  const auto sparse = [&](const std::string& name, bool holes) {
    std::filesystem::remove(data(name));
    file(name, std::string(1 << 20, 'a'));
    if (holes) {
      std::filesystem::resize_file(data(name), 9 << 20);
    } else {
      std::ofstream(data(name), std::ios::binary | std::ios::app) << std::string(8 << 20, '\0');
    }
    std::ofstream(data(name), std::ios::binary | std::ios::app) << "end";
    set_time(name, 7);
    set_time("", 7);
  };
  sparse("filled-later", true);
  sparse("punched-later", false);
  sparse("differs", true);
  back_up();
  sparse("filled-later", false);
  sparse("punched-later", true);
  EXPECT_EQ(lines(true), Lines{});
  const int fd = ::open(data("differs").c_str(), O_WRONLY);
  ASSERT_EQ(::pwrite(fd, "x", 1, 5 << 20), 1);
  ::close(fd);
  set_time("differs", 7);
  EXPECT_EQ(lines(true), (Lines{"M data/differs content"}));
}

TEST_F(Compare, LooksBelowThePathsAndNowhereElse) {
  file("a/x", "1");
  file("b/x", "1");
  back_up();
  file("a/x", "12");
  file("a/new", "1");
  file("b/new", "1");
  file("c/new", "1");
  reading::CompareOptions options;
  options.paths = {data("a/x"), data("c")};
  EXPECT_EQ(compare(options).lines, (Lines{"M data/a/x content", "+ data/c", "+ data/c/new"}));
  options.paths = {data("nowhere")};
  EXPECT_EQ(compare(options).done.error().code, Errc::NotFound);
  std::filesystem::remove_all(data("b"));
  options.paths = {data("b")};
  EXPECT_EQ(compare(options).lines, (Lines{"- data/b", "- data/b/x"}));
}

TEST_F(Compare, FollowsLinksWhoseFirstNameIsOutsideOfThePath) {
  file("a/first", "1");
  std::filesystem::create_directories(data("b"));
  std::filesystem::create_hard_link(data("a/first"), data("b/second"));
  std::filesystem::create_hard_link(data("a/first"), data("b/third"));
  back_up();
  reading::CompareOptions options;
  options.paths = {data("b")};
  options.read_data = true;
  EXPECT_EQ(compare(options).lines, Lines{});
  file("b/second", "2");
  EXPECT_EQ(compare(options).lines, (Lines{"M data/b/second content"}));
  file("b/second", "1");
  std::filesystem::remove(data("b/third"));
  file("b/third", "1");
  EXPECT_EQ(lines(), (Lines{"U data/b mtime", "M data/b/third links"}));
}

TEST_F(Compare, WithoutAPathItLooksBelowTheRootsThatItFinds) {
  file("on-way/root/x", "1");
  back_up();
  file("on-way/root/new", "1");
  file("beside", "1");
  reading::CompareOptions options;
  Told told = compare(options);
  ASSERT_TRUE(told.done.has_value()) << told.done.error().message;
  EXPECT_EQ(told.lines, (Lines{"U data/on-way/root mtime", "+ data/on-way/root/new"}));
  ASSERT_FALSE(told.done->not_searched.empty());
  EXPECT_EQ(told.done->not_searched.back(), data("on-way"));
  options.known_roots = {data(), "/not/in/the/snapshot"};
  told = compare(options);
  EXPECT_EQ(told.lines, (Lines{"U data mtime", "+ data/beside", "U data/on-way/root mtime", "+ data/on-way/root/new"}));
  EXPECT_EQ(told.done->not_searched.back(), client.root);
}

TEST_F(Compare, WhatTheWalkLeavesOutIsNotGone) {
  file("cache/x", "1");
  file("d/x.tmp", "1");
  file("d/y", "1");
  back_up();
  file("cache/.nobackup", "");
  file("d/z.tmp", "1");
  set_time("cache", 1);
  set_time("d", 1);
  reading::CompareOptions options = everything();
  options.files.excludes = *sources::GlobList::compile({"*.tmp"});
  const Told told = compare(options);
  EXPECT_EQ(told.lines, (Lines{"U data/cache mtime", "+ data/cache/.nobackup", "U data/d mtime"}));
  EXPECT_EQ(told.done->left_out, 2u);
}

TEST_F(Compare, WhatCannotBeReadIsAProblemAndNotADifference) {
  file("closed/a", "1");
  file("closed/b/c", "1");
  file("secret", "1");
  file("z", "1");
  ::chmod(data().c_str(), 0755);
  ::chmod(data("z").c_str(), 0644);
  back_up();
  ::chmod(data("closed").c_str(), 0);
  ::chmod(data("secret").c_str(), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (is_root() && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(99);
    const Told told = compare(everything(true));
    if (!told.done || told.lines != Lines{"U data/closed mode", "U data/secret mode"}) ::_exit(2);
    if (told.problems != Lines{"data/closed", "data/secret"}) ::_exit(3);
    ::_exit(told.done->not_compared == 3 ? 0 : 4);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "child: " << status;
  ::chmod(data("closed").c_str(), 0755);
}

TEST_F(Compare, SaysWhichSnapshotHoldsNoFiles) {
  backup::BackupOptions options = client.options();
  options.files.roots.clear();
  options.commands = {{"dump", "echo text"}};
  back_up(options);
  const Told told = compare({});
  ASSERT_FALSE(told.done.has_value());
  EXPECT_EQ(told.done.error().code, Errc::NotFound);
  EXPECT_NE(told.done.error().message.find("only streams"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::test
