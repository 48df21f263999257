// A manifest that is damaged in places: what it still says is restored, what is lost is named by where it begins and ends.
#include <gtest/gtest.h>

#include "client/restore/plan_directory.h"
#include "common/console/exit_code.h"
#include "tests/support/enrolled_client.h"

namespace holdfast::test {
namespace {

namespace files = std::filesystem;

class DamagedManifest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 1000; ++i) client.write(name(i), "text " + std::to_string(i));
    client.write("d/9999", noise(12'000'000));
    ASSERT_TRUE(client.back_up());
    for (const auto& [ref, record] : client.remote->records)
      if (blob::decode_record(record)->header.type == blob::Type::Leaf) leaves.push_back(ref);
    ASSERT_GE(leaves.size(), 4u);
  }
  static std::string name(int i) { return "d/" + std::to_string(1000 + i); }
  std::string data(const std::string& of) const { return client.root + "/data/" + of; }
  std::string back(const std::string& of) const { return client.root + "/back" + data(of); }
  void damage(std::size_t leaf) {
    Bytes& record = client.remote->records.at(leaves[leaf]);
    record[record.size() / 2] ^= 1;
  }
  /// Damages a leaf that names small files, but neither the directories above all of them nor the large one at the end.
  void damage_amid() {
    for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf) {
      damage(leaf);
      ASSERT_TRUE(restore());
      const bool is_amid = files::exists(back(name(0))) && files::exists(back("d/9999")) && !missing().empty();
      files::remove_all(client.root + "/back");
      if (is_amid) return;
      damage(leaf);  // turned back
    }
    FAIL() << "no such leaf among " << leaves.size();
  }
  Result<restore::RestoreReport> restore(std::vector<std::string> paths = {}, bool remove_extras = false) {
    failures.clear();
    restore::Archive archive(*client.remote, {}, *restore::own_key(client.ring));
    const restore::SnapshotInfo info = *archive.find("latest", "");
    restore::RestoreOptions options;
    options.paths = std::move(paths);
    options.remove_extras = remove_extras;
    options.target = {client.root + "/back", restore::Overwrite::Changed, ::geteuid() == 0};
    options.on_failure = [this](const std::string& path, const Error& error) { failures[path] = error; };
    return restore::run_restore(archive, info, options);
  }
  std::vector<std::string> missing() const {
    std::vector<std::string> names;
    for (const auto& one : files::directory_iterator(data("d")))
      if (!files::exists(back("d/" + one.path().filename().string()))) names.push_back(one.path());
    std::sort(names.begin(), names.end());
    return names;
  }

  EnrolledClient client;
  std::vector<blob::BlobRef> leaves;
  std::map<std::string, Error> failures;
};

TEST_F(DamagedManifest, CostsTheEntriesOfTheDamagedLeafAloneAndNamesTheirRange) {
  for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf) {
    damage(leaf);
    files::remove_all(client.root + "/back");
    const auto done = restore();
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(done->gravest, Errc::Corrupt);
    EXPECT_EQ(done->failed, 1u);
    ASSERT_EQ(failures.size(), 1u);
    const auto& [first, error] = *failures.begin();
    const std::vector<std::string> lost = missing();
    EXPECT_LT(lost.size(), 500u);
    if (!lost.empty() && first.starts_with(data("d/"))) {
      EXPECT_EQ(first, lost.front());
      EXPECT_NE(error.message.find(std::to_string(lost.size() - 1) + " entries after it"), std::string::npos)
          << error.message;
      if (lost.back() != data("d/9999")) {
        EXPECT_NE(error.message.find("before '" + data("d/")), std::string::npos) << error.message;
      }
    }
    damage(leaf);  // turned back
  }
}

TEST_F(DamagedManifest, IsNamedByVerifyToo) {
  damage(1);
  restore::Archive archive(*client.remote, {}, *restore::own_key(client.ring));
  const restore::SnapshotInfo info = *archive.find("latest", "");
  restore::VerifyOptions options;
  options.on_failure = [this](const std::string& path, const Error& error) { failures[path] = error; };
  const auto done = restore::run_verify(archive, info, options);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->failed, 1u);
  EXPECT_GT(done->entries, 200u);
  EXPECT_EQ(failures.begin()->second.code, Errc::Corrupt);
}

TEST_F(DamagedManifest, IsNotTakenForAPathThatIsNotThere) {
  damage_amid();
  ASSERT_TRUE(restore());
  const std::vector<std::string> lost = missing();
  ASSERT_FALSE(lost.empty());
  const auto asked = restore({lost.front()});
  ASSERT_TRUE(asked) << asked.error().message;
  EXPECT_EQ(asked->failed, 1u);
  const auto elsewhere = restore({data("d/nowhere")});
  ASSERT_FALSE(elsewhere);
  EXPECT_EQ(elsewhere.error().code, Errc::NotFound);
}

TEST_F(DamagedManifest, IsNamedAgainWhenTheRestoreIsGoneOnWith) {
  damage_amid();
  // All of the manifest, and some of the contents.
  client.remote->fetches_before_loss = client.remote->fetch_count + leaves.size() + 5;
  ASSERT_FALSE(restore());
  ASSERT_TRUE(files::exists(client.root + "/back/" + std::string(restore::kPlanDirectory) + "/head"));
  client.remote->fetches_before_loss = std::numeric_limits<std::size_t>::max();
  const auto done = restore();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_TRUE(done->resumed);
  EXPECT_EQ(done->failed, 1u);
  EXPECT_EQ(done->gravest, Errc::Corrupt);
}

TEST_F(DamagedManifest, RemovesNothing) {
  ASSERT_TRUE(restore());
  std::ofstream(back("d/extra")) << "extra";
  damage(1);
  const auto done = restore({data("d")}, true);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_TRUE(done->removal_skipped);
  EXPECT_TRUE(files::exists(back("d/extra")));
  EXPECT_TRUE(missing().empty());
}

}  // namespace
}  // namespace holdfast::test
