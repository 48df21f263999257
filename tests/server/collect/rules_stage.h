#pragma once
// Why: what every actor of the model does alike: it publishes, asks what is there, and can say so in a sentence.
// Each step is atomic; between two of them anything may happen. A publish is one step: the tenant's publish lock, or a
// compare-and-swap of the head, makes it one.

#include "tests/server/collect/rules_model.h"

namespace holdfast::collect::model {

class Stage {
 public:
  Stage(const Scenario& scenario, const Rules& rules, World& world, std::string* said)
      : scenario_(scenario), rules_(rules), world_(world), said_(said) {}

  bool committed() const { return committed_; }
  bool unlinked() const { return unlinked_; }
  bool refused_commit() const { return refused_commit_; }  ///< for want of a blob
  bool refused_epoch() const { return refused_epoch_; }

 protected:
  const Program& program() const { return scenario_.actors[who_]; }
  Actor& actor() { return world_.actor[who_]; }
  const Actor& actor() const { return world_.actor[who_]; }
  const Journal& view() const { return actor().epoch == world_.now.epoch ? world_.now : world_.before; }

  /// What an ended actor remembers makes no difference.
  void end() {
    const auto steps = static_cast<std::uint8_t>(program().steps.size());
    actor() = Actor{};
    actor().next = steps;
  }

  void give_up(const char* why) {
    say(why);
    end();
  }

  // ---- sentences
  template <class... Parts>
  void say(const Parts&... parts) {
    if (said_ != nullptr) (append(parts), ...);
  }
  struct Blobs {
    Mask set;
  };
  struct Packs {
    Mask set;
  };
  void append(const char* text) { *said_ += text; }
  void append(std::uint8_t number) { *said_ += std::to_string(number); }
  void append(Blobs blobs) {
    append_set(blobs.set, [&](std::uint8_t b) { return scenario_.blob_names[b]; });
  }
  void append(Packs packs) {
    append_set(packs.set, [](std::uint8_t p) { return "p" + std::to_string(p); });
  }
  template <class Name>
  void append_set(Mask set, Name name) {
    if (set == 0) *said_ += " nothing";
    for (std::uint8_t i = 0; i < 8; ++i) {
      if (has(set, i)) *said_ += " " + name(i);
    }
  }

  // ---- publishing
  /// Rule 1. An actor that may not publish has come to its end.
  bool may_publish() {
    if (!rules_.epoch || actor().epoch == world_.now.epoch) return true;
    say(": refused, the epoch is not its own");
    refused_epoch_ = true;
    end();
    return false;
  }
  bool outdated() const { return rules_.generation && actor().generation != world_.now.generation; }
  /// Whoever publishes has read everything before it.
  void published() {
    ++world_.now.generation;
    if (actor().epoch != world_.now.epoch) world_.before = world_.now;
  }

  /// A pack that has been condemned stays so, even if a late record names it.
  void make_live(std::uint8_t p) {
    if (world_.now.entry[p] == Entry::None || !rules_.condemn_final) world_.now.entry[p] = Entry::Live;
  }

  // ---- what is there
  /// May somebody build on this pack's blobs?
  bool stands(const Journal& journal, std::uint8_t p) const {
    return journal.entry[p] == Entry::Live || (journal.entry[p] == Entry::Trash && !rules_.condemn_final);
  }
  Mask packs_with(Mask blobs) const {
    Mask out = 0;
    for (std::uint8_t p = 0; p < kPacks; ++p) out |= (world_.pack[p].blobs & blobs) != 0 ? bit(p) : Mask{0};
    return out;
  }
  Mask live_packs(const Journal& journal) const {
    Mask out = 0;
    for (std::uint8_t p = 0; p < kPacks; ++p) out |= journal.entry[p] == Entry::Live ? bit(p) : Mask{0};
    return out;
  }
  Mask base_reaches(const Journal& journal, std::uint8_t session) const {
    const std::uint8_t base = journal.base[session];
    return base == kNone ? Mask{0} : closure(scenario_, scenario_.tops[base]);
  }
  /// Nothing of another session that has not committed: it might be anybody's word.
  bool own_or_committed(const Journal& journal, std::uint8_t p) const {
    for (std::uint8_t s = 0; s < kSessions; ++s) {
      if (s != program().session && journal.phase[s] != Phase::Committed && has(journal.own[s], p)) return false;
    }
    return true;
  }
  bool task_writes(std::uint8_t p) const {
    for (const Actor& other : world_.actor) {
      if (other.task != 0 && other.pack == p && other.epoch == actor().epoch) return true;
    }
    return false;
  }

  const Scenario& scenario_;
  const Rules& rules_;
  World& world_;
  std::string* const said_;
  std::uint8_t who_ = 0;
  bool committed_ = false, unlinked_ = false, refused_commit_ = false, refused_epoch_ = false;
};

}  // namespace holdfast::collect::model
