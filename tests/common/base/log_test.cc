#include "common/base/log.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <nlohmann/json.hpp>
#include <regex>

namespace holdfast::log {
namespace {

/// What one call writes to stderr, with the time cut out.
std::string written(Format format, Level least, Level level, std::string_view event,
                    std::initializer_list<Field> fields) {
  init(least, format);
  testing::internal::CaptureStderr();
  write(level, event, fields);
  const std::string line = testing::internal::GetCapturedStderr();
  init(Level::Info, Format::Logfmt);
  return std::regex_replace(line, std::regex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"), "TIME");
}
std::string logfmt(std::string_view event, std::initializer_list<Field> fields) {
  return written(Format::Logfmt, Level::Info, Level::Info, event, fields);
}

TEST(Log, WritesOneLineOfLogfmt) {
  EXPECT_EQ(logfmt("session opened", {{"client", "web1"}, {"bytes", 42}, {"name", "two words"}}),
            "time=TIME level=info event=\"session opened\" client=web1 bytes=42 name=\"two words\"\n");
}

TEST(Log, QuotesWhatWouldLookLikeAnotherField) {
  EXPECT_EQ(logfmt("e", {{"a", ""}, {"b", "x=y"}, {"c", "say \"hi\""}}),
            "time=TIME level=info event=\"e\" a=\"\" b=\"x=y\" c=\"say \\\"hi\\\"\"\n");
}

TEST(Log, NeverWritesControlCharactersOrASecondLine) {
  const std::string line = logfmt("e", {{"a", "x\nlevel=error event=forged"}, {"b", "\x1b[31m"}});
  EXPECT_EQ(line, "time=TIME level=info event=\"e\" a=\"x\\x0alevel=error event=forged\" b=\"\\x1b[31m\"\n");
}

TEST(Log, WritesJsonThatParsesBack) {
  for (const Level level : {Level::Info, Level::Warning, Level::Error}) {
    const std::string line =
        written(Format::Json, Level::Info, level, "disk full", {{"path", "a\"b\\c\n"}, {"left", 7}});
    const nlohmann::json parsed = nlohmann::json::parse(line);
    EXPECT_EQ(parsed["event"], "disk full");
    EXPECT_EQ(parsed["path"], "a\"b\\\\c\\x0a") << "printable, then JSON";
    EXPECT_EQ(parsed["left"], "7");
    EXPECT_EQ(parsed["time"], "TIME");
    EXPECT_EQ(line.find('\n'), line.size() - 1);
  }
}

TEST(Log, LeavesOutWhatIsBelowTheLeastLevel) {
  EXPECT_EQ(written(Format::Logfmt, Level::Warning, Level::Info, "e", {}), "");
  EXPECT_NE(written(Format::Logfmt, Level::Warning, Level::Warning, "e", {}), "");
  EXPECT_NE(written(Format::Logfmt, Level::Debug, Level::Debug, "e", {}), "");
}

TEST(Log, IgnoresAJournalThatIsNotOurStderr) {
  // systemd sets JOURNAL_STREAM for the service; its stderr may still have been sent elsewhere (systemd.exec(5)).
  ::setenv("JOURNAL_STREAM", "1:2", 1);
  EXPECT_TRUE(logfmt("e", {}).starts_with("time=TIME"));
  ::setenv("JOURNAL_STREAM", "nonsense", 1);
  EXPECT_TRUE(logfmt("e", {}).starts_with("time=TIME"));
  ::unsetenv("JOURNAL_STREAM");
}

}  // namespace
}  // namespace holdfast::log
