#pragma once
// How the simulation runs: events in the order of their virtual times.

#include <deque>

#include "tests/server/collect/simulation.h"

namespace holdfast::collect {

using tenant::Life;
using tenant::Machine;
using tenant::TestRun;

inline std::int64_t ns(std::chrono::nanoseconds time) { return time.count(); }

/// What the outside world knows of one snapshot.
struct Promise {
  std::size_t client = 0;
  std::uint64_t sequence = 0;
  SnapshotId id;
  std::int64_t lock_ns = 0, delete_ns = 0;
  Life life = Life::Live;
  std::vector<blob::BlobRef> refs;
};

/// One content on its way into a snapshot.
struct Pending {
  blob::BlobRef ref;
  blob::Type type = blob::Type::Data;
  Bytes record;
};

struct SimulatedClient {
  Machine machine;
  std::vector<std::uint32_t> slots;
  SnapshotId base;                        ///< of the last receipt
  std::map<BlobId, blob::BlobRef> known;  ///< what that snapshot holds, by id
  // The backup that goes on, if any.
  enum class Stage { Idle, Open, Ask, Put, Flush, Commit };
  Stage stage = Stage::Idle;
  TestRun run;
  SnapshotId run_base;
  std::vector<std::uint32_t> run_slots;
  std::map<BlobId, blob::BlobRef> placed;  ///< for the new snapshot
  std::vector<Pending> to_send;
  std::size_t sent = 0;
  std::vector<blob::BlobRef> leaves, refs;
  snapshot::Root root;
  Bytes core;
  bool opened = false, commit_tried = false, doomed = false;
  std::uint64_t attempt = 0;  ///< events of an earlier connection are dropped
};

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options)
      : options_(options), world_(options.seed * 7919 + 1, 0, options.plan), random_(options.seed) {
    start_ns_ = to_ns(world_.clock.wall());
  }

  SimulationResult run() {
    enrol();
    at(ns(options_.purge_every), [this] { purge(); });
    at(ns(options_.collect_every), [this] { collect(); });
    at(ns(options_.verify_every), [this] { verify_all(); });
    while (!events_.empty() && result_.problem.empty()) {
      const Event event = events_.top();
      events_.pop();
      if (event.at_ns > ns(options_.length)) break;
      if (const std::int64_t now = now_ns(); event.at_ns > now)
        world_.clock.advance(std::chrono::nanoseconds(event.at_ns - now));
      ++result_.events;
      maybe_arm_crash();
      event.work();
      if (up_ && world_.fs.crashed()) go_down();
    }
    finish();
    result_.trace = trace_.finish();
    for (const std::string& line : last_) result_.last += line + "\n";
    if (!result_.problem.empty()) result_.problem += " (seed " + std::to_string(options_.seed) + ")";
    return result_;
  }

 private:
  struct Event {
    std::int64_t at_ns;
    std::uint64_t order;
    std::function<void()> work;
    bool operator<(const Event& other) const { return std::pair(at_ns, order) > std::pair(other.at_ns, other.order); }
  };

  std::int64_t now_ns() const { return to_ns(world_.clock.wall()) - start_ns_; }
  void at(std::int64_t in_ns, std::function<void()> work) {
    events_.push({now_ns() + in_ns, ++order_, std::move(work)});
  }
  bool chance(std::uint32_t in_1000) { return random_.below(1000) < in_1000; }
  void note(const std::string& line) {
    const std::string whole = std::to_string(now_ns() / 1'000'000) + " " + line;
    trace_.update(as_bytes(whole));
    last_.push_back(whole);
    if (last_.size() > 60) last_.pop_front();
  }
  void fail(const std::string& what) {
    if (result_.problem.empty()) result_.problem = what + " at " + std::to_string(now_ns() / 1'000'000'000) + " s";
    note("PROBLEM " + what);
  }

  // ---- the server's life ----

  void maybe_arm_crash() {
    if (!up_ || armed_ || !chance(options_.crash_in_1000)) return;
    world_.fs.crash_after(random_.below(60));
    armed_ = true;
    ++result_.crashes;
    note("a crash is armed");
  }
  void go_down() {
    up_ = armed_ = false;
    const auto& modes = support::kCrashModes;
    const support::CrashMode mode = modes[random_.below(std::size(modes))];
    note(std::string("the server is down: ") + support::crash_mode_name(mode));
    world_.crash(mode, random_.below(1u << 30));
    if (chance(300)) world_.clock.reboot();
    at(ns(1min) * static_cast<std::int64_t>(1 + random_.below(200)), [this] { come_up(); });
  }
  void come_up() {
    // It may crash again while it starts.
    if (chance(200)) world_.fs.crash_after(random_.below(40));
    auto opened = world_.try_open();
    if (!opened || world_.fs.crashed()) {
      note("the start failed");
      opened = Error{Errc::Io, "down"};
      world_.tenant.reset();
      world_.fs.reboot(support::CrashMode::DropUnsynced, random_.below(1u << 30));
      if (!world_.fs.crashed()) return at(ns(1min), [this] { come_up(); });
    }
    world_.fs.clear_faults();
    world_.tenant = *std::move(opened);
    up_ = true;
    ++result_.restarts;
    note("the server is up: " + world_.tenant->account().health);
    if (world_.tenant->account().health != "ok") fail("after a start: " + world_.tenant->account().health);
    learn_unknown_purge();
  }

  // ---- clients ----

  void enrol() {
    const DomainId domain = random_.id<DomainId>();
    for (std::size_t i = 0; i < options_.clients; ++i) {
      SimulatedClient client{world_.enrol("client-" + std::to_string(i), domain),
                             {},
                             {},
                             {},
                             {},
                             {},
                             {},
                             {},
                             {},
                             {},
                             0,
                             {},
                             {},
                             {},
                             {},
                             false,
                             false,
                             false,
                             0};
      for (std::size_t slot = 0; slot < options_.slots; ++slot)
        client.slots.push_back(static_cast<std::uint32_t>(random_.below(options_.contents)));
      clients_.push_back(std::move(client));
      at(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(ns(options_.backup_every)))),
         [this, i] { begin_backup(i); });
    }
  }

  void begin_backup(std::size_t index) {
    SimulatedClient& client = clients_[index];
    const std::int64_t jitter =
        static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(ns(options_.backup_every)) / 4));
    at(ns(options_.backup_every) + jitter, [this, index] { begin_backup(index); });
    if (client.stage != SimulatedClient::Stage::Idle && !client.doomed) return;  // the last one still goes on: the lock
    if (!up_) return;
    for (std::uint64_t n = random_.below(4); n > 0; --n)
      client.slots[random_.below(client.slots.size())] = static_cast<std::uint32_t>(random_.below(options_.contents));
    ++result_.backups;
    start_run(index, client.base);
  }
  void start_run(std::size_t index, const SnapshotId& base) {
    SimulatedClient& client = clients_[index];
    client.run = world_.plan_run(client.machine);
    client.run_base = base;
    client.run_slots = client.slots;
    client.stage = SimulatedClient::Stage::Open;
    client.opened = client.commit_tried = false;
    client.doomed = chance(options_.abandon_in_1000);
    client.core.clear();
    client.to_send.clear();
    client.sent = 0;
    ++client.attempt;
    note("client " + std::to_string(index) + " begins");
    soon(index);
  }
  void soon(std::size_t index, std::int64_t in_ns = 0) {
    const std::uint64_t attempt = clients_[index].attempt;
    at(in_ns + 1'000'000 + static_cast<std::int64_t>(random_.below(900'000'000)), [this, index, attempt] {
      if (clients_[index].attempt == attempt) step(index);
    });
  }
  /// A connection is gone: what was not answered is unknown. Later the client opens its session again.
  void disconnected(std::size_t index) {
    SimulatedClient& client = clients_[index];
    ++result_.lost;
    ++client.attempt;
    client.opened = false;
    client.sent = 0;
    if (client.stage != SimulatedClient::Stage::Open) client.stage = SimulatedClient::Stage::Open;
    soon(index, ns(1min) * static_cast<std::int64_t>(1 + random_.below(30)));
  }

  /// One request. False: its answer does not arrive.
  template <class F>
  bool request(std::size_t index, F call) {
    if (!up_ || chance(options_.lost_in_1000)) {
      note("client " + std::to_string(index) + ": request lost");
      disconnected(index);
      return false;
    }
    call();
    if (world_.fs.crashed() || chance(options_.lost_in_1000)) {
      note("client " + std::to_string(index) + ": answer lost");
      disconnected(index);
      return false;
    }
    return true;
  }

  void step(std::size_t index) {
    SimulatedClient& client = clients_[index];
    switch (client.stage) {
      case SimulatedClient::Stage::Idle:
        return;
      case SimulatedClient::Stage::Open:
        return open(index);
      case SimulatedClient::Stage::Ask:
        return ask(index);
      case SimulatedClient::Stage::Put:
        return put(index);
      case SimulatedClient::Stage::Flush:
        return flush(index);
      case SimulatedClient::Stage::Commit:
        return commit(index);
    }
  }
  void next(std::size_t index, SimulatedClient::Stage stage) {
    clients_[index].stage = stage;
    soon(index);
  }
  /// The server refuses: the session has ended, or something it needs is missing. A new run without a base.
  void start_over(std::size_t index, const std::string& why) {
    note("client " + std::to_string(index) + " starts over: " + why);
    ++result_.refused;
    clients_[index].known.clear();
    start_run(index, {});
  }

  void open(std::size_t index) {
    SimulatedClient& client = clients_[index];
    Result<tenant::SessionOpened> opened = Error{Errc::Io, ""};
    const bool arrived = request(index, [&] {
      opened = world_.tenant->open_session(client.machine.id, client.run.record, client.run.slot, client.run_base,
                                           std::nullopt);
    });
    if (!arrived) return;
    if (!opened) return start_over(index, opened.error().message);
    client.run.opened = *opened;
    client.opened = true;
    if (client.commit_tried) return next(index, SimulatedClient::Stage::Commit);
    if (!client.run_base.is_zero() && !opened->base_known) {
      client.known.clear();
      client.run_base = {};
    }
    next(index, SimulatedClient::Stage::Ask);
  }

  BlobId content_id(const SimulatedClient& client, std::uint32_t content) const {
    ByteWriter w;
    w.id(client.machine.domain).u32(content);
    BlobId id;
    const Digest digest = crypto::digest(w.span());
    std::copy(digest.bytes.begin(), digest.bytes.end(), id.bytes.begin());
    return id;
  }
  BlobId segment_id(const std::vector<blob::BlobRef>& children, blob::Type type) const {
    ByteWriter w;
    w.u8(static_cast<std::uint8_t>(type));
    for (const blob::BlobRef& child : children) w.id(child.blob).id(child.run);
    BlobId id;
    const Digest digest = crypto::digest(w.span());
    std::copy(digest.bytes.begin(), digest.bytes.end(), id.bytes.begin());
    return id;
  }

  /// "have?" for every content that the base does not hold; then the tree is known.
  void ask(std::size_t index) {
    SimulatedClient& client = clients_[index];
    std::vector<BlobId> unknown;
    for (const std::uint32_t content : client.run_slots) {
      const BlobId id = content_id(client, content);
      if (!client.known.contains(id) && std::find(unknown.begin(), unknown.end(), id) == unknown.end())
        unknown.push_back(id);
    }
    Result<std::vector<tenant::HaveAnswer>> answers = std::vector<tenant::HaveAnswer>{};
    const bool arrived = request(index, [&] {
      answers = world_.tenant->have(client.machine.id, client.run.opened.session, client.machine.epoch, unknown);
    });
    if (!arrived) return;
    if (!answers) return start_over(index, answers.error().message);
    client.placed = client.known;
    for (const tenant::HaveAnswer& answer : *answers)
      client.placed[unknown[answer.position]] = {unknown[answer.position], answer.run};
    plan_tree(client, unknown);
    next(index, SimulatedClient::Stage::Put);
  }
  void plan_tree(SimulatedClient& client, const std::vector<BlobId>& unknown) {
    client.to_send.clear();
    client.leaves.clear();
    client.refs.clear();
    client.sent = 0;
    for (const BlobId& id : unknown) {
      if (client.placed.contains(id)) continue;
      client.placed[id] = {id, client.run.id};
      send_later(client, {id, client.run.id}, blob::Type::Data, {});
    }
    for (std::size_t slot = 0; slot < client.run_slots.size(); slot += 4) {
      std::vector<blob::BlobRef> children;
      for (std::size_t i = slot; i < std::min(slot + 4, client.run_slots.size()); ++i)
        children.push_back(client.placed.at(content_id(client, client.run_slots[i])));
      client.leaves.push_back(segment(client, blob::Type::Leaf, std::move(children)));
    }
    std::vector<blob::BlobRef> tops = client.leaves;
    const blob::BlobRef root = segment(client, blob::Type::Index, std::move(tops));
    client.root = {root.run, root.blob, crypto::digest(records_.at(root))};
  }
  /// A segment that the base has under the same name is named again.
  blob::BlobRef segment(SimulatedClient& client, blob::Type type, std::vector<blob::BlobRef> children) {
    std::sort(children.begin(), children.end());
    children.erase(std::unique(children.begin(), children.end()), children.end());
    client.refs.insert(client.refs.end(), children.begin(), children.end());
    const BlobId id = segment_id(children, type);
    const auto known = client.known.find(id);
    const blob::BlobRef ref = known != client.known.end() ? known->second : blob::BlobRef{id, client.run.id};
    if (known == client.known.end() && !client.placed.contains(id)) send_later(client, ref, type, children);
    client.placed[id] = ref;
    client.refs.push_back(ref);
    return ref;
  }
  void send_later(SimulatedClient& client, const blob::BlobRef& ref, blob::Type type,
                  const std::vector<blob::BlobRef>& children) {
    Bytes& record = records_[ref];
    if (record.empty()) {
      blob::Header header;
      header.type = type;
      header.domain = client.machine.domain;
      header.epoch = client.machine.epoch;
      header.run = ref.run;
      header.blob = ref.blob;
      record = tenant::make_record(random_, header, children, 20 + random_.below(100));
    }
    client.to_send.push_back({ref, type, record});
  }

  void put(std::size_t index) {
    SimulatedClient& client = clients_[index];
    if (client.doomed && chance(400)) {
      note("client " + std::to_string(index) + " is gone for good");
      ++client.attempt;  // nobody steps it any more; the session stays open
      client.stage = SimulatedClient::Stage::Idle;
      return;
    }
    Status done;
    const std::size_t until = std::min(client.to_send.size(), client.sent + 1 + random_.below(6));
    const bool arrived = request(index, [&] {
      for (; done && client.sent < until; ++client.sent) {
        const auto tags = world_.tenant->put(client.machine.id, client.run.opened.session, client.sent + 1,
                                             client.to_send[client.sent].record);
        if (!tags) done = tags.error();
      }
    });
    if (!arrived) return;
    if (!done) return server_failed(index, done.error());
    next(index, client.sent < client.to_send.size() ? SimulatedClient::Stage::Put : SimulatedClient::Stage::Flush);
  }
  void server_failed(std::size_t index, const Error& error) {
    if (error.code == Errc::Conflict || error.code == Errc::NotFound || error.code == Errc::Missing)
      return start_over(index, error.message);
    note("client " + std::to_string(index) + " failed: " + error.message);
    disconnected(index);
  }

  void flush(std::size_t index) {
    SimulatedClient& client = clients_[index];
    Status done;
    const bool arrived = request(index, [&] {
      const auto tags = world_.tenant->flush(client.machine.id, client.run.opened.session);
      if (!tags) done = tags.error();
    });
    if (!arrived) return;
    if (!done) return server_failed(index, done.error());
    next(index, SimulatedClient::Stage::Commit);
  }

  void commit(std::size_t index) {
    SimulatedClient& client = clients_[index];
    if (client.core.empty()) client.core = world_.core(client.machine, client.run, client.root, client.run_base);
    client.commit_tried = true;
    Result<Bytes> receipt = Error{Errc::Io, ""};
    const bool arrived = request(index, [&] {
      receipt = world_.tenant->commit(client.machine.id, client.run.opened.session, client.core, nullptr);
    });
    if (!arrived) return;
    if (!receipt) return server_failed(index, receipt.error());
    committed(index);
    client.base = snapshot::snapshot_id(client.core);
    client.known.clear();
    for (const blob::BlobRef& ref : client.refs) client.known[ref.blob] = ref;
    client.stage = SimulatedClient::Stage::Idle;
    ++client.attempt;
  }
  /// The snapshot exists: by its receipt, or because the list of an operator shows it.
  void committed(std::size_t index) {
    const SimulatedClient& client = clients_[index];
    const SnapshotId id = snapshot::snapshot_id(client.core);
    if (promises_.contains(id)) return;
    ++result_.commits;
    Promise promise;
    promise.client = index;
    promise.id = id;
    promise.refs = client.refs;
    world_.parts().state.read([&](const tenant::State& s) {
      const tenant::Snapshot* const known = s.snapshot(id);
      if (known == nullptr) return fail("a snapshot with a receipt is unknown");
      promise.sequence = known->payload.sequence;
      promise.lock_ns = known->payload.lock_not_before_ns;
    });
    note("client " + std::to_string(index) + " has committed " + std::to_string(promise.sequence));
    promises_.emplace(id, std::move(promise));
  }
  /// Commits whose answers were lost.
  void learn_unknown_outcomes() {
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      if (!clients_[i].commit_tried || clients_[i].core.empty()) continue;
      const SnapshotId id = snapshot::snapshot_id(clients_[i].core);
      if (world_.parts().state.read([&](const tenant::State& s) { return s.snapshot(id) != nullptr; })) committed(i);
    }
  }

  // ---- the operator ----

  void purge() {
    at(ns(options_.purge_every), [this] { purge(); });
    if (!up_) return;
    learn_unknown_outcomes();
    const std::int64_t now = world_.parts().vault->now_ns();
    const Result<tenant::PurgeReport> done = world_.tenant->purge(false);
    note(std::string("purge ") +
         (done ? std::to_string(done->locked.size()) + " " + std::to_string(done->deleted.size()) : "failed"));
    if (!done) {
      if (!world_.fs.crashed()) fail("purge: " + done.error().message);
      unknown_purge_ns_ = now;
      return;
    }
    expect_purge(now);
  }
  /// A purge ended in a crash: what it did of what it might have done is taken as done.
  void learn_unknown_purge() {
    if (!unknown_purge_ns_) return;
    for (auto& [id, promise] : promises_) {
      const Life life = world_.life(id);
      if (life == promise.life) continue;
      const bool lock = promise.life == Life::Live && life == Life::Locked && promise.lock_ns <= *unknown_purge_ns_;
      const bool end = promise.life == Life::Locked && life == Life::Deleted && promise.delete_ns <= *unknown_purge_ns_;
      if (lock) promise.delete_ns = std::max(*unknown_purge_ns_, promise.lock_ns) + ns(14 * 24h);
      if (lock || end) promise.life = life;
    }
    unknown_purge_ns_.reset();
    compare_lives();
  }
  /// The rules once more, told in the plainest way.
  void expect_purge(std::int64_t now) {
    std::vector<std::pair<const Promise*, const Promise*>> best(clients_.size());  // live, locked
    for (const auto& [id, promise] : promises_) {
      if (promise.life > Life::Locked) continue;
      auto& [live, locked] = best[promise.client];
      const Promise*& newest = promise.life == Life::Live ? live : locked;
      if (newest == nullptr || promise.sequence > newest->sequence) newest = &promise;
    }
    std::set<SnapshotId> newest;
    for (const auto& [live, locked] : best) {
      if (live != nullptr || locked != nullptr) newest.insert(live != nullptr ? live->id : locked->id);
    }
    std::vector<Promise*> due;
    std::size_t lately = 0;
    for (auto& [id, promise] : promises_) {
      if (promise.life <= Life::Locked && promise.lock_ns > now - ns(24h) && promise.lock_ns <= now) ++lately;
      if (newest.contains(id)) continue;
      if (promise.life == Life::Locked && promise.delete_ns <= now) {
        promise.life = Life::Deleted;
        ++result_.deleted;
      } else if (promise.life == Life::Live && promise.lock_ns <= now) {
        due.push_back(&promise);
      }
    }
    std::sort(due.begin(), due.end(), [](const Promise* a, const Promise* b) { return a->lock_ns < b->lock_ns; });
    if (due.size() > std::max<std::size_t>(10, 2 * lately)) {
      const std::size_t cap = std::max<std::size_t>(10, 2 * lately);
      // Of equal dates any may go first: the server's choice is taken.
      const std::int64_t last = due[cap - 1]->lock_ns;
      std::erase_if(due, [&](const Promise* p) {
        return p->lock_ns > last || (p->lock_ns == last && world_.life(p->id) == Life::Live);
      });
    }
    for (Promise* const promise : due) {
      promise->life = Life::Locked;
      promise->delete_ns = std::max(now, promise->lock_ns) + ns(14 * 24h);
      ++result_.locked;
    }
    compare_lives();
  }
  void compare_lives() {
    for (auto& [id, promise] : promises_) {
      const Life life = world_.life(id);
      const bool same = life == promise.life || (promise.life == Life::Deleted && life == Life::Erased);
      if (!same)
        return fail("snapshot " + std::to_string(promise.client) + "/" + std::to_string(promise.sequence) + " is " +
                    std::string(tenant::life_name(life)) + ", not " + std::string(tenant::life_name(promise.life)));
    }
  }

  void collect() {
    at(ns(options_.collect_every), [this] { collect(); });
    if (!up_) return;
    CollectOptions options;
    options.trash = std::chrono::hours(24 * (1 + static_cast<int>(random_.below(7))));
    options.plan.merge_at = 6 + random_.below(20);
    const Result<CollectSummary> done = collect::collect(*world_.tenant, options);
    if (!done) {
      note("collect failed");
      if (!world_.fs.crashed()) fail("collect: " + done.error().message);
      return;
    }
    note("collect " + std::to_string(done->condemned_packs) + " " + std::to_string(done->rewritten_packs) + " " +
         std::to_string(done->removed_packs) + " " + std::to_string(done->orphans) + " " +
         std::to_string(done->erased));
    for (const std::string& held : done->held) fail("collect held: " + held);
    result_.condemned += done->condemned_packs;
    result_.rewritten += done->rewritten_packs;
    result_.removed += done->removed_packs;
    result_.erased += done->erased;
  }

  void verify_all() {
    at(ns(options_.verify_every), [this] { verify_all(); });
    if (!up_ || armed_) return;
    verify();
  }
  void verify() {
    learn_unknown_outcomes();
    std::set<blob::BlobRef> read;
    for (const auto& [id, promise] : promises_) {
      if (promise.life > Life::Locked) continue;
      const Machine& machine = clients_[promise.client].machine;
      for (const blob::BlobRef& ref : promise.refs) {
        if (!read.insert(ref).second) continue;
        const Result<Bytes> bytes = world_.tenant->read_blob(machine.id, machine.domain, machine.epoch, ref);
        ++result_.verified_blobs;
        if (!bytes || *bytes != records_.at(ref))
          return fail("a blob of snapshot " + std::to_string(promise.client) + "/" + std::to_string(promise.sequence) +
                      " is lost");
      }
    }
    note("verified " + std::to_string(read.size()));
  }

  /// In the end everybody stops, and the store must hold what it owes, and nothing else.
  void finish() {
    if (!result_.problem.empty()) return;
    world_.fs.clear_faults();
    armed_ = false;
    while (!up_ && result_.problem.empty()) come_up();
    verify();
    if (!result_.problem.empty()) return;
    for (int round = 0; round < 4 && result_.problem.empty(); ++round) {
      world_.clock.advance(24h * 8);
      const auto done = collect::collect(*world_.tenant, {});
      if (!done) return fail("the last collections: " + done.error().message);
      result_.erased += done->erased;
      result_.removed += done->removed_packs;
    }
    compare_lives();
    verify();
    for (const auto& [name, bytes] : world_.files()) {
      const auto pack = pack::parse_object_name(name);
      const bool named = !pack || world_.parts().state.read([&](const tenant::State& s) {
        return s.pack(pack->first) != nullptr || s.trashed(pack->first) != nullptr;
      });
      if (!named) return fail("a file is left: " + name);
    }
    const Digest grown = must(world_.tenant->index_digest());
    (void)must(world_.tenant->rebuild_index());
    if (must(world_.tenant->index_digest()) != grown) fail("the index is another one than a rebuilt one");
    for (const tenant::Finding& finding : world_.check().findings)
      if (finding.damage) fail("check: " + finding.file + ": " + finding.what);
  }

  const SimulationOptions options_;
  CollectWorld world_;
  support::SeededRandom random_;
  std::int64_t start_ns_ = 0;
  std::priority_queue<Event> events_;
  std::uint64_t order_ = 0;
  std::vector<SimulatedClient> clients_;
  std::map<blob::BlobRef, Bytes> records_;
  std::map<SnapshotId, Promise> promises_;
  bool up_ = true, armed_ = false;
  std::optional<std::int64_t> unknown_purge_ns_;
  crypto::Hasher trace_;
  std::deque<std::string> last_;
  SimulationResult result_;
};

inline SimulationResult simulate(const SimulationOptions& options) { return Simulation(options).run(); }

}  // namespace holdfast::collect
