#include "common/console/console.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/bytes.h"
#include "common/console/command_line.h"
#include "common/console/exit_code.h"
#include "common/console/format.h"
#include "common/console/progress.h"

namespace holdfast::console {
namespace {

/// What was written to a stream.
class Captured {
 public:
  Captured() : stream_(open_memstream(&text_, &size_)) {}
  ~Captured() {
    std::fclose(stream_);
    std::free(text_);
  }
  std::FILE* stream() { return stream_; }
  std::string text() {
    std::fflush(stream_);
    return {text_, size_};
  }

 private:
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* stream_;
};

class StillClock final : public Clock {
 public:
  WallTime wall() const override { return {}; }
  MonotonicTime monotonic() const override { return now; }
  MonotonicTime now{};
};

TEST(ExitCode, FollowsTheContractForEveryError) {
  EXPECT_EQ(exit_code(Errc::Usage), 2);
  EXPECT_EQ(exit_code(Errc::Config), 2);
  EXPECT_EQ(exit_code(Errc::NotFound), 1);
  EXPECT_EQ(exit_code(Errc::Exists), 1);
  EXPECT_EQ(exit_code(Errc::Io), 1);
  EXPECT_EQ(exit_code(Errc::DiskFull), 1);
  EXPECT_EQ(exit_code(Errc::SourceFailed), 1);
  EXPECT_EQ(exit_code(Errc::Denied), 4);
  EXPECT_EQ(exit_code(Errc::WrongKey), 4);
  EXPECT_EQ(exit_code(Errc::Quota), 4);
  EXPECT_EQ(exit_code(Errc::TooNew), 4);
  EXPECT_EQ(exit_code(Errc::Unreachable), 5);
  EXPECT_EQ(exit_code(Errc::Timeout), 5);
  EXPECT_EQ(exit_code(Errc::Corrupt), 6);
  EXPECT_EQ(exit_code(Errc::Protocol), 6);
  EXPECT_EQ(exit_code(Errc::Rollback), 6);
  EXPECT_EQ(exit_code(Errc::Missing), 6);
  EXPECT_EQ(exit_code(Errc::Locked), 7);
  EXPECT_EQ(exit_code(Errc::Canceled), 130);
  EXPECT_EQ(exit_code(static_cast<Errc>(9999)), 1);
}

TEST(ExitCode, TheGraverOfTwoIsSixFourFiveOneThree) {
  const int order[] = {0, 3, 1, 5, 4, 6};
  for (std::size_t low = 0; low < std::size(order); ++low) {
    for (std::size_t high = low; high < std::size(order); ++high) {
      EXPECT_EQ(graver(order[low], order[high]), order[high]);
      EXPECT_EQ(graver(order[high], order[low]), order[high]);
    }
  }
  EXPECT_EQ(graver(6, 130), 130);
  EXPECT_EQ(graver(143, 6), 143);
}

TEST(Format, WritesSizesAsPeopleReadThem) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "1.0 KiB");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(20u << 20), "20 MiB");
  EXPECT_EQ(human_bytes(1ull << 40), "1.0 TiB");
  EXPECT_EQ(human_bytes(~0ull), "16 EiB");
  EXPECT_EQ(human_count(1234567), "1,234,567");
  EXPECT_EQ(human_count(999), "999");
}

TEST(Format, CountsNouns) {
  EXPECT_EQ(counted(0, "snapshot"), "0 snapshots");
  EXPECT_EQ(counted(1, "snapshot"), "1 snapshot");
  EXPECT_EQ(counted(1200, "journal record"), "1,200 journal records");
}

TEST(CommandLine, NamesTheWordThatIsNoCommandAndThoseThatAre) {
  const auto refused = [](std::vector<std::string> words) {
    CLI::App app;
    app.name("prog");
    app.require_subcommand(1);
    app.fallthrough();
    CLI::App* const thing = app.add_subcommand("thing");
    thing->require_subcommand(1);
    thing->add_subcommand("add")->add_option("NAME")->required();
    thing->add_subcommand("list");
    app.add_subcommand("other");
    std::reverse(words.begin(), words.end());  // as CLI11 wants them
    try {
      app.parse(words);
    } catch (const CLI::ParseError& refusal) {
      return usage_text(app, refusal);
    }
    return std::string("taken");
  };
  EXPECT_EQ(refused({"other"}), "taken");
  EXPECT_EQ(refused({}), "which command? `prog` has thing, other");
  EXPECT_EQ(refused({"thing"}), "which command? `prog thing` has add, list");
  EXPECT_EQ(refused({"remove", "x"}), "no command 'remove': `prog` has thing, other");
  EXPECT_EQ(refused({"thing", "show", "x"}), "no command 'show': `prog thing` has add, list");
  EXPECT_EQ(refused({"thing", "add"}), "NAME is required");
  EXPECT_EQ(refused({"--sokcet", "x"}), "no option --sokcet; `prog --help` lists them");
  EXPECT_EQ(refused({"other", "x\n"}), "The following argument was not expected: " + printable("x\n"));
}

TEST(CommandLine, NamesTheWordAlsoWhereACommandIsNotNeeded) {
  CLI::App app;
  app.name("daemon");
  app.require_subcommand(0, 1);
  app.add_subcommand("init");
  try {
    app.parse(std::vector<std::string>{"inti"});
    FAIL();
  } catch (const CLI::ParseError& refusal) {
    EXPECT_EQ(usage_text(app, refusal), "no command 'inti': `daemon` has init");
  }
}

TEST(Format, WritesDurationsAsPeopleReadThem) {
  using namespace std::chrono_literals;
  EXPECT_EQ(human_duration(-5s), "0.0 s");
  EXPECT_EQ(human_duration(400ms), "0.4 s");
  EXPECT_EQ(human_duration(12s), "12 s");
  EXPECT_EQ(human_duration(185s), "3 min 05 s");
  EXPECT_EQ(human_duration(2h + 10min), "2 h 10 min");
  EXPECT_EQ(human_duration(99h), "4 d 3 h");
  EXPECT_EQ(human_rate(40u << 20, 2s), "20 MiB/s");
  EXPECT_EQ(human_rate(1, 0s), "-");
}

TEST(Format, ReadsSizesAndRefusesWhatIsNone) {
  EXPECT_EQ(*parse_bytes("500G"), 500ull << 30);
  EXPECT_EQ(*parse_bytes("1.5K"), 1536u);
  EXPECT_EQ(*parse_bytes("10MB"), 10'000'000u);
  EXPECT_EQ(*parse_bytes("10MiB"), 10u << 20);
  EXPECT_EQ(*parse_bytes("7"), 7u);
  EXPECT_EQ(*parse_bytes("0"), 0u);
  for (const char* bad :
       {"", "G", "-1", "1X", "1.G", "1GiBB", "99999999999999999999", "99999999P", " 1", "1 G", "1.5.5G"}) {
    const auto parsed = parse_bytes(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().code, Errc::Usage);
  }
}

TEST(Format, ReadsTimeSpansAndRefusesWhatIsNone) {
  using namespace std::chrono_literals;
  EXPECT_EQ(*parse_duration("90s"), 90s);
  EXPECT_EQ(*parse_duration("15m"), 15min);
  EXPECT_EQ(*parse_duration("24h"), 24h);
  EXPECT_EQ(*parse_duration("2w"), 14 * 24h);
  for (const char* bad : {"", "s", "5", "5x", "-1s", "1.5h", "4000000000w", "1hh"})
    EXPECT_FALSE(parse_duration(bad)) << bad;
}

TEST(Format, ListsSomeAndCountsTheRest) {
  const std::string names[] = {"a", "b", "c"};
  EXPECT_EQ(listed(names, 3, 5), "a, b, c");
  EXPECT_EQ(listed(names, 3, 1), "a and 2 more");
  EXPECT_EQ(listed(names, 0, 1), "");
}

TEST(Table, AlignsItsColumnsAndEscapesItsCells) {
  Table table({{"NAME"}, {"SIZE", Table::Align::Right}, {"WHAT"}});
  table.row({"ä", "1 B", "x"});
  table.row({"longer\x1b[2J", "20 KiB", "y"});
  EXPECT_EQ(table.text(),
            "NAME             SIZE  WHAT\n"
            "ä                 1 B  x\n"
            "longer\\x1b[2J  20 KiB  y\n");
}

TEST(Console, PrintsAnErrorForThePersonAndForTheScript) {
  Captured out, err;
  Console console("holdfast", {.json = true}, out.stream(), err.stream());
  EXPECT_EQ(console.fail({Errc::Denied, "open \x1b[31m: no"}), 4);
  EXPECT_EQ(err.text(), "holdfast: open \\x1b[31m: no\n");
  const Json result = Json::parse(out.text());
  EXPECT_EQ(result["type"], "result");
  EXPECT_EQ(result["ok"], false);
  EXPECT_EQ(result["exit_code"], 4);
  EXPECT_EQ(result["error"]["code"], "denied");
}

TEST(Console, KeepsAnswersAndJsonApart) {
  Captured out, err;
  Console people("holdfast", {}, out.stream(), err.stream());
  people.print("answer");
  people.json({{"a", 1}});
  people.note("by the way");
  people.detail("only with -v");
  people.warning("careful");
  EXPECT_EQ(out.text(), "answer\n");
  EXPECT_EQ(err.text(), "by the way\nholdfast: warning: careful\n");
  EXPECT_TRUE(people.finish());
}

TEST(Console, IsSilentWhenAskedTo) {
  Captured out, err;
  Console quiet("holdfast", {.quiet = true}, out.stream(), err.stream());
  quiet.note("by the way");
  EXPECT_EQ(err.text(), "");
}

TEST(Console, NoticesThatItsAnswerCouldNotBeWritten) {
  std::FILE* const full = std::fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  Console console("holdfast", {}, full, stderr);
  console.print("answer");
  const Status end = console.finish();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Errc::DiskFull);
  std::fclose(full);
}

/// A pipe as a stream; what was written can be read while it is open.
struct Pipe {
  Pipe() {
    EXPECT_EQ(::pipe(ends), 0);
    stream = ::fdopen(ends[1], "w");
  }
  ~Pipe() {
    std::fclose(stream);
    if (ends[0] >= 0) ::close(ends[0]);
  }
  void leave() { ::close(std::exchange(ends[0], -1)); }
  int ends[2] = {-1, -1};
  std::FILE* stream = nullptr;
};

TEST(Console, TakesAReaderWhoLeftForOneWhoHasEnough) {
  std::signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  Console console("holdfast", {}, pipe.stream, stderr);
  pipe.leave();
  for (int i = 0; i < 100; ++i) console.print(std::string(1000, 'x'));  // more than a buffer: an earlier write failed
  EXPECT_TRUE(console.finish());
}

TEST(Console, NoticesAnEarlierWriteThatFailed) {
  std::FILE* const full = std::fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  Console console("holdfast", {}, full, stderr);
  for (int i = 0; i < 100; ++i) console.print(std::string(1000, 'x'));
  std::fflush(full);
  EXPECT_FALSE(console.finish());
  std::fclose(full);
}

TEST(Console, WritesAnswersBeforeTheErrorsThatFollowThem) {
  Pipe pipe;
  Console console("holdfast", {}, pipe.stream, stderr);
  testing::internal::CaptureStderr();
  console.print("answer");
  console.error("why it ended");
  testing::internal::GetCapturedStderr();
  char bytes[64];
  EXPECT_EQ(::read(pipe.ends[0], bytes, sizeof bytes), 7);  // before anybody flushed
}

TEST(Console, EscapesNamesInMessagesOnce) {
  Captured out, err;
  Console console("holdfast", {}, out.stream(), err.stream());
  console.warning(printable("a\nb\\c") + ": \x1b[31mno");
  EXPECT_EQ(err.text(), "holdfast: warning: a\\x0ab\\\\c: \\x1b[31mno\n");
}

TEST(Console, FailsWithTheCodeOfTheSignal) {
  Captured out, err;
  Console console("holdfast", {.json = true}, out.stream(), err.stream());
  EXPECT_EQ(console.fail({Errc::Canceled, "stopped by a signal"}, 143), 143);
  EXPECT_EQ(Json::parse(out.text())["exit_code"], 143);
}

TEST(Console, GivesTheBytesOfANameThatIsNotUtf8) {
  Json object;
  put_path(object, "path", "caf\xe9");
  EXPECT_EQ(dump(object), "{\"path\":\"caf\xef\xbf\xbd\",\"path_b64\":\"Y2Fm6Q\"}");
  Json plain;
  put_path(plain, "path", "café");
  EXPECT_EQ(dump(plain), "{\"path\":\"café\"}");
}

TEST(Console, ShowsProgramCommitFormatAndProtocol) {
  const std::string text = version_text("holdfastctl");
  EXPECT_EQ(text.rfind("holdfastctl ", 0), 0u);
  EXPECT_NE(text.find("commit "), std::string::npos);
  EXPECT_NE(text.find("format 1, protocol 1"), std::string::npos);
}

TEST(Progress, DrawsNothingWhereThereIsNoTerminal) {
  Captured err;
  StillClock clock;
  Progress progress(Options{}, clock, err.stream());
  progress.update({.bytes = 1});
  progress.finish();
  EXPECT_EQ(err.text(), "");
}

TEST(Progress, RedrawsAtMostTenTimesASecondAndCleansUp) {
  Captured err;
  StillClock clock;
  Progress progress(true, 80, clock, err.stream());
  progress.update({.bytes = 1});
  progress.update({.bytes = 2});
  clock.now += Progress::kRedraw;
  progress.update({.bytes = 3});
  progress.finish();
  progress.finish();
  EXPECT_EQ(err.text(), "\r\x1b[K1 B, 0 files, -\r\x1b[K3 B, 0 files, 30 B/s\r\x1b[K");
}

TEST(Progress, SaysWhatIsNewAndHowLongItTakesAndFitsTheLine) {
  using namespace std::chrono_literals;
  const ProgressState state{.bytes = 50u << 20,
                            .total_bytes = 100u << 20,
                            .files = 1234,
                            .total_files = 0,
                            .new_bytes = 1u << 20,
                            .known_bytes = 49u << 20,
                            .current = "/srv/\x1b[2Jname"};
  EXPECT_EQ(progress_text(state, 10s, 200),
            "50 MiB of 100 MiB, 1,234 files, 5.0 MiB/s, 10 s left, 1.0 MiB new, 49 MiB known  /srv/\\x1b[2Jname");
  EXPECT_EQ(progress_text(state, 10s, 6), "50 MiB");
}

}  // namespace
}  // namespace holdfast::console
