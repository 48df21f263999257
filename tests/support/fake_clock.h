#pragma once
// Why: tests own time. Nothing moves until the test says so.

#include <atomic>

#include "common/base/clock.h"

namespace holdfast::support {

/// Starts at 2026-01-01T00:00:00Z, one hour after boot. Thread-safe.
class FakeClock final : public Clock {
 public:
  FakeClock() = default;
  explicit FakeClock(WallTime start) : wall_(to_ns(start)) {}

  WallTime wall() const override { return from_ns(wall_.load()); }
  MonotonicTime monotonic() const override { return MonotonicTime(std::chrono::nanoseconds(monotonic_.load())); }

  BootId boot_id() const override {
    BootId id{};
    const std::uint64_t boots = boots_.load();
    for (std::size_t i = 0; i < 8; ++i) id[i] = static_cast<std::uint8_t>(boots >> (8 * i));
    return id;
  }

  /// Time passes: both clocks move. Never backward.
  void advance(std::chrono::nanoseconds by) {
    HF_ASSERT(by.count() >= 0);
    wall_ += by.count();
    monotonic_ += by.count();
  }
  /// Somebody sets the wall clock, forward or backward; the monotonic one does not care.
  void set_wall(WallTime to) { wall_ = to_ns(to); }
  void jump_wall(std::chrono::nanoseconds by) { wall_ += by.count(); }
  /// The machine starts anew: another boot, and the monotonic clock counts from zero.
  void reboot() {
    monotonic_ = 0;
    ++boots_;
  }
  /// What a virtual machine does that is put back to where it was saved: the boot goes on from there.
  void set_boot(std::uint64_t boot, std::chrono::nanoseconds monotonic) {
    boots_ = boot;
    monotonic_ = monotonic.count();
  }
  std::uint64_t boots() const { return boots_.load(); }

 private:
  std::atomic<std::int64_t> wall_{1'767'225'600'000'000'000};
  std::atomic<std::int64_t> monotonic_{3'600'000'000'000};
  std::atomic<std::uint64_t> boots_{1};
};

}  // namespace holdfast::support
