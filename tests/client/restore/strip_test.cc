// A restore without the directories above what was asked for.
#include "client/restore/strip.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/console/exit_code.h"
#include "tests/support/enrolled_client.h"

namespace holdfast::test {
namespace {

namespace files = std::filesystem;
using manifest::Entry;
using manifest::EntryKind;

Entry entry(EntryKind kind, std::string path, std::string first = "") {
  Entry made;
  made.kind = kind;
  made.path = std::move(path);
  made.link_target = std::move(first);
  return made;
}

TEST(Strip, TakesALeadingPathOffWholeComponents) {
  const restore::Strip strip("/var/www");
  EXPECT_EQ(*strip.place_of(entry(EntryKind::File, "/var/www/index.html")), "/index.html");
  EXPECT_EQ(*strip.place_of(entry(EntryKind::Directory, "/var/www")), "/");
  EXPECT_EQ(*strip.place_of(entry(EntryKind::Directory, "/var")), std::nullopt);
  EXPECT_EQ(*strip.place_of(entry(EntryKind::Directory, "/")), std::nullopt);
  for (const Entry& outside : {entry(EntryKind::File, "/var/wwwroot"), entry(EntryKind::Directory, "/etc"),
                               entry(EntryKind::File, "/var"), entry(EntryKind::File, "/var/www")})
    EXPECT_EQ(strip.place_of(outside).error().code, Errc::Usage) << outside.path;
  EXPECT_EQ(strip.whole("/"), "/var/www");
  EXPECT_EQ(strip.whole("/a"), "/var/www/a");
  for (const char* none : {"", "/"}) {
    EXPECT_EQ(*restore::Strip(none).place_of(entry(EntryKind::File, "/a")), "/a");
    EXPECT_EQ(restore::Strip(none).whole("/a"), "/a");
  }
}

TEST(Strip, TakesItOffHardLinksAndRefusesOnesThatLeadOutside) {
  const restore::Strip strip("/a");
  Entry link = entry(EntryKind::Hardlink, "/a/second", "/a/b/first");
  EXPECT_TRUE(*strip.apply(link));
  EXPECT_EQ(link.path, "/second");
  EXPECT_EQ(link.link_target, "/b/first");
  for (const char* first : {"/b/first", "/a", "/ab"}) {
    Entry outward = entry(EntryKind::Hardlink, "/a/second", first);
    EXPECT_EQ(strip.apply(outward).error().code, Errc::Usage) << first;
  }
}

class Stripped : public ::testing::Test {
 protected:
  void SetUp() override {
    client.write("www/index.html", "page");
    client.write("www/sub/deep", "deep");
    client.write("etc/conf", "conf");
    files::create_hard_link(data("etc/conf"), data("www/linked"));  // its first link is beyond the border
    files::create_hard_link(data("www/index.html"), data("www/sub/second"));
    ASSERT_TRUE(client.back_up());
  }
  std::string data(const std::string& name) const { return client.root + "/data/" + name; }
  Result<restore::RestoreReport> restore(const std::string& strip, std::vector<std::string> paths,
                                         bool dry_run = false) {
    restore::Archive archive(*client.remote, {}, *restore::own_key(client.ring));
    const restore::SnapshotInfo info = *archive.find("latest", "");
    restore::RestoreOptions options;
    options.paths = std::move(paths);
    options.strip = strip;
    options.dry_run = dry_run;
    options.target = {target, restore::Overwrite::Never, ::geteuid() == 0};
    options.on_failure = [this](const std::string& path, const Error&) { client.failures.push_back(path); };
    return restore::run_restore(archive, info, options);
  }
  ino_t inode(const std::string& name) const {
    struct stat st{};
    EXPECT_EQ(::lstat((target + name).c_str(), &st), 0) << name;
    return st.st_ino;
  }

  EnrolledClient client;
  const std::string target = client.root + "/back";
};

TEST_F(Stripped, PutsWhatIsBelowStraightIntoTheTarget) {
  const auto done = restore(data("www"), {data("www")});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->failed, 0u);
  EXPECT_EQ(EnrolledClient::text_of(target + "/index.html"), "page");
  EXPECT_EQ(EnrolledClient::text_of(target + "/sub/deep"), "deep");
  EXPECT_EQ(EnrolledClient::text_of(target + "/linked"), "conf");
  EXPECT_EQ(inode("/sub/second"), inode("/index.html"));
  EXPECT_FALSE(files::exists(target + client.root));
  EXPECT_EQ(std::distance(files::directory_iterator(target), files::directory_iterator()), 3);
}

TEST_F(Stripped, GivesALinkItsContentWhenTheFirstCannotBeRestored) {
  files::create_directories(target);
  std::ofstream(target + "/index.html") << "mine";  // left in place
  const auto done = restore(data("www"), {data("www")});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->failed, 0u);
  EXPECT_EQ(EnrolledClient::text_of(target + "/sub/second"), "page");
}

TEST_F(Stripped, WritesNothingWhenSomethingIsOutside) {
  for (const bool dry_run : {false, true}) {
    for (const std::vector<std::string>& paths :
         {std::vector<std::string>{data("www"), data("etc")}, std::vector<std::string>{data("etc/conf")},
          std::vector<std::string>{}}) {
      const auto refused = restore(data("www"), paths, dry_run);
      ASSERT_FALSE(refused);
      EXPECT_EQ(console::exit_code(refused.error().code), console::kUsage) << refused.error().message;
      EXPECT_FALSE(files::exists(target));
    }
    const auto file = restore(data("etc/conf"), {data("etc/conf")}, dry_run);
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().code, Errc::Usage);
    EXPECT_FALSE(files::exists(target));
  }
}

TEST_F(Stripped, NamesFailuresAsTheSnapshotDoes) {
  files::create_directories(target + "/sub/deep");  // a directory where a file belongs
  const auto done = restore(data("www"), {data("www")});
  ASSERT_TRUE(done);
  EXPECT_EQ(client.failures, std::vector<std::string>{data("www/sub/deep")});
}

}  // namespace
}  // namespace holdfast::test
