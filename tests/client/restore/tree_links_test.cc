// Hard links: to what this restore has put there, or has found equal, and to nothing else.
#include <gtest/gtest.h>

#include "tests/client/restore/tree_fixture.h"

namespace holdfast::restore {
namespace {

TEST_F(Tree, LinksToTheFirstLinkItRestored) {
  auto tree = open();
  good(restore_file(*tree, file("/a"), "content"));
  good(tree->make(hardlink_to("/d/b", "/a")));
  good(tree->make(hardlink_to("/c", "/a")));
  good(tree->make(symlink_to("/s", "x")));
  good(tree->make(hardlink_to("/t", "/s")));
  good(tree->finish());
  EXPECT_EQ(stat_of(at("/a")).st_nlink, 3u);
  EXPECT_EQ(stat_of(at("/d/b")).st_ino, stat_of(at("/a")).st_ino);
  EXPECT_EQ(stat_of(at("/t")).st_ino, stat_of(at("/s")).st_ino);
  EXPECT_EQ(ns_of(stat_of(at("/c"))), kTime);
  EXPECT_TRUE(temporaries().empty());
}

TEST_F(Tree, NamesAFirstLinkThatIsAbsentOrWasLeftInPlace) {
  ASSERT_EQ(::mkdir(target.c_str(), 0755), 0);
  put(at("/old"), "not what was backed up");
  auto tree = open();
  for (const char* first : {"/absent", "/no/such/directory"}) {
    const Status status = tree->make(hardlink_to("/l", first));
    bad(status, Errc::NotFound);
    EXPECT_NE(status.error().message.find(first), std::string::npos);
  }
  EXPECT_EQ(*tree->begin_file(file("/old", 3)), nullptr);
  bad(tree->make(hardlink_to("/l", "/old")), Errc::NotFound);
  EXPECT_FALSE(exists(at("/l")));
  EXPECT_EQ(stat_of(at("/old")).st_nlink, 1u);
}

TEST_F(Tree, LinksUnderChangedToAFirstLinkThatWasEqual) {
  {
    auto tree = open();
    good(restore_file(*tree, file("/a"), "same"));
  }
  auto tree = open(Overwrite::Changed);
  good(restore_file(*tree, file("/a"), "same"));
  good(tree->make(hardlink_to("/b", "/a")));
  good(tree->make(hardlink_to("/b", "/a")));
  EXPECT_EQ(stat_of(at("/a")).st_nlink, 2u);
  EXPECT_EQ(tree->report().unchanged, 2u);
  EXPECT_TRUE(temporaries().empty());
}

TEST_F(Tree, ReplacesWhatStandsInAHardLinksPlaceUnderAlways) {
  ASSERT_EQ(::mkdir(target.c_str(), 0755), 0);
  put(at("/b"), "other");
  auto tree = open(Overwrite::Always);
  good(restore_file(*tree, file("/a"), "x"));
  good(tree->make(hardlink_to("/b", "/a")));
  good(tree->make(hardlink_to("/b", "/a")));  // twice: rename of two links of one file does nothing
  EXPECT_EQ(stat_of(at("/b")).st_ino, stat_of(at("/a")).st_ino);
  EXPECT_TRUE(temporaries().empty());
}

}  // namespace
}  // namespace holdfast::restore
