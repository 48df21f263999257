#include "common/base/clock.h"

#include <fcntl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>

namespace holdfast {
namespace {

std::chrono::nanoseconds read_clock(clockid_t id) {
  timespec now{};
  HF_ASSERT(::clock_gettime(id, &now) == 0);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

/// /proc/sys/kernel/random/boot_id: a UUID as text. Zero where there is none.
BootId read_boot_id() {
  const int file = ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  std::array<char, 64> text{};
  const ssize_t n = ::read(file, text.data(), text.size());
  ::close(file);
  std::string digits;
  for (ssize_t i = 0; i < n; ++i) {
    if (text[static_cast<std::size_t>(i)] != '-' && text[static_cast<std::size_t>(i)] != '\n')
      digits.push_back(text[static_cast<std::size_t>(i)]);
  }
  BootId id{};
  const Result<Bytes> bytes = from_hex(digits);
  if (bytes && bytes->size() == id.size()) std::copy(bytes->begin(), bytes->end(), id.begin());
  return id;
}

class SystemClock final : public Clock {
 public:
  WallTime wall() const override { return WallTime(read_clock(CLOCK_REALTIME)); }
  MonotonicTime monotonic() const override { return MonotonicTime(read_clock(CLOCK_BOOTTIME)); }
  BootId boot_id() const override {
    static const BootId id = read_boot_id();
    return id;
  }
};

class SystemRandom final : public Random {
 public:
  void fill(MutableByteSpan out) override {
    while (!out.empty()) {
      const ssize_t n = ::getrandom(out.data(), out.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      HF_ASSERT(n > 0);
      out = out.subspan(static_cast<std::size_t>(n));
    }
  }
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

Random& system_random() {
  static SystemRandom random;
  return random;
}

std::string rfc3339(WallTime time) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);  // the first day has no beginning in nanoseconds
  const auto days = std::chrono::floor<std::chrono::days>(whole);
  const std::chrono::year_month_day date(days);
  const auto seconds = (whole - days).count();
  char text[48];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(seconds / 3600), static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60));
  return text;
}

Result<WallTime> parse_rfc3339(std::string_view text) {
  const Error bad{Errc::Usage, "not a time in the form 2026-11-21T06:00Z: '" + printable(text) + "'"};
  const bool with_seconds = text.size() == 20;
  const std::string_view shape = with_seconds ? "dddd-dd-ddTdd:dd:ddZ" : "dddd-dd-ddTdd:ddZ";
  if (text.size() != shape.size()) return bad;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool fits = shape[i] == 'd' ? (text[i] >= '0' && text[i] <= '9') : text[i] == shape[i];
    if (!fits) return bad;
  }
  const auto number = [&](std::size_t at, std::size_t digits) {
    int v = 0;
    std::from_chars(text.data() + at, text.data() + at + digits, v);
    return v;
  };
  const std::chrono::year_month_day date{std::chrono::year(number(0, 4)),
                                         std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                         std::chrono::day(static_cast<unsigned>(number(8, 2)))};
  const int hour = number(11, 2), minute = number(14, 2), second = with_seconds ? number(17, 2) : 0;
  // Nanoseconds in 64 bits reach from 1677-09-21 to 2262-04-11: whole years between them.
  const bool fits = number(0, 4) >= 1678 && number(0, 4) <= 2261;
  if (!date.ok() || hour > 23 || minute > 59 || second > 59 || !fits) return bad;
  return WallTime(std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(hour) +
                  std::chrono::minutes(minute) + std::chrono::seconds(second));
}

}  // namespace holdfast
