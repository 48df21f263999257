// Why: collection must not hold up backups. Ten million blobs of fifty clients, half of them dead, are collected while fifty
// committers back up five times a second each: how long does a commit wait, beside the same committers without collection?
// The work is the tenant's own on real packs below $TMPDIR; only the syncs are left out while those are made.
// Usage: collect_bench [BLOBS [COMMITTERS [PER_SECOND]]]

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <thread>

#include "common/console/console.h"
#include "common/console/format.h"
#include "common/crypto/hash.h"
#include "server/collect/collect.h"
#include "server/tenant/parts.h"
#include "tests/bench/unsynced_fs.h"
#include "tests/support/fake_clock.h"
#include "tests/support/seeded_random.h"
#include "tests/support/temporary_directory.h"

namespace holdfast {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kIndexCacheBytes = 256u << 20, kIndexWriteBufferBytes = 64u << 20;  // holdfastd's defaults
constexpr std::size_t kBlobsPerPack = 512, kBlobsPerLeaf = 256, kPacksPerRecord = 64;
constexpr double kMostSeconds = 1.0;  ///< a commit may wait

template <class T>
T must(Result<T> result) {
  if (!result) std::fprintf(stderr, "collect_bench: %s\n", result.error().message.c_str());
  HF_ASSERT(result.has_value());
  return *std::move(result);
}
void must(const Status& status) {
  if (!status) std::fprintf(stderr, "collect_bench: %s\n", status.error().message.c_str());
  HF_ASSERT(status.has_value());
}

struct Machine {
  ClientId id;
  DomainId domain;
  crypto::SigningKey key;
  Bytes certificate;
};

struct Run {
  RunId id;
  SessionId session;
  tenant::SessionOpened opened;
};

/// A tenant and what its clients would do.
class Store {
 public:
  explicit Store(std::string directory) : directory_(std::move(directory)) {
    id_ = must(tenant::Tenant::create(environment(unsynced_), directory_, "bench", "30d", 0));
    tenant_ = must(tenant::Tenant::open(environment(unsynced_), directory_));
  }
  /// From now on as holdfastd sees it.
  void open_synced() {
    tenant_.reset();
    tenant_ = must(tenant::Tenant::open(environment(fs::real()), directory_));
  }
  tenant::Tenant& tenant() { return *tenant_; }
  support::FakeClock& clock() { return clock_; }

  Machine enrol(const std::string& name) {
    Random& random = system_random();
    Machine machine{{}, domain_, crypto::SigningKey::generate(random), {}};
    const Digest token = random.id<Digest>();
    machine.id = must(tenant_->invite(name, token, to_ns(clock_.wall()) + 1'000'000'000)).id;
    const snapshot::ClientCertificate certificate{id_,     machine.id, machine.key.public_key(),
                                                  domain_, 0,          root_.public_key()};
    machine.certificate = snapshot::encode_signed(certificate, root_);
    (void)must(tenant_->enrol(name, token, random.id<Digest>(), machine.certificate,
                              [] { return Result<std::string>("PEM"); }));
    return machine;
  }

  Run begin(const Machine& machine, const SnapshotId& base) {
    Random& random = system_random();
    snapshot::RunRecord record;
    record.tenant = id_;
    record.domain = machine.domain;
    record.epoch = 1;
    record.client = machine.id;
    record.run = random.id<RunId>();
    record.recipients = {random.id<RecipientId>()};
    record.time_ns = to_ns(clock_.wall());
    snapshot::KeySlot slot;
    slot.run = record.run;
    slot.wraps.push_back({record.recipients[0], random.id<PublicKey>(), [&] {
                            Bytes bytes(48);
                            random.fill(bytes);
                            return bytes;
                          }()});
    Run run{record.run, {}, {}};
    run.opened = must(tenant_->open_session(machine.id, snapshot::encode_signed(record, machine.key),
                                            snapshot::encode(slot), base, std::nullopt));
    run.session = run.opened.session;
    return run;
  }

  Bytes core(const Machine& machine, const Run& run, const snapshot::Root& root, const SnapshotId& base) {
    snapshot::Core core;
    core.tenant = id_;
    core.domain = machine.domain;
    core.epoch = 1;
    core.client = machine.id;
    core.sequence = run.opened.next_sequence;
    core.previous = run.opened.previous;
    core.root = root;
    core.run = run.id;
    core.base = base;
    core.sources = {{system_random().id<SourceId>(), snapshot::SourceResult::Complete}};
    core.time_ns = to_ns(clock_.wall());
    core.certificate = machine.certificate;
    core.sealed = Bytes(40);
    return snapshot::encode_signed(core, machine.key);
  }

 private:
  tenant::Environment environment(fs::FileSystem& fs) { return {fs, clock_, system_random(), shared_, receipt_key_}; }

  const std::string directory_;
  bench::UnsyncedFs unsynced_;
  support::FakeClock clock_;
  std::shared_ptr<index::Shared> shared_ = index::make_shared_resources(kIndexCacheBytes, kIndexWriteBufferBytes);
  crypto::SigningKey receipt_key_ = crypto::SigningKey::generate(system_random());
  crypto::SigningKey root_ = crypto::SigningKey::generate(system_random());
  DomainId domain_ = system_random().id<DomainId>();
  TenantId id_;
  std::unique_ptr<tenant::Tenant> tenant_;
};

struct Record {
  blob::BlobRef ref;
  Bytes bytes;
};

Record make_record(Random& random, const Machine& machine, const RunId& run, blob::Type type,
                   std::vector<blob::BlobRef> children) {
  std::sort(children.begin(), children.end());
  blob::Header header;
  header.cipher = 1;
  header.type = type;
  header.domain = machine.domain;
  header.epoch = 1;
  header.run = run;
  header.blob = random.id<BlobId>();
  header.child_count = static_cast<std::uint32_t>(children.size());
  header.body_bytes = 16;
  ByteWriter out;
  out.raw(blob::encode_header(header)).raw(blob::encode_children(children));
  out.raw(Bytes(12 + 16 + 16));
  return {header.ref(), out.take()};
}

/// Sends blobs as a session would have, without a question and an answer for each.
class BulkUpload {
 public:
  BulkUpload(Store& store, const SessionId& session) : store_(store), session_(session) {}

  void add(const Record& record) {
    tenant::Parts& parts = store_.tenant().parts();
    const blob::RecordView view = must(blob::decode_record(record.bytes));
    if (!writer_) {
      id_ = system_random().id<PackId>();
      object_ = must(parts.store->create(pack::object_name(id_, parts.epoch.counter)));
      writer_ = std::make_unique<pack::PackWriter>(id_, parts.epoch.counter, pack::Kind::Mixed,
                                                   [this](ByteSpan bytes) { return object_->append(bytes); });
    }
    must(writer_->add(record.bytes, view, blob::record_digest(record.bytes)));
    if (writer_->blob_count() == kBlobsPerPack) close();
  }
  void finish() {
    if (writer_) close();
    publish();
  }

 private:
  void close() {
    pack::PackWriter::Finished finished = must(writer_->finish());
    must(object_->commit());
    packs_.push_back({id_, store_.tenant().parts().epoch.counter, finished.total_bytes, finished.footer_digest});
    footers_.push_back(std::move(finished.footer));
    writer_.reset();
    if (packs_.size() == kPacksPerRecord) publish();
  }
  void publish() {
    if (packs_.empty()) return;
    const journal::PacksPayload payload{session_, std::exchange(packs_, {})};
    (void)must(store_.tenant().parts().publisher->publish(
        "bulk",
        [&](const tenant::State&, const tenant::Stamp&) -> Result<std::vector<coordinator::NewRecord>> {
          return std::vector{tenant::new_record(journal::Kind::Packs, journal::encode(payload))};
        },
        std::exchange(footers_, {})));
  }

  Store& store_;
  const SessionId session_;
  PackId id_;
  std::unique_ptr<store::ObjectWriter> object_;
  std::unique_ptr<pack::PackWriter> writer_;
  std::vector<journal::PackNote> packs_;
  std::vector<pack::Footer> footers_;
};

struct Backup {
  SnapshotId snapshot;
  std::vector<blob::BlobRef> leaves;
};

/// `blobs` new data blobs below new leaves, beside leaves that are there.
Backup back_up_in_bulk(Store& store, Random& random, const Machine& machine, std::size_t blobs,
                       const std::vector<blob::BlobRef>& kept, const SnapshotId& base) {
  const Run run = store.begin(machine, base);
  BulkUpload upload(store, run.session);
  Backup out;
  out.leaves = kept;
  for (std::size_t done = 0; done < blobs; done += kBlobsPerLeaf) {
    std::vector<blob::BlobRef> children;
    for (std::size_t i = 0; i < std::min(kBlobsPerLeaf, blobs - done); ++i) {
      const Record data = make_record(random, machine, run.id, blob::Type::Data, {});
      upload.add(data);
      children.push_back(data.ref);
    }
    const Record leaf = make_record(random, machine, run.id, blob::Type::Leaf, children);
    upload.add(leaf);
    out.leaves.push_back(leaf.ref);
  }
  const Record root = make_record(random, machine, run.id, blob::Type::Index, out.leaves);
  upload.add(root);
  upload.finish();
  const Bytes core = store.core(machine, run, {run.id, root.ref.blob, blob::record_digest(root.bytes)}, base);
  (void)must(store.tenant().commit(machine.id, run.session, core, nullptr));
  out.snapshot = snapshot::snapshot_id(core);
  return out;
}

void end_snapshots(Store& store, const std::vector<SnapshotId>& snapshots) {
  tenant::Parts& parts = store.tenant().parts();
  const auto publish = [&](journal::Kind kind, const Bytes& payload) {
    (void)must(parts.publisher->publish(
        "end", [&](const tenant::State&, const tenant::Stamp&) -> Result<std::vector<coordinator::NewRecord>> {
          return std::vector{tenant::new_record(kind, payload)};
        }));
  };
  store.clock().advance(40 * 24h);
  journal::LockPayload lock;
  lock.who = "bench";
  for (const SnapshotId& id : snapshots) lock.items.push_back({id, parts.vault->now_ns() + 1'000'000'000});
  publish(journal::Kind::Lock, journal::encode(lock));
  store.clock().advance(2s);
  publish(journal::Kind::Deleted, journal::encode(journal::DeletedPayload{snapshots}));
}

/// One client that backs up again and again.
class Committer {
 public:
  Committer(Store& store, Machine machine, Backup last, std::uint64_t seed)
      : store_(store), machine_(std::move(machine)), last_(std::move(last)), random_(seed) {}

  void run(const std::atomic<bool>& stop, std::chrono::nanoseconds pace) {
    for (Clock::time_point next = Clock::now(); !stop; next = std::max(next + pace, Clock::now() - pace)) {
      std::this_thread::sleep_until(next);
      const Clock::time_point begun = Clock::now();
      back_up();
      backups_.push_back(std::chrono::duration<double>(Clock::now() - begun).count());
    }
  }
  std::vector<double> commits_, backups_;

 private:
  void back_up() {
    const Run run = store_.begin(machine_, last_.snapshot);
    std::vector<Record> records;
    std::vector<blob::BlobRef> children;
    for (int i = 0; i < 4; ++i) {
      records.push_back(make_record(random_, machine_, run.id, blob::Type::Data, {}));
      children.push_back(records.back().ref);
    }
    records.push_back(make_record(random_, machine_, run.id, blob::Type::Leaf, children));
    // One leaf of the last snapshot is replaced.
    std::vector<blob::BlobRef> leaves = last_.leaves;
    leaves[random_.below(leaves.size())] = records.back().ref;
    records.push_back(make_record(random_, machine_, run.id, blob::Type::Index, leaves));
    for (const Record& record : records)
      (void)must(store_.tenant().put(machine_.id, run.session, ++tag_, record.bytes));
    (void)must(store_.tenant().flush(machine_.id, run.session));
    const Record& root = records.back();
    const Bytes core =
        store_.core(machine_, run, {run.id, root.ref.blob, blob::record_digest(root.bytes)}, last_.snapshot);
    const Clock::time_point begun = Clock::now();
    (void)must(store_.tenant().commit(machine_.id, run.session, core, nullptr));
    commits_.push_back(std::chrono::duration<double>(Clock::now() - begun).count());
    last_ = {snapshot::snapshot_id(core), std::move(leaves)};
  }

  Store& store_;
  Machine machine_;
  Backup last_;
  support::SeededRandom random_;
  std::uint64_t tag_ = 0;
};

struct Waits {
  std::size_t count = 0;
  double median = 0, p99 = 0, most = 0;
};
Waits waits_of(std::vector<double> all) {
  std::sort(all.begin(), all.end());
  if (all.empty()) return {};
  return {all.size(), all[all.size() / 2], all[all.size() * 99 / 100], all.back()};
}

/// Runs the committers while `work` runs. Returns its seconds.
template <class F>
double beside(std::deque<Committer>& committers, std::chrono::nanoseconds pace, F work) {
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (Committer& committer : committers) threads.emplace_back([&] { committer.run(stop, pace); });
  const Clock::time_point begun = Clock::now();
  work();
  const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  return seconds;
}

void tell(const char* what, std::deque<Committer>& committers, double seconds) {
  std::vector<double> commits, backups;
  for (Committer& committer : committers) {
    commits.insert(commits.end(), committer.commits_.begin(), committer.commits_.end());
    backups.insert(backups.end(), committer.backups_.begin(), committer.backups_.end());
    committer.commits_.clear();
    committer.backups_.clear();
  }
  const Waits commit = waits_of(commits), whole = waits_of(backups);
  std::printf(
      "%-16s %6.1f s  %6zu commits, %5.0f/s  a commit: median %6.1f ms, 99%% %6.1f ms, most %6.1f ms%s  a backup: median %6.1f ms, most %6.1f ms\n",
      what, seconds, commit.count, static_cast<double>(commit.count) / seconds, commit.median * 1e3, commit.p99 * 1e3,
      commit.most * 1e3, commit.most <= kMostSeconds ? "" : " (MISSED: over 1 s)", whole.median * 1e3,
      whole.most * 1e3);
  std::fflush(stdout);
}

double peak_mib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

int run(std::size_t blobs, std::size_t clients, double per_second) {
  support::TemporaryDirectory directory;
  Store store(directory / "tenant");
  support::SeededRandom random(1);
  std::printf("making %zu blobs of %zu clients\n", blobs, clients);
  std::fflush(stdout);
  std::vector<Machine> machines;
  std::vector<Backup> first, last;
  for (std::size_t i = 0; i < clients; ++i) machines.push_back(store.enrol("client-" + std::to_string(i)));
  for (const Machine& machine : machines)
    first.push_back(back_up_in_bulk(store, random, machine, blobs / clients / 2, {}, {}));
  // A quarter of the first snapshot's leaves lives on in the second: its packs are mostly dead.
  for (std::size_t i = 0; i < clients; ++i) {
    std::vector<blob::BlobRef> kept;
    for (std::size_t j = 0; j < first[i].leaves.size(); j += j % 16 == 3 ? 13 : 1) kept.push_back(first[i].leaves[j]);
    last.push_back(back_up_in_bulk(store, random, machines[i], blobs / clients / 2, kept, first[i].snapshot));
  }
  std::vector<SnapshotId> ended;
  for (const Backup& backup : first) ended.push_back(backup.snapshot);
  end_snapshots(store, ended);
  store.open_synced();
  std::deque<Committer> committers;

  for (std::size_t i = 0; i < clients; ++i) committers.emplace_back(store, std::move(machines[i]), last[i], 100 + i);
  const auto pace = std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 / per_second));

  const double alone = beside(committers, pace, [] { std::this_thread::sleep_for(20s); });
  tell("no collection", committers, alone);
  const double before = peak_mib();
  collect::CollectSummary done;
  const double seconds =
      beside(committers, pace, [&] { done = must(collect::collect(store.tenant(), collect::CollectOptions{})); });
  tell("collection", committers, seconds);
  std::printf(
      "collected: %lu blobs looked at, %lu packs condemned, %lu rewritten into %lu; peak memory %.0f MiB, before %.0f MiB\n",
      static_cast<unsigned long>(done.blobs), static_cast<unsigned long>(done.condemned_packs),
      static_cast<unsigned long>(done.rewritten_packs), static_cast<unsigned long>(done.written_packs), peak_mib(),
      before);
  for (const std::string& held : done.held) std::printf("held: %s\n", held.c_str());
  std::fflush(stdout);
  // What the committers have made is all there.
  const tenant::CheckSummary checked = must(store.tenant().check(false, [](const tenant::Finding& finding) {
    if (finding.damage) std::printf("DAMAGED: %s: %s\n", finding.file.c_str(), finding.what.c_str());
  }));
  std::printf("check: %lu snapshots, %lu damaged\n", static_cast<unsigned long>(checked.snapshots),
              static_cast<unsigned long>(checked.damaged_snapshots));
  return checked.damaged_snapshots == 0 ? 0 : 1;
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  holdfast::crypto::init();
  const std::size_t blobs = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000'000;
  const std::size_t clients = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 50;
  const double per_second = argc > 3 ? std::strtod(argv[3], nullptr) : 5;
  return holdfast::run(blobs, clients, per_second);
}
