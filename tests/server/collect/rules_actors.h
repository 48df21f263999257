#pragma once
// Why: one step of any actor of the model, by its program.

#include "tests/server/collect/rules_collector.h"

namespace holdfast::collect::model {

/// Carries out one step of one actor. `said`, if given, gets it as a sentence.
class Actors : public CollectorSteps {
 public:
  Actors(const Scenario& scenario, const Rules& rules, World& world, std::string* said = nullptr)
      : CollectorSteps(scenario, rules, world, said) {}

  bool can_step(std::uint8_t who) const {
    const Program& program = scenario_.actors[who];
    const Actor& actor = world_.actor[who];
    if (actor.next >= program.steps.size()) return false;
    return program.steps[actor.next] != Step::Resume || world_.now.epoch > 1;
  }

  void step(std::uint8_t who) {
    who_ = who;
    const Step step = program().steps[actor().next];
    if (actor().epoch == 0) actor().epoch = program().old_owner ? std::uint8_t{1} : world_.now.epoch;
    if (said_ != nullptr) *said_ = program().name + (actor().epoch < world_.now.epoch ? " (zombie)" : "") + " ";
    ++actor().next;
    act(step);
    if (actor().next >= program().steps.size()) end();
  }

 private:
  void move_snapshot(const char* what, State from, State to) {
    say(what, program().snapshot);
    if (!may_publish()) return;
    State& state = world_.now.snapshot[program().snapshot];
    if (state != from) return give_up(": not in the state for it");
    state = to;
    published();
  }
  void acquire() {
    say("makes a new owner");
    world_.before = world_.now;
    ++world_.now.epoch;
    ++world_.now.generation;
  }

  void act(Step step) {
    switch (step) {
      case Step::Open:
        return open();
      case Step::Have:
        return have();
      case Step::Write:
        return write();
      case Step::Publish:
        return publish_packs();
      case Step::Check:
        return check();
      case Step::Commit:
        return commit();
      case Step::Abort:
        return end_session("gives its session up");
      case Step::Resume:
        return resume();
      case Step::Mark:
        return mark();
      case Step::Condemn:
        return condemn();
      case Step::Unlink:
        return unlink();
      case Step::Forget:
        return forget();
      case Step::MarkHalf:
        return mark_half();
      case Step::Copy:
        return copy();
      case Step::List:
        return list();
      case Step::Judge:
        return judge();
      case Step::Lock:
        return move_snapshot("locks snapshot ", State::Live, State::Locked);
      case Step::Delete:
        return move_snapshot("deletes snapshot ", State::Locked, State::Deleted);
      case Step::Undelete:
        return move_snapshot("undeletes snapshot ", State::Locked, State::Live);
      case Step::Expire:
        return end_session("expires the session");
      case Step::Acquire:
        return acquire();
    }
  }
};

}  // namespace holdfast::collect::model
