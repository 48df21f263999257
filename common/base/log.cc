#include "common/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>

#include "common/base/bytes.h"
#include "common/base/clock.h"

namespace holdfast::log {
namespace {

struct State {
  State() : sink(std::make_shared<spdlog::logger>("holdfast", std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
    sink->set_pattern("%v");
    sink->set_level(spdlog::level::trace);
    sink->flush_on(spdlog::level::trace);
  }
  const std::shared_ptr<spdlog::logger> sink;
  std::atomic<Level> least = Level::Info;
  Format format = Format::Logfmt;
  bool journald = false;
};

State& state() {
  static State s;
  return s;
}

std::string_view level_name(Level level) {
  switch (level) {
    case Level::Debug:
      return "debug";
    case Level::Info:
      return "info";
    case Level::Warning:
      return "warning";
    case Level::Error:
      return "error";
  }
  return "error";
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : printable(text)) {
    if (c == '"') out += '\\';
    out += c;
  }
  return out + '"';
}

/// printable() escapes as \xNN and \\, which JSON does not know: escape the backslashes once more.
std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : printable(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

bool bare(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (c <= ' ' || c == '"' || c == '=' || c == '\\' || static_cast<unsigned char>(c) >= 0x7F) return false;
  }
  return true;
}

/// $JOURNAL_STREAM names the journal's socket as device:inode; ours only if stderr is that very socket
/// (systemd.exec(5)).
bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat ours{};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &ours) != 0) return false;
  return stream == std::to_string(ours.st_dev) + ":" + std::to_string(ours.st_ino);
}

}  // namespace

void init(Level least, Format format) {
  state().least = least;
  state().format = format;
  state().journald = stderr_is_journal();
}

void set_level(Level least) { state().least = least; }

void write(Level level, std::string_view event, std::initializer_list<Field> fields) {
  const State& s = state();
  if (level < s.least) return;
  std::string line;
  if (s.journald) {
    static constexpr const char* kPriority[] = {"<7>", "<6>", "<4>", "<3>"};
    line += kPriority[static_cast<int>(level)];
  }
  const std::string stamp = rfc3339(system_clock().wall());
  if (s.format == Format::Json) {
    line += "{";
    if (!s.journald) line += "\"time\":\"" + stamp + "\",";
    line += "\"level\":\"" + std::string(level_name(level)) + "\",\"event\":" + json_quoted(event);
    for (const Field& f : fields) line += "," + json_quoted(f.key) + ":" + json_quoted(f.value);
    line += "}";
  } else {
    if (!s.journald) line += "time=" + stamp + " ";
    line += "level=" + std::string(level_name(level)) + " event=" + quoted(event);
    for (const Field& f : fields) line += " " + std::string(f.key) + "=" + (bare(f.value) ? f.value : quoted(f.value));
  }
  s.sink->log(spdlog::level::info, "{}", line);
}

}  // namespace holdfast::log
