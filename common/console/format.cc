#include "common/console/format.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <limits>

#include "common/base/bytes.h"

namespace holdfast::console {
namespace {

constexpr std::array<std::string_view, 7> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

std::string pair(long long big, const char* big_unit, long long small, const char* small_unit) {
  char text[64];
  std::snprintf(text, sizeof text, "%lld %s %02lld %s", big, big_unit, small, small_unit);
  return text;
}

/// Factor of a size suffix, 0 when there is no such suffix.
std::uint64_t size_factor(std::string_view suffix) {
  if (suffix.empty() || suffix == "B") return 1;
  constexpr std::string_view kLetters = "KMGTP";
  const char first = suffix[0] >= 'a' && suffix[0] <= 'z' ? static_cast<char>(suffix[0] - 32) : suffix[0];
  const std::size_t power = kLetters.find(first);
  if (power == std::string_view::npos) return 0;
  const std::string_view rest = suffix.substr(1);
  if (!rest.empty() && rest != "iB" && rest != "B") return 0;
  const std::uint64_t base = rest == "B" ? 1000 : 1024;
  std::uint64_t factor = 1;
  for (std::size_t i = 0; i <= power; ++i) factor *= base;
  return factor;
}

}  // namespace

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1000) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, value < 9.95 ? "%.1f " : "%.0f ", value);
  return text + std::string(kUnits[unit]);
}

std::string human_count(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string counted(std::uint64_t count, std::string_view one) {
  return human_count(count) + " " + std::string(one) + (count == 1 ? "" : "s");
}

std::string human_duration(std::chrono::nanoseconds time) {
  if (time < time.zero()) time = time.zero();
  const long long seconds = std::chrono::duration_cast<std::chrono::seconds>(time).count();
  if (seconds < 10) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(time).count());
    return text;
  }
  if (seconds < 60) return std::to_string(seconds) + " s";
  if (seconds < 3600) return pair(seconds / 60, "min", seconds % 60, "s");
  if (seconds < 86400) return pair(seconds / 3600, "h", seconds / 60 % 60, "min");
  return std::to_string(seconds / 86400) + " d " + std::to_string(seconds / 3600 % 24) + " h";
}

std::string human_rate(std::uint64_t bytes, std::chrono::nanoseconds time) {
  if (time <= time.zero()) return "-";
  const double rate = static_cast<double>(bytes) / std::chrono::duration<double>(time).count();
  constexpr double kMost = 9e18;  // a double above this does not fit the integer
  return human_bytes(static_cast<std::uint64_t>(rate < kMost ? rate : kMost)) + "/s";
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
  const Error bad{Errc::Usage, "not a size such as 500G, 1.5T or 1048576: '" + printable(text) + "'"};
  std::uint64_t whole = 0;
  const char* const end = text.data() + text.size();
  auto [at, failure] = std::from_chars(text.data(), end, whole);
  if (failure != std::errc{}) return bad;
  std::uint64_t tenths = 0, scale = 1;
  if (at != end && *at == '.') {
    const char* digit = at + 1;
    for (; digit != end && *digit >= '0' && *digit <= '9' && scale < 1'000'000; ++digit) {
      tenths = tenths * 10 + static_cast<std::uint64_t>(*digit - '0');
      scale *= 10;
    }
    if (digit == at + 1) return bad;
    at = digit;
  }
  const std::uint64_t factor = size_factor(std::string_view(at, static_cast<std::size_t>(end - at)));
  if (factor == 0) return bad;
  const unsigned __int128 bytes =
      static_cast<unsigned __int128>(whole) * factor + static_cast<unsigned __int128>(tenths) * factor / scale;
  if (bytes > std::numeric_limits<std::uint64_t>::max()) return bad;
  return static_cast<std::uint64_t>(bytes);
}

Result<std::chrono::seconds> parse_duration(std::string_view text) {
  const Error bad{Errc::Usage, "not a time span such as 90s, 15m, 24h, 7d or 2w: '" + printable(text) + "'"};
  std::uint32_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [at, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc{} || end - at != 1) return bad;
  std::int64_t unit = 0;
  switch (*at) {
    case 's':
      unit = 1;
      break;
    case 'm':
      unit = 60;
      break;
    case 'h':
      unit = 3600;
      break;
    case 'd':
      unit = 86400;
      break;
    case 'w':
      unit = 7 * 86400;
      break;
    default:
      return bad;
  }
  const std::chrono::seconds span(unit * number);
  if (span > std::chrono::hours(24 * 36525)) return bad;
  return span;
}

std::string listed(const std::string* first, std::size_t count, std::size_t shown) {
  std::string out;
  for (std::size_t i = 0; i < count && i < shown; ++i) out += (i == 0 ? "" : ", ") + first[i];
  if (count > shown) out += " and " + std::to_string(count - shown) + " more";
  return out;
}

}  // namespace holdfast::console
