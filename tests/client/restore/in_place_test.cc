// A restore into a tree that is there already: what is right stays and is not fetched, whatever its times say.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "client/restore/plan_directory.h"
#include "tests/support/enrolled_client.h"
#include "tests/support/reference.h"

namespace holdfast::test {
namespace {

namespace files = std::filesystem;

struct stat stat_of(const std::string& path) {
  struct stat st{};
  EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
  return st;
}
std::string ctime_of(const std::string& path) {
  const struct stat st = stat_of(path);
  return std::to_string(st.st_ino) + " " + std::to_string(st.st_ctim.tv_sec) + "." + std::to_string(st.st_ctim.tv_nsec);
}
/// Kind, mode, owner, times and contents of everything below `path`, not its inodes.
std::map<std::string, std::string> picture_of(const std::string& path) {
  std::map<std::string, std::string> out;
  for (const auto& one : files::recursive_directory_iterator(path)) {
    const struct stat st = stat_of(one.path());
    std::string text = std::to_string(st.st_mode) + " " + std::to_string(st.st_uid) + " " +
                       std::to_string(st.st_mtim.tv_sec) + "." + std::to_string(st.st_mtim.tv_nsec);
    if (!one.is_directory()) text += " " + std::to_string(st.st_nlink);
    if (one.is_symlink()) text += " " + files::read_symlink(one.path()).string();
    if (one.is_regular_file() && !one.is_symlink())
      text += " " + std::to_string(std::hash<std::string>{}(EnrolledClient::text_of(one.path())));
    out[one.path().lexically_relative(path)] = text;
  }
  return out;
}

class InPlace : public ::testing::Test {
 protected:
  std::string data(const std::string& name = "") const { return client.root + "/data/" + name; }
  std::string back(const std::string& name = "") const { return client.root + "/back" + data(name); }

  /// Backs up, restores for the first time, and forgets what that has fetched.
  void back_up_and_restore() {
    ASSERT_TRUE(client.back_up());
    original = picture_of(data());
    const auto first = restore(restore::Overwrite::Never);
    ASSERT_TRUE(first) << first.error().message;
    all_blobs = first->blobs_fetched;
    client.remote->fetches_of.clear();
  }
  Result<restore::RestoreReport> restore(restore::Overwrite overwrite = restore::Overwrite::Changed,
                                         std::function<void()> between_steps = {}) {
    HF_TRY(restore::OpeningKey key, restore::own_key(client.ring));
    restore::Archive archive(*client.remote, {}, std::move(key));
    HF_TRY(const restore::SnapshotInfo info, archive.find("latest", ""));
    restore::RestoreOptions options;
    options.target = {client.root + "/back", overwrite, ::geteuid() == 0};
    options.between_steps = std::move(between_steps);
    options.on_failure = [this](const std::string& path, const Error& error) {
      client.failures.push_back(path + ": " + error.message);
    };
    return restore::run_restore(archive, info, options);
  }
  void expect_whole(const Result<restore::RestoreReport>& done) {
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(done->failed, 0u) << (client.failures.empty() ? "" : client.failures.back());
    EXPECT_EQ(picture_of(back()), original);
    for (const auto& one : files::recursive_directory_iterator(client.root + "/back"))
      EXPECT_FALSE(one.path().filename().string().starts_with(".holdfast")) << one.path();
  }
  /// Same size, same time, other bytes.
  void corrupt(const std::string& name) const {
    const struct stat before = stat_of(back(name));
    {
      std::fstream bytes(back(name), std::ios::in | std::ios::out | std::ios::binary);
      const int old = bytes.get();
      bytes.seekp(0);
      bytes.put(static_cast<char>(old ^ 1));
    }
    const timespec times[2] = {before.st_atim, before.st_mtim};
    ASSERT_EQ(::utimensat(AT_FDCWD, back(name).c_str(), times, 0), 0);
  }

  EnrolledClient client;
  std::map<std::string, std::string> original;
  std::uint64_t all_blobs = 0;
};

TEST_F(InPlace, FetchesOnlyWhatDiffersAndLeavesTheRestUntouched) {
  for (const char* name : {"a", "c"}) client.write(name, noise(300'000));
  // A blob ends after 4 MiB at the latest: one at least lies in each of these alone.
  for (const char* name : {"b", "d"}) client.write(name, noise(12'000'000));
  client.write("small/one", noise(2'000));
  client.write("empty", "");
  client.write("sparse", noise(294'912));  // 72 blocks
  files::resize_file(data("sparse"), 3'000'000);
  files::create_hard_link(data("d"), data("small/second"));
  back_up_and_restore();
  std::map<std::string, std::string> untouched;
  for (const char* name : {"b", "d", "small/one", "empty", "sparse", "small/second"})
    untouched[name] = ctime_of(back(name));
  corrupt("a");
  files::remove(back("c"));

  const auto done = restore();
  expect_whole(done);
  for (const auto& [name, before] : untouched) EXPECT_EQ(ctime_of(back(name)), before) << name;
  EXPECT_EQ(done->files_right, 5u);
  EXPECT_EQ(done->bytes_not_fetched, 12'000'000u * 2 + 2'000 + 294'912);
  EXPECT_LE(done->blobs_fetched + 2, all_blobs);
  EXPECT_GT(done->blobs_fetched, 0u);
}

TEST_F(InPlace, FetchesNothingWhenNothingDiffers) {
  for (int i = 0; i < 20; ++i) client.write("f" + std::to_string(i), noise(10'000));
  back_up_and_restore();
  const auto done = restore();
  expect_whole(done);
  EXPECT_EQ(done->blobs_fetched, 0u);
  EXPECT_EQ(done->files_right, 20u);
}

TEST_F(InPlace, SetsAttributesOfAFileWhoseBytesAreRight) {
  for (const char* name : {"mode", "time", "xattr"}) client.write(name, noise(10'000));
  back_up_and_restore();
  std::map<std::string, ino_t> inodes;
  for (const char* name : {"mode", "time", "xattr"}) inodes[name] = stat_of(back(name)).st_ino;
  ASSERT_EQ(::chmod(back("mode").c_str(), 0600), 0);
  const timespec times[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, back("time").c_str(), times, 0), 0);
  ASSERT_EQ(::setxattr(back("xattr").c_str(), "user.stale", "x", 1, 0), 0);
  const auto done = restore();
  expect_whole(done);
  EXPECT_EQ(done->blobs_fetched, 0u);
  EXPECT_EQ(done->files_right, 3u);
  for (const auto& [name, inode] : inodes) EXPECT_EQ(stat_of(back(name)).st_ino, inode) << name;
  EXPECT_LT(::getxattr(back("xattr").c_str(), "user.stale", nullptr, 0), 0);
}

TEST_F(InPlace, NeverChangesAFileThatHasOtherNames) {
  client.write("file", noise(400'000));
  back_up_and_restore();
  const std::string outside = client.root + "/outside";
  ASSERT_EQ(::link(back("file").c_str(), outside.c_str()), 0);
  ASSERT_EQ(::chmod(outside.c_str(), 0600), 0);
  const auto done = restore();
  expect_whole(done);
  EXPECT_EQ(done->blobs_fetched, 0u) << "its bytes are there";
  EXPECT_EQ(stat_of(outside).st_mode & 07777, 0600u);
  EXPECT_NE(stat_of(outside).st_ino, stat_of(back("file")).st_ino);
}

TEST_F(InPlace, TakesNoFileOverFromAnotherOwnerWhoMayHaveItOpen) {
  HF_NEEDS(::geteuid() == 0, "root");
  client.write("file", noise(400'000));
  back_up_and_restore();
  const auto before = stat_of(back("file")).st_ino;
  const int theirs = ::open(back("file").c_str(), O_RDWR);
  ASSERT_GE(theirs, 0);
  ASSERT_EQ(::chown(back("file").c_str(), 12345, 12345), 0);
  const auto done = restore();
  EXPECT_EQ(::pwrite(theirs, "evil", 4, 0), 4);
  ::close(theirs);
  expect_whole(done);
  EXPECT_EQ(done->blobs_fetched, 0u);
  EXPECT_NE(stat_of(back("file")).st_ino, before);
}

TEST_F(InPlace, KeepsTwoFilesOfTheSnapshotTwo) {
  const std::string same = noise(100'000);
  client.write("one", same);
  client.write("two", same);
  client.age();
  const timespec times[2] = {{1'600'000'000, 0}, {1'600'000'000, 0}};
  for (const char* name : {"one", "two"}) ASSERT_EQ(::utimensat(AT_FDCWD, data(name).c_str(), times, 0), 0);
  back_up_and_restore();
  files::remove(back("two"));
  files::create_hard_link(back("one"), back("two"));
  ASSERT_EQ(::utimensat(AT_FDCWD, back("one").c_str(), times, 0), 0);
  const auto done = restore();
  expect_whole(done);
  EXPECT_NE(stat_of(back("one")).st_ino, stat_of(back("two")).st_ino);
  EXPECT_EQ(done->blobs_fetched, 0u);
}

TEST_F(InPlace, FetchesAFileThatChangesWhileItIsCopied) {
  client.write("file", noise(2'000'000));
  back_up_and_restore();
  files::create_hard_link(back("file"), client.root + "/outside");
  ASSERT_EQ(::chmod(back("file").c_str(), 0600), 0);
  bool changed = false;
  const auto done = restore(restore::Overwrite::Changed, [&] {
    if (std::exchange(changed, true)) return;
    std::fstream bytes(back("file"), std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(1'900'000);
    bytes << "other";
  });
  EXPECT_TRUE(changed);
  expect_whole(done);
  EXPECT_EQ(done->blobs_fetched, all_blobs);
}

TEST_F(InPlace, FollowsNothingThatTakesAFilesPlace) {
  client.write("file", "as it was");
  client.write("other", "as it was, too");
  back_up_and_restore();
  const std::string outside = client.root + "/outside";
  std::ofstream(outside) << "as it was";
  const std::string before = ctime_of(outside);
  for (const char* name : {"file", "other"}) {
    files::remove(back(name));
    files::create_symlink(outside, back(name));
  }
  const auto done = restore();
  expect_whole(done);
  EXPECT_EQ(ctime_of(outside), before);
  EXPECT_EQ(done->files_right, 0u);
}

TEST_F(InPlace, ReplacesUnderAlwaysAndLeavesUnderNever) {
  client.write("file", noise(50'000));
  back_up_and_restore();
  const auto inode = stat_of(back("file")).st_ino;
  const auto never = restore(restore::Overwrite::Never);
  ASSERT_TRUE(never);
  EXPECT_EQ(never->target.left_in_place, 1u);
  EXPECT_EQ(stat_of(back("file")).st_ino, inode);
  const auto always = restore(restore::Overwrite::Always);
  expect_whole(always);
  EXPECT_EQ(always->files_right, 0u);
  EXPECT_NE(stat_of(back("file")).st_ino, inode);
}

TEST_F(InPlace, AKillAtAnyStepIsGoneOnWith) {
  client.write("a", noise(300'000));
  client.write("b", noise(300'000));
  client.write("c", noise(2'000));
  client.write("d", noise(2'000));
  files::create_hard_link(data("a"), data("second"));
  back_up_and_restore();
  const std::string kept = client.root + "/kept", target = client.root + "/back";
  ASSERT_EQ(::chmod(back("a").c_str(), 0600), 0);  // has another name: copied
  ASSERT_EQ(::chmod(back("c").c_str(), 0600), 0);
  corrupt("b");
  files::rename(target, kept);
  int step = 0;
  for (;; ++step) {
    files::remove_all(target);
    ASSERT_EQ(std::system(("cp -a '" + kept + "' '" + target + "'").c_str()), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      int left = step;
      const auto done = restore(restore::Overwrite::Changed, [&] {
        if (left-- == 0) ::_exit(9);
      });
      ::_exit(done ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 1) << "step " << step;
    if (WEXITSTATUS(status) == 0) break;
    const auto done = restore();
    expect_whole(done);
    EXPECT_TRUE(done->resumed) << "step " << step;
    if (HasFailure()) FAIL() << "step " << step;
  }
  EXPECT_GT(step, 8);
}

class Standing : public ::testing::Test {
 protected:
  Standing() {
    files::create_directories(target + "/dir");
    std::ofstream(target + "/dir/file") << "right bytes";
    std::ofstream(client.root + "/outside") << "right bytes";
    tree = *restore::TreeWriter::open({target, restore::Overwrite::Changed, ::geteuid() == 0});
    entry.path = "/dir/file";
    entry.mode = 0640;
    entry.uid = ::geteuid();
    entry.gid = ::getegid();
    entry.size = 11;
  }
  restore::Standing opened() {
    Result<std::optional<restore::Standing>> found = tree->standing(entry);
    EXPECT_TRUE(found && *found);
    return std::move(**found);
  }

  EnrolledClient client;
  const std::string target = client.root + "/target";
  std::unique_ptr<restore::TreeWriter> tree;
  manifest::Entry entry;
};

TEST_F(Standing, IsNoLongerItWhenItWasSwappedForALinkOrChanged) {
  const restore::Standing found = opened();
  EXPECT_EQ(*tree->fit(entry, found), restore::Fit::Attributes);
  files::rename(target + "/dir/file", target + "/aside");
  files::create_symlink(client.root + "/outside", target + "/dir/file");
  EXPECT_EQ(*tree->fit(entry, found), std::nullopt);
  const std::string before = ctime_of(client.root + "/outside");
  EXPECT_FALSE(*tree->dress(entry, found));
  EXPECT_EQ(ctime_of(client.root + "/outside"), before);
  EXPECT_FALSE(*tree->standing(entry));

  files::rename(target + "/aside", target + "/dir/file");
  const restore::Standing again = opened();
  std::ofstream(target + "/dir/file") << "other bytes";
  EXPECT_EQ(*tree->fit(entry, again), std::nullopt);
}

TEST_F(Standing, IsNotWhatALinkedDirectoryLeadsTo) {
  files::rename(target + "/dir", client.root + "/elsewhere");
  files::create_symlink(client.root + "/elsewhere", target + "/dir");
  const Result<std::optional<restore::Standing>> found = tree->standing(entry);
  EXPECT_TRUE(!found || !*found);
}

}  // namespace
}  // namespace holdfast::test
