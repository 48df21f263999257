#pragma once
// Builders for tests of a tenant: a disk in memory, clients with certificates, runs, blobs, small trees.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "common/crypto/hash.h"
#include "server/tenant/tenant.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_fs.h"
#include "tests/support/seeded_random.h"

namespace holdfast::tenant {

#define ASSERT_OK(expression)                                          \
  do {                                                                 \
    const auto& hf_outcome = (expression);                             \
    ASSERT_TRUE(hf_outcome.has_value()) << hf_outcome.error().message; \
  } while (false)
#define EXPECT_OK(expression)                                          \
  do {                                                                 \
    const auto& hf_outcome = (expression);                             \
    EXPECT_TRUE(hf_outcome.has_value()) << hf_outcome.error().message; \
  } while (false)

/// The value, or the end of the test program with the error.
template <class T>
T must(Result<T> result) {
  if (!result) ADD_FAILURE() << result.error().message;
  HF_ASSERT(result.has_value());
  return *std::move(result);
}
inline void must(Status result) {
  if (!result) ADD_FAILURE() << result.error().message;
  HF_ASSERT(result.has_value());
}

/// A record that is well formed; its body is random, nobody here can open it.
inline Bytes make_record(Random& random, const blob::Header& wanted, const std::vector<blob::BlobRef>& children,
                         std::size_t body_bytes) {
  blob::Header header = wanted;
  header.cipher = 1;
  header.child_count = static_cast<std::uint32_t>(children.size());
  header.body_bytes = static_cast<std::uint32_t>(body_bytes);
  ByteWriter out;
  out.raw(blob::encode_header(header)).raw(blob::encode_children(children));
  Bytes rest(12 + body_bytes + 16);
  random.fill(rest);
  out.raw(rest);
  return out.take();
}

/// A machine of the tenant, as enrolment leaves it.
struct Machine {
  std::string name;
  ClientId id;
  DomainId domain;
  std::uint32_t epoch = 1;
  crypto::SigningKey key;
  Bytes certificate;
};

/// One run of a machine with its session.
struct TestRun {
  RunId id;
  Bytes record, slot;
  SessionOpened opened;
};

struct TreeBlob {
  BlobId id;
  Bytes record;
  blob::Type type;
};
/// A root with leaves with data blobs, all of one run.
struct Tree {
  std::vector<TreeBlob> blobs;  ///< root last
  snapshot::Root root;
};

class World {
 public:
  explicit World(std::uint64_t seed = 1, std::uint64_t quota_bytes = 0, const std::string& plan = "30d")
      : random(seed), receipt_key(crypto::SigningKey::generate(random)), root(crypto::SigningKey::generate(random)) {
    must(fs.disk().make_directory("/d", 0700));
    must(fs.disk().sync_directory("/"));
    tenant_id = must(Tenant::create(environment(), directory, "acme", plan, quota_bytes));
    open();
  }

  Environment environment() { return Environment{fs, clock, random, shared, receipt_key, floor_bytes, &uptime}; }
  void open() { tenant = must(Tenant::open(environment(), directory)); }
  Result<std::unique_ptr<Tenant>> try_open() { return Tenant::open(environment(), directory); }
  void close() { tenant.reset(); }
  void reopen() {
    close();
    open();
  }
  /// The machine stops: what was not synced is gone.
  void crash(support::CrashMode mode = support::CrashMode::DropUnsynced, std::uint64_t crash_seed = 0) {
    close();
    fs.reboot(mode, crash_seed);
  }

  Machine enrol(const std::string& name, std::optional<DomainId> domain = {}) {
    const Digest token = random.id<Digest>();
    const journal::ClientPayload invited = must(tenant->invite(name, token, to_ns(clock.wall()) + 1'000'000'000));
    Machine out{name, invited.id, domain ? *domain : random.id<DomainId>(), 1, crypto::SigningKey::generate(random),
                {}};
    out.certificate = certify(out);
    (void)must(
        tenant->enrol(name, token, random.id<Digest>(), out.certificate, [] { return Result<std::string>("PEM"); }));
    return out;
  }
  Bytes certify(const Machine& machine) const {
    snapshot::ClientCertificate certificate{tenant_id,      machine.id, machine.key.public_key(),
                                            machine.domain, 0,          root.public_key()};
    return snapshot::encode_signed(certificate, root);
  }

  TestRun plan_run(const Machine& machine) {
    TestRun run;
    run.id = random.id<RunId>();
    snapshot::RunRecord record;
    record.tenant = tenant_id;
    record.domain = machine.domain;
    record.epoch = machine.epoch;
    record.client = machine.id;
    record.run = run.id;
    record.recipients = {random.id<RecipientId>()};
    record.time_ns = to_ns(clock.wall());
    run.record = snapshot::encode_signed(record, machine.key);
    snapshot::KeySlot slot;
    slot.run = run.id;
    slot.wraps.push_back({record.recipients[0], random.id<PublicKey>(), random.bytes(48)});
    run.slot = snapshot::encode(slot);
    return run;
  }
  TestRun begin(const Machine& machine, const SnapshotId& base = {}) {
    TestRun run = plan_run(machine);
    run.opened = must(tenant->open_session(machine.id, run.record, run.slot, base, std::nullopt));
    return run;
  }

  TreeBlob blob(const Machine& machine, const TestRun& run, blob::Type type, const std::vector<blob::BlobRef>& children,
                std::size_t body_bytes) {
    blob::Header header;
    header.type = type;
    header.domain = machine.domain;
    header.epoch = machine.epoch;
    header.run = run.id;
    header.blob = random.id<BlobId>();
    return {header.blob, make_record(random, header, children, body_bytes), type};
  }

  /// `leaves` leaves with `data` blobs each; `kept` are leaves that stand in the store already.
  Tree tree(const Machine& machine, const TestRun& run, std::size_t leaves, std::size_t data,
            std::size_t body_bytes = 200, const std::vector<blob::BlobRef>& kept = {}) {
    Tree out;
    std::vector<blob::BlobRef> tops = kept;
    for (std::size_t i = 0; i < leaves; ++i) {
      std::vector<blob::BlobRef> children;
      for (std::size_t j = 0; j < data; ++j) {
        out.blobs.push_back(blob(machine, run, blob::Type::Data, {}, body_bytes));
        children.push_back({out.blobs.back().id, run.id});
      }
      std::sort(children.begin(), children.end());
      out.blobs.push_back(blob(machine, run, blob::Type::Leaf, children, 50));
      tops.push_back({out.blobs.back().id, run.id});
    }
    std::sort(tops.begin(), tops.end());
    out.blobs.push_back(blob(machine, run, blob::Type::Index, tops, 50));
    out.root = {run.id, out.blobs.back().id, blob::record_digest(out.blobs.back().record)};
    return out;
  }

  /// Puts and flushes; returns how many tags were acknowledged.
  std::size_t send(const Machine& machine, const TestRun& run, const std::vector<TreeBlob>& blobs) {
    std::size_t acknowledged = 0;
    for (const TreeBlob& b : blobs)
      acknowledged += must(tenant->put(machine.id, run.opened.session, next_tag++, b.record)).size();
    return acknowledged + must(tenant->flush(machine.id, run.opened.session)).size();
  }

  Bytes core(const Machine& machine, const TestRun& run, const snapshot::Root& tree_root, const SnapshotId& base = {},
             const std::vector<snapshot::SourceNote>& sources = {}) {
    snapshot::Core core;
    core.tenant = tenant_id;
    core.domain = machine.domain;
    core.epoch = machine.epoch;
    core.client = machine.id;
    core.sequence = run.opened.next_sequence;
    core.previous = run.opened.previous;
    core.root = tree_root;
    core.run = run.id;
    core.base = base;
    core.sources = sources;
    if (sources.empty()) core.sources = {{random.id<SourceId>(), snapshot::SourceResult::Complete}};
    core.time_ns = client_time_ns.value_or(to_ns(clock.wall()));
    core.certificate = machine.certificate;
    core.sealed = random.bytes(40);
    return snapshot::encode_signed(core, machine.key);
  }

  /// A whole backup: session, blobs, commit. Returns the snapshot.
  SnapshotId back_up(const Machine& machine, std::size_t leaves = 2, std::size_t data = 3,
                     std::size_t body_bytes = 200) {
    const TestRun run = begin(machine);
    const Tree made = tree(machine, run, leaves, data, body_bytes);
    EXPECT_EQ(send(machine, run, made.blobs), made.blobs.size());
    const Bytes bytes = core(machine, run, made.root);
    (void)must(tenant->commit(machine.id, run.opened.session, bytes, nullptr));
    last_tree = made;
    last_run = run;
    return snapshot::snapshot_id(bytes);
  }

  /// A backup without anything new: the tree of the last whole one again.
  SnapshotId back_up_again(const Machine& machine, const std::vector<snapshot::SourceNote>& sources = {}) {
    const TestRun run = begin(machine);
    const Bytes bytes = core(machine, run, last_tree.root, {}, sources);
    (void)must(tenant->commit(machine.id, run.opened.session, bytes, nullptr));
    return snapshot::snapshot_id(bytes);
  }

  struct Checked {
    CheckSummary summary;
    std::vector<Finding> findings;
  };
  Checked check(bool read_data = true) {
    Checked out;
    out.summary = must(tenant->check(read_data, [&](const Finding& f) { out.findings.push_back(f); }));
    return out;
  }

  /// Path (relative to the tenant's directory) → bytes, of every file below it.
  std::map<std::string, Bytes> files(const std::string& below = "") {
    std::map<std::string, Bytes> out;
    collect_files(below, out);
    return out;
  }
  std::string path(const std::string& relative) const { return fs::join(directory, relative); }
  void write_byte(const std::string& relative, std::uint64_t offset, std::uint8_t value) {
    const auto file = must(fs.disk().open_write(path(relative)));
    must(file->write_at(offset, ByteSpan(&value, 1)));
    must(file->sync());
  }
  /// A tenant's files put somewhere else, bytes as they are, names synced.
  void replace_all(const std::map<std::string, Bytes>& wanted) {
    remove_tree(directory);
    for (const auto& [name, bytes] : wanted) {
      must(fs::make_directories(fs.disk(), fs::parent(path(name)), 0700));
      must(fs::create_file(fs.disk(), path(name), bytes, 0600));
    }
  }
  void remove_tree(const std::string& at) {
    const auto there = fs.disk().stat(at);
    if (!there) return;
    for (const fs::DirectoryEntry& entry : must(fs.disk().list(at))) {
      const std::string child = fs::join(at, entry.name);
      if (entry.kind == fs::FileKind::Directory)
        remove_tree(child);
      else
        must(fs.disk().unlink(child));
    }
    must(fs.disk().remove_directory(at));
    must(fs.disk().sync_directory(fs::parent(at)));
  }

  support::FaultyFs fs;
  support::FakeClock clock;
  retention::Uptime uptime{clock};
  support::SeededRandom random;
  std::shared_ptr<index::Shared> shared = index::make_shared_resources(8u << 20, 8u << 20);
  crypto::SigningKey receipt_key;
  crypto::SigningKey root;
  std::string directory = "/d/acme";
  std::uint64_t floor_bytes = 0;
  TenantId tenant_id;
  std::unique_ptr<Tenant> tenant;
  Tree last_tree;
  TestRun last_run;
  std::uint64_t next_tag = 1;
  std::optional<std::int64_t> client_time_ns;  ///< what clients write into their cores; nullopt: the truth

 private:
  void collect_files(const std::string& relative, std::map<std::string, Bytes>& out) {
    const std::string at = relative.empty() ? directory : path(relative);
    if (!fs.disk().stat(at)) return;
    for (const fs::DirectoryEntry& entry : must(fs.disk().list(at))) {
      const std::string name = relative.empty() ? entry.name : relative + "/" + entry.name;
      if (entry.kind == fs::FileKind::Directory)
        collect_files(name, out);
      else
        out[name] = must(fs::read_file(fs.disk(), path(name), 1u << 30));
    }
  }
};

inline bool names(const std::vector<Finding>& findings, const std::string& file) {
  return std::any_of(findings.begin(), findings.end(), [&](const Finding& f) { return f.file == file; });
}

}  // namespace holdfast::tenant
