#pragma once
// Why: the steps of a client's session, at the server.

#include "tests/server/collect/rules_stage.h"

namespace holdfast::collect::model {

class UploaderSteps : public Stage {
 protected:
  using Stage::Stage;

  void open() {
    say("opens a session");
    if (!may_publish()) return;
    const Journal& journal = rules_.generation ? world_.now : view();
    const std::uint8_t base = program().base;
    const State state = base != kNone ? journal.snapshot[base] : State::None;
    const bool known = state != State::None && (state != State::Deleted || !rules_.base_kept);
    world_.now.phase[program().session] = Phase::Open;
    world_.now.base[program().session] = known ? base : kNone;
    if (known) say(" on snapshot ", base);
    published();
  }

  /// Asks from the top down; what is there is not looked into. A client that asks for everything loses less.
  void have() {
    const Journal& journal = view();
    Mask open = scenario_.tops[program().snapshot], asked = base_reaches(journal, program().session), pinned = 0;
    while (without(open, asked) != 0) {
      for (std::uint8_t b = 0; b < kBlobs; ++b) {
        if (!has(without(open, asked), b)) continue;
        asked |= bit(b);
        const std::uint8_t p = answer(journal, b);
        if (p != kNone) {
          pinned |= bit(p);
        } else {
          actor().write |= bit(b);
          open |= scenario_.children[b];
        }
      }
    }
    world_.pins[actor().epoch - 1u][program().session] |= pinned;
    say("asks: is told of", Packs{pinned}, " and has to write", Blobs{actor().write});
  }
  std::uint8_t answer(const Journal& journal, std::uint8_t b) const {
    for (std::uint8_t p = 0; p < kPacks; ++p) {
      if (has(world_.pack[p].blobs, b) && stands(journal, p) && own_or_committed(journal, p)) return p;
    }
    return kNone;
  }

  void write() {
    if (actor().write == 0) return say("has nothing to write");
    const std::uint8_t orphan = rules_.no_adoption ? kNone : find_orphan();
    actor().pack = orphan != kNone ? orphan : program().writes;
    if (orphan == kNone) world_.pack[actor().pack] = {actor().write, actor().epoch, 1};
    actor().task = 1;
    say(orphan == kNone ? "writes" : "finds and adopts the orphan", Packs{bit(actor().pack)}, " with",
        Blobs{actor().write});
  }
  /// What rule 6 forbids: a file that nobody seems to use and that has what is wanted.
  std::uint8_t find_orphan() const {
    for (std::uint8_t p = 0; p < kPacks; ++p) {
      const bool orphan = world_.pack[p].file != 0 && view().entry[p] == Entry::None && !task_writes(p);
      if (orphan && without(actor().write, world_.pack[p].blobs) == 0) return p;
    }
    return kNone;
  }

  void publish_packs() {
    if (actor().pack == kNone) return say("has no packs to publish");
    const std::uint8_t p = actor().pack;
    say("publishes", Packs{bit(p)});
    if (!may_publish()) return;
    actor().task = 0;
    if (world_.now.phase[program().session] != Phase::Open) return give_up(": refused, the session has ended");
    make_live(p);
    world_.now.own[program().session] |= bit(p);
    published();
  }

  /// The commit check. Any live copy will do, also one of a session that never committed: safety does not hang on that.
  Mask missing(const Journal& journal) const {
    const Mask proven = base_reaches(journal, program().session);
    Mask open = scenario_.tops[program().snapshot], seen = proven, absent = 0;
    while (without(open, seen) != 0) {
      for (std::uint8_t b = 0; b < kBlobs; ++b) {
        if (!has(without(open, seen), b)) continue;
        seen |= bit(b);
        bool there = false;
        for (std::uint8_t p = 0; p < kPacks; ++p) there |= has(world_.pack[p].blobs, b) && stands(journal, p);
        if (!there) absent |= bit(b);
        if (rules_.closure) open |= scenario_.children[b];
      }
    }
    return rules_.recheck ? absent : Mask{0};
  }
  bool refuse(Mask absent) {
    if (absent == 0) return false;
    refused_commit_ = true;
    say(": refused for want of", Blobs{absent});
    end();
    return true;
  }
  void check() {
    say("has its tree checked");
    if (refuse(missing(view()))) return;
    actor().generation = view().generation;
  }
  void commit() {
    say("commits snapshot ", program().snapshot);
    if (!may_publish()) return;
    if (world_.now.phase[program().session] != Phase::Open) return give_up(": refused, the session has ended");
    if (outdated() && refuse(missing(world_.now))) return;
    world_.now.snapshot[program().snapshot] = State::Live;
    world_.now.phase[program().session] = Phase::Committed;
    committed_ = true;
    published();
  }
  void end_session(const char* what) {
    say(what);
    if (!may_publish()) return;
    if (world_.now.phase[program().session] != Phase::Open) return give_up(": it has ended already");
    world_.now.phase[program().session] = Phase::Ended;
    published();
  }
  void resume() {
    say("goes on at the new owner");
    actor().epoch = world_.now.epoch;
    actor().pack = kNone;
    actor().task = 0;
    actor().write = 0;
    if (world_.now.phase[program().session] != Phase::Open) give_up(": the session has ended");
  }
};

}  // namespace holdfast::collect::model
