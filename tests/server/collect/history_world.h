#pragma once
// A history of one tenant: clients, operators, time, collection, and machines that stop at any step of it; the model beside
// it from the first operation to the end, at which everything has gone.

#include <thread>

#include "tests/server/collect/history_clients.h"

namespace holdfast::collect::history {

/// One thread at a time.
class HistoryWorld : public Clients {
 public:
  using Clients::Clients;
  ~HistoryWorld() { fs.watch(nullptr); }

  void step(const Op& op) {
    arm(op);
    const bool steps_again = op.kind == Kind::Collect || op.kind == Kind::Rebuild;
    carry_out(op);
    recover(op);
    compare();
    if (op.fault != Fault::None || steps_again) read_all();
  }

  /// Whatever happened: what must stay can be read, what need not goes, and in the end nothing is left.
  void finish() {
    compare_check();
    compare_index();
    while (!model_.works.empty()) {
      if (Work* const w = pick(0); w != nullptr) abandon(0);
      compare();
    }
    empty_trash();
    if (const CollectSummary seen = look(); seen.dead_bytes > seen.live_bytes) diverge("more is dead than alive");
    expect_only_named();
    compare_check();
    read_all();
    end_all();
    empty_trash();
    if (tenant->account().used_bytes != 0) diverge("bytes are left when all is deleted: " + what_is_left());
    for (const Committed& s : model_.snapshots)
      if (!s.erased) diverge("a snapshot is not erased though nothing is left of it");
    expect_only_named();
    expect_bytes_gone();
    reopen_now();
    compare();
  }

  bool struck() const { return struck_; }  ///< the last operation met its fault

  /// What can be counted of a tenant, so that it is seen whether an operation did anything.
  struct Figures {
    std::size_t open = 0, live = 0, locked = 0, deleted = 0;  ///< sessions; snapshots
    std::size_t sent = 0, written = 0, trash = 0;             ///< packs: clients', collection's, condemned
    std::uint64_t epoch = 0;
    std::set<std::string> index;  ///< names of its files
  };
  Figures figures() {
    Figures out;
    parts().state.read([&](const tenant::State& s) {
      for (const auto& [name, id] : s.clients_by_name()) out.open += s.client(id)->open_sessions.size();
      for (const auto& [id, snapshot] : s.snapshots()) {
        out.live += snapshot.life == tenant::Life::Live ? 1 : 0;
        out.locked += snapshot.life == tenant::Life::Locked ? 1 : 0;
        out.deleted += snapshot.life == tenant::Life::Deleted ? 1 : 0;
      }
      for (const auto& [id, pack] : s.packs()) (pack.session.is_zero() ? out.written : out.sent) += 1;
      out.trash = s.trash().size();
    });
    out.epoch = parts().epoch.counter;
    for (const auto& [name, bytes] : files("index")) out.index.insert(name);
    return out;
  }

  /// Everything that outlives a process.
  struct Saved {
    std::map<std::string, Bytes> disk;
    Model model;
    WallTime wall;
    std::uint64_t boot;
    MonotonicTime boottime;
  };
  Saved save() {
    close();
    Saved out{files(), model_, clock.wall(), clock.boots(), clock.monotonic()};
    open_now();
    return out;
  }
  void restore(const Saved& saved) {
    close();
    replace_all(saved.disk);
    fs.reboot();
    clock.set_wall(saved.wall);
    clock.set_boot(saved.boot, saved.boottime.time_since_epoch());
    model_ = saved.model;
    open_now();
  }
  /// Uploads go on, or end when a week has passed; what nobody needs goes.
  void tidy() {
    compare_index();
    empty_trash();
    expect_only_named();
    compare_check();
    read_all();
  }

 private:
  static constexpr std::uint32_t kSecondSteps = 40;  ///< opening takes fewer
  using Lives = std::vector<std::pair<SnapshotId, Life>>;

  void carry_out(const Op& op) {
    switch (op.kind) {
      case Kind::Rest:
        return;
      case Kind::Advance:
        return clock.advance(std::array<std::chrono::minutes, 6>{5min, 3h, 24h, 72h, 192h, 31 * 24h}[op.with[0] % 6]);
      case Kind::SetWall:
        return clock.jump_wall(std::array<std::chrono::hours, 4>{-1h, 1h, -40 * 24h, 40 * 24h}[op.with[0] % 4]);
      case Kind::Collect:
        return collect_once(op);
      case Kind::Rebuild:
        (void)settle(tenant->rebuild_index(), "rebuild");
        return;
      case Kind::Reopen:
        return reopen_now();
      case Kind::Check:
        return check_once();
      default:
        return amid_collected(op);
    }
  }

  /// Clients' operations, some of them with a pass between a pack's file and its record.
  void amid_collected(const Op& op) {
    // While a session is opened, whoever else wants its key slot waits: this one thread would wait for itself.
    const bool all_open =
        std::all_of(model_.works.begin(), model_.works.end(), [](const Work& w) { return w.opened && !w.broken; });
    const bool sends = all_open && (op.kind == Kind::Grow || op.kind == Kind::SendAgain || op.kind == Kind::Commit);
    if (sends && op.amid == Kind::Collect && !doubtful_ && op.fault == Fault::None) {
      at_packs(op.at % 12, [this] {
        if (const auto done = collect::collect(*tenant, {}); !done) diverge("collect amid: " + done.error().message);
      });
    }
    amid(op);
    fs.watch(nullptr);
    if (disturbance_) throw *std::exchange(disturbance_, std::nullopt);
  }

  /// What may also happen in the middle of a collection.
  void amid(const Op& op) {
    switch (op.kind) {
      case Kind::Backup:
        return back_up(op);
      case Kind::Begin:
        return begin(op);
      case Kind::Repeat:
        return repeat(op);
      case Kind::Lock:
        return lock_some(op);
      case Kind::Undelete:
        return undelete_some(op);
      case Kind::Purge:
        return purge();
      case Kind::Grow:
      case Kind::Keep:
      case Kind::SendAgain:
      case Kind::Commit:
      case Kind::Abandon:
      case Kind::Resume:
        return upload(op);
      case Kind::Outlive:
        return outlive(op);
      default:
        return;
    }
  }

  /// An upload that is kept busy until its base has come to its end.
  void outlive(const Op& op) {
    if (model_.works.empty()) return;
    Work* const w = pick(op.with[0]);
    if (w == nullptr || !w->run.opened.base_known) return;
    const auto base = [&]() -> Committed* {
      for (Committed& s : model_.snapshots)
        if (s.id == w->base && s.life != Life::Deleted && !is_paused(s)) return &s;
      return nullptr;
    };
    if (Committed* const s = base(); s != nullptr && s->life == Life::Live)
      moved(*s, Life::Locked, settle(tenant->lock_snapshot(s->id, "test"), "lock").has_value());
    for (int week = 0; week < 12; ++week) {
      const Committed* const s = base();
      if (s == nullptr || s->life != Life::Locked || s->delete_ns <= vault_ns()) break;
      clock.advance(5 * 24h);
      (void)send_blob(*w, blob::Type::Data, {}, 40);  // its last record is not older than a week
      if (!w->broken) flush(*w);
      if (w->broken) return;
    }
    purge();
  }

  void upload(const Op& op) {
    if (model_.works.empty()) return;
    const std::size_t at = op.with[0] % model_.works.size();
    Work* const w = pick(op.with[0]);
    if (w == nullptr) return;
    if (op.kind == Kind::Grow) grow(*w, op);
    if (op.kind == Kind::Keep) keep(*w, op);
    if (op.kind == Kind::SendAgain) send_again(*w, op);
    if (op.kind == Kind::Commit) commit(at);
    if (op.kind == Kind::Abandon) abandon(at);
    if (op.kind == Kind::Resume) (void)resume(at);
  }

  // operators

  std::vector<Committed*> in(Life life, const std::function<bool(const Committed&)>& wanted) {
    std::vector<Committed*> out;
    for (Committed& s : model_.snapshots)
      if (s.life == life && wanted(s)) out.push_back(&s);
    return out;
  }
  void lock_some(const Op& op) {
    for (Committed* const s : in(Life::Live, [&](const Committed& c) { return c.sequence % 3 == op.with[0] % 3; }))
      moved(*s, Life::Locked, settle(tenant->lock_snapshot(s->id, "test"), "lock").has_value());
  }
  void undelete_some(const Op& op) {
    for (Committed* const s : in(Life::Locked, [&](const Committed& c) { return c.sequence % 3 == op.with[0] % 3; }))
      moved(*s, Life::Live, settle(tenant->undelete_snapshot(s->id, "test"), "undelete").has_value());
  }
  /// The newest live snapshot of its client; where none is live, the newest locked one.
  bool is_paused(const Committed& s) const {
    return !retired_ && std::none_of(model_.snapshots.begin(), model_.snapshots.end(), [&](const Committed& other) {
      const bool newer = other.life == s.life && other.sequence > s.sequence;
      return other.machine == s.machine && (newer || other.life < s.life);
    });
  }
  /// What is due is deleted, what has come to its date is locked, but not what is paused.
  void purge() {
    constexpr std::size_t kCap = 10;
    const std::int64_t now = vault_ns();
    const auto ends = in(Life::Locked, [&](const Committed& s) { return s.delete_ns <= now && !is_paused(s); });
    const auto locks = in(Life::Live, [&](const Committed& s) { return s.lock_ns <= now && !is_paused(s); });
    const bool done = settle(tenant->purge(false), "purge").has_value();
    for (Committed* const s : ends) moved(*s, Life::Deleted, done);
    for (Committed* const s : locks) moved(*s, Life::Locked, done, locks.size() <= kCap);
  }
  /// `done`: the tenant said so; else it may be. What is not surely so is looked at.
  void moved(Committed& s, Life to, bool done, bool surely = true) {
    if (!done)
      unknown_lives_.emplace_back(s.id, to);
    else
      follow(s, to, surely);
  }
  void follow(Committed& s, Life to, bool surely) {
    constexpr std::int64_t kDelayNs = 14 * 86'400'000'000'000;
    const auto [life, lock_ns, delete_ns] = parts().state.read([&](const tenant::State& state) {
      const tenant::Snapshot& known = *state.snapshot(s.id);
      return std::tuple(known.life, known.payload.lock_not_before_ns, known.delete_not_before_ns);
    });
    if (static_cast<int>(life) != static_cast<int>(to)) {
      if (surely)
        diverge("snapshot " + std::to_string(s.sequence) + " did not become " + std::to_string(static_cast<int>(to)));
      return;
    }
    const std::int64_t from = surely ? vault_ns() : 0;
    if (to == Life::Locked && delete_ns < std::max(from, s.lock_ns) + kDelayNs)
      diverge("a shorter delay than the plan's");
    if (to == Life::Live && lock_ns < std::max(from + kTermNs, s.lock_ns)) diverge("undeleted for less than the term");
    s.life = to;
    s.lock_ns = lock_ns;
    s.delete_ns = delete_ns;
  }
  void learn_of_lives() {
    for (const auto& [id, to] : std::exchange(unknown_lives_, {})) {
      for (Committed& s : model_.snapshots)
        if (s.id == id) follow(s, to, false);
    }
  }

  // care

  void collect_once(const Op& op) {
    CollectOptions options;
    options.plan.merge_at = std::array<std::size_t, 3>{2, 5, 64}[op.with[0] % 3];
    options.plan.group_bytes = op.with[1] % 2 == 0 ? 1u << 20 : 4000;
    if (op.with[1] % 7 == 6) options.plan.rewrite_bytes = 3000;
    options.trash = op.with[2] % 3 == 0 ? 24h : 7 * 24h;
    const bool disturbed = op.amid != Kind::Rest && !doubtful_;
    if (disturbed) disturb(op);
    const auto done = settle(collect::collect(*tenant, options), "collect");
    fs.watch(nullptr);
    if (disturbance_) throw *std::exchange(disturbance_, std::nullopt);
    must_expire_ = done.has_value() && !disturbed;
  }
  void disturb(const Op& op) {
    Op now = op;
    now.kind = op.amid;
    now.fault = Fault::None;
    at_packs(op.at % 16, [this, now] {
      compare();
      amid(now);
    });
  }
  /// Does it when packs are written, read or unlinked, or have just got their names, for the n-th time: no lock that it
  /// needs is held then. (Directories are made, and looked at, under the store's.)
  void at_packs(std::uint32_t n, std::function<void()> what) {
    const auto me = std::this_thread::get_id();
    fs.watch([this, n, what = std::move(what), me, inside = false](std::optional<support::Operation> operation,
                                                                   const std::string& path) mutable {
      const bool named = operation == support::Operation::SyncDirectory && path.find("/packs/") != std::string::npos;
      const bool packs = named || path.ends_with(".pack") || path.find("/tmp/") != std::string::npos;
      if (!packs || inside || std::this_thread::get_id() != me || fs.crashed() || n-- != 0) return;
      inside = true;
      try {
        what();
      } catch (const Divergence& d) {
        disturbance_ = d;  // not through the tenant
      }
    });
  }
  CollectSummary look() {
    CollectOptions dry;
    dry.dry_run = true;
    return *settle(collect::collect(*tenant, dry), "dry run");
  }
  void check_once() {
    if (!may_fail_) compare_check();
    if (!may_fail_) compare_index();
  }
  void reopen_now() {
    close();
    open_now();
  }
  void open_now() {
    auto opened = try_open();
    if (!opened && may_fail_) return;
    if (!opened) diverge("open: " + opened.error().message);
    tenant = *std::move(opened);
    doubtful_ = false;
    forget_process();
  }

  // faults

  void arm(const Op& op) {
    may_fail_ = op.fault != Fault::None;
    struck_ = false;
    if (op.fault == Fault::Crash || op.fault == Fault::CrashTwice || op.fault == Fault::Kill) fs.crash_after(op.at);
    if (op.fault == Fault::DiskFull) fs.fail_at(op.at, Errc::DiskFull);
    if (op.fault == Fault::WriteError) fs.fail_at(op.at, Errc::Io);
  }
  void recover(const Op& op) {
    if (op.fault == Fault::None) return;
    struck_ = fs.crashed() || fs.struck();
    fs.clear_faults();
    doubtful_ = true;
    // It may have struck what another session had sent: opening one publishes what the client's others hold.
    for (Work& w : model_.works) w.broken = w.broken || (struck_ && !w.sent.empty());
    const auto mode = support::kCrashModes[op.mode % std::size(support::kCrashModes)];
    const bool read_only = op.fault == Fault::DiskFull && (tenant == nullptr || tenant->account().health != "ok");
    // A failed sync that only the process hears of: the machine goes on and shows what may never reach the disk.
    const bool machine_goes_on = op.fault == Fault::WriteError && op.mode % 4 == 3;
    if (op.fault == Fault::Kill || machine_goes_on) {
      close();
      fs.restart_process();
    } else if (op.fault != Fault::DiskFull || read_only) {
      stop(mode, op.mode);
    }
    if (op.fault == Fault::CrashTwice) {
      fs.crash_after(op.mode / 6 % kSecondSteps);
      if (auto opened = try_open(); opened) tenant = *std::move(opened);
      stop(support::kCrashModes[op.mode / 6 % std::size(support::kCrashModes)], op.mode);
    }
    may_fail_ = false;
    if (tenant == nullptr) open_now();
    learn_of_commit();
    learn_of_lives();
  }
  void stop(support::CrashMode mode, std::uint64_t seed) {
    crash(mode, seed);
    clock.reboot();
  }

  // the end

  void end_all() {
    for (const tenant::Machine& m : machines_) (void)settle(tenant->retire_client(m.name), "retire");
    retired_ = true;
    for (Committed* const s : in(Life::Live, [](const Committed&) { return true; }))
      moved(*s, Life::Locked, settle(tenant->lock_snapshot(s->id, "test"), "lock").has_value());
    std::int64_t last = 0;
    for (const Committed& s : model_.snapshots) last = std::max(last, s.delete_ns);
    advance_to(last);
    purge();
    compare();
  }
  void advance_to(std::int64_t then) {
    if (const std::int64_t now = vault_ns(); now < then) clock.advance(std::chrono::nanoseconds(then - now));
    if (vault_ns() < then) diverge("the vault clock stands still");
  }
  void empty_trash() {
    CollectOptions options;
    options.plan.merge_at = 1000;
    for (int pass = 0; pass < 10; ++pass) {
      const auto done = settle(collect::collect(*tenant, options), "collect");
      if (!done->held.empty()) diverge("held: " + done->held[0]);
      compare();
      const std::uint64_t changes = done->condemned_packs + done->rewritten_packs + done->orphans + done->slots +
                                    done->removed_packs + done->erased + done->expired_sessions;
      if (changes == 0 && pass > 0) return;
      const std::int64_t then = vault_ns() + kIdleNs + 3'600'000'000'000;
      advance_to(then);
    }
    diverge("collection comes to no end");
  }
  std::string what_is_left() {
    return parts().state.read([&](const tenant::State& s) {
      std::string out = std::to_string(s.trash().size()) + " packs in the trash";
      for (const auto& [id, pack] : s.packs()) {
        const tenant::Session* const owner = s.session(pack.session);
        out += ", pack " + id.short_hex() +
               (owner == nullptr ? " of collection"
                                 : " of a session, phase " + std::to_string(static_cast<int>(owner->phase))) +
               (parts().pins.contains(id) ? ", pinned" : "");
      }
      return out;
    });
  }
  void expect_only_named() {
    const std::set<std::string> named = named_objects(), there = object_files();
    for (const std::string& name : there)
      if (!named.contains(name)) diverge(name + " is left for ever" + owner_of(name));
    for (const std::string& name : named)
      if (!there.contains(name)) diverge(name + " is missing");
  }
  std::string owner_of(const std::string& slot) {
    const std::optional<RunId> run = tenant::run_of_slot(slot);
    return parts().state.read([&](const tenant::State& s) -> std::string {
      const tenant::Session* const session = run ? s.session_of_run(*run) : nullptr;
      if (session == nullptr) return ": no session has named it";
      return ": session " + session->payload.session.short_hex() + " of it is in phase " +
             std::to_string(static_cast<int>(session->phase)) + ", its slot in " +
             std::to_string(static_cast<int>(session->slot));
    });
  }
  /// Erased is said of bytes, not of names.
  void expect_bytes_gone() {
    for (const std::string& name : object_files()) diverge(name + " is left when all is deleted");
  }

  bool doubtful_ = false;  ///< a fault has struck this process: its index may be rebuilt at any time
  bool struck_ = false;
  Lives unknown_lives_;
  bool retired_ = false;  ///< all clients: nothing is kept beyond its dates
  std::optional<Divergence> disturbance_;
};

}  // namespace holdfast::collect::history
