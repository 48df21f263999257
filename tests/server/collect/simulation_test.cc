#include <gtest/gtest.h>

#include "tests/server/collect/simulation_run.h"
#include "tests/server/collect/soak.h"

namespace holdfast::collect {
namespace {

SimulationResult add(SimulationResult sum, const SimulationResult& one) {
  sum.events += one.events;
  sum.backups += one.backups;
  sum.commits += one.commits;
  sum.refused += one.refused;
  sum.lost += one.lost;
  sum.crashes += one.crashes;
  sum.restarts += one.restarts;
  sum.locked += one.locked;
  sum.deleted += one.deleted;
  sum.erased += one.erased;
  sum.condemned += one.condemned;
  sum.rewritten += one.rewritten;
  sum.removed += one.removed;
  sum.verified_blobs += one.verified_blobs;
  return sum;
}

void tell(const char* what, std::uint64_t seeds, const SimulationResult& r) {
  std::printf(
      "%s: %lu seeds, %lu events, %lu backups, %lu commits, %lu refused, %lu lost requests or answers, %lu crashes armed, "
      "%lu restarts, %lu locked, %lu deleted, %lu erased, packs %lu condemned %lu rewritten %lu removed, %lu blobs read back\n",
      what, seeds, r.events, r.backups, r.commits, r.refused, r.lost, r.crashes, r.restarts, r.locked, r.deleted,
      r.erased, r.condemned, r.rewritten, r.removed, r.verified_blobs);
}

/// Row 47. 500 seeds in four runs (HF_SHARD 0 to 3); HF_SIM_FIRST and HF_SIM_SEEDS choose others.
TEST(Simulation, KeepsEveryPromiseWhateverTheSeed) {
  const Soak soak;
  const std::uint64_t usual = number_from("HF_SIM_SEEDS", 125);
  const std::uint64_t first = soak.first_seed(number_from("HF_SIM_FIRST", 1 + 125 * (number_from("HF_SHARD", 0) % 4)));
  std::uint64_t seeds = 0;
  SimulationResult sum;
  for (std::uint64_t seed = first; soak.more(seeds, usual); ++seed, ++seeds) {
    SimulationOptions options;
    options.seed = seed;
    const SimulationResult one = simulate(options);
    ASSERT_EQ(one.problem, "") << one.last << "replay: HF_SIM_FIRST=" << seed
                               << " HF_SIM_SEEDS=1 collect_test --gtest_filter=Simulation.KeepsEveryPromise*";
    sum = add(sum, one);
  }
  std::printf("from seed %lu; ", first);
  tell("simulation", seeds, sum);
  EXPECT_GT(sum.commits, seeds * 10);
  EXPECT_GT(sum.restarts, 0u);
  EXPECT_GT(sum.deleted, 0u);
  EXPECT_GT(sum.condemned, 0u);
  EXPECT_GT(sum.rewritten, 0u);
  EXPECT_GT(sum.removed, 0u);
  EXPECT_GT(sum.erased, 0u);
}

TEST(Simulation, TheSameSeedGivesTheSameTrace) {
  for (const std::uint64_t seed : {3u, 11u}) {
    SimulationOptions options;
    options.seed = seed;
    const SimulationResult once = simulate(options), again = simulate(options);
    EXPECT_EQ(once.trace, again.trace) << once.last << "---- and ----\n" << again.last;
    options.seed = seed + 1;
    EXPECT_NE(simulate(options).trace, once.trace);
  }
}

/// Six-hourly backups for a year, plan 30d. 200 clients as soak: HF_SIM_CLIENTS=200 HF_SIM_DAYS=365.
TEST(Simulation, AYearOfSixHourlyBackupsEndsWithExactlyTheModelsSnapshots) {
  SimulationOptions options;
  options.seed = 47;
  options.clients = number_from("HF_SIM_CLIENTS", 2);
  options.length = std::chrono::hours(24 * number_from("HF_SIM_DAYS", 80));
  options.backup_every = std::chrono::hours(6);
  options.collect_every = std::chrono::hours(24);
  options.verify_every = std::chrono::hours(24 * 60);
  options.plan = "30d";
  options.lost_in_1000 = 1;
  options.crash_in_1000 = 0;
  options.abandon_in_1000 = 2;
  options.contents = 400;
  const SimulationResult year = simulate(options);
  ASSERT_EQ(year.problem, "") << year.last;
  tell("year", 1, year);
  EXPECT_GT(year.deleted, 0u);
}

}  // namespace
}  // namespace holdfast::collect
