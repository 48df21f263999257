// restore --delete: what the snapshot does not hold goes, below the PATHs that were named and nowhere else.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "client/restore/extras.h"
#include "client/restore/plan_directory.h"
#include "common/console/exit_code.h"
#include "tests/support/enrolled_client.h"
#include "tests/support/reference.h"

namespace holdfast::test {
namespace {

namespace files = std::filesystem;
using Names = std::vector<std::string>;

class Delete : public ::testing::Test {
 protected:
  void SetUp() override {
    client.write("etc/a", "a");
    client.write("etc/sub/b", "b");
    client.write("etc/sub.d/c", "c");
    files::create_directories(data("etc/empty"));
    client.write("srv/page", "page");
    ASSERT_TRUE(client.back_up());
    ASSERT_TRUE(client.restore_to(target));
    for (const char* extra : {"etc/extra", "etc/zz", "etc/sub/x", "srv/extra", "top"}) put(extra);
    files::create_directories(back("etc/more/deep/er"));
    put("etc/more/deep/file");
    put("etc/empty/x");
    files::create_symlink(client.root + "/outside", back("etc/link"));
    files::create_directories(client.root + "/outside/dir");
    std::ofstream(client.root + "/outside/kept") << "kept";
  }
  std::string data(const std::string& name) const { return client.root + "/data/" + name; }
  std::string back(const std::string& name) const { return target + data(name); }
  void put(const std::string& name) const { std::ofstream(back(name)) << "extra"; }
  bool exists(const std::string& name) const { return files::exists(files::symlink_status(back(name))); }

  restore::RestoreOptions options(Names paths) {
    restore::RestoreOptions made;
    made.paths = std::move(paths);
    made.remove_extras = true;
    made.target = {target, restore::Overwrite::Changed, ::geteuid() == 0};
    made.on_removed = [this](const std::string& path) { removed.push_back(path); };
    made.on_not_removed = [this](const std::string& path, const Error&) { left.push_back(path); };
    return made;
  }
  Result<restore::RestoreReport> run(const restore::RestoreOptions& how, bool complete = true) {
    restore::Archive archive(*client.remote, {}, *restore::own_key(client.ring));
    restore::SnapshotInfo info = *archive.find("latest", "");
    info.complete = complete;
    return restore::run_restore(archive, info, how);
  }

  EnrolledClient client;
  const std::string target = client.root + "/back";
  Names removed, left;
};

TEST_F(Delete, RemovesWhatTheSnapshotLacksBelowTheNamedPathAlone) {
  const auto done = run(options({data("etc")}));
  ASSERT_TRUE(done) << done.error().message;
  for (const char* gone : {"etc/extra", "etc/zz", "etc/sub/x", "etc/empty/x", "etc/more", "etc/link"})
    EXPECT_FALSE(exists(gone)) << gone;
  for (const char* stays : {"etc/a", "etc/sub/b", "etc/sub.d/c", "etc/empty", "srv/page", "srv/extra", "top"})
    EXPECT_TRUE(exists(stays)) << stays;
  EXPECT_EQ(EnrolledClient::text_of(client.root + "/outside/kept"), "kept");
  EXPECT_EQ(done->removed, 9u);
  EXPECT_EQ(removed.size(), 9u);
  EXPECT_EQ(done->not_removed, 0u);
  struct stat was{}, is{};
  ASSERT_EQ(::stat(data("etc").c_str(), &was), 0);
  ASSERT_EQ(::stat(back("etc").c_str(), &is), 0);
  EXPECT_EQ(is.st_mtim.tv_nsec, was.st_mtim.tv_nsec) << "directories get their times last";
}

TEST_F(Delete, OnlyNamesThemInADryRun) {
  restore::RestoreOptions dry = options({data("etc")});
  dry.dry_run = true;
  const auto done = run(dry);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->removed, 9u);
  EXPECT_NE(std::find(removed.begin(), removed.end(), back("etc/more/deep/file")), removed.end());
  for (const char* stays : {"etc/extra", "etc/more/deep/er", "etc/link"}) EXPECT_TRUE(exists(stays)) << stays;
  dry.target.target = client.root + "/nowhere";
  const auto nothing = run(dry);
  ASSERT_TRUE(nothing) << nothing.error().message;
  EXPECT_EQ(nothing->removed, 0u);
  EXPECT_FALSE(files::exists(client.root + "/nowhere"));
}

TEST_F(Delete, IsRefusedWithoutAPathInAllOfTheMachineAndAfterAnIncompleteSnapshot) {
  for (const bool dry_run : {false, true}) {
    restore::RestoreOptions how = options({});
    how.dry_run = dry_run;
    EXPECT_EQ(run(how).error().code, Errc::Usage);
    how = options({data("etc")});
    EXPECT_EQ(console::exit_code(run(how, false).error().code), console::kFailed);
    how = options({data("etc")});
    how.dry_run = true;  // should the refusal be missing, nothing is lost
    how.target.target = "/";
    how.strip = data("etc");
    EXPECT_EQ(run(how).error().code, Errc::Usage);
    how = options({"/"});
    how.dry_run = true;
    how.target.target = "/";
    EXPECT_EQ(run(how).error().code, Errc::Usage);
  }
  EXPECT_TRUE(exists("etc/extra"));
}

TEST_F(Delete, RemovesNothingWhenSomethingCouldNotBeRestored) {
  files::remove(back("etc/a"));
  files::create_directories(back("etc/a/in the way"));
  const auto done = run(options({data("etc")}));
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->failed, 1u);
  EXPECT_TRUE(done->removal_skipped);
  EXPECT_EQ(done->removed, 0u);
  EXPECT_TRUE(exists("etc/extra"));
}

TEST_F(Delete, KeepsWhatIsHoldfastsOwnAndWhatHoldsIt) {
  restore::RestoreOptions how = options({data("etc")});
  files::create_directories(back("etc/more/state/inside"));
  files::create_directories(back("etc/.holdfast-restore"));  // of another restore, to a target in this one
  std::ofstream(back("etc/sub/.holdfast-tmp-0123456789abcdef0123456789abcdef")) << "draft";
  how.keep = {back("etc/more/state")};
  const auto done = run(how);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_TRUE(exists("etc/more/state/inside"));
  EXPECT_TRUE(exists("etc/.holdfast-restore"));
  EXPECT_FALSE(exists("etc/more/deep"));
  EXPECT_EQ(left, Names{back("etc/more/state")});
  EXPECT_EQ(done->not_removed, 1u);
}

TEST_F(Delete, KeepsWhatBackupsLeaveOut) {
  files::create_directories(back("etc/marked"));
  put("etc/marked/.nobackup");
  put("etc/marked/valuable");
  put("etc/sub/.nobackup");  // in a directory that the snapshot holds: nothing of it goes
  put("etc/more/deep/file.o");
  put("etc/old.o");
  restore::RestoreOptions how = options({data("etc")});
  how.markers = {".nobackup"};
  how.left_out = [&](const std::string& path, bool is_directory) {
    EXPECT_TRUE(path.starts_with(data("etc/"))) << path;
    return !is_directory && path.ends_with(".o");
  };
  const auto done = run(how);
  ASSERT_TRUE(done) << done.error().message;
  for (const char* stays : {"etc/marked/valuable", "etc/sub/x", "etc/more/deep/file.o", "etc/old.o"})
    EXPECT_TRUE(exists(stays)) << stays;
  for (const char* gone : {"etc/extra", "etc/more/deep/file", "etc/more/deep/er"}) EXPECT_FALSE(exists(gone)) << gone;
  EXPECT_EQ(done->spared, 4u);
}

TEST_F(Delete, IsRefusedAfterARunThatCouldNotReadEverything) {
  restore::Archive archive(*client.remote, {}, *restore::own_key(client.ring));
  restore::SnapshotInfo info = *archive.find("latest", "");
  ASSERT_FALSE(info.core().sources.empty());
  info.verified.core.sources[0].result = snapshot::SourceResult::Warnings;
  const auto refused = restore::run_restore(archive, info, options({data("etc")}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::SourceFailed);
  EXPECT_TRUE(exists("etc/extra"));
}

TEST_F(Delete, NeverLeavesTheFileSystem) {
  const auto mounted = [&](const std::string& on) {
    return ::mount((client.root + "/outside").c_str(), on.c_str(), nullptr, MS_BIND, nullptr) == 0;
  };
  HF_NEEDS(::geteuid() == 0, "root");
  ASSERT_TRUE(mounted(back("etc/more/deep/er")));
  const bool second = mounted(back("etc/empty"));  // the snapshot has it as an empty directory
  const auto done = run(options({data("etc")}));
  ::umount2(back("etc/more/deep/er").c_str(), MNT_DETACH);
  ::umount2(back("etc/empty").c_str(), MNT_DETACH);
  EXPECT_TRUE(second);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(EnrolledClient::text_of(client.root + "/outside/kept"), "kept");
  EXPECT_TRUE(files::exists(client.root + "/outside/dir"));
  EXPECT_TRUE(exists("etc/more/deep/er"));
  EXPECT_FALSE(exists("etc/more/deep/file"));
  EXPECT_EQ(left, (Names{back("etc/empty"), back("etc/more/deep/er")}));
}

TEST_F(Delete, TakesTheStrippedTargetForThePath) {
  const std::string www = client.root + "/www";
  files::create_directories(www + "/old");
  restore::RestoreOptions how = options({data("etc")});
  how.strip = data("etc");
  how.target.target = www;
  const auto done = run(how);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(removed, Names{www + "/old"});
  EXPECT_EQ(std::distance(files::directory_iterator(www), files::directory_iterator()), 4);
}

class ExtrasOf : public Delete {
 protected:
  std::unique_ptr<restore::TreeRemoval> removal;
  restore::Extras extras() {
    restore::TreeRemoval::Options options;
    options.removed = [this](const std::string& path) { removed.push_back(path); };
    options.left = [this](const std::string& path, const Error&) { left.push_back(path); };
    options.spared = [](const std::string&) {};
    removal = std::make_unique<restore::TreeRemoval>(std::move(options));
    return restore::Extras(
        std::make_shared<const restore::Descriptor>(::open(back("etc").c_str(), O_PATH | O_DIRECTORY)), *removal);
  }
};

TEST_F(ExtrasOf, AWalkThatBreaksOffHasLostNothingThatCouldStillHaveCome) {
  restore::Extras some = extras();
  ASSERT_TRUE(some.add("/", true));
  ASSERT_TRUE(some.add("/more", true));  // after "a", "empty", "extra", "link"; then the manifest ends in an error
  EXPECT_EQ(removed.back(), "/link");
  EXPECT_TRUE(exists("etc/more/deep"));
  EXPECT_TRUE(exists("etc/zz"));
  EXPECT_TRUE(exists("etc/sub/b"));
}

TEST_F(ExtrasOf, ADirectoryWithoutAnEntryOfItsOwnKeepsAllThatItHolds) {
  restore::Extras some = extras();
  ASSERT_TRUE(some.add("/", true));
  ASSERT_TRUE(some.add("/sub/b", false));
  some.finish();
  EXPECT_TRUE(exists("etc/sub/x"));
  EXPECT_FALSE(exists("etc/a"));
}

TEST_F(ExtrasOf, ALinkInADirectorysPlaceIsNotFollowed) {
  files::rename(back("etc/sub"), back("etc/sub.real"));
  files::create_symlink(client.root + "/outside", back("etc/sub"));
  restore::Extras some = extras();
  ASSERT_TRUE(some.add("/", true));
  ASSERT_TRUE(some.add("/sub", true));
  ASSERT_TRUE(some.add("/sub/b", false));
  some.finish();
  EXPECT_EQ(EnrolledClient::text_of(client.root + "/outside/kept"), "kept");
  EXPECT_TRUE(exists("etc/sub"));
}

}  // namespace
}  // namespace holdfast::test
