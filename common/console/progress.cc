#include "common/console/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/console/format.h"

namespace holdfast::console {
namespace {

constexpr std::size_t kDefaultColumns = 80;
constexpr std::string_view kEraseLine = "\r\x1b[K";

std::size_t terminal_columns(std::FILE* stream) {
  winsize size{};
  if (::ioctl(::fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return kDefaultColumns;
  return size.ws_col;
}

/// At most `most` code points from the front.
std::string shortened(const std::string& text, std::size_t most) {
  std::size_t points = 0, at = 0;
  for (; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xC0) != 0x80 && points++ == most) break;
  }
  return text.substr(0, at);
}

std::string time_left(const ProgressState& state, std::chrono::nanoseconds elapsed) {
  if (state.total_bytes == 0 || state.bytes == 0 || state.bytes >= state.total_bytes) return {};
  const double left = static_cast<double>(state.total_bytes - state.bytes) / static_cast<double>(state.bytes);
  const auto time = std::chrono::duration<double>(elapsed) * left;
  constexpr std::chrono::hours kTooLongToSay{24 * 99};
  if (elapsed < std::chrono::seconds(1) || time > kTooLongToSay) return {};
  return ", " + human_duration(std::chrono::duration_cast<std::chrono::nanoseconds>(time)) + " left";
}

}  // namespace

std::string progress_text(const ProgressState& state, std::chrono::nanoseconds elapsed, std::size_t columns) {
  std::string text = human_bytes(state.bytes);
  if (state.total_bytes > 0) text += " of " + human_bytes(state.total_bytes);
  text += ", " + human_count(state.files);
  if (state.total_files > 0) text += " of " + human_count(state.total_files);
  text += " files, " + human_rate(state.bytes, elapsed) + time_left(state, elapsed);
  if (state.new_bytes + state.known_bytes > 0) {
    text += ", " + human_bytes(state.new_bytes) + " new, " + human_bytes(state.known_bytes) + " known";
  }
  if (!state.current.empty()) text += "  " + printable(state.current);
  return shortened(text, columns);
}

Progress::Progress(const Options& options, const Clock& clock, std::FILE* stream)
    : Progress(!options.quiet && !options.json && is_terminal(stream), terminal_columns(stream), clock, stream) {}

Progress::Progress(bool drawn, std::size_t columns, const Clock& clock, std::FILE* stream)
    : clock_(clock), stream_(stream), drawn_(drawn), columns_(columns), started_(clock.monotonic()) {}

void Progress::update(const ProgressState& state) {
  if (!drawn_) return;
  const std::lock_guard lock(mutex_);
  const MonotonicTime now = clock_.monotonic();
  if (last_ && now - *last_ < kRedraw) return;
  last_ = now;
  visible_ = true;
  const std::string line = std::string(kEraseLine) + progress_text(state, now - started_, columns_ - 1);
  std::fwrite(line.data(), 1, line.size(), stream_);
  std::fflush(stream_);
}

void Progress::finish() {
  const std::lock_guard lock(mutex_);
  if (!visible_) return;
  visible_ = false;
  std::fwrite(kEraseLine.data(), 1, kEraseLine.size(), stream_);
  std::fflush(stream_);
}

}  // namespace holdfast::console
