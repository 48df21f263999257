#pragma once
// Why: the steps of who removes packs: a collector of what is dead, a rewriter of what is half dead, a sweeper of orphans.

#include "tests/server/collect/rules_uploader.h"

namespace holdfast::collect::model {

class CollectorSteps : public UploaderSteps {
 protected:
  using UploaderSteps::UploaderSteps;

  /// Blobs that a mark reaches.
  Mask reached(const Journal& journal) const {
    Mask out = promised(scenario_, journal);
    for (std::uint8_t s = 0; s < kSessions && rules_.base_pinned; ++s) {
      if (journal.phase[s] == Phase::Open) out |= base_reaches(journal, s);
    }
    return out;
  }
  /// Packs that open sessions have published, and in which "have?" was answered, as far as this owner knows.
  Mask held(const Journal& journal) const {
    Mask out = 0;
    for (std::uint8_t s = 0; s < kSessions && rules_.pins; ++s) {
      if (journal.phase[s] != Phase::Open) continue;
      out |= journal.own[s];
      out |= world_.pins[actor().epoch - 1u][s];
    }
    return out;
  }
  /// Of `candidates`, those that go by this judgement: nothing in them is needed, or, for who keeps one copy, each of it
  /// stands in a live pack that stays.
  Mask judged(const Journal& journal, Mask candidates) const {
    const Mask needed = reached(journal);
    Mask out = 0, rest = without(candidates, held(journal));
    for (std::uint8_t p = 0; p < kPacks; ++p) {
      if (!has(rest, p)) continue;
      Mask here = world_.pack[p].blobs & needed;
      if (program().one_copy) here = without(here, blobs_in(without(live_packs(journal), out | bit(p))));
      if (here == 0) out |= bit(p);
    }
    return out;
  }
  Mask blobs_in(Mask packs) const {
    Mask out = 0;
    for (std::uint8_t p = 0; p < kPacks; ++p) out |= has(packs, p) ? world_.pack[p].blobs : Mask{0};
    return out;
  }
  void note_state() {
    actor().generation = view().generation;
    for (std::uint8_t n = 0; n < kSnapshots; ++n) actor().seen |= view().snapshot[n] != State::None ? bit(n) : Mask{0};
  }
  void mark() {
    note_state();
    actor().packs = judged(view(), live_packs(view()));
    say("marks: nobody needs", Packs{actor().packs});
    if (actor().packs == 0) end();
  }
  void mark_half() {
    note_state();
    const Mask needed = reached(view());
    for (std::uint8_t p = 0; p < kPacks && actor().packs == 0; ++p) {
      const Mask part = world_.pack[p].blobs & needed;
      if (!has(without(live_packs(view()), held(view())), p) || part == 0 || part == world_.pack[p].blobs) continue;
      actor().packs = bit(p);
      actor().write = part;
    }
    say("marks: of", Packs{actor().packs}, " only", Blobs{actor().write}, " is needed");
    if (actor().packs == 0) end();
  }
  void copy() {
    const Mask old = actor().packs;
    for (std::uint8_t p = 0; p < kPacks; ++p) {
      if (has(old, p) && world_.pack[p].file == 0) return give_up("finds its pack gone");
    }
    actor().pack = program().writes;
    world_.pack[actor().pack] = {actor().write, actor().epoch, 1};
    actor().task = 1;
    say("copies", Blobs{actor().write}, " to", Packs{bit(actor().pack)});
  }

  /// Rule 2: what was published since the judgement takes from it what it made wrong.
  Mask repaired() const {
    const Mask packs = actor().packs;
    if (program().kind == Kind::Sweeper) {
      Mask out = 0;
      for (std::uint8_t p = 0; p < kPacks; ++p) {
        if (has(packs, p) && world_.now.entry[p] == Entry::None) out |= bit(p);
      }
      return out;
    }
    const Mask still = packs & without(live_packs(world_.now), held(world_.now));
    if (program().kind == Kind::Rewriter) {
      const Mask left_out = without(blobs_in(packs), actor().write);
      return (left_out & (rules_.redo ? reached(world_.now) : since())) == 0 ? still : Mask{0};
    }
    if (rules_.redo || program().one_copy) return judged(world_.now, packs & live_packs(world_.now));
    return without(still, packs_with(since()));
  }
  /// What snapshots reach that were committed since the mark.
  Mask since() const {
    Journal added = world_.now;
    for (std::uint8_t n = 0; n < kSnapshots; ++n) {
      State& state = added.snapshot[n];
      if (has(actor().seen, n)) state = State::None;
      if (rules_.delta_by_record && state != State::None) state = State::Live;
    }
    return promised(scenario_, added);
  }
  void condemn() {
    if (!rules_.condemn_recorded && program().kind != Kind::Rewriter) return say("condemns nothing, it just goes on");
    say("condemns");
    if (!may_publish()) return;
    actor().packs = without(actor().packs, held(world_.now));  // a pin moves no generation: it is looked at in any case
    if (outdated()) actor().packs = repaired();
    say(Packs{actor().packs});
    if (actor().packs == 0) return end();
    if (actor().task != 0) {
      make_live(actor().pack);
      actor().task = 0;
      say(" and publishes", Packs{bit(actor().pack)});
    }
    for (std::uint8_t p = 0; p < kPacks && rules_.condemn_recorded; ++p) {
      if (has(actor().packs, p)) world_.now.entry[p] = Entry::Trash;
    }
    published();
  }
  void unlink() {
    for (std::uint8_t p = 0; p < kPacks; ++p) {
      if (view().entry[p] == Entry::Trash && rules_.condemn_recorded) actor().packs |= bit(p);
      if (!has(actor().packs, p) || world_.pack[p].file == 0) continue;
      world_.pack[p].file = 0;
      unlinked_ = true;
    }
    say("unlinks", Packs{actor().packs});
  }
  void forget() {
    say("publishes that it removed", Packs{actor().packs});
    if (!may_publish()) return;
    for (std::uint8_t p = 0; p < kPacks; ++p) {
      if (has(actor().packs, p)) world_.now.entry[p] = Entry::None;
    }
    published();
  }

  void list() {
    for (std::uint8_t p = 0; p < kPacks; ++p) actor().packs |= world_.pack[p].file != 0 ? bit(p) : Mask{0};
    say("lists", Packs{actor().packs});
  }
  void judge() {
    note_state();
    Mask orphans = 0;
    for (std::uint8_t p = 0; p < kPacks; ++p) {
      const std::uint8_t epoch = world_.pack[p].epoch;
      const bool abandoned = epoch < actor().epoch || (epoch == actor().epoch && !task_writes(p));
      const bool orphan = has(actor().packs, p) && view().entry[p] == Entry::None;
      if (orphan && (abandoned || !rules_.orphans_of_old)) orphans |= bit(p);
    }
    actor().packs = orphans;
    say("judges: no record names", Packs{orphans});
    if (orphans == 0) end();
  }
};

}  // namespace holdfast::collect::model
