#pragma once
// Why: sizes, durations and counts as people read and write them. Machines get plain numbers (--json).

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace holdfast::console {

/// 0 B, 999 B, 1.5 KiB, 20 MiB, 3.2 TiB: powers of 1024, at most one decimal.
std::string human_bytes(std::uint64_t bytes);
/// 1,234,567
std::string human_count(std::uint64_t count);
/// "1 pack", "1,200 packs": of nouns that take an s.
std::string counted(std::uint64_t count, std::string_view one);
/// 0.4 s, 12 s, 3 min 05 s, 2 h 10 min, 4 d 3 h. Negative times count as zero.
std::string human_duration(std::chrono::nanoseconds time);
/// 20 MiB/s; "-" when no time has passed.
std::string human_rate(std::uint64_t bytes, std::chrono::nanoseconds time);
/// "500G": K, M, G, T, P are powers of 1024 (also KiB, MiB, …), KB, MB, … powers of 1000, no suffix is bytes; one
/// decimal point is allowed. Errors: Usage, also when it does not fit 64 bits.
Result<std::uint64_t> parse_bytes(std::string_view text);
/// "90s", "15m", "24h", "7d", "2w". Errors: Usage; Usage as well above 100 years.
Result<std::chrono::seconds> parse_duration(std::string_view text);
/// A person's copy of a list: "a, b, c and 12 more".
std::string listed(const std::string* first, std::size_t count, std::size_t shown);

}  // namespace holdfast::console
