#pragma once
// Why: every order of the actors' steps, once. Worlds that are equal go on equally, so orders that meet in one are
// carried on together, and only counted apart. All worlds after n steps come before those after n + 1: the first
// violation found has the shortest schedule.

#include <algorithm>
#include <optional>
#include <utility>

#include "tests/server/collect/rules_actors.h"

namespace holdfast::collect::model {

using Path = std::uint64_t;  ///< two bits a step: who; kActors × 6 steps are 48 bits

struct Violation {
  Path path = 0;
  std::uint8_t steps = 0;
};

struct Explored {
  std::uint64_t schedules = 0, worlds = 0;
  std::uint64_t commits = 0, unlinks = 0, refused_commits = 0, refused_epochs = 0;  ///< steps that did it
  std::optional<Violation> lost, unreadable;

  void count(const Actors& actors) {
    commits += actors.committed() ? 1u : 0u;
    unlinks += actors.unlinked() ? 1u : 0u;
    refused_commits += actors.refused_commit() ? 1u : 0u;
    refused_epochs += actors.refused_epoch() ? 1u : 0u;
  }
};

/// The worlds after one number of steps, in the order in which they were found.
class Layer {
 public:
  struct Reached {
    World world;
    std::uint64_t schedules;  ///< that lead here
    Path path;                ///< of one of them
  };
  const std::vector<Reached>& all() const { return all_; }
  void add(const Reached& reached) {
    if (all_.size() * 2 >= slots_.size()) grow();
    std::uint32_t& slot = find(reached.world);
    if (slot != kFree) {
      all_[slot].schedules += reached.schedules;
      return;
    }
    slot = static_cast<std::uint32_t>(all_.size());
    all_.push_back(reached);
  }
  void clear() {
    all_.clear();
    std::fill(slots_.begin(), slots_.end(), kFree);
  }

 private:
  static constexpr std::uint32_t kFree = 0xffffffff;
  std::uint32_t& find(const World& world) {
    const std::size_t wrap = slots_.size() - 1;
    std::size_t at = WorldHash{}(world)&wrap;
    while (slots_[at] != kFree && !(all_[slots_[at]].world == world)) at = (at + 1) & wrap;
    return slots_[at];
  }
  void grow() {
    slots_.assign(slots_.empty() ? 1024 : slots_.size() * 2, kFree);
    for (std::uint32_t i = 0; i < all_.size(); ++i) find(all_[i].world) = i;
  }
  std::vector<Reached> all_;
  std::vector<std::uint32_t> slots_;  ///< a power of two of them, never more than half used
};

inline Explored explore(const Scenario& scenario, const Rules& rules, bool stop_at_loss = false) {
  Explored out;
  Layer here, next;
  here.add({scenario.start, 1, 0});
  for (std::uint8_t depth = 0; !here.all().empty(); ++depth) {
    for (const Layer::Reached& reached : here.all()) {
      ++out.worlds;
      if (!out.lost && lost(scenario, reached.world) != 0) out.lost = Violation{reached.path, depth};
      if (!out.unreadable && unreadable(scenario, reached.world) != 0) out.unreadable = Violation{reached.path, depth};
      if (out.lost && stop_at_loss) return out;
      bool ended = true;
      for (std::uint8_t who = 0; who < scenario.actors.size(); ++who) {
        Layer::Reached after{reached.world, reached.schedules, reached.path | Path{who} << (2u * depth)};
        Actors actors(scenario, rules, after.world);
        if (!actors.can_step(who)) continue;
        ended = false;
        actors.step(who);
        out.count(actors);
        next.add(after);
      }
      if (ended) out.schedules += reached.schedules;
    }
    std::swap(here, next);
    next.clear();
  }
  return out;
}

/// The schedule as sentences, one a line.
inline std::string story(const Scenario& scenario, const Rules& rules, const Violation& violation) {
  World world = scenario.start;
  std::string out = scenario.name + ":\n";
  for (std::uint8_t depth = 0; depth < violation.steps; ++depth) {
    std::string said;
    Actors(scenario, rules, world, &said).step(static_cast<std::uint8_t>(violation.path >> (2u * depth) & 3u));
    out += "  " + std::to_string(depth + 1) + ". " + said + "\n";
  }
  out += "  gone:";
  for (std::uint8_t b = 0; b < kBlobs; ++b) {
    if (has(lost(scenario, world), b)) out += " " + scenario.blob_names[b];
  }
  return out + "\n";
}

}  // namespace holdfast::collect::model
