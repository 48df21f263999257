// Wherever the machine stops: nothing acknowledged is lost, nothing half-done is seen, and the tenant opens again.

#include <gtest/gtest.h>

#include <iostream>

#include "tests/server/coordinator/tenant_directory.h"

namespace holdfast::coordinator {
namespace {

using support::CrashMode;
using support::kCrashModes;

/// What a run has been told, and what it tried last.
struct Ledger {
  Texts acknowledged;
  Texts attempted;  ///< records of the publish whose answer was no success, if any
};

/// Publishes over several segments, restarts in the middle. Stops at the first failure.
void work(TenantDirectory& tenant, Ledger& ledger) {
  const auto publish = [&](const Texts& texts) {
    ledger.attempted = texts;
    if (!tenant.publish(texts)) return false;
    ledger.acknowledged.insert(ledger.acknowledged.end(), texts.begin(), texts.end());
    ledger.attempted.clear();
    return true;
  };
  if (!tenant.acquire() || !publish({"one"}) || !publish({"two", "three", "four"})) return;
  if (!publish({"five"}) || !publish({"six", std::string(900, '7')})) return;
  tenant.open();
  if (!tenant.acquire() || !publish({"eight"})) return;
  publish({"nine", "ten"});
}

Texts operator+(Texts a, const Texts& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// The journal holds what was acknowledged, and of the last attempt all or nothing.
void expect_sound(const Result<Texts>& found, const Ledger& ledger, const std::string& where) {
  ASSERT_TRUE(found) << "failed to open: " << found.error().message << ", " << where;
  EXPECT_TRUE(*found == ledger.acknowledged || *found == ledger.acknowledged + ledger.attempted)
      << found->size() << " records after " << ledger.acknowledged.size() << " acknowledged, " << where
      << (found->empty() ? "" : ", last: " + found->back());
}

TEST(Crash, LosesNoAcknowledgedRecordAndShowsNoHalfPublish) {
  std::size_t states = 0;
  for (const CrashMode mode : kCrashModes) {
    const bool random =
        mode == CrashMode::KeepPrefix || mode == CrashMode::TearLastWrite || mode == CrashMode::Scramble;
    for (std::uint64_t seed = 0; seed < (random ? 12 : 1); ++seed) {
      for (std::uint64_t step = 0;; ++step) {
        TenantDirectory tenant;
        Ledger ledger;
        tenant.fs.crash_after(step);
        work(tenant, ledger);
        if (!tenant.fs.crashed()) break;
        tenant.fs.reboot(mode, seed * 1000 + step);
        const std::string where =
            support::crash_mode_name(mode) + " step " + std::to_string(step) + " seed " + std::to_string(seed);
        const Result<Texts> found = tenant.reopened();
        expect_sound(found, ledger, where);
        if (!found) continue;
        EXPECT_TRUE(tenant.publish({"after"})) << where;
        EXPECT_EQ(*tenant.reopened(), *found + Texts{"after"}) << where;
        ++states;
      }
    }
  }
  std::cout << states << " crash states\n";
  EXPECT_GE(states, 2000u);
}

TEST(Crash, LosesNothingWhenTheRecoveryCrashesToo) {
  std::size_t states = 0;
  std::uint64_t seed = 0;
  for (const CrashMode mode : {CrashMode::DropUnsynced, CrashMode::TearLastWrite, CrashMode::Scramble}) {
    for (std::uint64_t first = 0;; ++first) {
      bool done = false;
      for (std::uint64_t second = 0;; ++second) {
        TenantDirectory tenant;
        Ledger ledger;
        tenant.fs.crash_after(first);
        work(tenant, ledger);
        done = !tenant.fs.crashed();
        if (done) break;
        tenant.fs.reboot(mode, ++seed);
        tenant.fs.crash_after(second);
        const Result<Texts> midway = tenant.reopened();
        if (!tenant.fs.crashed()) break;
        tenant.fs.reboot(mode, ++seed);
        const std::string where = support::crash_mode_name(mode) + " steps " + std::to_string(first) + ", " +
                                  std::to_string(second) + " seed " + std::to_string(seed);
        expect_sound(tenant.reopened(), ledger, where);
        ++states;
      }
      if (done) break;
    }
  }
  std::cout << states << " double crash states\n";
  EXPECT_GE(states, 1000u);
}

TEST(Crash, OfTheMachineAfterOneOfTheProcessLosesNothingEither) {
  // What the next process finds may never have reached the disk. It must not build on that.
  std::size_t states = 0;
  for (std::uint64_t step = 0;; ++step) {
    TenantDirectory tenant;
    Ledger ledger;
    tenant.fs.crash_after(step);
    work(tenant, ledger);
    if (!tenant.fs.crashed()) break;
    const std::string where = tenant.fs.struck_at();
    tenant.fs.restart_process();
    const Result<Texts> found = tenant.reopened();
    expect_sound(found, ledger, "killed at " + where);
    ASSERT_TRUE(tenant.publish({"after"})) << where;
    tenant.fs.reboot(CrashMode::DropUnsynced);
    const Result<Texts> left = tenant.reopened();
    ASSERT_TRUE(left) << left.error().message << ", killed at " << where;
    EXPECT_EQ(*left, *found + Texts{"after"}) << where;
    ++states;
  }
  EXPECT_GE(states, 40u);
}

TEST(Crash, NeverGivesTheSameEpochTwice) {
  for (const CrashMode mode : kCrashModes) {
    std::uint64_t steps = 0;
    for (std::uint64_t step = 0;; ++step) {
      TenantDirectory tenant;
      ASSERT_TRUE(tenant.acquire());
      ASSERT_TRUE(tenant.publish({"one"}));
      const Epoch before = tenant.epoch;
      tenant.open();
      tenant.fs.crash_after(step);
      const bool given = tenant.acquire().has_value();
      const Epoch second = tenant.epoch;
      if (!tenant.fs.crashed()) break;
      tenant.fs.reboot(mode, step);
      ASSERT_TRUE(tenant.reopened());
      EXPECT_GT(tenant.epoch.counter, before.counter);
      EXPECT_TRUE(!given || tenant.epoch.counter > second.counter);
      ++steps;
    }
    EXPECT_GE(steps, 5u);
  }
}

/// One operation fails, is torn or finds the disk full; the process goes on.
void check_failure(std::uint64_t step, Errc code, bool tear, bool& struck) {
  TenantDirectory tenant;
  ASSERT_TRUE(tenant.acquire());
  ASSERT_TRUE(tenant.publish({"one", std::string(900, 'x')}));
  Texts good = tenant.texts();
  if (tear)
    tenant.fs.tear_at(step, code);
  else
    tenant.fs.fail_at(step, code);

  for (const Texts& texts :
       {Texts{"two", "three"}, Texts{"four"}}) {  // the first starts a segment, the second does not
    const Status published = tenant.publish(texts);
    const std::string where = tenant.fs.struck_at() + ", " + std::string(errc_name(code));
    if (published) {
      good = good + texts;
      continue;
    }
    if (published.error().code == Errc::Unknown) {
      EXPECT_NE(where.find("head"), std::string::npos) << where;
      const Status refused = tenant.publish({"never"});
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, Errc::Unknown) << where;
      ASSERT_TRUE(tenant.acquire()) << where;
      const Texts now = tenant.texts();
      EXPECT_TRUE(now == good || now == good + texts) << where;
      good = now;
      break;
    }
    EXPECT_EQ(published.error().code, code) << where;
    EXPECT_EQ(tenant.texts(), good) << "said that nothing happened: " << where;
  }
  struck = tenant.fs.struck();
  const std::string where = tenant.fs.struck_at();
  tenant.fs.clear_faults();
  ASSERT_TRUE(tenant.publish({"last"})) << where;
  good.push_back("last");
  EXPECT_EQ(tenant.texts(), good) << where;
  tenant.fs.reboot(CrashMode::DropUnsynced);
  const Result<Texts> found = tenant.reopened();
  ASSERT_TRUE(found) << found.error().message << " after " << where;
  EXPECT_EQ(*found, good) << where;
}

TEST(Failure, OfAnyOperationIsToldAndLeavesTheJournalSound) {
  for (const Errc code : {Errc::Io, Errc::DiskFull}) {
    for (const bool tear : {false, true}) {
      bool struck = true;
      std::uint64_t step = 0;
      for (; struck; ++step) check_failure(step, code, tear, struck);
      EXPECT_GE(step, 9u);
    }
  }
}

TEST(Failure, BeforeTheHeadIsTouchedStaysWithoutConsequenceAfterACrash) {
  // A publish that was reported as failed must not come back to life, whatever its bytes in the journal look like.
  for (const CrashMode mode : kCrashModes) {
    for (std::uint64_t step = 0; step < 2; ++step) {
      TenantDirectory tenant;
      ASSERT_TRUE(tenant.acquire());
      ASSERT_TRUE(tenant.publish({"one"}));
      tenant.fs.fail_from(step);
      const Status failed = tenant.publish({"two"});
      ASSERT_FALSE(failed);
      EXPECT_EQ(failed.error().code, Errc::Io);
      tenant.fs.reboot(mode, step);
      EXPECT_EQ(*tenant.reopened(), Texts{"one"}) << support::crash_mode_name(mode);
    }
  }
}

TEST(Failure, BeforeTheHeadIsTouchedLeavesNoBytesBehind) {
  TenantDirectory tenant;
  ASSERT_TRUE(tenant.acquire());
  ASSERT_TRUE(tenant.publish({"one"}));
  const std::vector<std::string> files = tenant.journal_files();
  const Bytes before = tenant.bytes(files[0]);
  tenant.fs.tear_at(0, Errc::DiskFull);
  ASSERT_FALSE(tenant.publish({"two"}));
  EXPECT_EQ(tenant.bytes(files[0]), before);
  ASSERT_TRUE(tenant.publish({std::string(900, 'x')}));  // the next one starts a segment
  tenant.fs.fail_at(2);
  ASSERT_FALSE(tenant.publish({"two"}));
  EXPECT_EQ(tenant.journal_files(), files);
}

TEST(Failure, OfAcquireLeavesEverythingInPlace) {
  for (std::uint64_t step = 0;; ++step) {
    TenantDirectory tenant;
    ASSERT_TRUE(tenant.acquire());
    ASSERT_TRUE(tenant.publish({"one", "two"}));
    tenant.open();
    tenant.fs.tear_at(step);
    const Status acquired = tenant.acquire();
    if (!tenant.fs.struck()) break;
    EXPECT_FALSE(acquired) << tenant.fs.struck_at();
    const Status refused = tenant.publish({"never"});
    EXPECT_EQ(refused.error().code, Errc::Fenced);
    ASSERT_TRUE(tenant.acquire()) << "again, in the same process, after " << tenant.fs.struck_at();
    EXPECT_EQ(tenant.texts(), (Texts{"one", "two"}));
    ASSERT_TRUE(tenant.publish({"three"}));
    tenant.fs.reboot();
    EXPECT_EQ(*tenant.reopened(), (Texts{"one", "two", "three"}));
  }
}

TEST(Failure, OfTheSyncsBeforeReadingKeepsAcquireFromTrustingAnything) {
  const std::pair<support::Operation, const char*> kSyncs[] = {{support::Operation::Sync, ".seg"},
                                                               {support::Operation::Sync, "/head"},
                                                               {support::Operation::SyncDirectory, "/journal"},
                                                               {support::Operation::SyncDirectory, kTenant}};
  for (const auto& [operation, path] : kSyncs) {
    TenantDirectory tenant;
    ASSERT_TRUE(tenant.acquire());
    ASSERT_TRUE(tenant.publish({"one"}));
    tenant.open();
    const Bytes head = tenant.bytes(kHeadPath);
    tenant.fs.fail_on(operation, path);
    EXPECT_FALSE(tenant.acquire()) << path;
    EXPECT_EQ(tenant.bytes(kHeadPath), head) << "and nothing was written";
    EXPECT_EQ(*tenant.reopened(), Texts{"one"});
  }
}

TEST(Failure, OfAFullDiskIsOverWhenThereIsRoomAgain) {
  TenantDirectory tenant;
  ASSERT_TRUE(tenant.acquire());
  ASSERT_TRUE(tenant.publish({"one"}));
  tenant.fs.disk().set_capacity(9000);
  const Status full = tenant.publish({std::string(5000, 'x')});
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Errc::DiskFull);
  EXPECT_TRUE(tenant.publish({"two"})) << "what still fits is written";
  tenant.open();
  EXPECT_TRUE(tenant.acquire()) << "a full disk does not keep a tenant from opening";
  tenant.fs.disk().set_capacity(std::nullopt);
  EXPECT_TRUE(tenant.publish({std::string(5000, 'x')}));
  EXPECT_EQ(tenant.texts().size(), 3u);
}

TEST(Publish, CostsTwoSyncs) {
  TenantDirectory tenant;
  ASSERT_TRUE(tenant.acquire());
  ASSERT_TRUE(tenant.publish({"one"}));
  const std::uint64_t before = tenant.fs.steps();
  ASSERT_TRUE(tenant.publish({"two"}));
  EXPECT_EQ(tenant.fs.steps() - before, 4u) << "write and sync the segment, write and sync the head";
}

}  // namespace
}  // namespace holdfast::coordinator
