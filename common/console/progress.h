#pragma once
// Why: a person at a terminal sees that work goes on; a log file or a pipe sees nothing of it.

#include <cstdint>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/console/console.h"

namespace holdfast::console {

/// What has been done so far. Zero totals are unknown.
struct ProgressState {
  std::uint64_t bytes = 0, total_bytes = 0;
  std::uint64_t files = 0, total_files = 0;
  std::uint64_t new_bytes = 0;  ///< not known before: these travel
  std::uint64_t known_bytes = 0;
  std::string current = {};  ///< a name; escaped and shortened when drawn
};

/// One line on a terminal, redrawn at most ten times a second. Draws nothing when `stream` is no terminal, or with -q
/// or
/// --json. Thread-safe.
class Progress {
 public:
  static constexpr std::chrono::milliseconds kRedraw{100};

  Progress(const Options& options, const Clock& clock, std::FILE* stream = stderr);
  /// For tests: drawn or not is given, and the width of the line in columns.
  Progress(bool drawn, std::size_t columns, const Clock& clock, std::FILE* stream);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;

  void update(const ProgressState& state);
  /// Removes the line, so that other text may follow. Idempotent.
  void finish();

 private:
  std::mutex mutex_;
  const Clock& clock_;
  std::FILE* stream_;
  bool drawn_;
  std::size_t columns_;
  bool visible_ = false;
  MonotonicTime started_;
  std::optional<MonotonicTime> last_;
};

/// The line without terminal codes, at most `columns` code points: bytes, files, rate, time left, new against known.
std::string progress_text(const ProgressState& state, std::chrono::nanoseconds elapsed, std::size_t columns);

}  // namespace holdfast::console
