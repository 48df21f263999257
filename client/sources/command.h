#pragma once
// Why: a dump is a program's output: it is read as it comes, without a temporary file, and it counts only when the program
// said that it went well. Promises: the end of the content is not reported before the command has ended with status 0;
// whatever it wrote to stderr never blocks it; nothing of ours is inherited but the environment; it does not outlive a
// stopped run. Leaves to others: where the bytes go, and what a failed source means for the run.

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "client/sources/files.h"

namespace holdfast::sources {

/// A command whose standard output is one stream.
struct CommandOptions {
  std::string name;     ///< of the source and of the stream in it
  std::string command;  ///< for `/bin/sh -c`; may hold passwords, so it stands in no message
};

/// 1 to 128 bytes, no NUL, no '/', not "." or "..". Errors: Usage naming it.
Status check_stream_name(std::string_view name);

/// How long a command that was told to end may take, and its background processes after it has ended.
struct CommandPatience {
  std::chrono::milliseconds after_sigterm{5000};  ///< then SIGKILL
  /// The command has ended well, but a process that it left behind keeps its output open and writes nothing for so long:
  /// nobody can say whether the stream is whole.
  std::chrono::milliseconds after_exit{10000};
};

/// What is kept of stderr: its last bytes.
inline constexpr std::size_t kMaxCommandWords = 4096;

/// One running command. One thread at a time.
class CommandContent final : public FileContent {
 public:
  /// Starts it in a session and a process group of its own, without a terminal, stdin from /dev/null, signals as at
  /// login. `stop` may be null and must outlive it. Errors: SourceFailed when it cannot be started.
  static Result<std::unique_ptr<CommandContent>> start(const CommandOptions& options, const std::atomic<bool>* stop,
                                                       CommandPatience patience = {});
  /// A command that still runs is ended as by a stop.
  ~CommandContent() override;

  /// The next bytes; the end (0 bytes) only when `finish` would succeed. Errors: SourceFailed as `finish`, Canceled at
  /// most 100 ms after *stop was set; after any error the command is gone.
  Result<Piece> read(MutableByteSpan out) override;
  Result<bool> changed() override { return false; }
  /// Waits for its end; output that was not read is an error too. Errors: SourceFailed with name, exit status or signal,
  /// and its last words on stderr (escaped, at most kMaxCommandWords); Canceled. Asked again it answers the same.
  Status finish();

 private:
  struct Impl;
  explicit CommandContent(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::sources
