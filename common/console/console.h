#pragma once
// Why: what a person or a script sees of a program, written in one place: errors and notes on stderr, answers on
// stdout, tables for people, JSON lines for scripts. Promises: names are escaped before they reach a terminal; JSON is
// always valid UTF-8; nothing depends on the locale. Leaves to others: the server's log (common/base/log).

#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace holdfast::console {

using Json = nlohmann::ordered_json;

/// Versions that `--version` shows; files and wire messages of a newer one are refused.
inline constexpr unsigned kFormatVersion = 1;
inline constexpr unsigned kProtocolVersion = 1;
/// Program, version, commit, format and protocol versions: two lines.
std::string version_text(std::string_view program);

struct Options {
  bool json = false;     ///< --json
  bool quiet = false;    ///< -q: errors and warnings only
  bool verbose = false;  ///< -v
};

/// Text columns, aligned by code points. Immutable once printed. Cells are escaped when printed.
class Table {
 public:
  enum class Align { Left, Right };
  struct Column {
    std::string title;
    Align align = Align::Left;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// One cell per column (HF_ASSERT).
  void row(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// One program's output. What was printed comes before what goes to stderr after it, in a log that takes both. Backslashes
/// of messages stay: the names in them are escaped already. One thread at a time, except `error` and `warning`, which may come from any.
class Console {
 public:
  /// `program` opens every line on stderr: `holdfast: …`. The streams must outlive it; tests pass their own.
  Console(std::string program, Options options, std::FILE* out = stdout, std::FILE* err = stderr);

  const Options& options() const { return options_; }

  /// `holdfast: <message>` on stderr; with --json also, as the last line on stdout,
  /// {"type":"result","ok":false,"exit_code":…,"error":{"code":…,"message":…}}. Returns the exit code.
  int fail(const Error& error);
  /// The same with another exit code: 143 for what SIGTERM stopped.
  int fail(const Error& error, int code);
  /// The line on stderr alone; the work goes on.
  void error(std::string_view text);
  /// `holdfast: warning: …` on stderr; with --json also an event of type "warning".
  void warning(std::string_view text);
  /// For people only: on stderr, not with -q, not with --json.
  void note(std::string_view text);
  /// As note, only with -v.
  void detail(std::string_view text);

  /// An answer for people, a line on stdout; not with --json.
  void print(std::string_view line);
  void print(const Table& table);
  /// One object a line on stdout, only with --json.
  void json(const Json& object);
  /// stdout flushed without an error? A full disk behind `> file` must not look like success; a reader who left
  /// (`| head`) has what it wanted. Errors: Io, DiskFull.
  Status finish();

 private:
  void line(std::FILE* stream, std::string_view text);
  std::string program_;
  Options options_;
  std::FILE* out_;
  std::FILE* err_;
};

/// Sets object[key] to the name; a name that is not UTF-8 gets U+FFFD there and its bytes as `<key>_b64` (RFC 4648 §5,
/// no padding).
void put_path(Json& object, std::string_view key, std::string_view path);
/// The object as one line; bytes that are not UTF-8 become U+FFFD.
std::string dump(const Json& object);
/// Is this stream a terminal that a progress line may be drawn on (isatty, TERM not "dumb")?
bool is_terminal(std::FILE* stream);
/// Colours: a terminal and NO_COLOR unset or empty (no-color.org).
bool wants_color(std::FILE* stream);

}  // namespace holdfast::console
