#include "client/reading/find.h"

#include "tests/client/reading/history.h"

namespace holdfast::test {
namespace {

class Find : public History {
 protected:
  Result<Lines> find(const std::string& pattern) {
    restore::Archive archive = this->archive();
    HF_TRY(const std::vector<restore::SnapshotInfo> all, archive.snapshots());
    Lines lines;
    reading::FindOptions options;
    options.pattern = pattern;
    options.on_finding = [&](const reading::Finding& one) {
      lines.push_back(std::to_string(one.first + 1) + "-" + std::to_string(one.last + 1) + " " + below(one.entry.path));
    };
    client.remote->fetch_count = 0;
    HF_TRY(const std::uint64_t count, reading::find(archive, all, options));
    EXPECT_EQ(count, lines.size());
    return lines;
  }
};

TEST_F(Find, ShowsEachVersionOnceWithItsSnapshots) {
  file("same.conf", "1");
  file("changes.conf", "1");
  file("touched.conf", "1");
  file("\xff\x1b.conf", "1");
  file("gone", "1");
  back_up();
  file("changes.conf", "2");
  file("comes-and-goes.conf", "1");
  back_up();
  std::filesystem::remove(data("comes-and-goes.conf"));
  set_time("touched.conf", 1'700'000'001);
  back_up();
  file("comes-and-goes.conf", "1");
  back_up();
  EXPECT_EQ(*find("*.conf"), (Lines{"1-1 data/changes.conf", "2-4 data/changes.conf", "2-2 data/comes-and-goes.conf",
                                    "4-4 data/comes-and-goes.conf", "1-4 data/same.conf", "1-2 data/touched.conf",
                                    "3-4 data/touched.conf", "1-4 data/\xff\x1b.conf"}));
  EXPECT_EQ(*find("\xff*"), (Lines{"1-4 data/\xff\x1b.conf"}));
  EXPECT_TRUE(find("*.nothing")->empty());
}

TEST_F(Find, TakesPatternsAsExcludesDo) {
  file("etc/nginx/a.conf", "a");
  file("etc/b.conf", "b");
  std::filesystem::create_directories(data("b.conf"));
  back_up();
  const std::string here = data();
  EXPECT_EQ(*find(here + "/etc/**"), (Lines{"1-1 data/etc/b.conf", "1-1 data/etc/nginx", "1-1 data/etc/nginx/a.conf"}));
  EXPECT_EQ(*find(here + "/*/*.conf"), (Lines{"1-1 data/etc/b.conf"}));
  EXPECT_EQ(*find(here + "/etc/b.conf"), (Lines{"1-1 data/etc/b.conf"}));
  EXPECT_EQ(*find("b.conf/"), (Lines{"1-1 data/b.conf"}));  // not what is in it, and no file
  EXPECT_EQ(find("!b.conf").error().code, Errc::Usage);
  EXPECT_EQ(find("[").error().code, Errc::Usage);
}

TEST_F(Find, FetchesWhatSnapshotsShareOnce) {
  for (int i = 0; i < 2000; ++i) file("d" + std::to_string(i % 7) + "/file" + std::to_string(i), "x");
  back_up();
  ASSERT_EQ(find("file1*")->size(), 1111u);
  const std::size_t alone = client.remote->fetch_count;
  for (int i = 0; i < 3; ++i) {
    file("d3/new" + std::to_string(i), "y");
    back_up();
  }
  EXPECT_EQ(find("file1*")->size(), 1111u);
  EXPECT_LE(client.remote->fetch_count, alone + 3 * 8);  // per run a leaf, what is above it, and its directory's
}

TEST_F(Find, AnAnchoredPatternReadsOnlyItsPartOfTheTree) {
  for (int i = 0; i < 4000; ++i) file("d" + std::to_string(i % 20) + "/file" + std::to_string(i), "x");
  back_up();
  ASSERT_EQ(find("file3999")->size(), 1u);
  const std::size_t all = client.remote->fetch_count;
  EXPECT_EQ(find(data("d19/file39*"))->size(), 7u);
  EXPECT_LE(client.remote->fetch_count, all / 3 + 3);
}

TEST(FindAnchor, IsAboveAllMatches) {
  const std::pair<const char*, const char*> cases[] = {{"/etc/nginx/*.conf", "/etc/nginx"},
                                                       {"etc/nginx", "/etc/nginx"},
                                                       {"/etc/**/x", "/etc"},
                                                       {"/srv/", "/srv"},
                                                       {"//srv//www/", "/srv/www"},
                                                       {"/etc/a\\*b/c", "/etc"},
                                                       {"/a\\/b", "/"},
                                                       {"*.conf", "/"},
                                                       {"passwd", "/"},
                                                       {"passwd/", "/"},
                                                       {"!/etc/x", "/"},
                                                       {"", "/"},
                                                       {"/[ab]/c", "/"}};
  for (const auto& [pattern, anchor] : cases) EXPECT_EQ(reading::anchor_of(pattern), anchor) << pattern;
}

TEST_F(Find, NamesADamagedManifest) {
  file("x", "x");
  back_up();
  const std::vector<restore::SnapshotInfo> all = snapshots();
  const snapshot::Core& core = all.front().core();
  client.remote->records.erase({core.root.blob, core.root.run});
  EXPECT_EQ(find("x").error().code, Errc::Corrupt);
}

}  // namespace
}  // namespace holdfast::test
