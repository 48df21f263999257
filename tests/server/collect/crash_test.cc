// Row 1: the machine stops at every step of everything that changes a tenant, and again while it starts. HF_SHARD=0…3
// chooses a quarter of the states.

#include <gtest/gtest.h>

#include <cstdio>

#include "common/base/log.h"
#include "tests/server/collect/history_world.h"
#include "tests/server/collect/soak.h"

namespace holdfast::collect {
namespace {

using namespace history;

constexpr std::uint64_t kShards = 4;
constexpr std::uint32_t kSeconds = 9;  ///< second crashes tried after each first one
constexpr std::uint64_t kTidyEvery = 16;

using Figures = HistoryWorld::Figures;

struct Scenario {
  const char* name;
  History before;
  Op struck;
  bool (*did)(const Figures& before, const Figures& after);  ///< what it is named for
};

Op op(Kind kind, std::uint32_t a = 0, std::uint32_t b = 0, std::uint32_t c = 0) {
  Op out;
  out.kind = kind;
  out.with = {a, b, c};
  return out;
}

/// Two snapshots of the first machine that share leaves, one of the second, and an upload in the middle.
History some() {
  return {op(Kind::Backup, 0, 3, 4), op(Kind::Backup, 3, 7, 2), op(Kind::Backup, 1, 2, 4), op(Kind::Begin, 1, 4),
          op(Kind::Grow, 0, 2, 2)};
}
History with(std::initializer_list<Op> more) {
  History out = some();
  out.insert(out.end(), more);
  return out;
}

std::vector<Scenario> scenarios() {
  const Op month = op(Kind::Advance, 5), week = op(Kind::Advance, 4);
  return {
      {"open a session", some(), op(Kind::Begin, 0, 4),
       [](const Figures& b, const Figures& a) { return b.open + 1 == a.open; }},
      {"upload", some(), op(Kind::Grow, 0, 2, 2), [](const Figures& b, const Figures& a) { return b.sent < a.sent; }},
      {"commit", some(), op(Kind::Commit, 0),
       [](const Figures& b, const Figures& a) { return b.live + 1 == a.live && b.open == a.open + 1; }},
      {"abandon", some(), op(Kind::Abandon, 0),
       [](const Figures& b, const Figures& a) { return b.live == a.live && b.open == a.open + 1; }},
      {"a whole backup", some(), op(Kind::Backup, 0, 7, 2),
       [](const Figures& b, const Figures& a) { return b.live + 1 == a.live && b.open == a.open; }},
      {"lock", some(), op(Kind::Lock, 1), [](const Figures& b, const Figures& a) { return b.locked < a.locked; }},
      {"undelete", with({op(Kind::Lock, 1)}), op(Kind::Undelete, 1),
       [](const Figures& b, const Figures& a) { return b.locked > a.locked && b.live < a.live; }},
      {"purge", with({op(Kind::Lock, 1), month, op(Kind::Advance, 5)}), op(Kind::Purge),
       [](const Figures& b, const Figures& a) { return b.deleted < a.deleted; }},
      {"condemn", with({op(Kind::Lock, 1), month, month, op(Kind::Purge)}), op(Kind::Collect, 2, 0, 1),
       [](const Figures& b, const Figures& a) { return b.trash < a.trash; }},
      {"rewrite", with({op(Kind::Backup, 0, 7, 2), op(Kind::Lock, 1), month, month, op(Kind::Purge)}),
       op(Kind::Collect, 0, 0, 1),
       [](const Figures& b, const Figures& a) { return b.written < a.written && b.trash < a.trash; }},
      {"empty the trash", with({op(Kind::Lock, 1), month, month, op(Kind::Purge), op(Kind::Collect, 0, 0, 1), week}),
       op(Kind::Collect, 2, 0, 1), [](const Figures& b, const Figures& a) { return b.trash > a.trash; }},
      {"rebuild", with({op(Kind::Lock, 1), month, month, op(Kind::Purge), op(Kind::Collect, 0, 0, 1)}),
       op(Kind::Rebuild), [](const Figures& b, const Figures& a) { return b.index != a.index; }},
      {"open the tenant", with({op(Kind::Lock, 1), month, month, op(Kind::Purge), op(Kind::Collect, 0, 0, 1)}),
       op(Kind::Reopen), [](const Figures& b, const Figures& a) { return b.epoch + 1 == a.epoch; }},
  };
}

/// Goes through every step of one scenario.
class Sweep {
 public:
  Sweep(const Scenario& scenario, std::uint64_t seed, std::uint64_t shard)
      : scenario_(scenario), seed_(seed), shard_(shard), world_(seed) {}

  /// How many crashes were looked at: states in which the fault was met.
  std::uint64_t run() {
    for (const Op& o : scenario_.before) world_.step(o);
    const HistoryWorld::Saved saved = world_.save();
    for (struck_ = true, step_ = 0; struck_; ++step_) {
      struck_ = false;
      for (std::uint32_t mode = 0; mode < std::size(support::kCrashModes); ++mode)
        for (std::uint32_t second = 0; second <= kSeconds; ++second) look_at(saved, mode, second);
    }
    world_.restore(saved);
    world_.finish();
    return crashes_;
  }
  std::string at() const { return std::string(scenario_.name) + ", seed " + std::to_string(seed_) + ": " + show(now_); }

 private:
  void look_at(const HistoryWorld::Saved& saved, std::uint32_t mode, std::uint32_t second) {
    if (number_++ % kShards != shard_) return;
    now_ = scenario_.struck;
    now_.at = step_;
    now_.fault = second == 0 ? Fault::Crash : Fault::CrashTwice;
    now_.mode = mode + 6 * ((step_ * 7 + second * 5) % 40);
    world_.restore(saved);
    world_.step(now_);
    struck_ = struck_ || world_.struck();
    crashes_ += world_.struck() ? 1 : 0;
    if (++states_ % kTidyEvery == 0) world_.tidy();
  }

  const Scenario& scenario_;
  const std::uint64_t seed_, shard_;
  HistoryWorld world_;
  std::uint64_t number_ = 0, states_ = 0, crashes_ = 0;
  std::uint32_t step_ = 0;
  bool struck_ = false;
  Op now_;
};

/// One sweep of all scenarios; false after a divergence.
bool sweep_all(std::uint64_t seed, std::uint64_t shard, std::uint64_t& states, const std::function<bool()>& more) {
  for (const Scenario& scenario : scenarios()) {
    if (!more()) return true;
    Sweep sweep(scenario, seed, shard);
    try {
      states += sweep.run();
    } catch (const Divergence& d) {
      ADD_FAILURE() << sweep.at() << ": " << d.what;
      return false;
    }
  }
  return true;
}

TEST(Crash, EveryScenarioDoesWhatItIsNamedFor) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    for (const Scenario& scenario : scenarios()) {
      HistoryWorld world(seed);
      for (const Op& o : scenario.before) world.step(o);
      const Figures before = world.figures();
      world.step(scenario.struck);
      EXPECT_TRUE(scenario.did(before, world.figures())) << scenario.name << ", seed " << seed;
    }
  }
}

TEST(Crash, AtEveryStepOfEverythingLosesNothingAndLeavesNothing) {
  log::set_level(log::Level::Error);
  const Soak soak;
  const std::uint64_t shard = number_from("HF_SHARD", 0) % kShards;
  const auto more = [&] { return soak.more(0, 1); };
  const std::uint64_t first = soak.first_seed(1);
  std::uint64_t states = 0, seed = first;
  while (sweep_all(seed, (shard + seed - first) % kShards, states, more) && soak.asked_for() && more()) ++seed;
  std::printf("crash states: %llu, from seed %llu, shard %llu of %llu\n", static_cast<unsigned long long>(states),
              static_cast<unsigned long long>(first), static_cast<unsigned long long>(shard),
              static_cast<unsigned long long>(kShards));
  if (!soak.asked_for()) {
    EXPECT_GE(states, 5000u);
  }
}

}  // namespace
}  // namespace holdfast::collect
