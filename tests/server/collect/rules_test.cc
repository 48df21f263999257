// Every order in which uploaders, collectors, rewriters, sweepers, purgers and owners can meet, under the rules of
// collection: nothing that a snapshot needs goes. With any of the rules left out something does, and the shortest way
// there is printed. What holds here must hold in server/collect: its steps are these.

#include <gtest/gtest.h>

#include <iostream>

#include "tests/server/collect/rules_explore.h"
#include "tests/server/collect/rules_scenarios.h"

namespace holdfast::collect::model {
namespace {

void add(Explored& sum, const Explored& one) {
  sum.schedules += one.schedules;
  sum.worlds += one.worlds;
  sum.commits += one.commits;
  sum.unlinks += one.unlinks;
  sum.refused_commits += one.refused_commits;
  sum.refused_epochs += one.refused_epochs;
}

void expect_safe(const Scenario& scenario, const Rules& rules, const Explored& found) {
  EXPECT_FALSE(found.lost) << story(scenario, rules, *found.lost);
  EXPECT_FALSE(found.unreadable) << story(scenario, rules, *found.unreadable);
}

Explored explore_all(const std::vector<Scenario>& all, const Rules& rules) {
  Explored sum;
  for (const Scenario& scenario : all) {
    const Explored found = explore(scenario, rules);
    expect_safe(scenario, rules, found);
    add(sum, found);
  }
  return sum;
}

void print(const char* what, const Explored& sum) {
  std::cout << what << ": " << sum.schedules << " schedules, " << sum.worlds << " worlds, " << sum.refused_commits
            << " commits refused for want of a blob, " << sum.refused_epochs << " publishes refused by the epoch\n";
}

/// The first of all shortest schedules that lose something, and its scenario.
struct Loss {
  Scenario scenario;
  Violation violation;
  std::size_t scenarios = 0;  ///< in which something is lost
};
std::optional<Loss> shortest_loss(const Rules& rules) {
  std::optional<Loss> out;
  std::size_t losing = 0;
  for (const Scenario& scenario : scenarios()) {
    const Explored found = explore(scenario, rules, true);
    if (!found.lost) continue;
    ++losing;
    if (!out || found.lost->steps < out->violation.steps) out = Loss{scenario, *found.lost};
  }
  if (out) out->scenarios = losing;
  return out;
}

TEST(Rules, LoseNothingInAnyOrder) {
  Explored sum;
  for (const Scenario& scenario : scenarios()) {
    const Explored found = explore(scenario, Rules{});
    expect_safe(scenario, Rules{}, found);
    EXPECT_GT(found.commits + found.refused_commits, 0u) << scenario.name << ": nobody came to a commit";
    EXPECT_GT(found.unlinks, 0u) << scenario.name << ": nothing was ever removed";
    print(scenario.name.c_str(), found);
    add(sum, found);
  }
  print("all", sum);
}

TEST(Rules, LoseNothingInAnyCrowdOfFour) {
  const std::vector<Scenario> all = crowds();
  EXPECT_EQ(all.size(), 330u);
  const Explored sum = explore_all(all, Rules{});
  print("crowds", sum);
  EXPECT_GT(sum.commits, 0u) << "nobody committed";
  EXPECT_GT(sum.unlinks, 0u) << "nothing was removed";
}

TEST(Rules, HoldAlsoWhenAJudgementIsMadeAgainInsteadOfRepaired) {
  Rules rules;
  rules.redo = true;
  print("judged anew", explore_all(scenarios(), rules));
}

struct Dropped {
  const char* name;
  bool Rules::* rule;
};
void PrintTo(const Dropped& dropped, std::ostream* out) { *out << dropped.name; }

class RuleDropped : public ::testing::TestWithParam<Dropped> {};

TEST_P(RuleDropped, LosesSomething) {
  Rules rules;
  rules.*GetParam().rule = false;
  const std::optional<Loss> loss = shortest_loss(rules);
  ASSERT_TRUE(loss) << "nothing is lost without it";
  std::cout << "without \"" << GetParam().name << "\" something is lost in " << loss->scenarios
            << " scenario(s), soonest in: " << story(loss->scenario, rules, loss->violation);
  EXPECT_FALSE(explore(loss->scenario, Rules{}).lost);
}

INSTANTIATE_TEST_SUITE_P(Each, RuleDropped,
                         ::testing::Values(Dropped{"1PublishChecksTheEpoch", &Rules::epoch},
                                           Dropped{"2PublishChecksTheGeneration", &Rules::generation},
                                           Dropped{"2ADeltaCountsCommitsWhateverBecameOfThem", &Rules::delta_by_record},
                                           Dropped{"3ACommitChecksItsReferencesAgain", &Rules::recheck},
                                           Dropped{"3DownToTheBlobs", &Rules::closure},
                                           Dropped{"3TheBaseIsNotDeletedAtFirst", &Rules::base_kept},
                                           Dropped{"3TheBaseIsPinned", &Rules::base_pinned},
                                           Dropped{"4CondemnedBeforeUnlinked", &Rules::condemn_recorded},
                                           Dropped{"4CondemnedForGood", &Rules::condemn_final},
                                           Dropped{"5OrphansThatNobodyCanPublish", &Rules::orphans_of_old},
                                           Dropped{"6OrphansAreNotAdopted", &Rules::no_adoption}),
                         [](const auto& test) { return std::string(test.param.name); });

/// Pins are for who uploads, not for safety: what is answered to "have?" stays until the commit that counts on it.
TEST(Rules, PinsSpareAnUploaderTheRefusalOfItsCommit) {
  const Scenario scenario = Stand("a blob that has just died is wanted again")
                                .pack({kOld})
                                .snapshot({kOld}, State::Deleted)
                                .uploader("uploader", {kOld, kFresh})
                                .collector("collector A")
                                .collector("collector B")
                                .made();
  Rules rules;
  const Explored with = explore(scenario, rules);
  expect_safe(scenario, rules, with);
  EXPECT_EQ(with.refused_commits, 0u);
  rules.pins = false;
  const Explored without_pins = explore(scenario, rules);
  expect_safe(scenario, rules, without_pins);
  EXPECT_GT(without_pins.refused_commits, 0u);
}

TEST(Rules, LoseNothingWithoutPins) {
  Rules rules;
  rules.pins = false;
  print("without pins", explore_all(scenarios(), rules));
}

TEST(Explore, CountsEveryOrderOnce) {
  const Scenario scenario = Stand("two who do not meet")
                                .snapshot({kOld}, State::None)
                                .purger(0)
                                .uploads("other", {}, {Step::Open, Step::Check, Step::Abort})
                                .made();
  EXPECT_EQ(explore(scenario, Rules{}).schedules, 4u);  // the purger ends at once: it stands in one of four places

  const Scenario longer = Stand("two who do not meet")
                              .snapshot({kOld}, State::Live)
                              .pack({kOld})
                              .purger(0)
                              .uploads("other", {}, {Step::Open, Step::Check, Step::Abort})
                              .made();
  EXPECT_EQ(explore(longer, Rules{}).schedules, 10u);  // 5! / (2! 3!)
}

TEST(Explore, TellsTheSameStoryEveryTime) {
  Rules rules;
  rules.epoch = false;
  const std::optional<Loss> first = shortest_loss(rules), second = shortest_loss(rules);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(story(first->scenario, rules, first->violation), story(second->scenario, rules, second->violation));
}

}  // namespace
}  // namespace holdfast::collect::model
