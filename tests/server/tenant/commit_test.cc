#include <thread>

#include "tests/server/tenant/tenant_world.h"

namespace holdfast::tenant {
namespace {

using namespace std::chrono_literals;

struct Commit : testing::Test {
  World world;
  Machine machine = world.enrol("shop");

  Result<Bytes> commit(const TestRun& run, const Bytes& core, Refused* refused = nullptr) {
    return world.tenant->commit(machine.id, run.opened.session, core, refused);
  }
};

TEST_F(Commit, MakesASnapshotWithAReceiptThatNamesItsRecordAndDates) {
  const TestRun run = world.begin(machine);
  const Tree tree = world.tree(machine, run, 2, 2);
  world.send(machine, run, tree.blobs);
  const Bytes core = world.core(machine, run, tree.root);
  const snapshot::Receipt receipt =
      must(snapshot::decode_receipt(must(commit(run, core)), world.receipt_key.public_key()));
  EXPECT_EQ(receipt.tenant, world.tenant_id);
  EXPECT_EQ(receipt.client, machine.id);
  EXPECT_EQ(receipt.snapshot, snapshot::snapshot_id(core));
  EXPECT_EQ(receipt.sequence, 1u);
  EXPECT_EQ(receipt.server_ns, to_ns(world.clock.wall()));
  EXPECT_EQ(rfc3339(from_ns(receipt.server_ns)), "2026-01-01T00:00:00Z");
  EXPECT_EQ(rfc3339(from_ns(receipt.lock_not_before_ns)), "2026-01-31T12:00:00Z");  // 30 days, and that day west of all
  EXPECT_EQ(receipt.plan, "30d");

  const auto rows = must(world.tenant->snapshots(machine.id, 0, 10));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].core, core);
  EXPECT_EQ(rows[0].state, "live");
  EXPECT_EQ(rows[0].lock_not_before_ns, receipt.lock_not_before_ns);
  EXPECT_EQ(world.tenant->account().snapshots, 1u);
  EXPECT_EQ(world.begin(machine).opened.head_number, receipt.journal_number + 1);
}

TEST_F(Commit, RepeatedReturnsTheFirstReceiptAlsoAfterARestart) {
  const TestRun run = world.begin(machine);
  const Tree tree = world.tree(machine, run, 1, 1);
  world.send(machine, run, tree.blobs);
  const Bytes core = world.core(machine, run, tree.root);
  const Bytes first = must(commit(run, core));
  world.clock.advance(1h);
  EXPECT_EQ(must(commit(run, core)), first);
  world.crash();
  world.open();
  const SessionOpened again = must(world.tenant->open_session(machine.id, run.record, run.slot, {}, std::nullopt));
  EXPECT_EQ(again.session, run.opened.session);
  EXPECT_EQ(must(commit(run, core)), first);
  EXPECT_EQ(must(world.tenant->snapshots(machine.id, 0, 10)).size(), 1u);
}

TEST_F(Commit, RepeatedFromManyThreadsMakesOneSnapshot) {
  const TestRun run = world.begin(machine);
  const Tree tree = world.tree(machine, run, 1, 1);
  world.send(machine, run, tree.blobs);
  const Bytes core = world.core(machine, run, tree.root);
  std::vector<Bytes> receipts(8);
  std::vector<std::thread> threads;
  for (Bytes& receipt : receipts) {
    threads.emplace_back([&] {
      const auto done = commit(run, core);
      EXPECT_TRUE(done.has_value()) << done.error().message;
      if (done) receipt = *done;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Bytes& receipt : receipts) EXPECT_EQ(receipt, receipts[0]);
  EXPECT_EQ(must(world.tenant->snapshots(machine.id, 0, 10)).size(), 1u);
}

TEST_F(Commit, IsRefusedWithTheNamesOfWhatIsMissingAndSucceedsOnceItIsSent) {
  const TestRun run = world.begin(machine);
  const Tree tree = world.tree(machine, run, 1, 3);
  world.send(machine, run, {tree.blobs.begin() + 1, tree.blobs.end()});
  const Bytes core = world.core(machine, run, tree.root);
  Refused refused;
  EXPECT_EQ(commit(run, core, &refused).error().code, Errc::Missing);
  EXPECT_EQ(refused.missing, std::vector<BlobId>{tree.blobs[0].id});
  world.send(machine, run, {tree.blobs[0]});
  EXPECT_OK(commit(run, core));
}

TEST_F(Commit, PublishesWhatWasPutWithoutAFlush) {
  const TestRun run = world.begin(machine);
  const Tree tree = world.tree(machine, run, 1, 2);
  for (const TreeBlob& b : tree.blobs) EXPECT_OK(world.tenant->put(machine.id, run.opened.session, 1, b.record));
  EXPECT_OK(commit(run, world.core(machine, run, tree.root)));
}

TEST_F(Commit, UsesWhatItsBaseProves) {
  const SnapshotId base = world.back_up(machine, 3, 3);
  const Tree old = world.last_tree;
  const blob::BlobRef old_leaf{old.blobs[3].id, world.last_run.id};
  const TestRun run = world.begin(machine, base);
  EXPECT_TRUE(run.opened.base_known);
  EXPECT_EQ(run.opened.next_sequence, 2u);
  EXPECT_EQ(run.opened.previous, base);
  const Tree tree = world.tree(machine, run, 1, 2, 200, {old_leaf});
  world.send(machine, run, tree.blobs);
  EXPECT_OK(commit(run, world.core(machine, run, tree.root, base)));
}

TEST_F(Commit, DoesNotTakeAnotherClientsSnapshotOrAnUnknownOneAsBase) {
  const Machine other = world.enrol("till", machine.domain);
  const SnapshotId foreign = world.back_up(other);
  const TestRun run = world.begin(machine, foreign);
  EXPECT_FALSE(run.opened.base_known);
  const Tree tree = world.tree(machine, run, 1, 1);
  world.send(machine, run, tree.blobs);
  EXPECT_EQ(commit(run, world.core(machine, run, tree.root, foreign)).error().code, Errc::Conflict);
  EXPECT_EQ(commit(run, world.core(machine, run, tree.root, world.random.id<SnapshotId>())).error().code,
            Errc::Conflict);
  EXPECT_OK(commit(run, world.core(machine, run, tree.root)));
}

TEST_F(Commit, DoesNotLeanOnABaseWhosePackIsDamaged) {
  const SnapshotId base = world.back_up(machine, 2, 2);
  const Tree old = world.last_tree;
  const TestRun old_run = world.last_run;
  const std::string pack = world.files("packs").begin()->first;
  world.write_byte(pack, 60, 0xFF);  // within the first record
  ASSERT_FALSE(world.check().findings.empty());
  const TestRun run = world.begin(machine, base);
  EXPECT_TRUE(must(world.tenant->have(machine.id, run.opened.session, 1, {old.blobs[0].id})).empty());
  const Tree tree = world.tree(machine, run, 1, 1, 200, {{old.blobs[2].id, old_run.id}});
  world.send(machine, run, tree.blobs);
  Refused refused;
  EXPECT_EQ(commit(run, world.core(machine, run, tree.root, base), &refused).error().code, Errc::Missing);
  EXPECT_EQ(refused.missing, std::vector<BlobId>{old.blobs[2].id});
}

TEST_F(Commit, RefusesACoreThatIsNotThisSessions) {
  const Machine other = world.enrol("till", machine.domain);
  const TestRun run = world.begin(machine);
  const Tree tree = world.tree(machine, run, 1, 1);
  world.send(machine, run, tree.blobs);

  EXPECT_FALSE(commit(run, world.core(other, run, tree.root)).has_value());
  TestRun wrong_run = run;
  wrong_run.id = world.random.id<RunId>();
  EXPECT_EQ(commit(run, world.core(machine, wrong_run, tree.root)).error().code, Errc::Denied);
  TestRun wrong_sequence = run;
  wrong_sequence.opened.next_sequence = 5;
  EXPECT_EQ(commit(run, world.core(machine, wrong_sequence, tree.root)).error().code, Errc::Conflict);
  TestRun wrong_previous = run;
  wrong_previous.opened.previous = world.random.id<SnapshotId>();
  EXPECT_EQ(commit(run, world.core(machine, wrong_previous, tree.root)).error().code, Errc::Conflict);
  Machine wrong_epoch{machine.name,       machine.id, machine.domain, 2, crypto::SigningKey(machine.key.seed()),
                      machine.certificate};
  EXPECT_EQ(commit(run, world.core(wrong_epoch, run, tree.root)).error().code, Errc::Denied);
  // A certificate for the same client that the tenant has not enrolled.
  Machine second{machine.name, machine.id, machine.domain, 1, crypto::SigningKey::generate(world.random), {}};
  second.certificate = world.certify(second);
  EXPECT_EQ(commit(run, world.core(second, run, tree.root)).error().code, Errc::Denied);

  const Bytes good = world.core(machine, run, tree.root);
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes flipped = good;
    flipped[i] ^= 1;
    EXPECT_FALSE(commit(run, flipped).has_value()) << i;
  }
  EXPECT_OK(commit(run, good));
}

TEST_F(Commit, LosesTheRaceOfTwoRunsForOneSequenceNumber) {
  const TestRun first = world.begin(machine);
  const TestRun second = world.begin(machine);
  const Tree a = world.tree(machine, first, 1, 1), b = world.tree(machine, second, 1, 1);
  world.send(machine, first, a.blobs);
  world.send(machine, second, b.blobs);
  EXPECT_OK(commit(first, world.core(machine, first, a.root)));
  EXPECT_EQ(commit(second, world.core(machine, second, b.root)).error().code, Errc::Conflict);
}

TEST_F(Commit, SharesPublishesAmongManyClients) {
  constexpr std::size_t kClients = 12;
  std::vector<Machine> machines;
  std::vector<TestRun> runs;
  std::vector<Tree> trees;
  std::vector<Bytes> cores;
  for (std::size_t i = 0; i < kClients; ++i) {
    machines.push_back(world.enrol("c" + std::to_string(i)));
    runs.push_back(world.begin(machines[i]));
    trees.push_back(world.tree(machines[i], runs[i], 2, 2));
    cores.push_back(world.core(machines[i], runs[i], trees[i].root));
  }
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kClients; ++i) {
    threads.emplace_back([&, i] {
      for (const TreeBlob& b : trees[i].blobs) {
        EXPECT_TRUE(world.tenant->put(machines[i].id, runs[i].opened.session, 1, b.record).has_value());
        EXPECT_TRUE(world.tenant->flush(machines[i].id, runs[i].opened.session).has_value());
      }
      const auto done = world.tenant->commit(machines[i].id, runs[i].opened.session, cores[i], nullptr);
      EXPECT_TRUE(done.has_value()) << done.error().message;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(world.tenant->account().snapshots, kClients);
  const Digest before = must(world.tenant->index_digest());
  world.crash();
  world.open();
  EXPECT_EQ(world.tenant->account().snapshots, kClients);
  EXPECT_EQ(must(world.tenant->index_digest()), before);
  EXPECT_TRUE(world.check().findings.empty());
}

TEST_F(Commit, IsListedInOrderAndByPages) {
  for (int i = 0; i < 5; ++i) (void)world.back_up(machine, 1, 1);
  const auto page = must(world.tenant->snapshots(machine.id, 1, 2));
  ASSERT_EQ(page.size(), 2u);
  EXPECT_EQ(page[0].sequence, 2u);
  EXPECT_EQ(page[1].sequence, 3u);
  const auto newest = must(world.tenant->snapshots_before(machine.id, 5, 2));
  ASSERT_EQ(newest.size(), 2u);
  EXPECT_EQ(newest[0].sequence, 4u);
  EXPECT_EQ(newest[1].sequence, 3u);
  EXPECT_TRUE(must(world.tenant->snapshots_before(machine.id, 1, 2)).empty());
  EXPECT_EQ(world.tenant->snapshots(world.random.id<ClientId>(), 0, 10).error().code, Errc::NotFound);
  EXPECT_EQ(world.tenant->snapshots_before(world.random.id<ClientId>(), 9, 10).error().code, Errc::NotFound);
}

TEST_F(Commit, CanBeReadInPackOrder) {
  (void)world.back_up(machine, 1, 4);
  const Tree first = world.last_tree;
  const TestRun first_run = world.last_run;
  (void)world.back_up(machine, 1, 4);
  std::vector<std::pair<std::pair<DomainId, std::uint32_t>, blob::BlobRef>> refs;
  const std::pair space{machine.domain, 1u};
  refs.push_back({space, {world.last_tree.blobs[2].id, world.last_run.id}});
  refs.push_back({space, {world.random.id<BlobId>(), first_run.id}});
  refs.push_back({space, {first.blobs[3].id, first_run.id}});
  refs.push_back({space, {first.blobs[0].id, first_run.id}});
  EXPECT_EQ(world.tenant->read_order(machine.id, refs), (std::vector<std::size_t>{3, 2, 0, 1}));
}

}  // namespace
}  // namespace holdfast::tenant
