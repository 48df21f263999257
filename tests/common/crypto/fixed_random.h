#pragma once
// Hands out the bytes it was given, in order: the seam through which a vector's ephemeral key or nonce enters.

#include "common/base/clock.h"

namespace holdfast::testing {

class FixedRandom final : public Random {
 public:
  explicit FixedRandom(ByteSpan bytes) : bytes_(to_bytes(bytes)) {}
  void fill(MutableByteSpan out) override {
    HF_ASSERT(used_ + out.size() <= bytes_.size());
    std::memcpy(out.data(), bytes_.data() + used_, out.size());
    used_ += out.size();
  }

 private:
  Bytes bytes_;
  std::size_t used_ = 0;
};

}  // namespace holdfast::testing
