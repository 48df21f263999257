// A tenant's clock against every clock that lies: nothing early, never ahead of real time, full terms for what was
// committed while it stood still. The test alone knows what time it really is.

#include <thread>

#include "tests/server/tenant/tenant_world.h"

namespace holdfast::tenant {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr nanoseconds kTerm = 24h * 30;
constexpr nanoseconds kTenYears = 24h * 3653;

struct Vault : testing::Test {
  Vault() { world.uptime.note(); }

  World world;
  Machine machine = world.enrol("shop");
  nanoseconds real{to_ns(world.clock.wall())};
  std::map<SnapshotId, nanoseconds> committed;  ///< in real time
  std::int64_t shown = 0;                       ///< by the vault clock, last

  /// The machine runs, and a daemon is seen at the end.
  void run(nanoseconds time) {
    world.clock.advance(time);
    real += time;
    world.uptime.note();
  }
  /// Time passes that the boot clock does not count: a virtual machine that is paused.
  void pause(nanoseconds time) {
    world.clock.jump_wall(time);
    real += time;
  }
  void reboot(nanoseconds off) {
    world.close();
    pause(off);
    world.clock.reboot();
    world.uptime.note();
    world.open();
  }
  void back_up() { committed[world.back_up(machine, 1, 1)] = real; }
  nanoseconds vault() { return nanoseconds(world.tenant->account().vault_ns); }
  nanoseconds lock_date(const SnapshotId& id) {
    for (const SnapshotRow& row : must(world.tenant->snapshots(machine.id, 0, 1000)))
      if (row.id == id) return nanoseconds(row.lock_not_before_ns);
    ADD_FAILURE() << "no such snapshot";
    return {};
  }
  /// What must hold at every moment.
  void check() {
    const Account account = world.tenant->account();
    EXPECT_LE(account.vault_ns, real.count());
    EXPECT_GE(account.vault_ns, shown);
    shown = account.vault_ns;
    for (const SnapshotRow& row : must(world.tenant->snapshots(machine.id, 0, 1000))) {
      const nanoseconds still = nanoseconds(row.lock_not_before_ns - account.vault_ns);
      EXPECT_GE((real + still).count(), (committed.at(row.id) + kTerm).count()) << "locked before its full term";
    }
  }
};

TEST_F(Vault, BelievesNoWallClockWhereverItIsSet) {
  back_up();
  const SnapshotId first = committed.begin()->first;
  const nanoseconds date = lock_date(first);
  for (const char* const time :
       {"2036-01-01T00:00:00Z", "2016-01-01T00:00:00Z", "2028-02-29T23:59:59Z", "2038-01-19T03:14:08Z",
        "2026-01-01T00:00:01Z", "2025-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "2261-01-01T00:00:00Z"}) {
    world.clock.set_wall(*parse_rfc3339(time));
    check();
    run(1h);
    back_up();
    check();
    world.reopen();
    check();
    EXPECT_EQ(vault(), real) << time;  // all of it is proven: nothing is lost either
    EXPECT_EQ(lock_date(first), date);
  }
  world.clock.set_wall(from_ns(real.count()));
  for (const nanoseconds jump : {nanoseconds(1s), nanoseconds(-2s), kTenYears, -2 * kTenYears}) {
    world.clock.jump_wall(jump);
    reboot(0ns);
    check();
    EXPECT_EQ(vault(), real);
  }
}

TEST_F(Vault, AForgedClockMakesNothingDueAtAnyStageOfAPurge) {
  back_up();
  back_up();  // the newest stays
  const SnapshotId first = world.tenant->snapshots_named("shop", 1).at(0).id;
  const auto forge_and_purge = [&] {
    for (const nanoseconds jump : {kTenYears, nanoseconds(1s), -2 * kTenYears, nanoseconds(-1s), kTenYears}) {
      world.clock.jump_wall(jump);
      reboot(0ns);
      const PurgeReport done = must(world.tenant->purge(false));
      EXPECT_EQ(done.locked.size() + done.deleted.size(), 0u);
      check();
    }
  };
  forge_and_purge();
  run(lock_date(first) - vault() - 1ns);
  forge_and_purge();
  run(1ns);
  EXPECT_EQ(must(world.tenant->purge(false)).locked.size(), 1u);
  forge_and_purge();
  run(nanoseconds(must(world.tenant->explain_snapshot(first)).delete_not_before_ns) - vault() - 1ns);
  forge_and_purge();
  EXPECT_EQ(must(world.tenant->explain_snapshot(first)).life, Life::Locked);
  run(1ns);
  EXPECT_EQ(must(world.tenant->purge(false)).deleted.size(), 1u);
  forge_and_purge();
}

TEST_F(Vault, ARestartOrACrashOfTheDaemonCostsNothing) {
  run(5h);
  back_up();
  world.crash();
  world.clock.advance(100h);  // the machine is on, the daemon is not
  real += 100h;
  world.open();
  EXPECT_EQ(vault(), real);
  EXPECT_EQ(world.tenant->account().vault_gap_ns, 0);
  check();
}

TEST_F(Vault, TheTimeForWhichTheMachineWasOffIsHeldBack) {
  run(10h);
  back_up();
  reboot(72h);
  check();
  EXPECT_EQ(vault() + 72h, real);
  EXPECT_EQ(world.tenant->account().vault_gap_ns, nanoseconds(72h).count());
  run(10h);
  reboot(1h);
  check();
  EXPECT_EQ(vault() + 73h, real);
}

TEST_F(Vault, OfALaterBootOnlyWhatWasSeenCounts) {
  run(10h);
  world.close();
  pause(1h);
  world.clock.reboot();
  world.uptime.note();
  run(20h);  // the daemon runs, nobody opens this tenant
  world.clock.advance(3h);
  real += 3h;  // it is killed, and the machine stops three hours later
  world.clock.reboot();
  world.uptime.note();
  world.open();
  EXPECT_EQ(vault() + 4h, real);
  check();
}

TEST_F(Vault, WithoutALedgerItGoesOnFromTheLastRecord) {
  run(10h);
  back_up();
  run(10h);
  world.close();
  world.clock.reboot();
  Environment without = world.environment();
  without.uptime = nullptr;
  world.tenant = must(Tenant::open(without, world.directory));
  EXPECT_EQ(vault() + 10h, real);
  check();
}

TEST_F(Vault, ATenantThatIsOpenedFirstDaysAfterItWasMadeLosesNothing) {
  const Environment env = world.environment();
  must(Tenant::create(env, "/d/late", "late", "30d", 0));
  world.clock.advance(100h);
  const auto late = must(Tenant::open(env, "/d/late"));
  EXPECT_EQ(late->account().vault_ns, to_ns(world.clock.wall()));
}

TEST_F(Vault, APausedVirtualMachineIsAGapToo) {
  back_up();
  run(2h);
  pause(48h);
  back_up();
  check();
  EXPECT_EQ(world.tenant->account().vault_gap_ns, nanoseconds(48h).count());
  world.reopen();
  EXPECT_EQ(world.tenant->account().vault_gap_ns, nanoseconds(48h).count());
  must(world.tenant->confirm_gap(nanoseconds(48h).count(), {}));
  EXPECT_EQ(vault(), real);
  check();
}

TEST_F(Vault, AConfirmedGapJumpsOnceAndSurvivesARestart) {
  run(10h);
  reboot(72h);
  back_up();
  const SnapshotId late = committed.rbegin()->first;
  const nanoseconds date = lock_date(late);
  EXPECT_EQ(world.tenant->confirm_gap(nanoseconds(72h).count() + 1, {}).error().code, Errc::Usage);
  EXPECT_EQ(world.tenant->confirm_gap(0, {}).error().code, Errc::Usage);
  EXPECT_EQ(world.tenant->confirm_gap(-1, {}).error().code, Errc::Usage);
  must(world.tenant->confirm_gap(nanoseconds(70h).count(), {}));
  EXPECT_EQ(vault() + 2h, real);
  EXPECT_EQ(lock_date(late), date + 70h);
  check();
  EXPECT_FALSE(world.tenant->confirm_gap(nanoseconds(70h).count(), {}));
  must(world.tenant->confirm_gap(nanoseconds(2h).count(), {}));
  EXPECT_EQ(vault(), real);
  EXPECT_EQ(lock_date(late), date + 72h);
  back_up();
  run(1h);
  world.crash();
  world.open();
  EXPECT_EQ(vault(), real);
  EXPECT_EQ(lock_date(late), date + 72h);
  check();
}

TEST_F(Vault, WhatHasLivedThroughTheGapComesDueWithIt) {
  run(1h);
  back_up();
  const SnapshotId before = committed.begin()->first;
  run(1h);
  reboot(72h);
  const std::int64_t fell_behind = vault().count();
  back_up();
  const nanoseconds date = lock_date(before);
  EXPECT_EQ(world.tenant->confirm_gap(nanoseconds(72h).count(), vault().count() + 1).error().code, Errc::Usage);
  must(world.tenant->confirm_gap(nanoseconds(72h).count(), fell_behind));
  EXPECT_EQ(lock_date(before), date);
  for (const auto& [id, time] : committed) EXPECT_EQ(lock_date(id), date + (id == before ? 0h : 72h));
  check();
}

TEST_F(Vault, CommitsBesideAConfirmationKeepTheirFullTerm) {
  run(1h);
  reboot(72h);
  std::vector<Machine> machines;
  for (int i = 0; i < 4; ++i) machines.push_back(world.enrol("m" + std::to_string(i)));
  std::vector<TestRun> runs;
  std::vector<Bytes> cores;
  for (const Machine& m : machines) {
    runs.push_back(world.begin(m));
    const Tree tree = world.tree(m, runs.back(), 1, 1);
    world.send(m, runs.back(), tree.blobs);
    cores.push_back(world.core(m, runs.back(), tree.root));
  }
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < machines.size(); ++i)
    threads.emplace_back(
        [&, i] { must(world.tenant->commit(machines[i].id, runs[i].opened.session, cores[i], nullptr)); });
  threads.emplace_back([&] { must(world.tenant->confirm_gap(nanoseconds(72h).count(), {})); });
  for (std::thread& t : threads) t.join();
  for (std::size_t i = 0; i < machines.size(); ++i) {
    const SnapshotRow row = must(world.tenant->snapshots(machines[i].id, 0, 10)).at(0);
    EXPECT_GE(row.lock_not_before_ns, (real + kTerm).count());
  }
}

TEST_F(Vault, AnOlderImageLosesTimeAndGainsNone) {
  run(10h);
  back_up();
  const auto image = world.files();
  const retention::UptimeLedger old_ledger = must(retention::UptimeLedger::decode(world.uptime.encode()));
  run(200h);
  world.close();
  world.replace_all(image);
  // The same boot goes on: its clock is the proof, whatever the disk has forgotten.
  world.open();
  EXPECT_EQ(vault(), real);
  check();
  world.close();
  // Journal, ledger and machine are put back, and start anew: what came after is a gap.
  world.replace_all(image);
  world.clock.reboot();
  retention::Uptime older(world.clock, old_ledger);
  older.note();
  Environment env = world.environment();
  env.uptime = &older;
  shown = 0;  // it may go back here: the older journal never showed more
  world.tenant = must(Tenant::open(env, world.directory));
  EXPECT_EQ(vault() + 200h, real);
  check();
  world.close();
  // A saved virtual machine goes on in its own boot, before the anchor.
  world.clock.set_boot(1, 1min);
  world.open();
  EXPECT_LE(vault(), real);
  run(1h);
  world.reopen();
  check();
}

TEST_F(Vault, AnAnchorThatWasNotWrittenCountsNothingTwice) {
  run(10h);
  world.close();
  pause(1h);
  world.clock.reboot();
  world.uptime.note();
  world.fs.fail_on(support::Operation::Write, ".seg", Errc::DiskFull);
  world.open();
  world.fs.clear_faults();
  run(50h);
  back_up();
  check();
  world.reopen();
  check();
  world.close();
  world.clock.reboot();
  world.uptime.note();
  world.open();
  EXPECT_EQ(vault() + 1h, real);
  check();
}

TEST_F(Vault, TwoHundredRebootsWithForgedClocksMakeNothingEarly) {
  struct Gap {
    std::int64_t fell_behind_ns;  ///< vault time
    nanoseconds left;
  };
  support::SeededRandom dice(15);
  std::vector<Gap> gaps;
  nanoseconds lost{0};
  for (int i = 0; i < 200; ++i) {
    const nanoseconds off = std::chrono::minutes(1 + dice.below(3 * 24 * 60));
    reboot(off);
    lost += off;
    gaps.push_back({vault().count(), off});
    const std::int64_t forged = static_cast<std::int64_t>(dice.below(20)) - 10;  // years
    world.clock.set_wall(from_ns((real + nanoseconds(24h * 365) * forged).count()));
    check();
    run(std::chrono::minutes(dice.below(20 * 60)));
    if (dice.below(4) == 0) back_up();
    if (dice.below(3) == 0) world.reopen();
    EXPECT_EQ(vault() + lost, real);
    if (dice.below(5) == 0) {
      world.clock.set_wall(from_ns(real.count()));  // people look at a clock that is right, and believe a part of a gap
      Gap& gap = gaps[dice.below(gaps.size())];
      const nanoseconds part(1 + static_cast<std::int64_t>(dice.below(static_cast<std::uint64_t>(gap.left.count()))));
      const bool since_known = dice.below(4) != 0;
      must(world.tenant->confirm_gap(part.count(), since_known ? std::optional(gap.fell_behind_ns) : std::nullopt));
      gap.left -= part;
      lost -= part;
      if (gap.left == 0ns) gaps.erase(gaps.begin() + (&gap - gaps.data()));
    }
    check();
  }
  EXPECT_GT(committed.size(), 20u);
}

}  // namespace
}  // namespace holdfast::tenant
