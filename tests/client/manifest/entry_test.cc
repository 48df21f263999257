#include "client/manifest/entry.h"

#include <gtest/gtest.h>

#include "tests/client/manifest/sample_tree.h"

namespace holdfast::manifest {
namespace {

using namespace testing;

Errc refusal(const Entry& e) {
  const Status checked = check_entry(e);
  return checked ? Errc{} : checked.error().code;
}

TEST(PathOrder, PutsWhatIsBeneathADirectoryDirectlyBehindIt) {
  const std::vector<std::string> ordered = {"/", "/a", "/a/b", "/a/b/c", "/a/b!", "/a-b", "/a.b", "/a0", "/b", "/\xff"};
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    for (std::size_t j = 0; j < ordered.size(); ++j)
      EXPECT_EQ(compare_paths(ordered[i], ordered[j]), i <=> j) << ordered[i] << " and " << ordered[j];
  }
}

TEST(PathOrder, ComesAfterTheSource) {
  Entry a = file_entry("/z"), b = file_entry("/a");
  a.source = "a";
  b.source = "ab";
  EXPECT_EQ(compare_keys(a, b), std::strong_ordering::less);
  EXPECT_EQ(compare_keys(a, a), std::strong_ordering::equal);
}

TEST(PathOrder, KnowsWhatIsBelow) {
  EXPECT_TRUE(is_at_or_below("/a", "/a"));
  EXPECT_TRUE(is_at_or_below("/a/b", "/a"));
  EXPECT_TRUE(is_at_or_below("/a", "/"));
  EXPECT_TRUE(is_at_or_below("/", "/"));
  EXPECT_FALSE(is_at_or_below("/a-b", "/a"));
  EXPECT_FALSE(is_at_or_below("/", "/a"));
}

TEST(CheckPath, RefusesWhatIsNotAbsoluteAndNormalised) {
  using namespace std::string_view_literals;
  for (const std::string_view path :
       {""sv, "a"sv, "a/b"sv, "//"sv, "/a//b"sv, "/a/"sv, "/."sv, "/.."sv, "/a/../b"sv, "/a/."sv, "/a\0b"sv}) {
    EXPECT_EQ(check_path(path).error().code, Errc::Corrupt) << path;
  }
  for (const std::string_view path : {"/"sv, "/a"sv, "/..."sv, "/.a"sv, "/a/b.."sv, "/ "sv, "/\n"sv})
    EXPECT_TRUE(check_path(path)) << path;
  EXPECT_TRUE(check_path("/" + std::string(kMaxPathBytes - 1, 'p')));
  EXPECT_EQ(check_path("/" + std::string(kMaxPathBytes, 'p')).error().code, Errc::Limit);
}

TEST(CheckEntry, AcceptsRandomEntries) {
  support::SeededRandom random(5);
  for (int i = 0; i < 300; ++i) {
    const Status checked = check_entry(random_entry(random));
    EXPECT_TRUE(checked) << checked.error().message;
  }
}

TEST(CheckEntry, DemandsThatExtentsAddUpToTheSize) {
  Entry e = file_entry("/f", 10);
  EXPECT_EQ(refusal(e), Errc{});
  e.size = 11;
  EXPECT_EQ(refusal(e), Errc::Corrupt);
  e.size = 9;
  EXPECT_EQ(refusal(e), Errc::Corrupt);
  e.size = 10;
  e.extents.push_back({{}, 0, UINT64_MAX});  // wraps around to 9
  EXPECT_EQ(refusal(e), Errc::Corrupt);
  e.extents.pop_back();
  e.extents.push_back({{}, 0, 0});
  EXPECT_EQ(refusal(e), Errc::Corrupt);
}

TEST(CheckEntry, DemandsThatExtentsLieInsideBlobs) {
  Entry e = file_entry("/f", 10);
  e.extents[0].offset = blob::kMaxRawBytes - 10;
  EXPECT_EQ(refusal(e), Errc{});
  ++e.extents[0].offset;
  EXPECT_EQ(refusal(e), Errc::Corrupt);
  e.extents[0].offset = UINT32_MAX;
  EXPECT_EQ(refusal(e), Errc::Corrupt);
}

TEST(CheckEntry, KnowsHolesThatPointSomewhere) {
  Entry e = file_entry("/f", 10);
  e.extents[0] = {{}, 0, 10};
  EXPECT_EQ(refusal(e), Errc{});
  e.extents[0].offset = 1;
  EXPECT_EQ(refusal(e), Errc::Corrupt);
  e.extents[0] = {{BlobId{}, filled<RunId>(1)}, 0, 10};
  EXPECT_EQ(refusal(e), Errc::Corrupt);
}

TEST(CheckEntry, RefusesExtentsWhereThereIsNoContent) {
  Entry e = file_entry("/f", 10);
  e.kind = EntryKind::Directory;
  EXPECT_EQ(refusal(e), Errc::Corrupt);
}

TEST(CheckEntry, BoundsNamesAndAttributes) {
  Entry e = file_entry("/f");
  e.source = "";
  EXPECT_EQ(refusal(e), Errc::Corrupt);
  e.source = std::string(kMaxSourceBytes + 1, 's');
  EXPECT_EQ(refusal(e), Errc::Corrupt);
  e = file_entry("/f");
  e.owner = std::string(256, 'o');
  EXPECT_EQ(refusal(e), Errc::Limit);
  e = file_entry("/f");
  e.mode = 0100644;
  EXPECT_EQ(refusal(e), Errc::Corrupt);
  e = file_entry("/f");
  e.xattrs = {{"b", ""}, {"a", ""}};
  EXPECT_EQ(refusal(e), Errc::Corrupt);
  e.xattrs = {{"a", std::string(kMaxXattrBytes, 'v')}};
  EXPECT_EQ(refusal(e), Errc::Limit);
  e.xattrs = {{"a", std::string(kMaxXattrBytes - 1, 'v')}};
  EXPECT_EQ(refusal(e), Errc{});
}

TEST(CheckEntry, RefusesLinksThatLeadNowhere) {
  Entry e = file_entry("/l");
  e.kind = EntryKind::Symlink;
  EXPECT_EQ(refusal(e), Errc::Corrupt);
  e.link_target = "anywhere";
  EXPECT_EQ(refusal(e), Errc{});
  e.kind = EntryKind::Hardlink;
  EXPECT_EQ(refusal(e), Errc::Corrupt);
  e.link_target = "/f";
  EXPECT_EQ(refusal(e), Errc{});
}

TEST(CheckEntry, RefusesKindsAndChunkClassesOfLaterVersions) {
  Entry e = file_entry("/f");
  e.kind = static_cast<EntryKind>(10);
  EXPECT_EQ(refusal(e), Errc::TooNew);
  e = file_entry("/f");
  e.chunk_class = static_cast<chunking::Class>(9);
  EXPECT_EQ(refusal(e), Errc::TooNew);
}

}  // namespace
}  // namespace holdfast::manifest
