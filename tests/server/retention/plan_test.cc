#include "server/retention/plan.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/clock.h"
#include "server/retention/saturate.h"
#include "tests/support/seeded_random.h"

namespace holdfast::retention {
namespace {

using namespace std::chrono;

Plan plan_of(const std::string& name) {
  const Result<Plan> plan = builtin_plan(name);
  EXPECT_TRUE(plan.has_value()) << name;
  return plan ? *plan : Plan{};
}

std::int64_t at(const std::string& text) {
  const Result<WallTime> time = parse_rfc3339(text);
  EXPECT_TRUE(time.has_value()) << text;
  return time ? to_ns(*time) : 0;
}

/// The model, by the calendar and by no arithmetic of ours: date and hour west of the date line, next date, its midnight.
std::int64_t naive_lock(std::int64_t vault_ns, int keep) {
  using Local = local_time<nanoseconds>;
  const Local moment = Local(nanoseconds(vault_ns)) + days(keep) - hours(12);
  const year_month_day date(floor<days>(moment));
  const year_month_day last(year_month_day_last(date.year(), month_day_last(date.month())));
  year_month_day next(date.year(), date.month(), date.day() + days(1));
  if (date == last) next = year_month_day((year_month(date.year(), date.month()) + months(1)) / day(1));
  return (sys_days(next) + hours(12)).time_since_epoch() / nanoseconds(1);
}

TEST(Plan, CountsDaysAndNeverLessThanWholeCalendarYears) {
  for (const auto& [name, keep] : std::vector<std::pair<std::string, int>>{
           {"30d", 30}, {"2y", 731}, {"1y", 366}, {"4y", 1461}, {"5y", 1827}, {"30d-max", 17}, {"2y-max", 678}}) {
    const Plan plan = plan_of(name);
    EXPECT_EQ(plan.name, name);
    EXPECT_EQ(plan.keep_for.count(), keep) << name;
    // 17 + 5 days leave 8 for what follows a deletion, so that the last byte is gone by the thirtieth.
    EXPECT_EQ(plan.delete_delay, name == "30d-max" ? days(5) : kDefaultDeleteDelay) << name;
    EXPECT_EQ(plan.gone_by, name.ends_with("-max"));
    const days rewritten_in(name == "30d-max" ? 2 : name == "2y-max" ? 7 : 0);
    EXPECT_EQ(plan.max_rewrite_age, rewritten_in) << name;
  }
}

TEST(Plan, RefusesWhatIsNoPlan) {
  for (const char* text : {"", "d", "0d", "030d", "-5d", "+5d", "30", "30 d", "30dd", "3651d", "101y", "99999999999d",
                           "30D", "max", "31d-max"}) {
    const auto plan = builtin_plan(text);
    ASSERT_FALSE(plan.has_value()) << text;
    EXPECT_EQ(plan.error().code, Errc::Usage) << text;
  }
}

TEST(Plan, LocksWhenTheDayIsOverInTheLastTimeZoneOnEarth) {
  const Plan plan = plan_of("30d");
  EXPECT_EQ(lock_date(plan, at("2026-01-01T00:00:00Z")), at("2026-01-31T12:00:00Z"));
  EXPECT_EQ(lock_date(plan, at("2026-01-01T11:59:59Z")), at("2026-01-31T12:00:00Z"));
  EXPECT_EQ(lock_date(plan, at("2026-01-01T12:00:00Z") - 1), at("2026-01-31T12:00:00Z"));
  EXPECT_EQ(lock_date(plan, at("2026-01-01T12:00:00Z")), at("2026-02-01T12:00:00Z"));  // the first moment of that day
  EXPECT_EQ(lock_date(plan, at("2026-01-01T12:00:00Z") + 1), at("2026-02-01T12:00:00Z"));
  EXPECT_EQ(lock_date(plan, at("2024-01-30T23:00:00Z")), at("2024-03-01T12:00:00Z"));  // over a leap day
  EXPECT_EQ(lock_date(plan, at("2038-01-19T03:14:08Z")), at("2038-02-18T12:00:00Z"));
  EXPECT_EQ(lock_date(plan, at("2100-01-30T12:00:00Z")), at("2100-03-02T12:00:00Z"));  // 2100 has no leap day
  EXPECT_EQ(lock_date(plan_of("2y"), at("2024-02-29T13:00:00Z")), at("2026-03-02T12:00:00Z"));
}

TEST(Plan, DatesOfAMaxPlanAreExact) {
  for (const std::int64_t vault :
       {at("2026-01-01T00:00:00Z"), at("2026-01-01T12:00:00Z") - 1, at("2024-02-29T23:59:59Z")}) {
    EXPECT_EQ(lock_date(plan_of("30d-max"), vault), vault + nanoseconds(days(17)).count());
    EXPECT_EQ(lock_date(plan_of("2y-max"), vault), vault + nanoseconds(days(678)).count());
  }
}

/// Any nanosecond of 1900 to 2159, or one beside a border: a day's, a month's, UTC−12's, UTC+14's.
std::int64_t any_time(support::SeededRandom& random) {
  const year_month month = year(1900 + static_cast<int>(random.below(260))) / (1 + static_cast<int>(random.below(12)));
  const sys_days first(month / day(1));
  const std::int64_t near = static_cast<std::int64_t>(random.below(3)) - 1;  // −1, 0, +1
  const std::int64_t unit = random.below(2) != 0 ? 1 : 1'000'000'000;
  const auto ns = [](auto time) { return duration_cast<nanoseconds>(time.time_since_epoch()).count(); };
  switch (random.below(4)) {
    case 0:
      return ns(first) + near * unit;
    case 1:
      return ns(first + hours(12)) + near * unit;
    case 2:
      return ns(first + days(random.below(31)) + (random.below(2) != 0 ? hours(12) : -hours(14))) + near * unit;
    default:
      return ns(first) + static_cast<std::int64_t>(random.below(31ull * 86'400'000'000'000));
  }
}

TEST(Plan, AgreesWithTheCalendarOnTenThousandDates) {
  support::SeededRandom random(16);
  const std::vector<std::string> names{"1d", "30d", "731d", "2y", "7y", "3650d"};
  for (int i = 0; i < 10'000; ++i) {
    const std::int64_t vault = any_time(random);
    const Plan plan = plan_of(names[random.below(names.size())]);
    const std::int64_t lock = lock_date(plan, vault);
    const std::int64_t moment = vault + nanoseconds(plan.keep_for).count();
    ASSERT_EQ(lock, naive_lock(vault, static_cast<int>(plan.keep_for.count()))) << plan.name << ' ' << vault;
    ASSERT_GT(lock, moment);
    ASSERT_LE(lock - moment, nanoseconds(days(1)).count());
  }
}

TEST(Plan, YearsAreNeverShorterThanTheCalendarS) {
  support::SeededRandom random(17);
  for (int i = 0; i < 10'000; ++i) {
    const sys_time<nanoseconds> vault{nanoseconds(any_time(random))};
    const int n = 1 + static_cast<int>(random.below(20));
    const year_month_day date(floor<days>(vault));
    year_month_day then = date + years(n);
    if (!then.ok()) then = then.year() / March / 1;  // 29 February
    const auto anniversary = sys_days(then) + (vault - floor<days>(vault));
    ASSERT_GE(lock_date(plan_of(std::to_string(n) + "y"), vault.time_since_epoch().count()),
              anniversary.time_since_epoch().count())
        << n << " years from " << vault.time_since_epoch().count();
  }
}

TEST(Plan, KnowsNoSummerTimeWhateverTheMachineSZoneIs) {
  const char* const before = ::getenv("TZ");
  const std::string saved = before != nullptr ? before : "";
  const std::vector<std::int64_t> times{at("2026-03-29T00:59:59Z"), at("2026-03-29T01:00:00Z"),
                                        at("2026-10-25T01:00:00Z"), at("2026-02-28T12:00:00Z"),
                                        at("2026-09-25T11:59:59Z")};
  std::vector<std::int64_t> in_utc;
  for (const char* const zone :
       {"UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "EST5EDT,M3.2.0,M11.1.0", "<-12>12", "<+14>-14"}) {
    ::setenv("TZ", zone, 1);
    ::tzset();
    std::vector<std::int64_t> dates;
    for (const std::int64_t time : times) dates.push_back(lock_date(plan_of("30d"), time));
    if (in_utc.empty()) in_utc = dates;
    EXPECT_EQ(dates, in_utc) << zone;
    for (const std::int64_t date : dates) EXPECT_EQ(date % nanoseconds(days(1)).count(), nanoseconds(12h).count());
  }
  before != nullptr ? ::setenv("TZ", saved.c_str(), 1) : ::unsetenv("TZ");
  ::tzset();
}

TEST(Plan, DatesStayWithinTheirRange) {
  const Plan plan = plan_of("100y");
  EXPECT_EQ(lock_date(plan, kNeverNs), kNeverNs);
  EXPECT_EQ(lock_date(plan, kNeverNs - 1), kNeverNs);
  EXPECT_GT(lock_date(plan, kEarliestNs), kEarliestNs);
  EXPECT_LT(lock_date(plan, kEarliestNs), 0);
  EXPECT_EQ(lock_date(plan_of("30d-max"), kNeverNs), kNeverNs);
  EXPECT_EQ(delete_date(plan, kNeverNs, 0), kNeverNs);
  EXPECT_EQ(delete_date(plan, 0, kNeverNs), kNeverNs);
  EXPECT_EQ(lock_date(Plan{"wide", days(2'000'000), days(3)}, 0), kNeverNs);
  EXPECT_EQ(lock_date(Plan{"back", days(-5), days(3), true}, 7), 7);
  // The last noon that 64 bits hold, and the moments around it.
  const std::int64_t day_ns = nanoseconds(days(1)).count();
  const std::int64_t last_noon = (kNeverNs - day_ns / 2) / day_ns * day_ns + day_ns / 2;
  const Plan today{"0d", days(0)};
  EXPECT_EQ(lock_date(today, last_noon - 1), last_noon);
  EXPECT_EQ(lock_date(today, last_noon), kNeverNs);
}

TEST(Plan, TheDelayCountsFromTheLockButNeverFromBeforeTheLockDate) {
  const Plan plan = plan_of("30d");
  const std::int64_t day_ns = nanoseconds(days(1)).count();
  EXPECT_EQ(delete_date(plan, 100 * day_ns, 90 * day_ns), 114 * day_ns);
  EXPECT_EQ(delete_date(plan, 50 * day_ns, 90 * day_ns), 104 * day_ns);  // locked by hand: hidden, not shortened
  EXPECT_EQ(delete_date(Plan{"hasty", days(30), days(0)}, 100 * day_ns, 90 * day_ns), 103 * day_ns);
  EXPECT_EQ(delete_date(Plan{"hasty", days(30), days(-9)}, 100 * day_ns, 90 * day_ns), 103 * day_ns);
  EXPECT_EQ(delete_date(Plan{"slow", days(30), days(60)}, 100 * day_ns, 90 * day_ns), 160 * day_ns);
}

}  // namespace
}  // namespace holdfast::retention
