#include <gtest/gtest.h>

#include <chrono>

#include "client/sources/files.h"

namespace holdfast::sources {
namespace {

bool excluded(const std::vector<std::string>& patterns, std::string_view path, bool is_directory = false) {
  const Result<GlobList> list = GlobList::compile(patterns);
  EXPECT_TRUE(list.has_value()) << (list ? "" : list.error().message);
  return list && list->excluded(path, is_directory);
}

struct Case {
  std::string pattern, path;
  bool is_directory, excluded;
};

// What `git check-ignore` answers with the pattern in /.gitignore, where git has the case at all.
const std::vector<Case> kCases = {
    // no slash: any depth, the last component
    {"*.o", "/a.o", false, true},
    {"*.o", "/x/y/a.o", false, true},
    {"*.o", "/a.oo", false, false},
    {"*.o", "/.o", false, true},
    {"core", "/home/core", false, true},
    {"core", "/home/core/inside", false, false},
    {"core", "/home/score", false, false},
    {"*", "/a", false, true},
    {"*", "/.hidden", false, true},
    {"?", "/a", false, true},
    {"?", "/ab", false, false},
    {"?", "/\xff", false, true},
    {"a*b*c", "/axxbyyc", false, true},
    {"a*b*c", "/axxbyy", false, false},
    {"a*b*c", "/abbbcbc", false, true},
    {"**", "/a/b", false, true},
    {"a**b", "/axxb", false, true},
    {"a**b", "/ax/xb", false, false},
    // a leading or inner slash anchors at the root
    {"/tmp", "/tmp", true, true},
    {"/tmp", "/var/tmp", true, false},
    {"var/tmp", "/var/tmp", true, true},
    {"var/tmp", "/x/var/tmp", true, false},
    {"/var/*/x", "/var/a/x", false, true},
    {"/var/*/x", "/var/a/b/x", false, false},
    {"/var//x", "/var/x", false, true},
    // a trailing slash: directories only, and it anchors nothing
    {"cache/", "/a/cache", true, true},
    {"cache/", "/a/cache", false, false},
    {"/a/cache/", "/a/cache", true, true},
    {"/a/cache/", "/b/a/cache", true, false},
    // ** between slashes: any number of directories
    {"**/foo", "/foo", false, true},
    {"**/foo", "/a/b/foo", false, true},
    {"**/foo/bar", "/a/foo/bar", false, true},
    {"**/foo/bar", "/a/foo/x/bar", false, false},
    {"/a/**/b", "/a/b", false, true},
    {"/a/**/b", "/a/x/b", false, true},
    {"/a/**/b", "/a/x/y/b", false, true},
    {"/a/**/b", "/x/a/b", false, false},
    {"/a/**", "/a/x", false, true},
    {"/a/**", "/a/x/y", false, true},
    {"/a/**", "/a", true, false},
    {"/a/**/**/b", "/a/b", false, true},
    {"**/x/**/y", "/x/1/x/2/y", false, true},
    {"**/x/**/y", "/x/1/2", false, false},
    {"**/", "/a/b", true, true},
    {"**/", "/a/b", false, false},
    // brackets
    {"[abc]", "/b", false, true},
    {"[abc]", "/d", false, false},
    {"[a-c]x", "/bx", false, true},
    {"[!a-c]x", "/bx", false, false},
    {"[^a-c]x", "/dx", false, true},
    {"[]]", "/]", false, true},
    {"[!]]", "/]", false, false},
    {"[a-]", "/-", false, true},
    {"[c-a]", "/b", false, false},
    {"[\\]]", "/]", false, true},
    {"[\\-x]", "/-", false, true},
    {"[[:digit:]]*", "/7up", false, true},
    {"[[:digit:]]*", "/up7", false, false},
    {"[[:upper:][:space:]]", "/ ", false, true},
    {"[\x80-\xff]", "/\xc3", false, true},
    {"[\x80-\xff]", "/a", false, false},
    {"[[:alpha:]]", "/\xe9", false, false},  // C locale: bytes
    {"*[0-9][0-9]", "/a123", false, true},
    // quoting
    {"\\*", "/*", false, true},
    {"\\*", "/a", false, false},
    {"\\!x", "/!x", false, true},
    {"a\\?", "/a?", false, true},
    {"a\\b", "/ab", false, true},
    {"a\\/b", "/a/b", false, true},
    // not a file of lines
    {"#recycle", "/#recycle", true, true},
    {"a ", "/a ", false, true},
    {"a ", "/a", false, false},
    {"x\ny", "/x\ny", false, true},
    // the root itself is never a match
    {"*", "/", true, false},
    {"**", "/", true, false},
};

TEST(GlobList, MatchesAsGitignoreDoes) {
  for (const Case& c : kCases)
    EXPECT_EQ(excluded({c.pattern}, c.path, c.is_directory), c.excluded)
        << "pattern " << c.pattern << " path " << c.path;
}

TEST(GlobList, LetsTheLastMatchWin) {
  EXPECT_FALSE(excluded({"*.log", "!keep.log"}, "/a/keep.log"));
  EXPECT_TRUE(excluded({"*.log", "!keep.log"}, "/a/other.log"));
  EXPECT_TRUE(excluded({"!keep.log", "*.log"}, "/a/keep.log"));
  EXPECT_FALSE(excluded({"*", "!/a", "!/a/b"}, "/a/b"));
  EXPECT_FALSE(excluded({"!x"}, "/x"));
}

TEST(GlobList, ExcludesNothingWithoutPatterns) { EXPECT_FALSE(excluded({}, "/a")); }

TEST(GlobList, RefusesPatternsThatCannotMeanAnythingAndNamesThem) {
  const std::vector<std::string> bad = {"",
                                        "/",
                                        "//",
                                        "!",
                                        "!/",
                                        "[",
                                        "a[b",
                                        "[a",
                                        "a[]",
                                        "[[:nope:]]",
                                        "[[:digit:]",
                                        "x\\",
                                        "/a/\\",
                                        "/a/../b",
                                        ".",
                                        "./a",
                                        std::string("a\0b", 3),
                                        std::string(kMaxPatternBytes + 1, 'a'),
                                        "[a/b]"};
  for (const std::string& pattern : bad) {
    const Result<GlobList> list = GlobList::compile({"fine", pattern});
    ASSERT_FALSE(list.has_value()) << printable(pattern.substr(0, 80));
    EXPECT_EQ(list.error().code, Errc::Usage);
    EXPECT_NE(list.error().message.find(printable(pattern.substr(0, 60))), std::string::npos) << list.error().message;
  }
}

// A backtracking matcher needs longer than the universe has for these.
TEST(GlobList, TakesNoExponentialTimeOnHostilePatterns) {
  std::string stars, deep;
  for (int i = 0; i < 1000; ++i) stars += "*a";
  for (int i = 0; i < 600; ++i) deep += "**/a*/";
  const std::string name(255, 'a');
  std::string path;
  for (int i = 0; i < 200; ++i) path += "/" + name;
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(excluded({stars + "b"}, "/" + name));
  EXPECT_FALSE(excluded({deep + "b"}, path));
  EXPECT_FALSE(excluded({"[a][a][a]*[!a]*[a]*[a]*[!a]"}, "/" + name));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

}  // namespace
}  // namespace holdfast::sources
