#include "client/sources/command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <vector>

#include "client/sources/descriptor.h"
#include "common/base/clock.h"

namespace holdfast::sources {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxNameBytes = 128;
constexpr int kPipeBytes = 1 << 20;          // fewer turns between us and the command; a kernel may grant less
constexpr milliseconds kLook{100};           // how late a stop or an exit may be seen
constexpr std::size_t kMaxWordsATurn = 64;   // reads of stderr before stdout gets its turn again
constexpr std::size_t kMaxShownLine = 1000;  // escaped it may be four times as long
constexpr milliseconds kReapPatience{5000};  // after SIGKILL: a process may be stuck in the kernel
constexpr std::array kOursByName = {         // how a service manager speaks to us, not to the commands that we start
    "NOTIFY_SOCKET", "WATCHDOG_PID",   "WATCHDOG_USEC",        "LISTEN_PID",
    "LISTEN_FDS",    "LISTEN_FDNAMES", "CREDENTIALS_DIRECTORY"};

struct Pipe {
  Descriptor ours, theirs;
};

/// Neither end is one of 0, 1, 2: those are set up one after the other in the child.
Result<Descriptor> beyond_standard(int fd) {
  Descriptor low(fd);
  if (fd > STDERR_FILENO) return low;
  Descriptor high(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!high) return errno_error(errno, "move a descriptor");
  return high;
}

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error(errno, "make a pipe");
  Result<Descriptor> ours = beyond_standard(ends[0]), theirs = beyond_standard(ends[1]);
  if (!ours) return std::move(ours).error();
  if (!theirs) return std::move(theirs).error();
  if (::fcntl(ours->get(), F_SETFL, O_NONBLOCK) != 0) return errno_error(errno, "set up a pipe");
  return Pipe{*std::move(ours), *std::move(theirs)};
}

/// What the command may know: all but what was meant for this program.
std::vector<char*> environment() {
  std::vector<char*> out;
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string_view one(*at);
    const std::string_view name = one.substr(0, one.find('='));
    const bool ours =
        name.starts_with("HOLDFAST_") || std::find(kOursByName.begin(), kOursByName.end(), name) != kOursByName.end();
    if (!ours) out.push_back(*at);
  }
  out.push_back(nullptr);
  return out;
}

/// The attributes and the descriptors of a new process; owns what the C library allocates.
class SpawnPlan {
 public:
  SpawnPlan() {
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_init(&actions);
  }
  ~SpawnPlan() {
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
  }
  SpawnPlan(const SpawnPlan&) = delete;

  /// A session of its own: a group that can be ended as a whole, and no terminal that could ask for a password.
  int fill(int out, int err) {
    sigset_t none, defaults;
    ::sigemptyset(&none);
    ::sigemptyset(&defaults);
    for (const int number : {SIGPIPE, SIGTERM, SIGINT, SIGQUIT, SIGCHLD}) ::sigaddset(&defaults, number);
    int failed = ::posix_spawnattr_setsigmask(&attributes, &none);
    if (failed == 0) failed = ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    constexpr short kFlags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID;
    if (failed == 0) failed = ::posix_spawnattr_setflags(&attributes, kFlags);
    if (failed == 0) failed = ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (failed == 0) failed = ::posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (failed == 0) failed = ::posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    if (failed == 0) failed = ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    return failed;
  }

  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
};

Result<pid_t> spawn(const std::string& command, int out, int err) {
  std::string shell = "sh", flag = "-c", end_of_flags = "--", text = command;
  char* const arguments[] = {shell.data(), flag.data(), end_of_flags.data(), text.data(), nullptr};
  std::vector<char*> variables = environment();
  SpawnPlan plan;
  int failed = plan.fill(out, err);
  pid_t pid = -1;
  if (failed == 0)
    failed = ::posix_spawn(&pid, "/bin/sh", &plan.actions, &plan.attributes, arguments, variables.data());
  if (failed != 0) return errno_error(failed, "start /bin/sh");
  return pid;
}

/// What a shell means by its exit status (POSIX, Shell & Utilities, 2.8.2).
std::string shell_says(int status) {
  if (status == 127) return " (command not found)";
  if (status == 126) return " (a command that cannot be executed)";
  if (status > 128 && status < 128 + NSIG)
    return " (a process of it was killed by signal " + std::to_string(status - 128) + ")";
  return {};
}

/// The last lines as one line, escaped.
std::string last_lines(std::string_view words) {
  std::string out;
  while (!words.empty()) {
    const std::size_t at = words.rfind('\n');
    std::string_view line = at == words.npos ? words : words.substr(at + 1);
    words = words.substr(0, at == words.npos ? 0 : at);
    if (line.size() > kMaxShownLine) line.remove_prefix(line.size() - kMaxShownLine);
    while (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) continue;
    const std::string shown = printable(line);
    if (out.size() + shown.size() + 3 > kMaxCommandWords) break;
    out = out.empty() ? shown : shown + " | " + out;
  }
  return out;
}

}  // namespace

Status check_stream_name(std::string_view name) {
  const bool fits = !name.empty() && name.size() <= kMaxNameBytes && name != "." && name != ".." &&
                    name.find('\0') == name.npos && name.find('/') == name.npos;
  if (fits) return {};
  return Error{Errc::Usage, "the name '" + printable(name.substr(0, kMaxNameBytes)) +
                                "' of a stream: it must have 1 to 128 bytes, no '/', and not be '.' or '..'"};
}

struct CommandContent::Impl {
  Impl(std::string name_given, const std::atomic<bool>* stop_flag, CommandPatience patience_given, pid_t started,
       Descriptor out_end, Descriptor err_end)
      : name(std::move(name_given)),
        stop(stop_flag),
        patience(patience_given),
        pid(started),
        out(std::move(out_end)),
        err(std::move(err_end)) {}
  ~Impl() { end_group(); }

  Result<Piece> read(MutableByteSpan to);
  Status conclude();
  Status check_stop();
  Status check_left_behind();
  Status status_of_exit();
  Error fail(const std::string& what);
  bool has_exited();
  void drain_words();
  bool discard(Descriptor& from);
  void wait(milliseconds at_most, bool for_output);
  void end_group();
  void reap();

  const std::string name;
  const std::atomic<bool>* const stop;
  const CommandPatience patience;
  pid_t pid;  ///< -1: gone, and its number may be another's
  Descriptor out, err;
  std::string words;  ///< the last of stderr
  std::optional<Status> outcome;
  std::optional<MonotonicTime> quiet_since;  ///< it has exited well, and its output is neither there nor at its end
};

Error CommandContent::Impl::fail(const std::string& what) {
  std::string said = last_lines(words);
  if (!said.empty()) said = "; it said: " + said;
  return {Errc::SourceFailed, "the command of '" + printable(name) + "' " + what + said};
}

bool CommandContent::Impl::has_exited() {
  siginfo_t info{};
  // It stays a zombie until it is reaped, so that neither its number nor its group's can become another's.
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
}

Status CommandContent::Impl::status_of_exit() {
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) {
    pid = -1;  // somebody else took it: its number is free
    return fail("has ended, but its exit status cannot be known");
  }
  if (info.si_code != CLD_EXITED) {
    const char* signal_name = ::sigabbrev_np(info.si_status);
    return fail("was killed by signal " + std::to_string(info.si_status) +
                (signal_name != nullptr ? std::string(" (SIG") + signal_name + ")" : std::string()));
  }
  if (info.si_status == 0) return {};
  return fail("failed with exit status " + std::to_string(info.si_status) + shell_says(info.si_status));
}

void CommandContent::Impl::drain_words() {
  char buffer[4096];
  for (std::size_t turn = 0; err && turn < kMaxWordsATurn; ++turn) {
    const ssize_t n = ::read(err.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      err = {};
      return;
    }
    words.append(buffer, static_cast<std::size_t>(n));
    if (words.size() > kMaxCommandWords) words.erase(0, words.size() - kMaxCommandWords);
  }
}

void CommandContent::Impl::wait(milliseconds at_most, bool for_output) {
  std::array<pollfd, 2> watched{};
  nfds_t count = 0;
  if (for_output && out) watched[count++] = {out.get(), POLLIN, 0};
  if (err) watched[count++] = {err.get(), POLLIN, 0};
  (void)::poll(watched.data(), count, static_cast<int>(at_most.count()));
}

Status CommandContent::Impl::check_stop() {
  if (stop == nullptr || !*stop) return {};
  return Error{Errc::Canceled, "stopped by a signal"};
}

/// Nothing to read now. A command that has ended badly has failed, whoever still holds its output; one that has ended
/// well may have left processes that finish the stream, or that never will.
Status CommandContent::Impl::check_left_behind() {
  if (!has_exited()) return {};
  drain_words();
  HF_TRY_DO(status_of_exit());
  const MonotonicTime now = system_clock().monotonic();
  if (!quiet_since) quiet_since = now;
  if (now - *quiet_since < patience.after_exit) return {};
  return fail("has ended, but a process that it left behind keeps its output open: nobody can say whether it is whole");
}

Result<FileContent::Piece> CommandContent::Impl::read(MutableByteSpan to) {
  for (;;) {
    HF_TRY_DO(check_stop());
    drain_words();
    const ssize_t n = ::read(out.get(), to.data(), to.size());
    if (n > 0) {
      quiet_since.reset();
      return Piece{.hole = false, .bytes = static_cast<std::uint64_t>(n)};
    }
    if (n == 0) return Piece{};
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return errno_error(errno, "read the output of '" + printable(name) + "'");
    HF_TRY_DO(check_left_behind());
    wait(kLook, true);
  }
}

/// stdout is at its end; the command may have things to do yet.
Status CommandContent::Impl::conclude() {
  out = {};
  for (milliseconds nap{1}; !has_exited(); nap = std::min(2 * nap, kLook)) {
    HF_TRY_DO(check_stop());
    drain_words();
    wait(nap, false);
  }
  drain_words();
  HF_TRY_DO(status_of_exit());
  reap();  // what it left running without our pipes is none of our business
  return {};
}

void CommandContent::Impl::reap() {
  const MonotonicTime deadline = system_clock().monotonic() + kReapPatience;
  while (pid > 0 && system_clock().monotonic() < deadline) {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG) != 0 || info.si_pid != 0) pid = -1;
    if (pid > 0) (void)::poll(nullptr, 0, 5);
  }
  pid = -1;
}

/// Reads and drops; true at the end of the pipe.
bool CommandContent::Impl::discard(Descriptor& from) {
  std::array<char, 65536> buffer;
  if (!from) return true;
  for (std::size_t turn = 0; turn < kMaxWordsATurn; ++turn) {
    const ssize_t n = ::read(from.get(), buffer.data(), buffer.size());
    if (n == 0) return true;
    if (n < 0) return errno != EAGAIN && errno != EINTR;
  }
  return false;
}

/// SIGTERM to all of them; when the command has gone and nobody holds its pipes any more, or patience has run out,
/// SIGKILL to whoever is left.
void CommandContent::Impl::end_group() {
  if (pid <= 0) return;
  (void)::kill(-pid, SIGTERM);
  (void)::kill(-pid, SIGCONT);  // one that was stopped does not get a SIGTERM before it goes on
  const MonotonicTime deadline = system_clock().monotonic() + patience.after_sigterm;
  for (milliseconds nap{1}; system_clock().monotonic() < deadline; nap = std::min(2 * nap, kLook)) {
    const bool out_ended = discard(out), err_ended = discard(err);
    if (out_ended && err_ended && has_exited()) break;
    (void)::poll(nullptr, 0, static_cast<int>(nap.count()));
  }
  (void)::kill(-pid, SIGKILL);
  reap();
  out = {};
  err = {};
}

CommandContent::CommandContent(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CommandContent::~CommandContent() = default;

Result<std::unique_ptr<CommandContent>> CommandContent::start(const CommandOptions& options,
                                                              const std::atomic<bool>* stop, CommandPatience patience) {
  HF_TRY_DO(check_stream_name(options.name));
  const auto started = [&]() -> Result<std::unique_ptr<CommandContent>> {
    HF_TRY(Pipe out, make_pipe());
    HF_TRY(Pipe err, make_pipe());
    (void)::fcntl(out.ours.get(), F_SETPIPE_SZ, kPipeBytes);
    HF_TRY(const pid_t pid, spawn(options.command, out.theirs.get(), err.theirs.get()));
    auto impl = std::make_unique<Impl>(options.name, stop, patience, pid, std::move(out.ours), std::move(err.ours));
    return std::unique_ptr<CommandContent>(new CommandContent(std::move(impl)));
  };
  Result<std::unique_ptr<CommandContent>> content = started();
  if (content) return content;
  return Error{Errc::SourceFailed,
               "the command of '" + printable(options.name) + "' was not started: " + content.error().message};
}

Result<FileContent::Piece> CommandContent::read(MutableByteSpan out) {
  HF_ASSERT(!out.empty());
  if (!impl_->outcome) {
    Result<Piece> piece = impl_->read(out);
    if (piece && piece->bytes > 0) return piece;
    impl_->outcome = piece ? impl_->conclude() : Status(std::move(piece).error());
    if (!*impl_->outcome) {
      // Whoever stops us may have stopped the command as well: that is no failure of the source.
      if (Status stopped = impl_->check_stop(); !stopped) impl_->outcome = std::move(stopped);
      impl_->end_group();
    }
  }
  HF_TRY_DO(*impl_->outcome);
  return Piece{};
}

Status CommandContent::finish() {
  std::uint8_t one = 0;
  HF_TRY(const Piece piece, read({&one, 1}));
  if (piece.bytes == 0) return {};
  impl_->outcome = impl_->fail("wrote more than was read");
  impl_->end_group();
  return *impl_->outcome;
}

}  // namespace holdfast::sources
