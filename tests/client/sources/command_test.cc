#include "client/sources/command.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "client/sources/descriptor.h"
#include "common/base/clock.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::sources {
namespace {

using std::chrono::milliseconds;

constexpr CommandPatience kShort{milliseconds(300), milliseconds(300)};

struct Outcome {
  std::string bytes;
  Status end;  ///< how the content ended
};

std::unique_ptr<CommandContent> start(const std::string& command, const std::atomic<bool>* stop = nullptr,
                                      CommandPatience patience = {}) {
  Result<std::unique_ptr<CommandContent>> started = CommandContent::start({"dump", command}, stop, patience);
  HF_ASSERT(started.has_value());
  return *std::move(started);
}

Outcome run(CommandContent& content, std::size_t buffer_bytes = 1u << 20) {
  Outcome out;
  Bytes buffer(buffer_bytes);
  for (;;) {
    const Result<FileContent::Piece> piece = content.read(buffer);
    if (!piece) {
      out.end = Error(piece.error());
      return out;
    }
    if (piece->bytes == 0) return out;
    EXPECT_FALSE(piece->hole);
    out.bytes.append(as_text(ByteSpan(buffer).first(piece->bytes)));
  }
}

Outcome run(const std::string& command, CommandPatience patience = {}) {
  return run(*start(command, nullptr, patience));
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

/// Waits, with a bound, until no process has this number.
bool is_gone(pid_t pid) {
  for (int i = 0; i < 500; ++i) {
    if (::kill(pid, 0) != 0) return true;
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    const std::string line{std::istreambuf_iterator<char>(stat), {}};
    if (line.empty() || contains(line, ") Z ")) return true;  // whoever adopted it has not reaped it yet
    ::usleep(10'000);
  }
  return false;
}

TEST(Command, GivesAllOfItsOutput) {
  const Outcome done = run("printf 'one\\n'; printf 'two\\0three'");
  EXPECT_TRUE(done.end) << done.end.error().message;
  EXPECT_EQ(done.bytes, std::string("one\ntwo\0three", 13));
}

TEST(Command, GivesMoreThanAPipeHolds) {
  const Outcome done = run("head -c 5000000 /dev/zero");
  EXPECT_TRUE(done.end);
  EXPECT_EQ(done.bytes.size(), 5'000'000u);
}

TEST(Command, MayWriteNothingAtAll) {
  const Outcome done = run("true");
  EXPECT_TRUE(done.end);
  EXPECT_EQ(done.bytes, "");
}

TEST(Command, HasFailedWhenItsStatusIsNotZeroWhateverItWrote) {
  const Outcome done = run("echo half a dump; echo 'no space left' >&2; exit 3");
  ASSERT_FALSE(done.end);
  EXPECT_EQ(done.bytes, "half a dump\n");
  EXPECT_EQ(done.end.error().code, Errc::SourceFailed);
  EXPECT_TRUE(contains(done.end.error().message, "'dump'")) << done.end.error().message;
  EXPECT_TRUE(contains(done.end.error().message, "exit status 3")) << done.end.error().message;
  EXPECT_TRUE(contains(done.end.error().message, "no space left")) << done.end.error().message;
}

TEST(Command, DoesNotPutItsTextIntoMessages) {
  const Outcome done = run("PGPASSWORD=secret false");
  ASSERT_FALSE(done.end);
  EXPECT_FALSE(contains(done.end.error().message, "secret"));
}

TEST(Command, SaysSoWhenItWasKilled) {
  const Outcome done = run("echo begun; kill -9 $$");
  ASSERT_FALSE(done.end);
  EXPECT_EQ(done.end.error().code, Errc::SourceFailed);
  EXPECT_TRUE(contains(done.end.error().message, "signal 9 (SIGKILL)")) << done.end.error().message;
}

TEST(Command, SaysSoWhenAProcessOfItWasKilled) {
  const Outcome done = run("sh -c 'kill -9 $$'; exit $?");
  ASSERT_FALSE(done.end);
  EXPECT_TRUE(contains(done.end.error().message, "killed by signal 9")) << done.end.error().message;
}

TEST(Command, SaysSoWhenThereIsNone) {
  const Outcome done = run("no-such-program-anywhere --option");
  ASSERT_FALSE(done.end);
  EXPECT_EQ(done.end.error().code, Errc::SourceFailed);
  EXPECT_TRUE(contains(done.end.error().message, "127 (command not found)")) << done.end.error().message;
}

TEST(Command, MayBeginWithADash) {
  const Outcome done = run("-no-such-program");
  ASSERT_FALSE(done.end);
  EXPECT_TRUE(contains(done.end.error().message, "127")) << done.end.error().message;
}

TEST(Command, IsNotBlockedByItsComplaints) {
  const Outcome done =
      run("head -c 3000000 /dev/zero | tr '\\0' x >&2; echo out; head -c 3000000 /dev/zero >&2; exit 1");
  ASSERT_FALSE(done.end);
  EXPECT_EQ(done.bytes, "out\n");
  EXPECT_LE(done.end.error().message.size(), kMaxCommandWords + 200);
}

TEST(Command, ShowsTheLastComplaintsEscaped) {
  const Outcome done =
      run("for i in $(seq 3000); do echo line $i; done >&2; printf 'a\\033[31mb\\r\\n\\nlast words' >&2; exit 1");
  ASSERT_FALSE(done.end);
  const std::string& message = done.end.error().message;
  EXPECT_TRUE(contains(message, "line 3000 | a\\x1b[31mb | last words")) << message;
  EXPECT_FALSE(contains(message, "line 1 "));
  EXPECT_FALSE(contains(message, "\n"));
}

TEST(Command, KeepsTheEndOfAVeryLongLine) {
  const Outcome done = run("head -c 20000 /dev/zero >&2; printf 'the end' >&2; exit 1");
  ASSERT_FALSE(done.end);
  EXPECT_TRUE(done.end.error().message.ends_with("the end"));
  EXPECT_LE(done.end.error().message.size(), kMaxCommandWords + 200);
}

TEST(Command, MayWorkOnAfterItsOutputHasEnded) {
  const Outcome done = run("echo out; exec >&-; head -c 2000000 /dev/zero >&2; exit 4");
  EXPECT_EQ(done.bytes, "out\n");
  ASSERT_FALSE(done.end);
  EXPECT_TRUE(contains(done.end.error().message, "exit status 4"));
}

TEST(Command, AnswersTheSameWhenAskedAgain) {
  const std::unique_ptr<CommandContent> good = start("echo x");
  EXPECT_TRUE(run(*good).end);
  EXPECT_TRUE(good->finish());
  EXPECT_TRUE(good->finish());
  const std::unique_ptr<CommandContent> bad = start("exit 5");
  EXPECT_FALSE(run(*bad).end);
  EXPECT_FALSE(bad->finish());
  std::uint8_t one = 0;
  EXPECT_FALSE(bad->read({&one, 1}));
}

TEST(Command, IsNotFinishedWhileOutputIsLeft) {
  const std::unique_ptr<CommandContent> content = start("echo x");
  const Status finished = content->finish();
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Errc::SourceFailed);
}

TEST(Command, CanBeReadByteByByte) {
  const std::unique_ptr<CommandContent> content = start("seq 100");
  const Outcome done = run(*content, 1);
  EXPECT_TRUE(done.end);
  EXPECT_EQ(done.bytes.size(), 292u);
}

TEST(Command, EndsWhenAskedToStop) {
  std::atomic<bool> stop{false};
  const std::unique_ptr<CommandContent> content = start("echo $$; exec sleep 1000", &stop, kShort);
  Bytes buffer(100);
  const Result<FileContent::Piece> first = content->read(buffer);
  ASSERT_TRUE(first);
  const pid_t pid = std::atoi(std::string(as_text(ByteSpan(buffer).first(first->bytes))).c_str());
  ASSERT_GT(pid, 1);
  std::thread asker([&] { stop = true; });
  const Result<FileContent::Piece> stopped = content->read(buffer);
  asker.join();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Errc::Canceled);
  EXPECT_TRUE(is_gone(pid));
}

TEST(Command, EndsWhenItWillNotListen) {
  std::atomic<bool> stop{false};
  const std::unique_ptr<CommandContent> content =
      start("trap '' TERM; echo $$; while :; do sleep 1000; done", &stop, kShort);
  Bytes buffer(100);
  const Result<FileContent::Piece> first = content->read(buffer);
  ASSERT_TRUE(first);
  const pid_t pid = std::atoi(std::string(as_text(ByteSpan(buffer).first(first->bytes))).c_str());
  stop = true;
  const Result<FileContent::Piece> stopped = content->read(buffer);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Errc::Canceled);
  EXPECT_TRUE(is_gone(pid));
}

TEST(Command, MayTidyUpWhenAskedToStop) {
  const support::TemporaryDirectory tmp;
  std::atomic<bool> stop{false};
  {
    const std::unique_ptr<CommandContent> content = start(
        "trap 'echo tidy > " + (tmp / "mark") + "; exit 1' TERM; echo ready; while :; do sleep 0.01; done", &stop);
    Bytes buffer(100);
    ASSERT_TRUE(content->read(buffer));
    stop = true;
    ASSERT_FALSE(content->read(buffer));
  }
  EXPECT_EQ(::access((tmp / "mark").c_str(), F_OK), 0);
}

TEST(Command, IsEndedWithAllItsProcessesWhenNobodyWantsItAnyMore) {
  const std::unique_ptr<CommandContent> keep = start("echo other; sleep 1000", nullptr, kShort);
  pid_t pid = -1;
  {
    const std::unique_ptr<CommandContent> content = start("sleep 1000 & echo $!; yes", nullptr, kShort);
    Bytes buffer(20);
    ASSERT_TRUE(content->read(buffer));
    pid = std::atoi(reinterpret_cast<const char*>(buffer.data()));
    ASSERT_GT(pid, 1);
  }
  EXPECT_TRUE(is_gone(pid));
  Bytes buffer(20);
  EXPECT_TRUE(keep->read(buffer)) << "another command was ended as well";
}

TEST(Command, HasFailedWhenAProcessThatItLeftBehindKeepsTheOutputOpen) {
  const Outcome done = run("echo out; sleep 1000 & exit 0", kShort);
  ASSERT_FALSE(done.end);
  EXPECT_EQ(done.end.error().code, Errc::SourceFailed);
  EXPECT_TRUE(contains(done.end.error().message, "left behind")) << done.end.error().message;
}

TEST(Command, FailsAtOnceWhenItFailsAndLeavesAProcessBehind) {
  const MonotonicTime begun = system_clock().monotonic();
  const Outcome done = run("sleep 1000 & exit 7", {milliseconds(300), milliseconds(600'000)});
  ASSERT_FALSE(done.end);
  EXPECT_TRUE(contains(done.end.error().message, "exit status 7")) << done.end.error().message;
  EXPECT_LT(system_clock().monotonic() - begun, std::chrono::seconds(100));
}

TEST(Command, WaitsForAProcessThatFinishesTheStream) {
  const Outcome done = run("(sleep 0.2; echo late) & exit 0");
  EXPECT_TRUE(done.end) << done.end.error().message;
  EXPECT_EQ(done.bytes, "late\n");
}

TEST(Command, MayLeaveAProcessThatDoesNotHoldItsOutput) {
  const Outcome done = run("sleep 1000 >/dev/null 2>&1 & echo $!");
  EXPECT_TRUE(done.end) << done.end.error().message;
  const pid_t pid = std::atoi(done.bytes.c_str());
  ASSERT_GT(pid, 1);
  EXPECT_EQ(::kill(pid, SIGKILL), 0);
}

TEST(Command, GetsNoDescriptorOfOurs) {
  const Descriptor ours(::open("/dev/null", O_RDONLY));  // not O_CLOEXEC, on purpose
  const Descriptor high(::fcntl(ours.get(), F_DUPFD, 200));
  ASSERT_GE(high.get(), 200);
  const Outcome done = run("ls -1 /proc/$$/fd");
  EXPECT_TRUE(done.end);
  EXPECT_EQ(done.bytes, "0\n1\n2\n");
}

TEST(Command, ReadsNothingAndHasNoTerminal) {
  const Outcome done = run("cat; (: </dev/tty) 2>/dev/null || echo none; readlink /proc/$$/fd/0");
  EXPECT_TRUE(done.end);
  EXPECT_EQ(done.bytes, "none\n/dev/null\n");
}

TEST(Command, GetsTheEnvironmentWithoutWhatIsMeantForUs) {
  ::setenv("HOLDFAST_SECRET", "x", 1);
  ::setenv("NOTIFY_SOCKET", "x", 1);
  ::setenv("PGHOST", "db", 1);
  const Outcome done = run("echo ${HOLDFAST_SECRET-unset} ${NOTIFY_SOCKET-unset} $PGHOST; test -n \"$PATH\"");
  for (const char* name : {"HOLDFAST_SECRET", "NOTIFY_SOCKET", "PGHOST"}) ::unsetenv(name);
  EXPECT_TRUE(done.end);
  EXPECT_EQ(done.bytes, "unset unset db\n");
}

TEST(Command, GetsSignalsAsAtLogin) {
  const auto before = ::signal(SIGPIPE, SIG_IGN);  // as the whole program does
  const Outcome done = run("yes | head -n 1; grep -i SigIgn /proc/self/status | cut -f 2");
  ::signal(SIGPIPE, before);
  EXPECT_TRUE(done.end);
  ASSERT_TRUE(done.bytes.starts_with("y\n"));
  EXPECT_EQ(std::strtoull(done.bytes.c_str() + 2, nullptr, 16) & (1u << (SIGPIPE - 1)), 0u) << done.bytes;
}

TEST(Command, HasFailedWhenNobodyKnowsItsStatus) {
  const auto before = ::signal(SIGCHLD, SIG_IGN);  // then the kernel forgets how children ended
  const Outcome done = run("echo out", kShort);
  ::signal(SIGCHLD, before);
  ASSERT_FALSE(done.end);
  EXPECT_EQ(done.end.error().code, Errc::SourceFailed);
}

TEST(StreamName, IsOneComponent) {
  for (const std::string& name :
       {std::string("db.sql"), std::string("..."), std::string("a b\n"), std::string(128, 'x')})
    EXPECT_TRUE(check_stream_name(name)) << name;
  for (const std::string& name : {std::string(), std::string("."), std::string(".."), std::string("a/b"),
                                  std::string("/"), std::string("a\0b", 3), std::string(129, 'x')}) {
    const Status refused = check_stream_name(name);
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, Errc::Usage);
    EXPECT_EQ(CommandContent::start({name, "true"}, nullptr).error().code, Errc::Usage);
  }
}

}  // namespace
}  // namespace holdfast::sources
