#include "server/tenant/plan.h"

#include <gtest/gtest.h>

namespace holdfast::tenant {
namespace {

TEST(Plan, CountsDaysAndNeverLessThanWholeCalendarYears) {
  EXPECT_EQ(keep_days("30d")->count(), 30);
  EXPECT_EQ(keep_days("2y")->count(), 731);
  EXPECT_EQ(keep_days("1y")->count(), 366);
  EXPECT_EQ(keep_days("4y")->count(), 1461);
  EXPECT_EQ(keep_days("5y")->count(), 1827);
  EXPECT_EQ(keep_days("30d-max")->count(), 17);
  EXPECT_EQ(keep_days("2y-max")->count(), 678);
}

TEST(Plan, RefusesWhatIsNoPlan) {
  for (const char* text : {"", "d", "0d", "030d", "-5d", "+5d", "30", "30 d", "30dd", "3651d", "101y", "99999999999d",
                           "30D", "max", "31d-max"}) {
    const auto days = keep_days(text);
    ASSERT_FALSE(days.has_value()) << text;
    EXPECT_EQ(days.error().code, Errc::Usage) << text;
  }
}

}  // namespace
}  // namespace holdfast::tenant
