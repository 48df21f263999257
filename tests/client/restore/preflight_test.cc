// A restore that cannot fit is refused before anything is written; what is right already needs no room.
#include "client/restore/preflight.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include "client/restore/plan_directory.h"
#include "tests/support/enrolled_client.h"
#include "tests/support/reference.h"

namespace holdfast::test {
namespace {

namespace files = std::filesystem;

class PreflightOf : public ::testing::Test {
 protected:
  ~PreflightOf() override {
    for (auto one = mounted.rbegin(); one != mounted.rend(); ++one) ::umount2(one->c_str(), MNT_DETACH);
  }
  void mount(const std::string& where, const char* options, unsigned long flags = 0) {
    files::create_directories(where);
    ASSERT_EQ(::mount("none", where.c_str(), "tmpfs", flags, options), 0);
    mounted.push_back(where);
  }
  std::string data(const std::string& name) const { return client.root + "/data/" + name; }
  std::string back(const std::string& name) const { return target + data(name); }
  Result<restore::RestoreReport> restore() {
    restore::Archive archive(*client.remote, {}, *restore::own_key(client.ring));
    const restore::SnapshotInfo info = *archive.find("latest", "");
    restore::RestoreOptions options;
    options.target = {target, restore::Overwrite::Changed, ::geteuid() == 0};
    return restore::run_restore(archive, info, options);
  }

  EnrolledClient client;
  const std::string target = client.root + "/back";
  std::vector<std::string> mounted;
};

TEST_F(PreflightOf, CountsNoRoomForFilesThatAreRight) {
  HF_NEEDS(::geteuid() == 0, "root");
  client.write("big", noise(3'000'000));
  client.write("other", noise(800'000));
  ASSERT_TRUE(client.back_up());
  ASSERT_NO_FATAL_FAILURE(mount(target, "size=5m,nr_inodes=60"));
  ASSERT_TRUE(restore());
  files::remove(back("other"));
  const auto again = restore();  // 3.8 MB are asked for, and 2 MB are free
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->files_right, 1u);
  std::ofstream(back("big")) << "differs";
  std::ofstream(target + "/filler") << noise(2'500'000);
  const auto refused = restore();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::DiskFull);
  EXPECT_EQ(EnrolledClient::text_of(back("big")), "differs");
  EXPECT_FALSE(files::exists(target + "/" + std::string(restore::kPlanDirectory)));
}

TEST_F(PreflightOf, CountsNoInodeForWhatIsThere) {
  HF_NEEDS(::geteuid() == 0, "root");
  for (int i = 0; i < 40; ++i) client.write("d/" + std::to_string(i), "text");
  ASSERT_TRUE(client.back_up());
  ASSERT_NO_FATAL_FAILURE(mount(target, "size=5m,nr_inodes=80"));
  ASSERT_TRUE(restore());
  files::remove(back("d/7"));
  const auto again = restore();
  ASSERT_TRUE(again) << again.error().message;
}

TEST_F(PreflightOf, HoldsEachFileSystemToWhatGoesThere) {
  HF_NEEDS(::geteuid() == 0, "root");
  client.write("small", "text");
  client.write("part/big", noise(2'000'000));
  ASSERT_TRUE(client.back_up());
  ASSERT_NO_FATAL_FAILURE(mount(back("part"), "size=1m"));
  const auto refused = restore();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::DiskFull);
  EXPECT_NE(refused.error().message.find(back("part")), std::string::npos) << refused.error().message;
  EXPECT_FALSE(files::exists(back("small")));
}

TEST_F(PreflightOf, RefusesAFileSystemThatIsReadOnly) {
  HF_NEEDS(::geteuid() == 0, "root");
  client.write("small", "text");
  client.write("part/big", noise(20'000));
  ASSERT_TRUE(client.back_up());
  ASSERT_NO_FATAL_FAILURE(mount(back("part"), "size=1m", MS_RDONLY));
  const auto refused = restore();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Denied);
  EXPECT_NE(refused.error().message.find("read-only"), std::string::npos) << refused.error().message;
  EXPECT_FALSE(files::exists(back("small")));
  ASSERT_NO_FATAL_FAILURE(mount(target, "size=1m", MS_RDONLY));
  const auto root = restore();
  ASSERT_FALSE(root);
  EXPECT_NE(root.error().message.find(target), std::string::npos) << root.error().message;
}

}  // namespace
}  // namespace holdfast::test
