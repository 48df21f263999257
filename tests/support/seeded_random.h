#pragma once
// Why: tests that draw random bytes must be repeatable. The same seed gives the same bytes, call by call.

#include <mutex>
#include <random>

#include "common/base/clock.h"

namespace holdfast::support {

/// Predictable on purpose: for tests only. Thread-safe; with several threads the order of calls decides who gets what.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed = 1) : engine_(seed) {}

  void fill(MutableByteSpan out) override {
    const std::lock_guard guard(mutex_);
    for (std::size_t i = 0; i < out.size(); i += 8) {
      std::uint64_t word = engine_();
      for (std::size_t j = i; j < out.size() && j < i + 8; ++j, word >>= 8) out[j] = static_cast<std::uint8_t>(word);
    }
  }

  /// 0 … bound − 1, every value about as often; `bound` is at least 1.
  std::uint64_t below(std::uint64_t bound) {
    HF_ASSERT(bound > 0);
    const std::lock_guard guard(mutex_);
    return engine_() % bound;
  }
  Bytes bytes(std::size_t n) {
    Bytes out(n);
    fill(out);
    return out;
  }

 private:
  std::mutex mutex_;
  std::mt19937_64 engine_;
};

}  // namespace holdfast::support
