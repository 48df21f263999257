#pragma once
// Why: keys live in guarded memory (slots of sodium_malloc's: guard pages, mlock where allowed, no core dump; wiped when
// freed), are never copied by accident, never printed, never in argv, environment, logs.

#include <cstddef>
#include <memory>

#include "common/base/bytes.h"
#include "common/base/clock.h"

namespace holdfast::crypto {

/// N secret bytes, N ≤ 64. Movable, not copyable (`clone` says so aloud). Immutable after being filled; then thread-safe to read.
/// `compare` is constant-time.
template <std::size_t N>
class Secret {
 public:
  Secret();                         ///< zeros
  explicit Secret(ByteSpan bytes);  ///< exactly N bytes (HF_ASSERT)
  Secret(Secret&&) noexcept = default;
  Secret& operator=(Secret&&) noexcept = default;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  static Secret random(Random& random);
  Secret clone() const { return Secret(span()); }
  ByteSpan span() const { return {data_.get(), N}; }
  MutableByteSpan mutable_span() { return {data_.get(), N}; }
  bool equals(const Secret& other) const;

 private:
  struct Free {
    void operator()(std::uint8_t* p) const;
  };
  std::unique_ptr<std::uint8_t[], Free> data_;
};

using Key = Secret<32>;

/// Wipes a plain buffer that held a secret (sodium_memzero).
void wipe(MutableByteSpan bytes);

}  // namespace holdfast::crypto
