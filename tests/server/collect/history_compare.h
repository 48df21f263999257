#pragma once
// The tenant beside the model: whatever can be seen of the one must be what the other says.

#include "tests/server/collect/collect_world.h"
#include "tests/server/collect/history_model.h"

namespace holdfast::collect::history {

/// One thread at a time.
class Compared : protected CollectWorld {
 public:
  explicit Compared(std::uint64_t seed) : CollectWorld(seed) {
    machines_.push_back(enrol("shop"));
    machines_.push_back(enrol("till", machines_[0].domain));
    machines_.push_back(enrol("safe"));
    for (const tenant::Machine& m : machines_) model_.domains.push_back(m.domain);
  }

 protected:
  static constexpr std::int64_t kIdleNs = 7 * 86'400'000'000'000;

  std::int64_t vault_ns() { return parts().vault->now_ns(); }
  std::int64_t monotonic_ns() const { return clock.monotonic().time_since_epoch().count(); }

  /// The value. nullopt: it failed, and may have. What fails without a fault, or otherwise than `allowed`, is a divergence.
  template <class T>
  std::optional<T> settle(Result<T> result, const std::string& doing, std::initializer_list<Errc> allowed = {}) {
    if (result) return *std::move(result);
    if (!may_fail_ && std::find(allowed.begin(), allowed.end(), result.error().code) == allowed.end())
      diverge(doing + ": " + result.error().message);
    return std::nullopt;
  }
  bool settle(const Status& result, const std::string& doing) {
    if (!result && !may_fail_) diverge(doing + ": " + result.error().message);
    return result.has_value();
  }

  /// After each operation.
  void compare() {
    compare_clock();
    compare_works();
    compare_rows();
    compare_erased();
    const tenant::Account account = tenant->account();
    if (account.health != "ok") diverge("health: " + account.health);
    const auto standing = [](const Committed& s) { return s.life != Life::Deleted; };
    const auto expected =
        static_cast<std::uint64_t>(std::count_if(model_.snapshots.begin(), model_.snapshots.end(), standing));
    if (account.snapshots != expected) diverge("account: " + std::to_string(account.snapshots) + " snapshots");
    read_some();
  }

  /// Every blob of every snapshot and of every upload, byte for byte, and the keys.
  void read_all() {
    std::set<std::pair<std::size_t, RunId>> runs;
    std::map<std::size_t, Refs> by_reader;
    for (const Committed& s : model_.snapshots) {
      if (s.life == Life::Deleted && !model_.is_base(s.id)) continue;
      by_reader[s.machine].insert(s.closure.begin(), s.closure.end());
      for (const Ref& ref : s.closure) runs.emplace(s.machine, ref.run);
    }
    for (const Work& w : model_.works) {
      by_reader[w.machine].insert(w.acked.begin(), w.acked.end());
      by_reader[w.machine].insert(w.had.begin(), w.had.end());
    }
    for (const auto& [reader, refs] : by_reader)
      for (const Ref& ref : refs) read(reader, ref);
    for (const auto& [reader, run] : runs) {
      const auto row = tenant->run(machines_[reader].id, run);
      if (!row) diverge("key of run " + run.short_hex() + ": " + row.error().message);
      if (row->slot != model_.slots.at(run).second) diverge("key of run " + run.short_hex() + " is another one");
    }
  }

  void read(std::size_t reader, const Ref& ref) {
    const tenant::Machine& m = machines_[reader];
    const auto found = tenant->read_blob(m.id, m.domain, 1, ref);
    if (!found) diverge("blob for " + m.name + ": " + found.error().message + why_kept(ref));
    if (*found != model_.library.at(ref).record) diverge("blob " + ref.blob.short_hex() + " has other bytes");
  }

  std::string why_kept(const Ref& ref) {
    std::string out;
    for (const Committed& s : model_.snapshots) {
      if (s.closure.contains(ref))
        out += "; in " + machines_[s.machine].name + "/" + std::to_string(s.sequence) +
               (s.life == Life::Live     ? ", live"
                : s.life == Life::Locked ? ", locked"
                                         : ", deleted") +
               (model_.is_base(s.id) ? ", a base" : "");
    }
    for (const Work& w : model_.works) {
      const std::string who = machines_[w.machine].name + "'s session " + w.run.opened.session.short_hex();
      if (w.acked.contains(ref)) out += "; acknowledged to " + who;
      if (w.had.contains(ref)) out += "; had by " + who;
    }
    return out + where(ref);
  }
  /// In which files its bytes stand, for whoever looks for the reason.
  std::string where(const Ref& ref) {
    std::string out;
    for (const auto& [name, bytes] : files("packs")) {
      const auto read = pack::read_footer(bytes.size(), [&](std::uint64_t offset, std::uint64_t length) {
        const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(offset);
        return Result<Bytes>(Bytes(from, from + static_cast<std::ptrdiff_t>(length)));
      });
      const auto is_it = [&](const pack::Entry& entry) { return entry.ref() == ref; };
      if (!read || std::none_of(read->footer.entries.begin(), read->footer.entries.end(), is_it)) continue;
      out += "; stands in " + name + parts().state.read([&](const tenant::State& s) -> std::string {
        if (s.pack(read->footer.id) != nullptr) return ", live";
        return s.trashed(read->footer.id) != nullptr ? ", in the trash" : ", which no record names";
      });
    }
    return out + (parts().index->is_current() ? "" : "; the index is not current");
  }

  /// Of one index that grew and one that is made anew.
  void compare_index() {
    const auto grown = tenant->index_digest();
    if (!grown) diverge("index digest: " + grown.error().message);
    if (const auto rebuilt = tenant->rebuild_index(); !rebuilt) diverge("rebuild: " + rebuilt.error().message);
    const auto anew = tenant->index_digest();
    if (!anew || *anew != *grown) diverge("the index is not what a rebuilt one is");
  }

  void compare_check() {
    const auto summary = tenant->check(true, [](const tenant::Finding& f) {
      if (f.damage) diverge("check: " + f.file + ": " + f.what);
    });
    if (!summary) diverge("check: " + summary.error().message);
  }

  /// What was had and sent, but not acknowledged, is over with the process; the vault clock may go on from the last record.
  void forget_process() {
    vault_seen_ns_ = parts().state.read([](const tenant::State& s) { return s.vault_ns(); });
    for (Work& w : model_.works) {
      w.had.clear();
      w.used_ns = 0;
      w.broken = false;
      lose_sent(w);
    }
  }
  /// The client sends it again some day; until then its tree does not name it.
  void lose_sent(Work& w) {
    Refs lost;
    for (const auto& [tag, ref] : w.sent) lost.insert(ref);
    w.sent.clear();
    std::erase_if(w.tops, [&](const Ref& top) {
      Refs below;
      model_.add_closure(top, below);
      return std::any_of(below.begin(), below.end(), [&](const Ref& ref) { return lost.contains(ref); });
    });
  }

  std::vector<tenant::Machine> machines_;
  Model model_;
  bool may_fail_ = false;     ///< a fault is set
  bool must_expire_ = false;  ///< a collection has just been through

 private:
  void compare_clock() {
    const std::int64_t now = vault_ns();
    if (now < vault_seen_ns_) diverge("the vault clock went back");
    vault_seen_ns_ = now;
  }

  /// An upload ends by itself after a week without use, not earlier, and not later than the next collection.
  void compare_works() {
    const std::int64_t now = vault_ns();
    const bool collected = std::exchange(must_expire_, false);
    for (std::size_t i = 0; i < model_.works.size();) {
      const Work& w = model_.works[i];
      if (!w.opened) {
        ++i;
        continue;
      }
      const auto phase = parts().state.read([&](const tenant::State& s) {
        const tenant::Session* const session = s.session(w.run.opened.session);
        return session == nullptr ? std::nullopt : std::optional(session->phase);
      });
      if (!phase) diverge("session " + w.run.opened.session.short_hex() + " is gone");
      if (*phase == tenant::Session::Phase::Committed) diverge("a session is committed that nobody committed");
      const bool used = w.used_ns != 0 && monotonic_ns() - w.used_ns < kIdleNs;
      if (*phase == tenant::Session::Phase::Expired && now - w.recorded_ns <= kIdleNs)
        diverge("a session ended that was used within a week: " + dates_of(w, now));
      if (*phase == tenant::Session::Phase::Open && collected && now - w.touched_ns > kIdleNs && !used)
        diverge("a session that nobody uses goes on: " + dates_of(w, now));
      if (*phase == tenant::Session::Phase::Open)
        ++i;
      else
        model_.works.erase(model_.works.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  static std::string dates_of(const Work& w, std::int64_t now) {
    const auto ago = [now](std::int64_t ns) { return std::to_string((now - ns) / 3'600'000'000'000) + " h ago"; };
    return w.run.opened.session.short_hex() + ", recorded " + ago(w.recorded_ns) + ", used " + ago(w.touched_ns);
  }

  void compare_rows() {
    const auto rows = tenant->snapshots(std::nullopt, 0, 1u << 20);
    if (!rows) diverge("list: " + rows.error().message);
    std::size_t standing = 0;
    for (const Committed& s : model_.snapshots) standing += s.life != Life::Deleted ? 1 : 0;
    if (rows->size() != standing)
      diverge("lists " + std::to_string(rows->size()) + " snapshots instead of " + std::to_string(standing));
    for (const tenant::SnapshotRow& row : *rows) {
      const Committed* const s = model_.snapshot(row.id);
      if (s == nullptr) diverge("lists a snapshot that nobody committed");
      if (row.client != machines_[s->machine].id || row.sequence != s->sequence || row.core != s->core)
        diverge("lists a snapshot as another one");
      if (row.state != (s->life == Life::Live ? "live" : "locked"))
        diverge("lists snapshot " + std::to_string(s->sequence) + " as " + row.state);
      if (row.lock_not_before_ns != s->lock_ns) diverge("the lock date of a snapshot has moved");
    }
  }

  /// Erased is said of deleted snapshots of which nothing can be read any more.
  void compare_erased() {
    for (Committed& s : model_.snapshots) {
      if (s.erased) continue;
      const auto [life, nothing_remains] = parts().state.read([&](const tenant::State& state) {
        const tenant::Snapshot* const known = state.snapshot(s.id);
        return std::pair(known->life, known->released && known->remains.empty());
      });
      if (life != tenant::Life::Erased) {
        if ((life == tenant::Life::Deleted) != (s.life == Life::Deleted)) diverge("deleted, and not");
        continue;
      }
      if (s.life != Life::Deleted) diverge("erased a snapshot that is not deleted");
      if (!nothing_remains) diverge("erased a snapshot of which packs remain");
      if (model_.is_base(s.id)) diverge("erased the base of an unfinished upload");
      s.erased = true;
      for (const Ref& ref : only_in_erased(s)) {
        const tenant::Machine& m = machines_[s.machine];
        if (tenant->read_blob(m.id, m.domain, 1, ref)) diverge("erased, yet it reads");
      }
    }
  }

 protected:
  /// What nothing that is left refers to.
  Refs only_in_erased(const Committed& erased) const {
    Refs out = erased.closure;
    for (const Committed& other : model_.snapshots) {
      if (other.erased) continue;
      for (const Ref& ref : other.closure) out.erase(ref);
    }
    return out;
  }

 private:
  void read_some() {
    for (int i = 0; i < 3 && !model_.snapshots.empty(); ++i) {
      const Committed& s = model_.snapshots[random.below(model_.snapshots.size())];
      if (s.life == Life::Deleted || s.closure.empty()) continue;
      const Ref& ref = *std::next(s.closure.begin(), static_cast<std::ptrdiff_t>(random.below(s.closure.size())));
      read(s.machine, ref);
      for (std::size_t m = 0; m < machines_.size(); ++m) {
        const bool stranger = machines_[m].domain != machines_[s.machine].domain;
        if (stranger && tenant->read_blob(machines_[m].id, machines_[s.machine].domain, 1, ref))
          diverge("a stranger reads it");
      }
    }
  }

  std::int64_t vault_seen_ns_ = 0;
};

}  // namespace holdfast::collect::history
