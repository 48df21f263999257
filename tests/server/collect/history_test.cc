// Row 8: random histories of a real tenant beside a model of it. A divergence is made smaller before it is shown.
//
// HF_SHARD=0…3 chooses a quarter of the seeds, HF_HISTORIES how many of them, HF_HISTORY_SEED runs just one,
// HF_HISTORY_TRACE tells its steps.

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>

#include "common/base/log.h"
#include "tests/server/collect/history_world.h"
#include "tests/server/collect/soak.h"

namespace holdfast::collect {
namespace {

using namespace history;

constexpr std::size_t kOps = 60;
constexpr std::uint64_t kHistories = 3000, kShards = 4;
constexpr int kMaxShrinks = 200;

std::uint64_t running = 0;  // for the message of an assertion

void say_seed(int) {
  std::fprintf(stderr, "history %llu: an assertion failed\n", static_cast<unsigned long long>(running));
  std::signal(SIGABRT, SIG_DFL);
}

/// What went wrong, if anything did.
std::optional<std::string> run(std::uint64_t seed, const History& history) {
  std::size_t at = 0;
  running = seed;
  try {
    HistoryWorld world(seed);
    const bool traced = std::getenv("HF_HISTORY_TRACE") != nullptr;
    for (; at < history.size(); ++at) {
      if (traced) std::fprintf(stderr, "%zu: %s\n", at, show(history[at]).c_str());
      world.step(history[at]);
    }
    world.finish();
  } catch (const Divergence& d) {
    return "operation " + std::to_string(at) + ": " + d.what;
  }
  return std::nullopt;
}

std::string told(std::uint64_t seed, const History& history, const std::string& what) {
  std::string out = what + "\nHF_HISTORY_SEED=" + std::to_string(seed) + " shows it; the smallest found:\n";
  for (std::size_t i = 0; i < history.size(); ++i)
    if (history[i].kind != Kind::Rest || history[i].fault != Fault::None)
      out += std::to_string(i) + ": " + show(history[i]) + "\n";
  return out;
}

/// The smallest history found that still diverges.
std::string shrink(std::uint64_t seed, rc::Shrinkable<History> failing, std::string what) {
  int tries = 0;
  for (bool smaller = true; smaller && tries < kMaxShrinks;) {
    smaller = false;
    auto shrinks = failing.shrinks();
    for (auto next = shrinks.next(); next && tries < kMaxShrinks; next = shrinks.next(), ++tries) {
      const std::optional<std::string> again = run(seed, next->value());
      if (!again) continue;
      what = *again;
      failing = *next;
      smaller = true;
      break;
    }
  }
  return told(seed, failing.value(), what);
}

bool agrees(std::uint64_t seed) {
  const rc::Shrinkable<History> drawn = rc::Shrinkable<History>(history::history(seed, kOps));
  const std::optional<std::string> wrong = run(seed, drawn.value());
  if (!wrong) return true;
  ADD_FAILURE() << "history " << seed << ": " << (std::getenv("HF_NO_SHRINK") ? *wrong : shrink(seed, drawn, *wrong));
  return false;
}

TEST(History, TheTenantIsWhatTheModelSays) {
  std::signal(SIGABRT, say_seed);
  log::set_level(std::getenv("HF_HISTORY_TRACE") != nullptr ? log::Level::Info : log::Level::Error);
  if (std::getenv("HF_HISTORY_SEED") != nullptr) {
    (void)agrees(number_from("HF_HISTORY_SEED", 0));
    return;
  }
  const std::uint64_t shard = number_from("HF_SHARD", 0) % kShards;
  const std::uint64_t count = number_from("HF_HISTORIES", kHistories / kShards);
  const Soak soak;
  const std::uint64_t first = soak.first_seed(shard), stride = soak.asked_for() ? 1 : kShards;
  std::uint64_t done = 0, wrong = 0;
  for (; soak.more(done, count) && wrong < 3; ++done) wrong += agrees(first + done * stride) ? 0 : 1;
  std::printf("histories: %llu of %zu operations, from seed %llu by %llu; %llu diverged\n",
              static_cast<unsigned long long>(done), kOps, static_cast<unsigned long long>(first),
              static_cast<unsigned long long>(stride), static_cast<unsigned long long>(wrong));
}

}  // namespace
}  // namespace holdfast::collect
