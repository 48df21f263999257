#include "server/collect/collect.h"

#include <gtest/gtest.h>

#include "server/collect/survey.h"
#include "server/collect/trash.h"
#include "tests/server/collect/collect_world.h"

namespace holdfast::collect {
namespace {

using tenant::Life;
using tenant::Machine;
using tenant::TestRun;
using tenant::Tree;

TEST(Collect, GivesBackWhatADeletedSnapshotAloneHadAndKeepsTheRest) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  const SnapshotId first = world.back_up(shop, 2, 3);
  const Tree first_tree = world.last_tree;
  const TestRun first_run = world.last_run;
  const SnapshotId second = world.back_up(shop, 2, 3);
  const Tree second_tree = world.last_tree;
  const TestRun second_run = world.last_run;
  EXPECT_EQ(world.collect().condemned_packs, 0u);
  world.lock(first);
  EXPECT_EQ(world.collect().condemned_packs, 0u) << "locked is not deleted";
  world.publish(journal::Kind::Undelete, journal::encode(journal::UndeletePayload{
                                             "test", {{first, to_ns(world.clock.wall()) + 90 * 86'400'000'000'000}}}));
  world.end(first);

  const CollectSummary done = world.collect();
  EXPECT_EQ(done.condemned_packs, 1u);
  EXPECT_EQ(done.slots, 1u);
  EXPECT_EQ(done.removed_packs, 0u);
  EXPECT_EQ(done.trash_packs, 1u);
  EXPECT_GT(done.next_removal_ns, to_ns(world.clock.wall()));
  EXPECT_FALSE(world.reads(shop, first_run, first_tree));
  EXPECT_TRUE(world.reads(shop, second_run, second_tree));
  EXPECT_EQ(world.life(first), Life::Deleted);
  world.expect_tidy();
  world.expect_index_right();

  world.clock.advance(7 * 24h - 1ns);
  EXPECT_EQ(world.collect().removed_packs, 0u);
  world.clock.advance(1ns);
  const CollectSummary later = world.collect();
  EXPECT_EQ(later.removed_packs, 1u);
  EXPECT_EQ(later.erased, 1u);
  EXPECT_EQ(later.trash_packs, 0u);
  EXPECT_EQ(world.life(first), Life::Erased);
  EXPECT_EQ(world.life(second), Life::Live);
  world.expect_tidy();
  world.expect_undamaged();
  world.reopen();
  EXPECT_TRUE(world.reads(shop, second_run, second_tree));
  EXPECT_EQ(world.tenant->account().health, "ok");
  world.expect_tidy();
}

TEST(Collect, ADryRunSaysWhatItWouldDoAndChangesNothing) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  world.end(world.back_up(shop));
  const auto before = world.files();
  CollectOptions dry;
  dry.dry_run = true;
  const CollectSummary would = world.collect(dry);
  EXPECT_EQ(would.condemned_packs, 1u);
  EXPECT_EQ(world.files(), before);
  EXPECT_EQ(world.collect().condemned_packs, 1u);
}

TEST(Collect, KeepsWhatAnotherSnapshotStillRefersToAndErasesOnlyWhenAllIsGone) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  const SnapshotId first = world.back_up(shop, 8, 3);
  const Tree first_tree = world.last_tree;
  const TestRun first_run = world.last_run;
  std::vector<blob::BlobRef> leaves = world.leaves_of(first_tree, first_run);
  leaves.resize(7);  // most of the first pack stays alive
  const SnapshotId second = world.back_up_on(shop, first, leaves, 1);
  world.end(first);
  world.clock.advance(30 * 24h);
  for (int i = 0; i < 3; ++i) {
    (void)world.collect();
    world.clock.advance(8 * 24h);
  }
  EXPECT_EQ(world.life(first), Life::Deleted) << "its eighth leaf is still in the pack";
  world.expect_undamaged();
  for (const blob::BlobRef& leaf : leaves)
    EXPECT_TRUE(world.tenant->read_blob(shop.id, shop.domain, 1, leaf).has_value());
  world.end(second);
  for (int i = 0; i < 2; ++i) {
    (void)world.collect();
    world.clock.advance(8 * 24h);
  }
  (void)world.collect();
  EXPECT_EQ(world.life(first), Life::Erased);
  EXPECT_EQ(world.life(second), Life::Erased);
  EXPECT_EQ(world.tenant->account().used_bytes, 0u);
  world.expect_tidy();
}

TEST(Collect, RewritesAPackThatIsHalfDeadAndReadersDoNotNotice) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  const SnapshotId first = world.back_up(shop, 8, 3, 4000);
  const Tree first_tree = world.last_tree;
  const TestRun first_run = world.last_run;
  std::vector<blob::BlobRef> leaves = world.leaves_of(first_tree, first_run);
  leaves.resize(2);
  (void)world.back_up_on(shop, first, leaves, 1, 3, 4000);
  const Tree second_tree = world.last_tree;
  const TestRun second_run = world.last_run;
  world.end(first);
  const CollectSummary done = world.collect();
  EXPECT_EQ(done.rewritten_packs, 1u);
  EXPECT_EQ(done.written_packs, 2u) << "data and segments apart";
  EXPECT_LT(done.written_bytes, done.rewritten_bytes / 2);
  EXPECT_EQ(done.slots, 0u) << "the first run's key opens what was copied";
  world.expect_index_right();
  const auto reads_all = [&] {
    for (const blob::BlobRef& leaf : leaves)
      EXPECT_TRUE(world.tenant->read_blob(shop.id, shop.domain, 1, leaf).has_value());
    EXPECT_TRUE(world.reads(shop, second_run, second_tree));
  };
  reads_all();
  world.clock.advance(7 * 24h);
  EXPECT_EQ(world.collect().removed_packs, 1u);
  EXPECT_EQ(world.life(first), Life::Erased);
  reads_all();
  world.expect_undamaged();
  world.expect_tidy();
  world.reopen();
  reads_all();
  // The copies are everybody's: a third backup may build on them.
  const SnapshotId third = world.back_up_on(shop, world.tenant->snapshots(shop.id, 0, 10)->back().id, leaves, 0);
  EXPECT_EQ(world.life(third), Life::Live);
}

TEST(Collect, MergesManySmallPacksOfOneAge) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  std::vector<std::pair<TestRun, Tree>> all;
  for (int i = 0; i < 64; ++i) {
    (void)world.back_up(shop, 1, 2, 100);
    all.emplace_back(world.last_run, world.last_tree);
  }
  const CollectSummary done = world.collect();
  EXPECT_EQ(done.rewritten_packs, 64u);
  EXPECT_EQ(done.written_packs, 2u);
  for (const auto& [run, tree] : all) EXPECT_TRUE(world.reads(shop, run, tree));
  world.expect_index_right();
  EXPECT_EQ(world.collect().rewritten_packs, 0u);
}

TEST(Collect, LeavesOpenSessionsAndWhatTheyHoldAlone) {
  CollectWorld world;
  const Machine shop = world.enrol("shop"), till = world.enrol("till", shop.domain);
  const SnapshotId base = world.back_up(shop, 2, 3);
  const Tree base_tree = world.last_tree;
  const TestRun base_run = world.last_run;
  const SnapshotId other = world.back_up(till, 1, 1);
  const Tree other_tree = world.last_tree;
  // An open session that has `base` as its base, was told "have" of the other one's blob, and has sent a pack.
  const TestRun run = world.begin(shop, base);
  const auto have = must(world.tenant->have(shop.id, run.opened.session, 1, {other_tree.blobs[0].id}));
  ASSERT_EQ(have.size(), 1u);
  const Tree fresh = world.tree(shop, run, 1, 2, 200, world.leaves_of(base_tree, base_run));
  ASSERT_EQ(world.send(shop, run, fresh.blobs), fresh.blobs.size());
  // Both end while it is open; it is used once a day.
  world.lock(base);
  world.lock(other);
  for (int day = 0; day < 31; ++day) {
    world.clock.advance(24h);
    (void)must(world.tenant->have(shop.id, run.opened.session, 1, {other_tree.blobs[0].id}));
  }
  world.publish(journal::Kind::Deleted, journal::encode(journal::DeletedPayload{{base, other}}));
  for (int i = 0; i < 3; ++i) {
    const CollectSummary done = world.collect();
    EXPECT_EQ(done.condemned_packs, 0u);
    EXPECT_EQ(done.rewritten_packs, 0u);
    EXPECT_EQ(done.expired_sessions, 0u);
    EXPECT_EQ(done.erased, 0u);
  }
  const Bytes core = world.core(shop, run, fresh.root, base);
  const auto committed = world.tenant->commit(shop.id, run.opened.session, core, nullptr);
  ASSERT_TRUE(committed.has_value()) << committed.error().message;
  (void)world.collect();
  EXPECT_TRUE(world.reads(shop, run, fresh));
  for (const blob::BlobRef& leaf : world.leaves_of(base_tree, base_run))
    EXPECT_TRUE(world.tenant->read_blob(shop.id, shop.domain, 1, leaf).has_value());
  world.expect_undamaged();
}

TEST(Collect, ErasesNothingOfWhichAnOpenSessionStillHoldsAPart) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  const TestRun open = world.begin(shop);
  const Tree held = world.tree(shop, open, 1, 2);
  ASSERT_EQ(world.send(shop, open, held.blobs), held.blobs.size());
  // Another session of the same machine commits a snapshot over what the open one has sent, and the snapshot ends.
  const SnapshotId gone = world.back_up_on(shop, {}, world.leaves_of(held, open), 1);
  world.lock(gone);
  const auto pass_days = [&](int days) {
    for (int day = 0; day < days; ++day) {
      world.clock.advance(24h);
      (void)must(world.tenant->have(shop.id, open.opened.session, 1, {}));
    }
  };
  pass_days(45);
  world.publish(journal::Kind::Deleted, journal::encode(journal::DeletedPayload{{gone}}));
  EXPECT_GT(world.collect().condemned_packs, 0u);
  pass_days(8);
  EXPECT_EQ(world.collect().erased, 0u);
  EXPECT_EQ(world.life(gone), Life::Deleted);
  EXPECT_TRUE(world.reads(shop, open, held));
  // It is given up: now all of it goes, and only then it is said.
  ASSERT_TRUE(world.tenant->abandon(shop.id, open.opened.session));
  EXPECT_GT(world.collect().condemned_packs, 0u);
  world.clock.advance(8 * 24h);
  EXPECT_EQ(world.collect().erased, 1u);
  EXPECT_EQ(world.life(gone), Life::Erased);
  world.expect_tidy();
}

TEST(Collect, EndsSessionsThatNobodyUsedForAWeekAndGivesTheirPacksBack) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  const TestRun run = world.begin(shop);
  const Tree tree = world.tree(shop, run, 1, 2);
  ASSERT_EQ(world.send(shop, run, tree.blobs), tree.blobs.size());
  world.reopen();
  world.clock.advance(7 * 24h);
  EXPECT_EQ(world.collect().expired_sessions, 0u);
  world.clock.advance(1h);
  const CollectSummary done = world.collect();
  EXPECT_EQ(done.expired_sessions, 1u);
  EXPECT_EQ(done.condemned_packs, 1u);
  EXPECT_EQ(done.slots, 1u);
  EXPECT_EQ(world.tenant->put(shop.id, run.opened.session, 9, tree.blobs[0].record).error().code, Errc::Conflict);
  world.clock.advance(7 * 24h);
  (void)world.collect();
  EXPECT_EQ(world.tenant->account().used_bytes, 0u);
  world.expect_tidy();
}

TEST(Collect, JudgesAgainWhatWasCommittedSinceTheSurvey) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  const SnapshotId first = world.back_up(shop, 1, 3);
  const Tree first_tree = world.last_tree;
  const TestRun first_run = world.last_run;
  world.end(first);

  Survey survey(world.parts());
  must(survey.take());
  const CollectPlan plan = plan_collect(survey.facts(), {});
  ASSERT_EQ(plan.condemn.size(), 1u);
  const tenant::Pack dead = survey.packs().at(plan.condemn[0]).pack;
  // Nobody asked "have": a client that remembers the blobs simply names them.
  const SnapshotId second = world.back_up_on(shop, {}, world.leaves_of(first_tree, first_run), 0);
  Condemnation work;
  work.packs.push_back(must(read_candidate(world.parts(), dead)));
  EXPECT_TRUE(must(condemn(world.parts(), survey, std::move(work))).empty());
  EXPECT_EQ(world.life(second), Life::Live);
  (void)world.collect();
  world.expect_undamaged();
}

TEST(Collect, APinHoldsAPackAlsoWhenItIsSetAfterTheSurvey) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  const SnapshotId first = world.back_up(shop, 1, 3);
  const Tree first_tree = world.last_tree;
  world.end(first);
  Survey survey(world.parts());
  must(survey.take());
  const CollectPlan plan = plan_collect(survey.facts(), {});
  ASSERT_EQ(plan.condemn.size(), 1u);
  const tenant::Pack dead = survey.packs().at(plan.condemn[0]).pack;
  const TestRun run = world.begin(shop);
  ASSERT_EQ(must(world.tenant->have(shop.id, run.opened.session, 1, {first_tree.blobs[0].id})).size(), 1u);
  const auto try_it = [&] {
    Condemnation work;
    work.packs.push_back(must(read_candidate(world.parts(), dead)));
    return must(condemn(world.parts(), survey, std::move(work)));
  };
  EXPECT_TRUE(try_it().empty());
  must(world.tenant->abandon(shop.id, run.opened.session));
  EXPECT_EQ(try_it().size(), 1u);
}

TEST(Collect, APinEndsWithASessionThatTheNextOneOfItsClientHasEnded) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  const SnapshotId first = world.back_up(shop, 1, 3);
  const Tree first_tree = world.last_tree;
  const TestRun idle = world.begin(shop);
  ASSERT_EQ(must(world.tenant->have(shop.id, idle.opened.session, 1, {first_tree.blobs[0].id})).size(), 1u);
  world.end(first);  // a month and more later
  const TestRun next = world.begin(shop);
  must(world.tenant->abandon(shop.id, next.opened.session));
  EXPECT_EQ(world.collect().condemned_packs, 1u);
}

TEST(Collect, ACondemnedBlobIsANewUpload) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  const SnapshotId first = world.back_up(shop, 1, 3);
  const Tree first_tree = world.last_tree;
  const TestRun first_run = world.last_run;
  world.end(first);
  ASSERT_EQ(world.collect().condemned_packs, 1u);
  const TestRun run = world.begin(shop, first);
  EXPECT_FALSE(run.opened.base_known) << "deleted";
  EXPECT_TRUE(must(world.tenant->have(shop.id, run.opened.session, 1, {first_tree.blobs[0].id})).empty());
  const Tree tree = world.tree(shop, run, 0, 0, 50, world.leaves_of(first_tree, first_run));
  ASSERT_EQ(world.send(shop, run, tree.blobs), tree.blobs.size());
  tenant::Refused refused;
  const auto committed =
      world.tenant->commit(shop.id, run.opened.session, world.core(shop, run, tree.root, first), &refused);
  ASSERT_FALSE(committed.has_value());
  EXPECT_EQ(committed.error().code, Errc::Missing);
  EXPECT_FALSE(refused.missing.empty());
}

TEST(Collect, OrphansWaitInTheTrashAndAreNeverAdopted) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  (void)world.back_up(shop);
  const PackId orphan = world.random.id<PackId>();
  const std::string name = pack::object_name(orphan, 1);
  must(fs::make_directories(world.fs.disk(), fs::parent(world.path(name)), 0700));
  must(fs::create_file(world.fs.disk(), world.path(name), Bytes(500), 0600));
  world.reopen();
  const CollectSummary done = world.collect();
  EXPECT_EQ(done.orphans, 1u);
  EXPECT_EQ(done.orphan_bytes, 500u);
  EXPECT_TRUE(world.files().contains(name));
  EXPECT_EQ(world.collect().orphans, 0u);
  world.clock.advance(7 * 24h);
  EXPECT_EQ(world.collect().removed_packs, 1u);
  EXPECT_FALSE(world.files().contains(name));
  world.expect_tidy();
}

TEST(Collect, ManyOrphansAreLeftAndSaid) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  (void)world.back_up(shop);
  for (std::size_t i = 0; i <= kFewOrphans; ++i) {
    const std::string name = pack::object_name(world.random.id<PackId>(), 1);
    must(fs::make_directories(world.fs.disk(), fs::parent(world.path(name)), 0700));
    must(fs::create_file(world.fs.disk(), world.path(name), Bytes(5), 0600));
  }
  const CollectSummary done = world.collect();
  EXPECT_EQ(done.orphans, 0u);
  ASSERT_EQ(done.held.size(), 1u);
  EXPECT_NE(done.held[0].find("17 orphans"), std::string::npos) << done.held[0];
}

TEST(Collect, WhatIsBeingWrittenIsNoOrphan) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  (void)world.back_up(shop);
  const TestRun run = world.begin(shop);
  const Tree tree = world.tree(shop, run, 1, 2);
  // A full disk for the journal only: the packs are durable, their record is not.
  (void)must(world.tenant->put(shop.id, run.opened.session, 1, tree.blobs[0].record));
  const PackId writing = world.random.id<PackId>();
  const std::string name = pack::object_name(writing, world.parts().epoch.counter);
  must(fs::make_directories(world.fs.disk(), fs::parent(world.path(name)), 0700));
  must(fs::create_file(world.fs.disk(), world.path(name), Bytes(5), 0600));
  world.parts().in_flight.add(writing);
  EXPECT_EQ(world.collect().orphans, 0u);
  world.parts().in_flight.remove(writing);
  EXPECT_EQ(world.collect().orphans, 1u);
}

TEST(Collect, NothingIsDestroyedInAStoreThatWasRolledBack) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  world.end(world.back_up(shop));
  const auto old = world.files();
  world.reopen();
  world.reopen();
  (void)world.back_up(shop);
  std::map<std::string, Bytes> mixed = world.files();
  world.close();
  for (auto& [name, bytes] : mixed) {
    const auto before = old.find(name);
    if (!name.starts_with("packs/") && !name.starts_with("slots/") && before != old.end()) bytes = before->second;
  }
  world.replace_all(mixed);
  for (int i = 0; i < 10; ++i) {
    world.open();
    const std::size_t packs = world.parts().store->list("packs/")->size();
    const auto done = collect::collect(*world.tenant, {});
    ASSERT_FALSE(done.has_value());
    EXPECT_NE(done.error().message.find("rolled back"), std::string::npos) << done.error().message;
    EXPECT_EQ(world.parts().store->list("packs/")->size(), packs);
    EXPECT_NE(world.tenant->account().health.find("rolled back"), std::string::npos);
    world.clock.advance(30 * 24h);
    world.close();
  }
}

TEST(Collect, LeavesADomainAloneInWhichASegmentIsMissing) {
  CollectWorld world;
  const Machine shop = world.enrol("shop"), till = world.enrol("till");
  const SnapshotId damaged = world.back_up(shop, 2, 3);
  const SnapshotId shop_ended = world.back_up(shop, 1, 3);
  const SnapshotId till_ended = world.back_up(till, 1, 3);
  const PackId lost = world.parts().state.read(
      [&](const tenant::State& s) { return s.session(s.snapshot(damaged)->payload.session)->packs[0]; });
  must(world.fs.disk().unlink(world.path(pack::object_name(lost, world.parts().epoch.counter))));
  world.lock(shop_ended);
  world.end(till_ended);
  world.publish(journal::Kind::Deleted, journal::encode(journal::DeletedPayload{{shop_ended}}));
  world.reopen();
  (void)world.tenant->rebuild_index();
  const CollectSummary done = world.collect();
  EXPECT_EQ(done.condemned_packs, 1u) << "the other domain's";
  ASSERT_GE(done.held.size(), 1u);
  EXPECT_NE(done.held[0].find(shop.domain.hex()), std::string::npos) << done.held[0];
  world.clock.advance(8 * 24h);
  EXPECT_EQ(world.collect().removed_packs, 0u) << "something that is missing may be in the trash";
  EXPECT_EQ(world.life(till_ended), Life::Deleted);
}

TEST(Collect, WaitsForACheckAndForItself) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  world.end(world.back_up(shop));
  {
    const std::shared_lock checking(world.parts().condemning);
    EXPECT_EQ(collect::collect(*world.tenant, {}).error().code, Errc::Conflict);
  }
  {
    const std::lock_guard other(world.parts().collecting);
    EXPECT_EQ(collect::collect(*world.tenant, {}).error().code, Errc::Locked);
  }
  EXPECT_EQ(world.collect().condemned_packs, 1u);
}

TEST(Collect, RemovesSlotsThatNoSessionNames) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  (void)world.back_up(shop);
  must(world.parts().store->replace(tenant::slot_name(world.random.id<RunId>()), Bytes(10)));
  (void)world.collect();
  world.expect_tidy();
}

TEST(Collect, LeavesAndNamesManySlotsThatNoSessionNames) {
  CollectWorld world;
  (void)world.back_up(world.enrol("shop"));
  std::vector<std::string> names;
  for (int i = 0; i < 65; ++i) {
    names.push_back(tenant::slot_name(world.random.id<RunId>()));
    must(world.parts().store->replace(names.back(), Bytes(10)));
  }
  const CollectSummary done = world.collect();
  ASSERT_EQ(done.held.size(), 1u);
  EXPECT_TRUE(done.held[0].starts_with("65 key slots")) << done.held[0];
  EXPECT_TRUE(world.files("slots").contains(names[0]));
  must(world.parts().store->remove(names[0]));
  EXPECT_TRUE(world.collect().held.empty());
  world.expect_tidy();
}

/// As a copy of an older directory brings it back, or a disk that forgot the removal.
TEST(Collect, RemovesASlotThatIsThereAgain) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  const SnapshotId first = world.back_up(shop);
  const auto [name, bytes] = *world.files("slots").begin();
  (void)world.back_up(shop);
  world.end(first);
  (void)world.collect();
  world.clock.advance(7 * 24h);
  (void)world.collect();
  ASSERT_FALSE(world.files("slots").contains(name));
  must(world.parts().store->replace(name, bytes));
  (void)world.collect();
  EXPECT_FALSE(world.files("slots").contains(name));
  world.expect_tidy();
}

/// Under a plan that promises a date no pack keeps bytes of a deleted snapshot because most of it is alive.
TEST(Collect, RewritesWhatHoldsADeletedSnapshotsBytesInTimeWhereThePlanPromisesIt) {
  for (const bool promised : {false, true}) {
    CollectWorld world(1, 0, promised ? "30d-max" : "30d");
    const Machine shop = world.enrol("shop");
    const SnapshotId first = world.back_up(shop, 4, 3);
    std::vector<blob::BlobRef> leaves = world.leaves_of(world.last_tree, world.last_run);
    const Bytes gone = world.last_tree.blobs[0].record;
    leaves.erase(leaves.begin());  // of the first leaf, whose data is the first
    (void)world.back_up_on(shop, first, leaves, 1);
    world.end(first);
    EXPECT_EQ(world.collect().rewritten_packs, 0u);
    world.clock.advance(23h);
    EXPECT_EQ(world.collect().rewritten_packs, 0u);
    world.clock.advance(1h);
    EXPECT_EQ(world.collect().rewritten_packs, promised ? 1u : 0u);
    world.clock.advance(7 * 24h);
    (void)world.collect();
    bool found = false;
    for (const auto& [name, bytes] : world.files("packs"))
      found = found || std::search(bytes.begin(), bytes.end(), gone.begin(), gone.end()) != bytes.end();
    EXPECT_EQ(found, !promised);
    EXPECT_EQ(world.life(first), promised ? tenant::Life::Erased : tenant::Life::Deleted);
    world.expect_undamaged();
  }
}

/// One pass removes one of two packs that remain of a deleted snapshot, and finds that nothing dead is left in a third.
TEST(Collect, RemovesAndShrinksWhatRemainsInOnePass) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  const TestRun run = world.begin(shop);
  const Tree tree = world.tree(shop, run, 2, 2);
  std::vector<tenant::TreeBlob> one(tree.blobs.begin(), tree.blobs.begin() + 3),
      rest(tree.blobs.begin() + 3, tree.blobs.end());
  world.send(shop, run, one);  // the first leaf has a pack of its own
  world.send(shop, run, rest);
  const Bytes core = world.core(shop, run, tree.root);
  (void)must(world.tenant->commit(shop.id, run.opened.session, core, nullptr));
  const SnapshotId first = snapshot::snapshot_id(core);
  (void)world.back_up(shop);
  world.end(first);
  // The first leaf's pack is pinned while the others are condemned, and taken up again while those wait.
  const TestRun again = world.begin(shop);
  ASSERT_EQ(must(world.tenant->have(shop.id, again.opened.session, 1, {tree.blobs[2].id})).size(), 1u);
  EXPECT_EQ(world.collect().condemned_packs, 1u);
  const Tree second = world.tree(shop, again, 0, 0, 50, {{tree.blobs[2].id, run.id}});
  world.send(shop, again, second.blobs);
  (void)must(world.tenant->commit(shop.id, again.opened.session, world.core(shop, again, second.root), nullptr));
  world.clock.advance(7 * 24h);
  const CollectSummary done = world.collect();
  EXPECT_EQ(done.removed_packs, 1u);
  EXPECT_EQ(done.erased, 1u);
  EXPECT_EQ(world.life(first), Life::Erased);
  world.expect_undamaged();
}

/// A leaf may name a root, for the commit check takes from a base what the base proves: what is below it is alive.
TEST(Collect, AHostileLeafOverTheBasesRootHidesNothing) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  const SnapshotId base = world.back_up(shop, 3, 3);
  const Tree base_tree = world.last_tree;
  const TestRun base_run = world.last_run;
  const TestRun run = world.begin(shop, base);
  const tenant::TreeBlob leaf =
      world.blob(shop, run, blob::Type::Leaf, {{base_tree.root.blob, base_tree.root.run}}, 50);
  ASSERT_EQ(world.send(shop, run, {leaf}), 1u);
  const snapshot::Root root{run.id, leaf.id, blob::record_digest(leaf.record)};
  const auto committed = world.tenant->commit(shop.id, run.opened.session, world.core(shop, run, root, base), nullptr);
  world.clock.advance(30 * 24h);
  for (int i = 0; i < 3; ++i) {
    const CollectSummary done = world.collect();
    EXPECT_EQ(done.condemned_packs, 0u) << (committed ? "the commit was taken" : committed.error().message);
    world.clock.advance(8 * 24h);
  }
  EXPECT_TRUE(world.reads(shop, base_run, base_tree));
}

/// What is condemned between a commit's check and its record is looked up again.
TEST(Collect, ACommitThatWasCheckedBeforeACondemnationIsCheckedAgain) {
  CollectWorld world;
  const Machine shop = world.enrol("shop"), till = world.enrol("till", shop.domain);
  const SnapshotId first = world.back_up(shop, 1, 3);
  const Tree first_tree = world.last_tree;
  const TestRun first_run = world.last_run;
  world.end(first);
  const std::uint64_t before = world.parts().state.read([](const tenant::State& s) { return s.condemnations(); });
  ASSERT_EQ(world.collect().condemned_packs, 1u);
  EXPECT_EQ(world.parts().state.read([](const tenant::State& s) { return s.condemnations(); }), before + 1);
  const TestRun run = world.begin(till);
  const Tree tree = world.tree(till, run, 0, 0, 50, world.leaves_of(first_tree, first_run));
  world.send(till, run, tree.blobs);
  EXPECT_EQ(world.tenant->commit(till.id, run.opened.session, world.core(till, run, tree.root), nullptr).error().code,
            Errc::Missing);
}

/// A pack that cannot be read hides what its segments name: nothing of that domain is judged.
TEST(Collect, AnUnreadablePackWithExtentsCostsNothingThatIsWhole) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  const TestRun run = world.begin(shop);
  const tenant::TreeBlob data = world.blob(shop, run, blob::Type::Data, {}, 300);
  ASSERT_EQ(world.send(shop, run, {data}), 1u);  // a pack of its own
  const tenant::TreeBlob extents = world.blob(shop, run, blob::Type::Extents, {{data.id, run.id}}, 50);
  ASSERT_EQ(world.send(shop, run, {extents}), 1u);
  const tenant::TreeBlob leaf = world.blob(shop, run, blob::Type::Leaf, {{extents.id, run.id}}, 50);
  ASSERT_EQ(world.send(shop, run, {leaf}), 1u);
  const snapshot::Root root{run.id, leaf.id, blob::record_digest(leaf.record)};
  (void)must(world.tenant->commit(shop.id, run.opened.session, world.core(shop, run, root), nullptr));
  const PackId hidden =
      world.parts().state.read([&](const tenant::State& s) { return s.session(run.opened.session)->packs[1]; });
  const std::string name = world.path(pack::object_name(hidden, world.parts().epoch.counter));
  const Bytes bytes = must(fs::read_file(world.fs.disk(), name, 1u << 30));
  must(world.fs.disk().unlink(name));
  world.reopen();
  (void)world.tenant->rebuild_index();
  const CollectSummary done = world.collect();
  EXPECT_EQ(done.condemned_packs, 0u);
  EXPECT_FALSE(done.held.empty());
  must(fs::create_file(world.fs.disk(), name, bytes, 0600));
  world.reopen();
  (void)world.tenant->rebuild_index();
  EXPECT_TRUE(world.tenant->read_blob(shop.id, shop.domain, 1, {data.id, run.id}).has_value());
}

TEST(Collect, OnAFullDiskTheTrashGoesAfterADay) {
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  world.end(world.back_up(shop));
  (void)world.collect();
  world.clock.advance(24h);
  EXPECT_EQ(world.collect().removed_packs, 0u);
  world.floor_bytes = ~std::uint64_t{0} >> 1;
  world.reopen();
  EXPECT_EQ(world.collect().removed_packs, 1u);
}

}  // namespace
}  // namespace holdfast::collect
