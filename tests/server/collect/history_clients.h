#pragma once
// What clients do to a tenant: careful ones, and those that name blobs which they only remember.

#include "tests/server/collect/history_compare.h"
#include "tests/server/collect/history_ops.h"

namespace holdfast::collect::history {

/// One thread at a time.
class Clients : public Compared {
 public:
  using Compared::Compared;

 protected:
  static constexpr std::size_t kMaxWorks = 6;
  static constexpr std::int64_t kTermNs = 30 * 86'400'000'000'000;

  void back_up(const Op& op) {
    if (model_.works.size() >= kMaxWorks) return;
    begin(op);
    if (model_.works.empty() || !model_.works.back().opened) return;
    Work& w = model_.works.back();
    if (op.with[1] % 3 != 0) keep(w, op);
    grow(w, op);
    if (!w.broken) commit(model_.works.size() - 1);
  }

  void begin(const Op& op) {
    if (model_.works.size() >= kMaxWorks) return;
    Work w;
    w.machine = op.with[0] % machines_.size();
    w.run = plan_run(machines_[w.machine]);
    w.base = choose_base(w.machine, op.with[1]);
    model_.slots[w.run.id] = {w.machine, w.run.slot};
    model_.works.push_back(std::move(w));
    open_work(model_.works.back(), "open a session");
  }

  /// The upload of this number, opened and sound; nullptr: there is none.
  Work* pick(std::uint32_t number) {
    if (model_.works.empty()) return nullptr;
    const std::size_t at = number % model_.works.size();
    Work& w = model_.works[at];
    if ((!w.opened || w.broken) && !resume(at)) return nullptr;
    return &model_.works[at];
  }

  bool resume(std::size_t at) {
    Work& w = model_.works[at];
    const bool was_opened = w.opened;
    lose_sent(w);
    if (open_work(w, "resume")) return true;
    // Opened with an outcome that nobody learned, and ended since.
    if (!was_opened && !may_fail_) model_.works.erase(model_.works.begin() + static_cast<std::ptrdiff_t>(at));
    return false;
  }

  /// New leaves with new data, and perhaps with data that stands there already.
  void grow(Work& w, const Op& op) {
    const std::size_t leaves = 1 + op.with[0] % 3;
    for (std::size_t i = 0; i < leaves && !w.broken; ++i) {
      std::vector<Ref> children;
      for (std::size_t j = 0; j < op.with[1] % 4; ++j) {
        if (const auto sent = send_blob(w, blob::Type::Data, {}, 40 + op.with[2] * 20)) children.push_back(*sent);
      }
      if (op.with[2] % 4 == 1) {
        if (const std::optional<Ref> known = known_blob(w, op.with[1], {blob::Type::Data, blob::Type::Extents}))
          children.push_back(*known);
      }
      if (op.with[2] % 5 == 2) {
        if (const auto extents = send_blob(w, blob::Type::Extents, children, 30)) children = {*extents};
      }
      if (w.broken) return;
      if (const auto leaf = send_blob(w, blob::Type::Leaf, children, 50)) w.tops.push_back(*leaf);
    }
    if (!w.broken && op.with[2] % 3 != 0) flush(w);
  }

  /// Names a segment that stands there already: as the base has it, as the server says, or as it is remembered.
  void keep(Work& w, const Op& op) {
    const Committed* const base = model_.snapshot(w.base);
    if (op.with[1] % 3 == 1 && base != nullptr && w.run.opened.base_known) {
      for (const Ref& ref : base->closure) {
        if (model_.library.at(ref).type == blob::Type::Leaf && w.tops.size() < 12) w.tops.push_back(ref);
      }
      return;
    }
    const std::optional<Ref> known = known_blob(w, op.with[2], {blob::Type::Leaf, blob::Type::Index});
    if (!known) return;
    if (op.with[1] % 3 == 0) {
      w.tops.push_back(*known);
      return;
    }
    if (const auto had = ask(w, known->blob)) w.tops.push_back(*had);
  }

  /// The same blob by another run is another record.
  void send_again(Work& w, const Op& op) {
    const std::optional<Ref> known =
        known_blob(w, op.with[1], {blob::Type::Data, blob::Type::Leaf, blob::Type::Extents});
    if (!known || model_.library.contains({known->blob, w.run.id})) return;
    const Sent& sent = model_.library.at(*known);
    const auto again = send_blob(w, sent.type, sent.children, 60, known->blob);
    if (!again || w.broken) return;
    if (sent.type == blob::Type::Leaf)
      w.tops.push_back(*again);
    else if (const auto leaf = send_blob(w, blob::Type::Leaf, {*again}, 50); leaf)
      w.tops.push_back(*leaf);
  }

  void commit(std::size_t at) {
    Work& w = model_.works[at];
    std::vector<Ref> tops(w.tops.begin(), w.tops.end());
    std::sort(tops.begin(), tops.end());
    tops.erase(std::unique(tops.begin(), tops.end()), tops.end());
    const std::optional<Ref> made_root = send_blob(w, blob::Type::Index, tops, 50);
    if (!made_root || w.broken) return;
    Committed made = planned(w, *made_root);
    Refs sure = model_.sure_for(w);
    Refs sent_now;
    for (const auto& [tag, ref] : w.sent) sent_now.insert(ref);
    sure.insert(sent_now.begin(), sent_now.end());
    const bool must = std::all_of(made.closure.begin(), made.closure.end(), [&](const Ref& ref) {
      const bool own = w.acked.contains(ref) || w.had.contains(ref) || sent_now.contains(ref);
      return own || (sure.contains(ref) && model_.must_be_had(ref, w.machine));
    });
    tenant::Refused refused;
    Result<Bytes> receipt = tenant->commit(machines_[w.machine].id, made.session, made.core, &refused);
    touch(w);
    if (receipt) {
      made.receipt = *std::move(receipt);
      return note_commit(at, std::move(made));
    }
    if (may_fail_) {
      w.broken = true;
      unknown_commit_ = std::move(made);
      return;
    }
    if (must || receipt.error().code != Errc::Missing)
      diverge("commit: " + receipt.error().message + why_sure(w, sent_now, refused));
    if (refused.missing.empty()) diverge("refused without naming what is missing");
    note_held(w);                                // published all the same, and told with the next answer
    std::erase_if(w.tops, [&](const Ref& top) {  // what the client would send anew
      Refs below;
      model_.add_closure(top, below);
      return !std::includes(sure.begin(), sure.end(), below.begin(), below.end());
    });
  }

  /// Whoever asks again gets the first receipt.
  void repeat(const Op& op) {
    if (model_.snapshots.empty()) return;
    Committed& s = model_.snapshots[op.with[0] % model_.snapshots.size()];
    const auto receipt = settle(tenant->commit(machines_[s.machine].id, s.session, s.core, nullptr), "repeat a commit");
    if (!receipt) return;
    if (s.receipt.empty()) s.receipt = *receipt;
    if (s.receipt != *receipt) diverge("another receipt for one commit");
  }

  void abandon(std::size_t at) {
    Work& w = model_.works[at];
    if (settle(tenant->abandon(machines_[w.machine].id, w.run.opened.session), "abandon"))
      model_.works.erase(model_.works.begin() + static_cast<std::ptrdiff_t>(at));
    else
      w.recorded_ns = std::numeric_limits<std::int64_t>::min() / 2;  // it may have ended
  }

  /// After a fault: was it committed?
  void learn_of_commit() {
    if (!unknown_commit_) return;
    Committed made = *std::exchange(unknown_commit_, std::nullopt);
    const bool done = parts().state.read([&](const tenant::State& s) { return s.snapshot(made.id) != nullptr; });
    for (std::size_t at = 0; done && at < model_.works.size(); ++at) {
      if (model_.works[at].run.opened.session == made.session) return note_commit(at, std::move(made));
    }
  }

  std::optional<Ref> send_blob(Work& w, blob::Type type, std::vector<Ref> children, std::size_t body_bytes,
                               const std::optional<BlobId>& id = {}) {
    std::sort(children.begin(), children.end());
    children.erase(std::unique(children.begin(), children.end()), children.end());
    const tenant::Machine& m = machines_[w.machine];
    blob::Header header;
    header.type = type;
    header.domain = m.domain;
    header.epoch = m.epoch;
    header.run = w.run.id;
    header.blob = id ? *id : random.id<BlobId>();
    Bytes record = tenant::make_record(random, header, children, body_bytes);
    const Ref ref{header.blob, w.run.id};
    const std::uint64_t tag = next_tag++;
    model_.remember(ref, {record, std::move(children), type, w.machine});
    w.sent[tag] = ref;
    const auto tags = settle(tenant->put(m.id, w.run.opened.session, tag, record), "put");
    touch(w);
    w.broken = w.broken || !tags;
    if (!tags) return std::nullopt;
    note_acked(w, *tags);
    return ref;
  }

  void flush(Work& w) {
    const auto tags = settle(tenant->flush(machines_[w.machine].id, w.run.opened.session), "flush");
    touch(w);
    w.broken = w.broken || !tags;
    if (!tags) return;
    note_acked(w, *tags);
    if (!w.sent.empty()) diverge("flushed, and not all is acknowledged");
  }

 private:
  bool open_work(Work& w, const std::string& doing) {
    const auto opened =
        settle(tenant->open_session(machines_[w.machine].id, w.run.record, w.run.slot, w.base, std::nullopt), doing,
               w.opened ? std::initializer_list<Errc>{} : std::initializer_list<Errc>{Errc::Conflict});
    if (!opened) {
      w.broken = w.broken || w.opened;
      if (!w.opened) tried_.insert(w.run.id);
      return false;
    }
    const Committed* const newest = model_.newest(w.machine);
    if (opened->next_sequence != (newest == nullptr ? 1 : newest->sequence + 1)) diverge("opened for another sequence");
    if (opened->previous != (newest == nullptr ? SnapshotId{} : newest->id)) diverge("opened behind another snapshot");
    if (w.opened && (opened->session != w.run.opened.session || opened->base_known != w.run.opened.base_known))
      diverge("resumed another session");
    const Committed* const base = model_.snapshot(w.base);
    const bool usable = base != nullptr && base->life != Life::Deleted;
    if (!w.opened && !tried_.contains(w.run.id) && opened->base_known != usable) diverge("base known or not");
    if (!w.opened) {
      w.recorded_ns = tried_.contains(w.run.id) ? 0 : vault_ns();
      // What the client's other sessions hold is published first: that counts as use.
      for (Work& other : model_.works)
        if (other.machine == w.machine && !other.sent.empty()) note_held(other);
    }
    w.run.opened = *opened;
    w.opened = true;
    w.broken = false;
    touch(w);
    return true;
  }

  /// Why this upload may count on the blobs that are said to be missing.
  std::string why_sure(const Work& w, const Refs& sent_now, const tenant::Refused& refused) const {
    const Refs of_snapshots = model_.sure(model_.domains[w.machine]);
    std::string out;
    for (const BlobId& missing : refused.missing) {
      for (const Ref& ref : model_.by_blob.at(missing)) {
        out += "; " + ref.blob.short_hex() + " of run " + ref.run.short_hex() +
               (sent_now.contains(ref) ? " just sent" : "") + (w.acked.contains(ref) ? " acknowledged" : "") +
               (w.had.contains(ref) ? " had" : "") + (of_snapshots.contains(ref) ? " in a snapshot" : "");
      }
    }
    return out;
  }

  SnapshotId choose_base(std::size_t machine, std::uint32_t number) const {
    std::vector<SnapshotId> own;
    for (const Committed& s : model_.snapshots)
      if (s.machine == machine && !s.erased) own.push_back(s.id);
    if (own.empty() || number % 4 == 0) return {};
    return number % 4 == 1 ? own[number / 4 % own.size()] : own.back();
  }

  void note_held(Work& w) {
    w.touched_ns = w.held_ns = vault_ns();
    for (const auto& [tag, ref] : w.sent) w.held.insert(tag);
  }
  void note_acked(Work& w, const std::vector<std::uint64_t>& tags) {
    for (const std::uint64_t tag : tags) {
      const auto sent = w.sent.find(tag);
      if (sent == w.sent.end()) diverge("acknowledges what was not sent");
      w.acked.insert(sent->second);
      w.sent.erase(sent);
    }
    const bool only_held =
        std::all_of(tags.begin(), tags.end(), [&](std::uint64_t tag) { return w.held.contains(tag); });
    if (!tags.empty()) w.recorded_ns = only_held ? std::max(w.recorded_ns, w.held_ns) : vault_ns();
  }

  void touch(Work& w) {
    w.touched_ns = vault_ns();
    w.used_ns = monotonic_ns();
  }

  /// A blob of the domain that was sent some time, whatever has become of it.
  std::optional<Ref> known_blob(const Work& w, std::uint32_t number, std::initializer_list<blob::Type> types) const {
    std::vector<Ref> found;
    for (const auto& [ref, sent] : model_.library) {
      const bool wanted = std::find(types.begin(), types.end(), sent.type) != types.end();
      if (wanted && model_.domains[sent.machine] == model_.domains[w.machine] && ref.run != w.run.id)
        found.push_back(ref);
    }
    if (found.empty()) return std::nullopt;
    return found[number * 7919u % found.size()];
  }

  std::optional<Ref> ask(Work& w, const BlobId& id) {
    const auto answers = settle(tenant->have(machines_[w.machine].id, w.run.opened.session, 1, {id}), "have");
    touch(w);
    if (!answers) return std::nullopt;
    if (answers->empty()) {
      const Refs sure = model_.sure_for(w);
      for (const Ref& ref : model_.by_blob.at(id))
        if (sure.contains(ref) && model_.must_be_had(ref, w.machine)) diverge("does not have what a snapshot needs");
      return std::nullopt;
    }
    const Ref ref{id, answers->front().run};
    const auto known = model_.library.find(ref);
    if (known == model_.library.end()) diverge("has what nobody sent");
    if (answers->front().record_digest != blob::record_digest(known->second.record)) diverge("has other bytes");
    if (!model_.may_be_had(ref, w.machine)) diverge("has what another client has not committed");
    w.had.insert(ref);
    return ref;
  }

  Committed planned(const Work& w, const Ref& top) {
    Committed made;
    const Committed* const newest = model_.newest(w.machine);
    tenant::TestRun run = w.run;
    run.opened.next_sequence = newest == nullptr ? 1 : newest->sequence + 1;
    run.opened.previous = newest == nullptr ? SnapshotId{} : newest->id;
    made.core = core(machines_[w.machine], run, {top.run, top.blob, blob::record_digest(model_.library.at(top).record)},
                     w.base);
    made.machine = w.machine;
    made.sequence = run.opened.next_sequence;
    made.id = snapshot::snapshot_id(made.core);
    made.session = w.run.opened.session;
    made.root = top;
    model_.add_closure(top, made.closure);
    return made;
  }

  void note_commit(std::size_t at, Committed made) {
    made.lock_ns = parts().state.read([&](const tenant::State& s) {
      const tenant::Snapshot* const known = s.snapshot(made.id);
      return known == nullptr ? 0 : known->payload.lock_not_before_ns;
    });
    if (made.lock_ns < model_.works[at].touched_ns + kTermNs) diverge("a shorter term than the plan's");
    model_.ever_committed.insert(made.closure.begin(), made.closure.end());
    model_.committed_runs.insert(model_.works[at].run.id);
    model_.works.erase(model_.works.begin() + static_cast<std::ptrdiff_t>(at));
    model_.snapshots.push_back(std::move(made));
  }

  std::set<RunId> tried_;  ///< opened once with an unknown outcome
  std::optional<Committed> unknown_commit_;
};

}  // namespace holdfast::collect::history
