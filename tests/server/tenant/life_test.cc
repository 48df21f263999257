// Purge, lock, undelete, registered sources, explain: each rule by itself.

#include <thread>

#include "server/coordinator/local_coordinator.h"
#include "server/retention/plan.h"
#include "tests/server/tenant/tenant_world.h"

namespace holdfast::tenant {
namespace {

using retention::Rule;
using snapshot::SourceNote;
using snapshot::SourceResult;
using std::chrono::days;
using std::chrono::hours;
using std::chrono::nanoseconds;
using SourceState = journal::SourcePayload::State;

constexpr std::int64_t kDay = 86'400'000'000'000;

std::vector<SnapshotId> ids(const std::vector<PurgeReport::Row>& rows) {
  std::vector<SnapshotId> out;
  for (const PurgeReport::Row& row : rows) out.push_back(row.name.id);
  return out;
}
using Ids = std::vector<SnapshotId>;

struct LifeTest : testing::Test {
  explicit LifeTest(const std::string& plan = "30d") : world(1, 0, plan) {}

  World world;
  Machine shop = world.enrol("shop");

  std::int64_t now() { return to_ns(world.clock.wall()); }
  void advance_to(std::int64_t ns) { world.clock.advance(nanoseconds(ns - now())); }
  PurgeReport purge(bool dry_run = false) { return must(world.tenant->purge(dry_run)); }
  SnapshotStory explain(const SnapshotId& id) { return must(world.tenant->explain_snapshot(id)); }
  Ids commits(const Machine& machine, int count) {
    Ids out{world.back_up(machine, 1, 1)};
    while (out.size() < static_cast<std::size_t>(count)) out.push_back(world.back_up_again(machine));
    return out;
  }
  Ids shown(Viewer viewer) {
    Ids out, newest_first;
    for (const SnapshotRow& row : must(world.tenant->snapshots(shop.id, 0, 100, viewer))) out.push_back(row.id);
    for (const SnapshotRow& row : must(world.tenant->snapshots_before(shop.id, 100, 100, viewer)))
      newest_first.push_back(row.id);
    std::ranges::reverse(newest_first);
    EXPECT_EQ(out, newest_first);
    return out;
  }
};

TEST_F(LifeTest, LocksOnTheDateAndEndsAfterTheWholeDelay) {
  const Ids made = commits(shop, 3);
  const std::int64_t date = explain(made[0]).lock_not_before_ns;
  // 2026-01-31T00:00Z is a day in UTC−12 that ends at noon.
  EXPECT_EQ(rfc3339(from_ns(date)), "2026-01-31T12:00:00Z");
  EXPECT_EQ(purge().next_ns, date);

  advance_to(date - 1);
  PurgeReport early = purge();
  EXPECT_TRUE(early.locked.empty() && early.deleted.empty() && early.paused.empty());
  advance_to(date);
  const PurgeReport on_time = purge();
  EXPECT_EQ(ids(on_time.locked), (Ids{made[0], made[1]}));
  EXPECT_EQ(ids(on_time.paused), (Ids{made[2]}));
  EXPECT_EQ(on_time.locked[0].date_ns, date + 14 * kDay);
  EXPECT_EQ(on_time.locked[0].name.client, "shop");
  EXPECT_EQ(on_time.locked[0].name.sequence, 1u);
  EXPECT_EQ(on_time.next_ns, date + 14 * kDay);

  advance_to(date + 14 * kDay - 1);
  early = purge();
  EXPECT_TRUE(early.locked.empty() && early.deleted.empty());
  advance_to(date + 14 * kDay);
  const PurgeReport end = purge();
  EXPECT_EQ(ids(end.deleted), (Ids{made[0], made[1]}));
  EXPECT_EQ(end.deleted[0].date_ns, date);
  EXPECT_EQ(end.next_ns, std::nullopt);
  EXPECT_EQ(explain(made[0]).life, Life::Deleted);
  EXPECT_EQ(explain(made[2]).life, Life::Live);
  world.reopen();
  EXPECT_EQ(explain(made[1]).life, Life::Deleted);
  EXPECT_EQ(explain(made[1]).locked_ns, date);
  EXPECT_EQ(explain(made[1]).deleted_ns, date + 14 * kDay);
}

TEST_F(LifeTest, TheNewestGoodSnapshotOfAClientStaysUntilItIsRetired) {
  const SourceId etc = world.random.id<SourceId>(), db = world.random.id<SourceId>();
  const auto notes = [&](SourceResult of_etc, SourceResult of_db) {
    std::vector<SourceNote> out{{etc, of_etc}, {db, of_db}};
    std::ranges::sort(out, {}, &SourceNote::id);
    return out;
  };
  (void)world.back_up(shop, 1, 1);
  const SnapshotId whole = world.back_up_again(shop, notes(SourceResult::Complete, SourceResult::Warnings));
  const SnapshotId broken = world.back_up_again(shop, notes(SourceResult::Complete, SourceResult::Failed));
  world.clock.advance(days(60));
  (void)purge();
  EXPECT_EQ(explain(whole).life, Life::Live);  // a failed source displaces nothing
  EXPECT_EQ(explain(whole).newest_good_of, (std::vector<std::string>{"the client as a whole"}));
  EXPECT_EQ(explain(whole).rule, Rule::Pause);
  EXPECT_EQ(explain(broken).life, Life::Locked);

  must(world.tenant->undelete_snapshot(broken, "eve"));
  must(world.tenant->set_source("shop", etc, SourceState::Registered, "etc of the shop"));
  world.clock.advance(days(60));
  (void)purge();
  EXPECT_EQ(explain(broken).newest_good_of, (std::vector<std::string>{"etc of the shop"}));
  EXPECT_EQ(explain(broken).life, Life::Live);
  must(world.tenant->set_source("shop", etc, SourceState::Retired, ""));
  (void)purge();
  EXPECT_EQ(explain(broken).life, Life::Locked);
  EXPECT_EQ(explain(whole).life, Life::Live);
  must(world.tenant->set_source("shop", {}, SourceState::Retired, ""));
  (void)purge();
  EXPECT_EQ(explain(whole).life, Life::Locked);
  world.reopen();
  EXPECT_TRUE(explain(whole).newest_good_of.empty());
}

TEST_F(LifeTest, RetiringAClientRetiresEachOfItsSources) {
  const SourceId etc = world.random.id<SourceId>();
  (void)world.back_up(shop, 1, 1);
  const SnapshotId kept = world.back_up_again(shop, {{etc, SourceResult::Complete}});
  must(world.tenant->set_source("shop", etc, SourceState::Registered, ""));
  world.clock.advance(days(60));
  (void)purge();
  EXPECT_EQ(explain(kept).newest_good_of.size(), 2u);
  must(world.tenant->retire_client("shop"));
  EXPECT_EQ(ids(purge().locked), (Ids{kept}));
  for (const SourceStory& one : must(world.tenant->sources("shop"))) EXPECT_FALSE(one.registered);
  EXPECT_EQ(world.tenant->retire_client("nobody").error().code, Errc::NotFound);
  EXPECT_EQ(world.tenant->set_source("nobody", etc, SourceState::Registered, "").error().code, Errc::NotFound);
  EXPECT_EQ(world.tenant->set_source("shop", etc, SourceState::Registered, std::string(256, 'x')).error().code,
            Errc::Usage);
}

TEST_F(LifeTest, SourcesAreListedWithTheirNewestGoodSnapshot) {
  const SourceId etc = world.random.id<SourceId>();
  (void)world.back_up(shop, 1, 1);
  const SnapshotId good = world.back_up_again(shop, {{etc, SourceResult::Complete}});
  (void)world.back_up_again(shop, {{etc, SourceResult::Failed}});
  must(world.tenant->set_source("shop", etc, SourceState::Registered, "etc"));
  (void)world.enrol("silent");
  const std::vector<SourceStory> all = must(world.tenant->sources(""));
  ASSERT_EQ(all.size(), 3u);
  EXPECT_TRUE(all[0].source.is_zero() && all[0].registered && !all[0].listed);
  EXPECT_EQ(all[0].newest_good->id, good);
  EXPECT_TRUE(all[1].source == etc && all[1].registered && all[1].listed);
  EXPECT_EQ(all[1].label, "etc");
  EXPECT_EQ(all[1].newest_good->id, good);
  EXPECT_EQ(all[2].client, "silent");
  EXPECT_FALSE(all[2].newest_good.has_value());
  EXPECT_EQ(world.tenant->sources("nobody").error().code, Errc::NotFound);
}

TEST_F(LifeTest, OnePassLocksNoMoreThanItsCapAndTheNextOneGoesOn) {
  const Ids made = commits(shop, 26);
  world.clock.advance(days(40));  // nothing falls into the last day: the cap is ten
  PurgeReport pass = purge();
  EXPECT_EQ(ids(pass.locked), Ids(made.begin(), made.begin() + 10));
  EXPECT_EQ(pass.lock_cap, 10u);
  EXPECT_EQ(pass.held_by_cap, 15u);  // the newest is paused
  EXPECT_EQ(explain(made[10]).rule, Rule::NextPass);
  EXPECT_EQ(explain(made[20]).rule, Rule::Cap);
  pass = purge();
  EXPECT_EQ(ids(pass.locked), Ids(made.begin() + 10, made.begin() + 20));
  EXPECT_EQ(pass.held_by_cap, 5u);
  EXPECT_EQ(purge().held_by_cap, 0u);
}

TEST_F(LifeTest, AnOperatorsLockHidesAndShortensNothing) {
  const Ids made = commits(shop, 3);
  const std::int64_t date = explain(made[2]).lock_not_before_ns;
  world.clock.advance(days(2));
  const SnapshotStory locked = must(world.tenant->lock_snapshot(made[2], "eve"));
  EXPECT_EQ(locked.life, Life::Locked);
  EXPECT_TRUE(locked.locked_by_operator);
  EXPECT_EQ(locked.locked_by, "eve");
  EXPECT_EQ(locked.delete_not_before_ns, date + 14 * kDay);
  EXPECT_EQ(locked.rule, Rule::DeleteDelay);
  EXPECT_EQ(world.tenant->lock_snapshot(made[2], "eve").error().code, Errc::Conflict);
  EXPECT_EQ(world.tenant->lock_snapshot(world.random.id<SnapshotId>(), "eve").error().code, Errc::NotFound);
  must(world.tenant->set_source("shop", {}, SourceState::Retired, ""));
  advance_to(date + 14 * kDay - 1);
  EXPECT_TRUE(purge().deleted.empty());
  advance_to(date + 14 * kDay);
  EXPECT_EQ(ids(purge().deleted), (Ids{made[2]}));
}

TEST_F(LifeTest, ALateLockByAnOperatorWaitsTheWholeDelay) {
  const Ids made = commits(shop, 2);
  world.clock.advance(days(50));
  EXPECT_EQ(must(world.tenant->lock_snapshot(made[0], "eve")).delete_not_before_ns, now() + 14 * kDay);
}

TEST_F(LifeTest, UndeleteGivesTheWholeTermAgainUntilTheLastMoment) {
  const Ids made = commits(shop, 3);
  EXPECT_EQ(world.tenant->undelete_snapshot(made[0], "eve").error().code, Errc::Conflict);  // live
  world.clock.advance(days(31));
  (void)purge();
  advance_to(explain(made[0]).delete_not_before_ns - 1);
  EXPECT_TRUE(purge().deleted.empty());
  const SnapshotStory back = must(world.tenant->undelete_snapshot(made[0], "eve"));
  EXPECT_EQ(back.life, Life::Live);
  EXPECT_EQ(back.lock_not_before_ns, retention::lock_date(must(retention::builtin_plan("30d")), now()));
  EXPECT_EQ(back.locked_ns, 0);
  advance_to(explain(made[1]).delete_not_before_ns);
  EXPECT_EQ(ids(purge().deleted), (Ids{made[1]}));
  EXPECT_EQ(world.tenant->undelete_snapshot(made[1], "eve").error().code, Errc::Conflict);
  EXPECT_EQ(world.tenant->undelete_snapshot(world.random.id<SnapshotId>(), "eve").error().code, Errc::NotFound);
  EXPECT_EQ(explain(made[0]).rule, Rule::Age);
  // Locked early and taken back at once: the term is not shorter than it was.
  const SnapshotId fresh = world.back_up_again(shop);
  const std::int64_t date = explain(fresh).lock_not_before_ns;
  (void)must(world.tenant->lock_snapshot(fresh, "eve"));
  EXPECT_GE(must(world.tenant->undelete_snapshot(fresh, "eve")).lock_not_before_ns, date);
}

TEST_F(LifeTest, ClientsSeeALockedSnapshotOnlyWhileTheirReceiptPromisesIt) {
  const Ids made = commits(shop, 3);
  const std::int64_t date = explain(made[2]).promised_lock_ns;
  (void)must(world.tenant->lock_snapshot(made[2], "eve"));
  EXPECT_EQ(shown(Viewer::Client), made);
  EXPECT_EQ(must(world.tenant->snapshots_before(shop.id, 100, 1, Viewer::Client)).at(0).state, "locked");
  advance_to(date - 1);
  EXPECT_EQ(shown(Viewer::Client), made);
  advance_to(date);
  EXPECT_EQ(shown(Viewer::Client), (Ids{made[0], made[1]}));
  (void)purge();  // the newest live good one is the second now
  EXPECT_EQ(shown(Viewer::Client), (Ids{made[1]}));
  EXPECT_EQ(shown(Viewer::Operator), made);
  // What the next session builds on does not change.
  const TestRun run = world.begin(shop);
  EXPECT_EQ(run.opened.next_sequence, 4u);
  EXPECT_EQ(run.opened.previous, made[2]);
  advance_to(date + 20 * kDay);
  (void)purge();
  EXPECT_EQ(shown(Viewer::Operator), (Ids{made[1]}));
}

TEST_F(LifeTest, ADryRunSaysWhatAPurgeDoesAndChangesNothing) {
  const Ids made = commits(shop, 15);
  world.clock.advance(days(40));
  const auto before = world.files("journal");
  const PurgeReport told = purge(true);
  EXPECT_EQ(world.files("journal"), before);
  EXPECT_EQ(explain(made[0]).life, Life::Live);
  const PurgeReport done = purge();
  EXPECT_EQ(ids(told.locked), ids(done.locked));
  EXPECT_EQ(ids(told.paused), ids(done.paused));
  EXPECT_EQ(told.held_by_cap, done.held_by_cap);
  EXPECT_EQ(told.next_ns, done.next_ns);
  EXPECT_EQ(ids(told.locked).size(), 10u);
}

TEST_F(LifeTest, RunsThatWereSkippedChangeNoDates) {
  const Ids made = commits(shop, 5);
  World idle(1);
  const Machine same = idle.enrol("shop");
  (void)idle.back_up(same, 1, 1);
  Ids others;
  for (const SnapshotRow& row : must(idle.tenant->snapshots(same.id, 0, 10))) others.push_back(row.id);
  for (int i = 1; i < 5; ++i) others.push_back(idle.back_up_again(same));
  ASSERT_EQ(made, others);
  for (int day = 0; day < 60; ++day) {
    world.clock.advance(days(1));
    idle.clock.advance(days(1));
    (void)purge();
  }
  for (const SnapshotId& id : made)
    EXPECT_EQ(must(idle.tenant->explain_snapshot(id)).lock_not_before_ns, explain(id).lock_not_before_ns);
  // The first run after two months ends nothing: the delay counts from the lock.
  const PurgeReport late = must(idle.tenant->purge(false));
  EXPECT_TRUE(late.deleted.empty());
  EXPECT_EQ(late.locked.size(), 4u);
  EXPECT_EQ(late.locked[0].date_ns, late.now_ns + 14 * kDay);
}

TEST_F(LifeTest, AVaultClockThatIsBehindHoldsThingsUpAndSaysSo) {
  const Ids made = commits(shop, 3);
  world.clock.jump_wall(days(40));  // nobody believes a wall clock that jumps
  const PurgeReport held = purge();
  EXPECT_TRUE(held.locked.empty());
  EXPECT_EQ(held.held_by_clock, 2u);
  EXPECT_EQ(held.wall_ns - held.now_ns, 40 * kDay);
  EXPECT_EQ(explain(made[0]).life, Life::Live);
}

TEST_F(LifeTest, AFrozenTenantDestroysNothingAndSaysWhy) {
  const Ids made = commits(shop, 3);
  world.clock.advance(days(31));
  world.close();
  {
    const auto coordinator =
        must(coordinator::open_local_coordinator(world.fs, world.clock, world.random, world.directory));
    const coordinator::Epoch epoch = must(coordinator->acquire());
    journal::Record last;
    must(coordinator->read(1, [&](const journal::Record& record) {
      last = record;
      return Status{};
    }));
    coordinator::NewRecord fork;
    fork.kind = journal::Kind::Fork;
    journal::ForkPayload payload;
    payload.what = "a client has a receipt that this server never gave";
    fork.payload = journal::encode(payload);
    fork.vault_ns = last.vault_ns;
    fork.wall_ns = last.wall_ns;
    (void)must(coordinator->publish(epoch, last.generation, {std::move(fork)}));
  }
  world.open();
  for (const bool dry_run : {true, false}) {
    const auto refused = world.tenant->purge(dry_run);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::Denied);
    EXPECT_NE(refused.error().message.find("a receipt that this server never gave"), std::string::npos);
  }
  EXPECT_EQ(explain(made[0]).life, Life::Live);
  EXPECT_NE(explain(made[0]).frozen, "");
}

struct GoneByTest : LifeTest {
  GoneByTest() : LifeTest("30d-max") {}
};
TEST_F(GoneByTest, APlanThatPromisesAnEndGoesBeforeAnyPause) {
  const Ids made = commits(shop, 2);
  EXPECT_TRUE(explain(made[1]).gone_by);
  EXPECT_TRUE(explain(made[1]).newest_good_of.empty());
  world.clock.advance(days(17));
  const std::int64_t locked_ns = now();
  EXPECT_EQ(purge(true).next_ns, locked_ns + 5 * kDay);
  const PurgeReport first = purge();
  EXPECT_EQ(ids(first.locked), made);
  EXPECT_EQ(first.locked[0].date_ns, locked_ns + 5 * kDay);
  EXPECT_EQ(explain(made[0]).delete_not_before_ns, locked_ns + 5 * kDay) << "not the fourteen days of other plans";
  advance_to(locked_ns + 5 * kDay - 1);
  EXPECT_TRUE(purge().deleted.empty());
  advance_to(locked_ns + 5 * kDay);
  EXPECT_EQ(ids(purge().deleted), made);
}
TEST_F(GoneByTest, AnOperatorsLockEndsAfterThePlansOwnDelay) {
  const Ids made = commits(shop, 2);
  const std::int64_t date = explain(made[0]).lock_not_before_ns;
  EXPECT_EQ(must(world.tenant->lock_snapshot(made[0], "eve")).delete_not_before_ns, date + 5 * kDay);
  EXPECT_EQ(explain(made[1]).delete_not_before_ns, date + 5 * kDay) << "foreseen, if the first pass locks it";
}

TEST_F(LifeTest, SnapshotsAreFoundByNumberAndById) {
  const Ids made = commits(shop, 3);
  ASSERT_EQ(world.tenant->snapshots_named("shop", 2).size(), 1u);
  EXPECT_EQ(world.tenant->snapshots_named("shop", 2)[0].id, made[1]);
  EXPECT_TRUE(world.tenant->snapshots_named("shop", 4).empty());
  EXPECT_TRUE(world.tenant->snapshots_named("nobody", 1).empty());
  EXPECT_EQ(world.tenant->snapshots_beginning(made[2].hex().substr(0, 12)).at(0).sequence, 3u);
  EXPECT_EQ(world.tenant->snapshots_beginning("").size(), 3u);
  EXPECT_EQ(world.tenant->snapshots_beginning("").at(0).id, made[0]);
}

TEST_F(LifeTest, PurgesAndOperatorsAtOnceNeverContradictEachOther) {
  const Ids made = commits(shop, 8);
  world.clock.advance(days(31));
  (void)purge();
  world.clock.advance(days(14));
  std::atomic<int> taken_back{0};
  const auto undelete = [&](std::size_t from) {
    for (std::size_t i = from; i < 7; i += 2) taken_back += world.tenant->undelete_snapshot(made[i], "eve") ? 1 : 0;
  };
  const auto purge_often = [&] {
    for (int i = 0; i < 8; ++i) (void)purge();
  };
  std::thread a(undelete, 0), b(undelete, 1), c(purge_often), d(purge_often);
  for (std::thread* one : {&a, &b, &c, &d}) one->join();
  int live = 0, deleted = 0;
  for (const SnapshotId& id : made) {
    live += explain(id).life == Life::Live ? 1 : 0;
    deleted += explain(id).life == Life::Deleted ? 1 : 0;
  }
  EXPECT_EQ(live, 1 + taken_back);
  EXPECT_EQ(live + deleted, 8);
  world.reopen();
  EXPECT_EQ(must(world.tenant->snapshots(shop.id, 0, 100)).size(), static_cast<std::size_t>(live));
}

}  // namespace
}  // namespace holdfast::tenant
