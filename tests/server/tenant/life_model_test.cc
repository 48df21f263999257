// ACCEPTANCE rows 14 and 17: random timelines against a tiny model that shares no code with the server, and a client that
// lies about times and floods its tenant.

#include <set>

#include "tests/server/tenant/tenant_world.h"

namespace holdfast::tenant {
namespace {

using std::chrono::days;
using std::chrono::nanoseconds;

constexpr std::int64_t kDay = 86'400'000'000'000;

/// Midnight in UTC−12 after commit + 30 days, counted in half days since 1970.
std::int64_t lock_date(std::int64_t committed) {
  std::int64_t noon = kDay / 2;
  noon += (committed + 30 * kDay) / kDay * kDay;
  return noon > committed + 30 * kDay ? noon : noon + kDay;
}

struct Kept {
  SnapshotId id;
  std::size_t machine = 0;
  std::int64_t lock_from = 0, delete_from = 0;
  Life life = Life::Live;
};

/// The rules in words of their own: no dates from the server, no positions, no planning.
struct Model {
  std::vector<Kept> all;

  bool newest_good(std::size_t i) const {
    for (const Life life : {Life::Live, Life::Locked}) {
      for (std::size_t j = all.size(); j-- > 0;) {
        if (all[j].machine == all[i].machine && all[j].life == life) return j == i;
      }
    }
    return false;
  }
  void purge(std::int64_t now) {
    std::vector<std::size_t> ends, locks;
    std::size_t yesterday = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Kept& one = all[i];
      if (one.life > Life::Locked) continue;
      yesterday += one.lock_from > now - kDay && one.lock_from <= now ? 1 : 0;
      if (newest_good(i)) continue;
      if (one.life == Life::Locked && one.delete_from <= now) ends.push_back(i);
      if (one.life == Life::Live && one.lock_from <= now) locks.push_back(i);
    }
    std::stable_sort(locks.begin(), locks.end(),
                     [&](std::size_t a, std::size_t b) { return all[a].lock_from < all[b].lock_from; });
    if (locks.size() > std::max<std::size_t>(10, 2 * yesterday)) locks.resize(std::max<std::size_t>(10, 2 * yesterday));
    for (const std::size_t i : ends) all[i].life = Life::Deleted;
    for (const std::size_t i : locks) {
      all[i].life = Life::Locked;
      all[i].delete_from = now + 14 * kDay;
    }
  }
};

/// One tenant's story; every timeline has machines and a time of its own within it.
class Timeline {
 public:
  Timeline(World& world, const DomainId& domain, std::uint64_t number) : world_(world), random_(number) {
    for (std::size_t i = 0; i < 2; ++i)
      machines_.push_back(world.enrol("m" + std::to_string(number) + "." + std::to_string(i), domain));
  }
  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) step();
    finish();
  }
  /// Ends that purges have reported; locks that were taken back in their last nanosecond.
  std::size_t deleted = 0, undeleted_late = 0;

 private:
  std::uint64_t below(std::uint64_t n) {
    std::array<std::uint8_t, 8> bytes{};
    random_.fill(bytes);
    std::uint64_t out = 0;
    for (const std::uint8_t b : bytes) out = out << 8 | b;
    return out % n;
  }
  std::int64_t now() const { return to_ns(world_.clock.wall()); }
  void pass(std::int64_t ns) { world_.clock.advance(nanoseconds(ns)); }

  void step() {
    switch (below(8)) {
      case 0:
      case 1:
      case 2:
        return commit();
      case 3:
        return pass(static_cast<std::int64_t>(below(12) * kDay + below(kDay)));
      case 4:
      case 5:
        return purge();
      case 6:
        return lock();
      default:
        return take_back_at_the_last_moment();
    }
  }
  void commit() {
    const std::size_t machine = below(machines_.size());
    const SnapshotId id = world_.back_up_again(machines_[machine]);
    model_.all.push_back({id, machine, lock_date(now()), 0, Life::Live});
  }
  void purge() {
    const PurgeReport report = must(world_.tenant->purge(false));
    ASSERT_EQ(report.now_ns, now());
    deleted += report.deleted.size();
    for (const PurgeReport::Row& row : report.deleted) {
      for (const Kept& one : model_.all) {
        if (one.id != row.name.id) continue;
        EXPECT_EQ(one.life, Life::Locked);
        EXPECT_GE(now(), one.delete_from);  // never before lock + delay
        EXPECT_GE(now(), one.lock_from + 14 * kDay);
      }
    }
    model_.purge(now());
    compare();
  }
  void lock() {
    const auto one = pick(Life::Live);
    if (one == model_.all.end()) return;
    must(world_.tenant->lock_snapshot(one->id, "eve"));
    one->life = Life::Locked;
    one->delete_from = std::max(now(), one->lock_from) + 14 * kDay;
  }
  void take_back_at_the_last_moment() {
    const auto one = pick(Life::Locked);
    if (one == model_.all.end()) return;
    if (one->delete_from - 1 > now()) pass(one->delete_from - 1 - now());
    purge();
    if (one->life != Life::Locked) return;
    undeleted_late += one->delete_from - 1 == now() ? 1 : 0;
    must(world_.tenant->undelete_snapshot(one->id, "eve"));
    one->life = Life::Live;
    one->lock_from = std::max(one->lock_from, lock_date(now()));
  }
  std::vector<Kept>::iterator pick(Life life) {
    std::vector<std::size_t> fits;
    for (std::size_t i = 0; i < model_.all.size(); ++i) {
      if (model_.all[i].life == life) fits.push_back(i);
    }
    return fits.empty() ? model_.all.end() : model_.all.begin() + static_cast<std::ptrdiff_t>(fits[below(fits.size())]);
  }
  void compare() {
    for (const Kept& one : model_.all) {
      const SnapshotStory story = must(world_.tenant->explain_snapshot(one.id));
      ASSERT_EQ(story.life, one.life) << story.name.client << "/" << story.name.sequence;
      if (one.life <= Life::Locked) {
        ASSERT_EQ(story.lock_not_before_ns, one.lock_from);
      }
      if (one.life == Life::Locked) {
        ASSERT_EQ(story.delete_not_before_ns, one.delete_from);
      }
    }
  }
  /// Everything of these machines ends, in its time.
  void finish() {
    for (const Machine& machine : machines_) must(world_.tenant->retire_client(machine.name));
    for (int i = 0; i < 20; ++i) {
      pass(15 * kDay);
      deleted += must(world_.tenant->purge(false)).deleted.size();
    }
    EXPECT_EQ(deleted, model_.all.size());
    for (const Kept& one : model_.all) EXPECT_EQ(must(world_.tenant->explain_snapshot(one.id)).life, Life::Deleted);
  }

  World& world_;
  support::SeededRandom random_;
  std::vector<Machine> machines_;
  Model model_;
};

TEST(LifeModel, AThousandRandomTimelinesDoWhatTheRulesSay) {
  constexpr std::uint64_t kTimelines = 1000, kPerTenant = 20;
  std::size_t deleted = 0, undeleted_late = 0;
  for (std::uint64_t first = 0; first < kTimelines; first += kPerTenant) {
    World world(first + 1);
    const Machine base = world.enrol("base");  // its tree is what every commit names again
    (void)world.back_up(base, 1, 1);
    for (std::uint64_t number = first; number < first + kPerTenant; ++number) {
      Timeline timeline(world, base.domain, number);
      timeline.run(16);
      deleted += timeline.deleted;
      undeleted_late += timeline.undeleted_late;
      ASSERT_FALSE(HasFailure()) << "timeline " << number;
    }
  }
  EXPECT_GT(deleted, 3000u);  // the timelines did something
  EXPECT_GT(undeleted_late, 300u);
}

TEST(LifeModel, NeitherForgedTimesNorAFloodOfSnapshotsMakeALegitimateOneGoEarlier) {
  World world;
  const Machine shop = world.enrol("shop");
  const SnapshotId good = world.back_up(shop, 1, 1);
  const std::int64_t date = lock_date(to_ns(world.clock.wall()));
  // A thief of the machine's identity: snapshots from the far past and future, fresh sources in each.
  constexpr int kJunk = 10'000;
  constexpr std::int64_t kTimes[] = {0, 1, std::numeric_limits<std::int64_t>::min(),
                                     std::numeric_limits<std::int64_t>::max(), 4'000'000'000'000'000'000};
  std::vector<SnapshotId> junk;
  for (int i = 0; i < kJunk; ++i) {
    world.client_time_ns = kTimes[i % 5];
    // All fail: none of them is a good one, whatever it is called.
    junk.push_back(world.back_up_again(shop, {{world.random.id<SourceId>(), snapshot::SourceResult::Failed}}));
  }
  for (const SnapshotId& id : {junk.front(), junk.back(), good}) {
    EXPECT_EQ(must(world.tenant->explain_snapshot(id)).lock_not_before_ns, date);
  }
  world.clock.advance(days(20));
  const PurgeReport early = must(world.tenant->purge(false));
  EXPECT_TRUE(early.locked.empty() && early.deleted.empty());
  world.clock.advance(days(100));
  (void)must(world.tenant->purge(false));
  EXPECT_EQ(must(world.tenant->explain_snapshot(good)).life, Life::Live);
  // Good junk displaces it as the newest good one; then it goes by age, not before its date, and after the whole delay.
  world.client_time_ns = 1;
  (void)world.back_up_again(shop);
  std::set<SnapshotId> deleted;
  std::int64_t locked_ns = 0;
  for (int day = 0; day < 400 && !deleted.contains(good); ++day) {
    const PurgeReport report = must(world.tenant->purge(false));
    EXPECT_LE(report.locked.size(), report.lock_cap);  // the cap is what the alarm counts
    for (const PurgeReport::Row& row : report.locked) {
      if (row.name.id == good) locked_ns = report.now_ns;
    }
    for (const PurgeReport::Row& row : report.deleted) deleted.insert(row.name.id);
    if (deleted.contains(good)) {
      EXPECT_GE(report.now_ns, locked_ns + 14 * kDay);
    }
    world.clock.advance(days(1));
  }
  EXPECT_GE(locked_ns, date);
  EXPECT_TRUE(deleted.contains(good));
}

}  // namespace
}  // namespace holdfast::tenant
