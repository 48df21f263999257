// Why: planning must cost seconds and little memory however many snapshots a tenant has. Ten million snapshots of 10,000
// sources, pauses made from rows: three years with a third of them locked, and all of them due for a lock on one day. Prints seconds and the process's peak of memory, the
// snapshots themselves included. Nothing is left out, so there is no yardstick. Usage: purge_plan_bench [ROUNDS [SNAPSHOTS]]

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "server/retention/newest_good.h"
#include "server/retention/purge.h"
#include "tests/support/seeded_random.h"

namespace holdfast {
namespace {

using namespace retention;

constexpr std::uint32_t kSources = 10'000;
constexpr std::int64_t kDayNs = 86'400'000'000'000;
constexpr std::int64_t kNowNs = 20'800 * kDayNs;
constexpr double kWantedSeconds = 10, kWantedMib = 500;

/// `one_day`: all live, all lock dates within the last 24 h, in no order.
std::vector<SnapshotDates> make_snapshots(std::uint32_t count, bool one_day) {
  support::SeededRandom random(1);
  const Plan plan = *builtin_plan("2y");
  std::vector<SnapshotDates> out;
  out.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    SnapshotDates s;
    s.position = i;
    const std::uint64_t days = one_day ? 1 : 1100;
    s.vault_ns = kNowNs - static_cast<std::int64_t>(random.below(days * static_cast<std::uint64_t>(kDayNs)));
    s.lock_not_before_ns = one_day ? s.vault_ns : lock_date(plan, s.vault_ns);
    if (!one_day && i % 3 == 0) {
      s.state = SnapshotState::Locked;
      s.delete_not_before_ns = delete_date(plan, s.lock_not_before_ns, s.lock_not_before_ns);
    }
    out.push_back(s);
  }
  return out;
}

double peak_mib() {
  rusage used{};
  HF_ASSERT(::getrusage(RUSAGE_SELF, &used) == 0);
  return static_cast<double>(used.ru_maxrss) / 1024;
}

void run(const char* name, std::size_t rounds, std::uint32_t count, bool one_day) {
  const std::vector<SnapshotDates> snapshots = make_snapshots(count, one_day);
  std::vector<double> seconds;
  PurgePlan plan;
  for (std::size_t round = 0; round < rounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    NewestGood newest(kSources);
    for (const SnapshotDates& s : snapshots) newest.add({s.position % kSources, s.position, true, s.state});
    const std::vector<std::uint32_t> paused = newest.positions();
    plan = plan_purge({snapshots, paused, kNowNs});
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2], peak = peak_mib();
  std::printf("%-12s %u snapshots: %zu to lock (%llu held by the cap), %zu to delete, %llu paused\n", name, count,
              plan.to_lock.size(), static_cast<unsigned long long>(plan.held_by_cap), plan.to_delete.size(),
              static_cast<unsigned long long>(plan.held_by_pause));
  std::printf("%-12s %.2f s (median of %zu; asked: < %.0f), peak %.0f MiB (asked: < %.0f): %s\n", "", median, rounds,
              kWantedSeconds, peak, kWantedMib, median < kWantedSeconds && peak < kWantedMib ? "met" : "NOT MET");
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  const auto number = [&](int position, std::uint64_t usual) {
    return argc > position ? std::max<std::uint64_t>(1, std::strtoull(argv[position], nullptr, 10)) : usual;
  };
  const std::size_t rounds = number(1, 5);
  const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(number(2, 10'000'000), 4'000'000'000));
  holdfast::run("three years", rounds, count, false);
  holdfast::run("one day", rounds, count, true);
}
