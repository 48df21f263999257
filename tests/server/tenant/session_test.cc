#include <thread>

#include "tests/server/tenant/tenant_world.h"

namespace holdfast::tenant {
namespace {

using namespace std::chrono_literals;

std::size_t pack_files(World& world) { return world.files("packs").size(); }

TEST(Session, AcknowledgesOnlyWhatAFlushMadeDurable) {
  World world;
  const Machine machine = world.enrol("shop");
  const TestRun run = world.begin(machine);
  const TreeBlob blob = world.blob(machine, run, blob::Type::Data, {}, 5000);
  EXPECT_TRUE(must(world.tenant->put(machine.id, run.opened.session, 77, blob.record)).empty());
  EXPECT_EQ(must(world.tenant->flush(machine.id, run.opened.session)), std::vector<std::uint64_t>{77});
  EXPECT_TRUE(must(world.tenant->flush(machine.id, run.opened.session)).empty());
  EXPECT_EQ(must(world.tenant->read_blob(machine.id, machine.domain, 1, {blob.id, run.id})), blob.record);
}

TEST(Session, PutsASmallIncrementIntoOneMixedPackAndALargeOneIntoTwo) {
  World world;
  const Machine machine = world.enrol("shop");
  const TestRun small = world.begin(machine);
  world.send(machine, small, world.tree(machine, small, 1, 2).blobs);
  EXPECT_EQ(pack_files(world), 1u);
  const TestRun large = world.begin(machine);
  world.send(machine, large, world.tree(machine, large, 1, 3, 600'000).blobs);
  EXPECT_EQ(pack_files(world), 3u);
}

TEST(Session, AcknowledgesByItselfWhenAPackIsFull) {
  World world;
  const Machine machine = world.enrol("shop");
  const TestRun run = world.begin(machine);
  std::vector<std::uint64_t> acknowledged;
  std::uint64_t sent = 0;
  for (; sent * (4u << 20) < pack::kTargetBytes + (4u << 20); ++sent) {
    const TreeBlob blob = world.blob(machine, run, blob::Type::Data, {}, 4u << 20);
    const auto tags = must(world.tenant->put(machine.id, run.opened.session, sent, blob.record));
    acknowledged.insert(acknowledged.end(), tags.begin(), tags.end());
  }
  EXPECT_EQ(acknowledged, (std::vector<std::uint64_t>{0, 1, 2, 3}));
  EXPECT_EQ(must(world.tenant->flush(machine.id, run.opened.session)).size(), 1u);
  EXPECT_EQ(pack_files(world), 2u);
}

TEST(Session, StoresARepeatedBlobOnceAndAcknowledgesItWithTheFirst) {
  World world;
  const Machine machine = world.enrol("shop");
  const TestRun run = world.begin(machine);
  const TreeBlob blob = world.blob(machine, run, blob::Type::Data, {}, 1000);
  EXPECT_TRUE(must(world.tenant->put(machine.id, run.opened.session, 1, blob.record)).empty());
  EXPECT_TRUE(must(world.tenant->put(machine.id, run.opened.session, 2, blob.record)).empty());
  EXPECT_EQ(must(world.tenant->flush(machine.id, run.opened.session)), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(must(world.tenant->put(machine.id, run.opened.session, 3, blob.record)), std::vector<std::uint64_t>{3});
  EXPECT_TRUE(must(world.tenant->flush(machine.id, run.opened.session)).empty());
  EXPECT_EQ(pack_files(world), 1u);
}

TEST(Session, RefusesRecordsOfAnotherDomainEpochOrRunAndMalformedOnes) {
  World world;
  const Machine machine = world.enrol("shop");
  const TestRun run = world.begin(machine);
  Machine other_domain{
      machine.name, machine.id, world.random.id<DomainId>(), 1, crypto::SigningKey::generate(world.random), {}};
  Machine other_epoch{machine.name, machine.id, machine.domain, 2, crypto::SigningKey::generate(world.random), {}};
  TestRun other_run = run;
  other_run.id = world.random.id<RunId>();
  for (const Bytes& record : {world.blob(other_domain, run, blob::Type::Data, {}, 10).record,
                              world.blob(other_epoch, run, blob::Type::Data, {}, 10).record,
                              world.blob(machine, other_run, blob::Type::Data, {}, 10).record}) {
    EXPECT_EQ(world.tenant->put(machine.id, run.opened.session, 1, record).error().code, Errc::Denied);
  }
  const Bytes good = world.blob(machine, run, blob::Type::Data, {}, 10).record;
  for (std::size_t length = 0; length < good.size(); ++length) {
    EXPECT_EQ(world.tenant->put(machine.id, run.opened.session, 1, ByteSpan(good).first(length)).error().code,
              Errc::Corrupt);
  }
  EXPECT_EQ(world.tenant->put(machine.id, run.opened.session, 1, Bytes(blob::kMaxRecordBytes + 1)).error().code,
            Errc::Limit);
  EXPECT_OK(world.tenant->put(machine.id, run.opened.session, 1, good));  // none of it ended the session
}

TEST(Session, IsNotOpenedByAForgedRunRecordOrAnotherRunsSlot) {
  World world;
  const Machine machine = world.enrol("shop");
  const Machine other = world.enrol("till");
  const TestRun good = world.plan_run(machine);
  const TestRun second = world.plan_run(machine);
  EXPECT_FALSE(world.tenant->open_session(other.id, good.record, good.slot, {}, std::nullopt).has_value());
  EXPECT_EQ(world.tenant->open_session(machine.id, good.record, second.slot, {}, std::nullopt).error().code,
            Errc::Denied);
  EXPECT_EQ(
      world.tenant->open_session(world.random.id<ClientId>(), good.record, good.slot, {}, std::nullopt).error().code,
      Errc::Denied);
  for (std::size_t i = 0; i < good.record.size(); ++i) {
    Bytes flipped = good.record;
    flipped[i] ^= 1;
    EXPECT_FALSE(world.tenant->open_session(machine.id, flipped, good.slot, {}, std::nullopt).has_value()) << i;
  }
  EXPECT_TRUE(world.files("slots").empty());
}

TEST(Session, CannotTakeOverAnotherClientsRun) {
  World world;
  const Machine machine = world.enrol("shop");
  const Machine thief = world.enrol("till", machine.domain);
  const TestRun run = world.begin(machine);
  TestRun forged = world.plan_run(thief);
  snapshot::RunRecord record;
  record.tenant = world.tenant_id;
  record.domain = thief.domain;
  record.epoch = 1;
  record.client = thief.id;
  record.run = run.id;
  record.recipients = {world.random.id<RecipientId>()};
  snapshot::KeySlot slot;
  slot.run = run.id;
  slot.wraps.push_back({record.recipients[0], world.random.id<PublicKey>(), world.random.bytes(48)});
  const auto opened = world.tenant->open_session(thief.id, snapshot::encode_signed(record, thief.key),
                                                 snapshot::encode(slot), {}, std::nullopt);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(must(world.tenant->run(machine.id, run.id)).slot, run.slot);
  EXPECT_EQ(
      world.tenant->put(thief.id, run.opened.session, 1, world.blob(machine, run, blob::Type::Data, {}, 10).record)
          .error()
          .code,
      Errc::NotFound);
  EXPECT_EQ(world.tenant->flush(thief.id, run.opened.session).error().code, Errc::NotFound);
  EXPECT_EQ(world.tenant->abandon(thief.id, run.opened.session).error().code, Errc::NotFound);
  EXPECT_EQ(world.tenant->have(thief.id, run.opened.session, 1, {}).error().code, Errc::NotFound);
  EXPECT_EQ(world.tenant->commit(thief.id, run.opened.session, Bytes{}, nullptr).error().code, Errc::NotFound);
}

TEST(Session, GoesOnAfterARestartWithEverythingThatWasAcknowledged) {
  World world;
  const Machine machine = world.enrol("shop");
  const TestRun run = world.begin(machine);
  const Tree tree = world.tree(machine, run, 2, 3);
  EXPECT_EQ(world.send(machine, run, {tree.blobs.begin(), tree.blobs.begin() + 4}), 4u);
  world.crash();
  world.open();
  const SessionOpened again =
      must(world.tenant->open_session(machine.id, run.record, run.slot, {}, run.opened.session));
  EXPECT_EQ(again.session, run.opened.session);
  EXPECT_EQ(must(world.tenant->open_session(machine.id, run.record, run.slot, {}, std::nullopt)).session,
            run.opened.session);
  EXPECT_EQ(must(world.tenant->have(machine.id, run.opened.session, 1,
                                    {tree.blobs[0].id, tree.blobs[3].id, tree.blobs[4].id}))
                .size(),
            2u);
  EXPECT_EQ(world.send(machine, run, {tree.blobs.begin() + 4, tree.blobs.end()}), tree.blobs.size() - 4);
  EXPECT_OK(world.tenant->commit(machine.id, run.opened.session, world.core(machine, run, tree.root), nullptr));
}

TEST(Session, PublishesWhatALostConnectionLeftWhenTheNextOneOpensIt) {
  World world;
  const Machine machine = world.enrol("shop");
  const TestRun run = world.begin(machine);
  const TreeBlob blob = world.blob(machine, run, blob::Type::Data, {}, 1000);
  EXPECT_TRUE(must(world.tenant->put(machine.id, run.opened.session, 1, blob.record)).empty());
  ASSERT_OK(world.tenant->open_session(machine.id, run.record, run.slot, {}, run.opened.session));
  EXPECT_EQ(must(world.tenant->have(machine.id, run.opened.session, 1, {blob.id})).size(), 1u);
  EXPECT_TRUE(must(world.tenant->flush(machine.id, run.opened.session))
                  .empty());  // the old connection's tag is not told to the new one
}

TEST(Session, LetsTheNextRunOfTheSameClientUseWhatAKilledOneHadSent) {
  World world;
  const Machine machine = world.enrol("shop");
  const TestRun killed = world.begin(machine);
  const TreeBlob acknowledged = world.blob(machine, killed, blob::Type::Data, {}, 1000);
  const TreeBlob in_memory = world.blob(machine, killed, blob::Type::Data, {}, 1000);
  world.send(machine, killed, {acknowledged});
  EXPECT_TRUE(must(world.tenant->put(machine.id, killed.opened.session, 9, in_memory.record)).empty());
  const TestRun next = world.begin(machine);
  const auto known = must(world.tenant->have(machine.id, next.opened.session, 1,
                                             {acknowledged.id, world.random.id<BlobId>(), in_memory.id}));
  ASSERT_EQ(known.size(), 2u);
  EXPECT_EQ(known[0].position, 0u);
  EXPECT_EQ(known[0].run, killed.id);
  EXPECT_EQ(known[0].record_digest, blob::record_digest(acknowledged.record));
  EXPECT_EQ(known[1].position, 2u);
}

TEST(Session, OpenedAgainWhileItIsBeingOpenedIsOneSession) {  // the connection broke before the answer
  World world;
  const Machine machine = world.enrol("shop");
  for (int round = 0; round < 20; ++round) {
    const TestRun run = world.plan_run(machine);
    std::vector<SessionId> opened(4);
    std::vector<std::thread> threads;
    for (SessionId& one : opened) {
      threads.emplace_back([&] {
        const auto answer = world.tenant->open_session(machine.id, run.record, run.slot, {}, std::nullopt);
        if (answer) one = answer->session;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_FALSE(opened[0].is_zero());
    EXPECT_EQ(opened, std::vector<SessionId>(4, opened[0]));
  }
}

TEST(Session, RefusesAnotherSlotForARunThatItKnows) {
  World world;
  const Machine machine = world.enrol("shop");
  const TestRun run = world.begin(machine);
  snapshot::KeySlot slot = must(snapshot::decode_key_slot(run.slot));
  slot.wraps[0].ciphertext[0] ^= 1;
  EXPECT_EQ(world.tenant->open_session(machine.id, run.record, snapshot::encode(slot), {}, std::nullopt).error().code,
            Errc::Conflict);
  EXPECT_EQ(must(world.tenant->run(machine.id, run.id)).slot, run.slot);
}

TEST(Session, EndsWhenItIsAbandoned) {
  World world;
  const Machine machine = world.enrol("shop");
  const TestRun run = world.begin(machine);
  EXPECT_OK(
      world.tenant->put(machine.id, run.opened.session, 1, world.blob(machine, run, blob::Type::Data, {}, 10).record));
  ASSERT_OK(world.tenant->abandon(machine.id, run.opened.session));
  EXPECT_OK(world.tenant->abandon(machine.id, run.opened.session));
  EXPECT_EQ(pack_files(world), 0u);
  EXPECT_EQ(world.tenant->flush(machine.id, run.opened.session).error().code, Errc::Conflict);
  EXPECT_EQ(world.tenant->open_session(machine.id, run.record, run.slot, {}, std::nullopt).error().code,
            Errc::Conflict);
  world.reopen();
  EXPECT_EQ(world.tenant->flush(machine.id, run.opened.session).error().code, Errc::Conflict);
}

TEST(Session, ExpiresAfterSevenDaysWithoutActivity) {
  World world;
  const Machine machine = world.enrol("shop");
  const TestRun old = world.begin(machine);
  world.clock.advance(24h * 8);
  const TestRun next = world.begin(machine);
  EXPECT_EQ(world.tenant->flush(machine.id, old.opened.session).error().code, Errc::Conflict);
  EXPECT_OK(world.tenant->flush(machine.id, next.opened.session));
}

TEST(Session, OfOneClientAreBounded) {
  World world;
  const Machine machine = world.enrol("shop");
  for (int i = 0; i < 64; ++i) (void)world.begin(machine);
  const TestRun more = world.plan_run(machine);
  const auto before = world.files();
  EXPECT_EQ(world.tenant->open_session(machine.id, more.record, more.slot, {}, std::nullopt).error().code, Errc::Limit);
  EXPECT_EQ(world.files(), before);  // a refused one leaves nothing, not even its key slot
  EXPECT_EQ(must(world.tenant->snapshots(std::nullopt, 0, 10)).size(), 0u);
  world.clock.advance(24h * 8);
  EXPECT_OK(world.tenant->open_session(machine.id, more.record, more.slot, {}, std::nullopt));
}

TEST(Session, StopsWhenItsClientIsRevoked) {
  World world;
  const Machine machine = world.enrol("shop");
  const TestRun run = world.begin(machine);
  ASSERT_OK(world.tenant->revoke("shop"));
  EXPECT_EQ(
      world.tenant->put(machine.id, run.opened.session, 1, world.blob(machine, run, blob::Type::Data, {}, 10).record)
          .error()
          .code,
      Errc::Denied);
  EXPECT_EQ(world.tenant->have(machine.id, run.opened.session, 1, {}).error().code, Errc::Denied);
  const TestRun next = world.plan_run(machine);
  EXPECT_EQ(world.tenant->open_session(machine.id, next.record, next.slot, {}, std::nullopt).error().code,
            Errc::Denied);
}

TEST(Have, SeesForeignUploadsOfItsDomainOnlyOnceTheyAreCommitted) {
  World world;
  const Machine first = world.enrol("shop");
  const Machine member = world.enrol("till", first.domain);
  const Machine stranger = world.enrol("other");
  const TestRun run = world.begin(first);
  const Tree tree = world.tree(first, run, 1, 1);
  world.send(first, run, tree.blobs);
  const TestRun asking = world.begin(member);
  const TestRun outside = world.begin(stranger);
  const std::vector<BlobId> question{tree.blobs[0].id};
  EXPECT_TRUE(must(world.tenant->have(member.id, asking.opened.session, 1, question)).empty());
  EXPECT_EQ(must(world.tenant->have(first.id, run.opened.session, 1, question)).size(), 1u);
  ASSERT_OK(world.tenant->commit(first.id, run.opened.session, world.core(first, run, tree.root), nullptr));
  EXPECT_EQ(must(world.tenant->have(member.id, asking.opened.session, 1, question)).size(), 1u);
  EXPECT_TRUE(must(world.tenant->have(member.id, asking.opened.session, 2, question)).empty());
  EXPECT_TRUE(must(world.tenant->have(stranger.id, outside.opened.session, 1, question)).empty());
  EXPECT_OK(world.tenant->read_blob(member.id, member.domain, 1, {tree.blobs[0].id, run.id}));
  EXPECT_EQ(world.tenant->read_blob(stranger.id, first.domain, 1, {tree.blobs[0].id, run.id}).error().code,
            Errc::NotFound);
  EXPECT_EQ(world.tenant->read_blob(stranger.id, stranger.domain, 1, {tree.blobs[0].id, run.id}).error().code,
            Errc::NotFound);
  EXPECT_EQ(world.tenant->run(stranger.id, run.id).error().code, Errc::NotFound);
  EXPECT_OK(world.tenant->run(member.id, run.id));
}

TEST(Have, IsBounded) {
  World world;
  const Machine machine = world.enrol("shop");
  const TestRun run = world.begin(machine);
  EXPECT_OK(world.tenant->have(machine.id, run.opened.session, 1, std::vector<BlobId>(4096)));
  EXPECT_EQ(world.tenant->have(machine.id, run.opened.session, 1, std::vector<BlobId>(4097)).error().code, Errc::Limit);
}

TEST(Quota, IsNotOvershotByManyRacingClients) {
  constexpr std::uint64_t kQuota = 2'000'000;
  World world(7, kQuota);
  std::vector<Machine> machines;
  std::vector<TestRun> runs;
  for (int i = 0; i < 8; ++i) {
    machines.push_back(world.enrol("c" + std::to_string(i)));
    runs.push_back(world.begin(machines.back()));
  }
  std::vector<std::vector<Bytes>> records(8);
  for (std::size_t i = 0; i < 8; ++i) {
    for (int n = 0; n < 30; ++n)
      records[i].push_back(world.blob(machines[i], runs[i], blob::Type::Data, {}, 20'000).record);
  }
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (const Bytes& record : records[i]) {
        const auto put = world.tenant->put(machines[i].id, runs[i].opened.session, 1, record);
        if (put) continue;
        EXPECT_EQ(put.error().code, Errc::Quota);
        ++refused;
      }
      EXPECT_TRUE(world.tenant->flush(machines[i].id, runs[i].opened.session).has_value());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(refused.load(), 0);
  EXPECT_LE(world.tenant->account().used_bytes, kQuota + 50'000);  // footers are not foreseen
  EXPECT_GT(world.tenant->account().used_bytes, kQuota / 2);
}

TEST(DiskFull, FailsTheSessionLeavesTheTenantAliveAndGoesOnWhenThereIsRoom) {
  World world;
  const Machine machine = world.enrol("shop");
  const TestRun run = world.begin(machine);
  const Tree tree = world.tree(machine, run, 1, 4, 700'000);
  std::uint64_t used = 0;
  for (const auto& [name, bytes] : world.files()) used += bytes.size();
  world.fs.disk().set_capacity(used + 1'500'000);
  std::optional<Errc> failed;
  for (const TreeBlob& b : tree.blobs) {
    const auto put = world.tenant->put(machine.id, run.opened.session, 1, b.record);
    if (!put) failed = put.error().code;
  }
  const auto flushed = world.tenant->flush(machine.id, run.opened.session);
  if (!flushed) failed = flushed.error().code;
  EXPECT_EQ(failed, Errc::DiskFull);
  EXPECT_EQ(world.tenant->account().health, "ok");
  EXPECT_TRUE(world.files("tmp").empty());
  world.fs.disk().set_capacity(std::nullopt);
  EXPECT_EQ(world.tenant->flush(machine.id, run.opened.session).error().code,
            Errc::DiskFull);  // until the client opens it again
  ASSERT_OK(world.tenant->open_session(machine.id, run.record, run.slot, {}, run.opened.session));
  EXPECT_EQ(world.send(machine, run, tree.blobs), tree.blobs.size());
  EXPECT_OK(world.tenant->commit(machine.id, run.opened.session, world.core(machine, run, tree.root), nullptr));
}

TEST(DiskFull, RefusesNewSessionsBelowTheFloor) {
  World world;
  const Machine machine = world.enrol("shop");
  world.close();
  world.floor_bytes = 1u << 20;
  world.fs.disk().set_capacity(1u << 20);
  world.open();
  const TestRun run = world.plan_run(machine);
  EXPECT_EQ(world.tenant->open_session(machine.id, run.record, run.slot, {}, std::nullopt).error().code,
            Errc::DiskFull);
  world.fs.disk().set_capacity(8u << 20);
  EXPECT_OK(world.tenant->open_session(machine.id, run.record, run.slot, {}, std::nullopt));
}

TEST(WriteError, MakesTheTenantReadOnlyUntilItIsOpenedAgain) {
  World world;
  const Machine machine = world.enrol("shop");
  const SnapshotId snapshot = world.back_up(machine);
  const Tree kept = world.last_tree;
  const TestRun kept_run = world.last_run;
  const TestRun run = world.begin(machine);
  EXPECT_OK(
      world.tenant->put(machine.id, run.opened.session, 1, world.blob(machine, run, blob::Type::Data, {}, 100).record));
  world.fs.fail_on(support::Operation::Sync, "/journal/");
  EXPECT_FALSE(world.tenant->flush(machine.id, run.opened.session).has_value());
  EXPECT_TRUE(world.tenant->account().health.starts_with("read-only")) << world.tenant->account().health;
  const TestRun next = world.plan_run(machine);
  EXPECT_FALSE(world.tenant->open_session(machine.id, next.record, next.slot, {}, std::nullopt).has_value());
  EXPECT_EQ(must(world.tenant->snapshots(machine.id, 0, 10)).at(0).id, snapshot);
  EXPECT_OK(world.tenant->read_blob(machine.id, machine.domain, 1, {kept.blobs[0].id, kept_run.id}));
  world.fs.clear_faults();
  world.reopen();
  EXPECT_EQ(world.tenant->account().health, "ok");
  EXPECT_OK(world.tenant->open_session(machine.id, next.record, next.slot, {}, std::nullopt));
}

}  // namespace
}  // namespace holdfast::tenant
