// Row 1, the tenant's part: a machine that stops at any step of a backup keeps every promise it has made.

#include "tests/server/tenant/tenant_world.h"

namespace holdfast::tenant {
namespace {

struct Promise {
  std::vector<TreeBlob> acknowledged;
  std::optional<SnapshotId> snapshot;
};

/// One backup that goes as far as the disk lets it.
Promise back_up_until_it_fails(World& world, const Machine& machine, const TestRun& run, const Tree& tree,
                               const Bytes& core) {
  Promise promise;
  const auto opened = world.tenant->open_session(machine.id, run.record, run.slot, {}, std::nullopt);
  if (!opened) return promise;
  const SessionId session = opened->session;
  std::map<std::uint64_t, TreeBlob> sent;
  const auto acknowledge = [&](const Result<std::vector<std::uint64_t>>& tags) {
    if (!tags) return false;
    for (const std::uint64_t tag : *tags) promise.acknowledged.push_back(sent.at(tag));
    return true;
  };
  std::uint64_t tag = 0;
  for (const TreeBlob& b : tree.blobs) {
    sent[++tag] = b;
    if (!acknowledge(world.tenant->put(machine.id, session, tag, b.record))) return promise;
    if (tag == 2 && !acknowledge(world.tenant->flush(machine.id, session))) return promise;
  }
  if (!acknowledge(world.tenant->flush(machine.id, session))) return promise;
  if (world.tenant->commit(machine.id, session, core, nullptr)) promise.snapshot = snapshot::snapshot_id(core);
  return promise;
}

void expect_kept(World& world, const Machine& machine, const TestRun& run, const Promise& promise,
                 const std::string& when) {
  for (const TreeBlob& b : promise.acknowledged) {
    const auto read = world.tenant->read_blob(machine.id, machine.domain, 1, {b.id, run.id});
    ASSERT_TRUE(read.has_value()) << when << ": " << read.error().message;
    ASSERT_EQ(*read, b.record) << when;
  }
  const auto rows = must(world.tenant->snapshots(machine.id, 0, 10));
  if (promise.snapshot) {
    ASSERT_EQ(rows.size(), 1u) << when;
    ASSERT_EQ(rows[0].id, *promise.snapshot) << when;
  }
  const World::Checked checked = world.check();
  for (const Finding& f : checked.findings) ASSERT_FALSE(f.damage) << when << ": " << f.file << ": " << f.what;
  ASSERT_EQ(world.tenant->account().health, "ok") << when;
}

TEST(Crash, AtAnyStepOfABackupLosesNothingAcknowledgedAndLeavesNothingStuck) {
  std::size_t states = 0;
  bool ended = false;
  for (std::uint64_t step = 0; !ended; ++step) {
    for (const support::CrashMode mode : support::kCrashModes) {
      World world(1000 + step);
      const Machine machine = world.enrol("shop");
      const TestRun run = world.plan_run(machine);
      const Tree tree = world.tree(machine, run, 1, 3, 40);
      TestRun planned = run;
      planned.opened.next_sequence = 1;
      const Bytes core = world.core(machine, planned, tree.root);
      const std::string when = "step " + std::to_string(step) + ", " + support::crash_mode_name(mode);

      world.fs.crash_after(step);
      const Promise promise = back_up_until_it_fails(world, machine, run, tree, core);
      ended = !world.fs.crashed();
      world.crash(mode, step);
      world.open();
      ++states;
      expect_kept(world, machine, run, promise, when);
      if (HasFatalFailure()) return;

      // The same run goes on, or has committed; either way there is one snapshot of it in the end.
      const auto again = world.tenant->open_session(machine.id, run.record, run.slot, {}, std::nullopt);
      ASSERT_TRUE(again.has_value()) << when << ": " << again.error().message;
      TestRun resumed = run;
      resumed.opened = *again;
      if (must(world.tenant->snapshots(machine.id, 0, 10)).empty()) world.send(machine, resumed, tree.blobs);
      ASSERT_TRUE(world.tenant->commit(machine.id, again->session, core, nullptr).has_value()) << when;
      ASSERT_EQ(must(world.tenant->snapshots(machine.id, 0, 10)).size(), 1u) << when;
      const Digest grown = must(world.tenant->index_digest());
      ASSERT_TRUE(world.tenant->rebuild_index().has_value());
      ASSERT_EQ(must(world.tenant->index_digest()), grown) << when;
      if (ended) break;
    }
  }
  EXPECT_GT(states, 300u);
}

/// Every single operation that fails, while the machine goes on: no acknowledgement is a lie.
TEST(WriteError, AtAnyStepOfABackupLosesNothingAcknowledged) {
  bool ended = false;
  for (const Errc code : {Errc::Io, Errc::DiskFull}) {
    ended = false;
    for (std::uint64_t step = 0; !ended; ++step) {
      World world(2000 + step);
      const Machine machine = world.enrol("shop");
      const TestRun run = world.plan_run(machine);
      const Tree tree = world.tree(machine, run, 1, 3, 40);
      TestRun planned = run;
      planned.opened.next_sequence = 1;
      const Bytes core = world.core(machine, planned, tree.root);
      const std::string when = "step " + std::to_string(step) + ", " + std::string(errc_name(code));
      world.fs.fail_at(step, code);
      const Promise promise = back_up_until_it_fails(world, machine, run, tree, core);
      ended = !world.fs.struck();
      world.fs.clear_faults();
      // What was acknowledged can be read at once, and after a crash.
      for (const TreeBlob& b : promise.acknowledged) {
        const auto read = world.tenant->read_blob(machine.id, machine.domain, 1, {b.id, run.id});
        ASSERT_TRUE(read.has_value()) << when << " (" << world.fs.struck_at() << "): " << read.error().message;
      }
      world.crash();
      world.open();
      expect_kept(world, machine, run, promise, when);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace holdfast::tenant
