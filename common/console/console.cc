#include "common/console/console.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "common/base/bytes.h"
#include "common/base/version.h"
#include "common/console/exit_code.h"

namespace holdfast::console {
namespace {

/// Code points: continuation bytes do not count. Cells are valid UTF-8 by then (printable).
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// A message: what could drive a terminal is escaped, backslashes are not, since names in it have gone through printable
/// once. UTF-8 has no backslash inside a character.
std::string printable_text(std::string_view text) {
  std::string out;
  for (;;) {
    const std::size_t slash = std::min(text.find('\\'), text.size());
    out += printable(text.substr(0, slash));
    if (slash == text.size()) return out;
    out += '\\';
    text.remove_prefix(slash + 1);
  }
}

/// A pipe or socket whose other end is closed.
bool has_no_reader(std::FILE* stream) {
  pollfd pipe{::fileno(stream), POLLOUT, 0};
  return pipe.fd >= 0 && ::poll(&pipe, 1, 0) == 1 && (pipe.revents & (POLLERR | POLLHUP)) != 0;
}

}  // namespace

std::string version_text(std::string_view program) {
  return std::string(program) + " " + HF_VERSION + " (commit " + HF_COMMIT + ")\nformat " +
         std::to_string(kFormatVersion) + ", protocol " + std::to_string(kProtocolVersion);
}

void Table::row(std::vector<std::string> cells) {
  HF_ASSERT(cells.size() == columns_.size());
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) widths.push_back(width(column.title));
  for (const auto& cells : rows_) {
    for (std::size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], width(cells[i]));
  }
  std::string out;
  const auto add = [&](std::size_t i, const std::string& cell) {
    const std::string pad(widths[i] - width(cell), ' ');
    if (i > 0) out += "  ";
    out += columns_[i].align == Align::Right ? pad + cell : cell + pad;
  };
  const auto end_line = [&] {
    out.erase(out.find_last_not_of(' ') + 1);
    out += '\n';
  };
  for (std::size_t i = 0; i < columns_.size(); ++i) add(i, columns_[i].title);
  end_line();
  for (const auto& cells : rows_) {
    for (std::size_t i = 0; i < cells.size(); ++i) add(i, cells[i]);
    end_line();
  }
  return out;
}

Console::Console(std::string program, Options options, std::FILE* out, std::FILE* err)
    : program_(std::move(program)), options_(options), out_(out), err_(err) {}

void Console::line(std::FILE* stream, std::string_view text) {
  if (stream == err_) std::fflush(out_);
  const std::string whole = std::string(text) + "\n";  // one write a line, so that threads do not mix
  std::fwrite(whole.data(), 1, whole.size(), stream);
}

int Console::fail(const Error& failure) { return fail(failure, exit_code(failure.code)); }

int Console::fail(const Error& failure, int code) {
  error(failure.message);
  if (options_.json) {
    json({{"type", "result"},
          {"ok", false},
          {"exit_code", code},
          {"error", {{"code", errc_name(failure.code)}, {"message", failure.message}}}});
    std::fflush(out_);
  }
  return code;
}

void Console::error(std::string_view text) { line(err_, program_ + ": " + printable_text(text)); }

void Console::warning(std::string_view text) {
  line(err_, program_ + ": warning: " + printable_text(text));
  json({{"type", "warning"}, {"message", text}});
}

void Console::note(std::string_view text) {
  if (!options_.quiet && !options_.json) line(err_, printable_text(text));
}

void Console::detail(std::string_view text) {
  if (options_.verbose) note(text);
}

void Console::print(std::string_view text) {
  if (!options_.json) line(out_, text);
}

void Console::print(const Table& table) {
  if (options_.json) return;
  const std::string text = table.text();
  std::fwrite(text.data(), 1, text.size(), out_);
}

void Console::json(const Json& object) {
  if (!options_.json) return;
  line(out_, dump(object));
  std::fflush(out_);  // events are read while the work goes on
}

Status Console::finish() {
  errno = 0;
  const int flushed = std::fflush(out_) == 0 ? 0 : errno;
  if ((flushed == 0 && std::ferror(out_) == 0) || flushed == EPIPE || has_no_reader(out_)) return {};
  if (flushed != 0) return errno_error(flushed, "write to standard output");
  return Error{Errc::Io, "write to standard output: not everything could be written; is the disk full?"};
}

void put_path(Json& object, std::string_view key, std::string_view path) {
  if (is_utf8(path)) {
    object[std::string(key)] = path;
    return;
  }
  object[std::string(key)] = Json::parse(Json(path).dump(-1, ' ', false, Json::error_handler_t::replace));
  object[std::string(key) + "_b64"] = to_base64(as_bytes(path));
}

std::string dump(const Json& object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace); }

bool is_terminal(std::FILE* stream) {
  if (::isatty(::fileno(stream)) != 1) return false;
  const char* const term = std::getenv("TERM");
  return term != nullptr && std::string_view(term) != "dumb";
}

bool wants_color(std::FILE* stream) {
  const char* const no_color = std::getenv("NO_COLOR");
  return is_terminal(stream) && (no_color == nullptr || *no_color == '\0');
}

}  // namespace holdfast::console
