#pragma once
// How long a randomised test goes on: so many seeds in every run of all tests, or, as a soak, as many as fit into
// HF_SOAK_SECONDS from the seed HF_SOAK_SEED on.

#include <chrono>
#include <cstdint>
#include <cstdlib>

namespace holdfast::collect {

inline std::uint64_t number_from(const char* name, std::uint64_t usual) {
  const char* const text = std::getenv(name);
  return text == nullptr ? usual : std::strtoull(text, nullptr, 10);
}

class Soak {
 public:
  bool asked_for() const { return seconds_ != 0; }
  std::uint64_t first_seed(std::uint64_t usual) const { return number_from("HF_SOAK_SEED", usual); }
  /// After `done` seeds out of the usual number.
  bool more(std::uint64_t done, std::uint64_t usual) const {
    return asked_for() ? std::chrono::steady_clock::now() < until_ : done < usual;
  }

 private:
  const std::uint64_t seconds_ = number_from("HF_SOAK_SECONDS", 0);
  const std::chrono::steady_clock::time_point until_ =
      std::chrono::steady_clock::now() + std::chrono::seconds(seconds_);
};

}  // namespace holdfast::collect
