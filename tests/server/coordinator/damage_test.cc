// Whatever is done to the files: found and named, or mended without losing anything acknowledged. Never silent.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "common/crypto/hash.h"
#include "server/coordinator/recovery.h"
#include "tests/server/coordinator/tenant_directory.h"

namespace holdfast::coordinator {
namespace {

const Texts kAll = {"one", "two", "three", "four", "five"};

/// Three publishes over two segments, then a clean stop.
struct StoppedTenant : TenantDirectory {
  StoppedTenant() {
    EXPECT_TRUE(acquire());
    EXPECT_TRUE(publish({"one", "two"}));
    EXPECT_TRUE(publish({"three", "four"}));
    EXPECT_TRUE(publish({"five"}));
    it.reset();
    EXPECT_EQ(journal_files().size(), 2u);
  }
  std::string first_segment() { return journal_files()[0]; }
  std::string last_segment() { return journal_files()[1]; }
  /// Index of the slot that the last publish wrote.
  std::size_t newest_slot() {
    const Bytes head = bytes(kHeadPath);
    const auto generation_of = [&](std::size_t i) {
      return decode_head_slot(ByteSpan(head).subspan(i * kSlotBytes, kSlotBytes))->head.generation;
    };
    return generation_of(1) > generation_of(0) ? 1 : 0;
  }
};

void expect_corrupt(StoppedTenant& tenant, const std::string& file, const std::string& what) {
  const Result<Texts> found = tenant.reopened();
  ASSERT_FALSE(found) << "not noticed: " << what;
  EXPECT_EQ(found.error().code, Errc::Corrupt) << what << ": " << found.error().message;
  EXPECT_NE(found.error().message.find(file), std::string::npos) << what << ": " << found.error().message;
}

TEST(Damage, OfAnyJournalByteIsNamedWithItsFile) {
  StoppedTenant tenant;
  for (const std::string& path : tenant.journal_files()) {
    const Bytes good = tenant.bytes(path);
    for (std::size_t at = 0; at < good.size(); ++at) {
      tenant.flip(path, at, static_cast<std::uint8_t>(1u << (at % 8)));
      tenant.open();
      const Status acquired = tenant.acquire();
      ASSERT_FALSE(acquired) << path << " byte " << at;
      // A version that nobody has written yet looks like one from the future: the record is named all the same.
      EXPECT_TRUE(acquired.error().code == Errc::Corrupt || acquired.error().code == Errc::TooNew)
          << acquired.error().message;
      EXPECT_NE(acquired.error().message.find(path.substr(std::string("/t/a/").size())), std::string::npos)
          << acquired.error().message;
      EXPECT_NE(acquired.error().message.find("record"), std::string::npos) << acquired.error().message;
      tenant.write(path, good);
    }
  }
  EXPECT_EQ(*tenant.reopened(), kAll);
}

TEST(Damage, OfAnyHeadByteLosesNothingAndIsTold) {
  StoppedTenant tenant;
  const Bytes head = tenant.bytes(kHeadPath);
  for (std::size_t at = 0; at < head.size(); at += at % kSlotBytes < 128 || at % kSlotBytes > 4000 ? 1 : 61) {
    tenant.flip(kHeadPath, at, static_cast<std::uint8_t>(1u << (at % 8)));
    const Result<Texts> found = tenant.reopened();
    ASSERT_TRUE(found) << "byte " << at << ": " << found.error().message;
    EXPECT_EQ(*found, kAll) << "byte " << at;
    const std::vector<std::string> repairs = tenant.it->repairs();
    ASSERT_FALSE(repairs.empty()) << "byte " << at;
    EXPECT_NE(repairs[0].find("head"), std::string::npos);
    EXPECT_EQ(*tenant.reopened(), kAll) << "and both slots are good again";
    EXPECT_TRUE(tenant.it->repairs().empty());
    tenant.it.reset();
    tenant.write(kHeadPath, head);
  }
}

TEST(Damage, OfARunningTenantIsNamedByRead) {
  for (const std::size_t at : {std::size_t{20}, std::size_t{3000}, kSlotBytes + 20, kSlotBytes + 4090}) {
    TenantDirectory tenant;
    ASSERT_TRUE(tenant.acquire());
    ASSERT_TRUE(tenant.publish({"one"}));
    tenant.flip(kHeadPath, at);
    const Texts found = tenant.texts();
    ASSERT_EQ(found.size(), 2u) << at;
    EXPECT_EQ(found[0], "one") << "what is good is handed out";
    EXPECT_TRUE(found[1].starts_with("<corrupt>") && found[1].find("head") != std::string::npos) << found[1];
  }
}

TEST(Damage, OfJournalDoesNotHideWhatStandsBeforeIt) {
  StoppedTenant tenant;
  tenant.flip(tenant.last_segment(), 3);
  tenant.open();
  EXPECT_FALSE(tenant.acquire());
  const Texts found = tenant.texts();
  ASSERT_EQ(found.size(), 5u);
  EXPECT_EQ(Texts(found.begin(), found.begin() + 4), Texts(kAll.begin(), kAll.begin() + 4));
  EXPECT_TRUE(found[4].starts_with("<corrupt>") && found[4].find("journal/0000000000000005.seg") != std::string::npos)
      << found[4];
}

TEST(Damage, ByTruncatingTheJournalAtAnyLength) {
  StoppedTenant tenant;
  for (const std::string& path : tenant.journal_files()) {
    const Bytes good = tenant.bytes(path);
    for (std::size_t n = 0; n < good.size(); ++n) {
      tenant.write(path, ByteSpan(good).first(n));
      tenant.open();
      const Status acquired = tenant.acquire();
      ASSERT_FALSE(acquired) << path << " cut to " << n;
      EXPECT_EQ(acquired.error().code, Errc::Corrupt);
      EXPECT_NE(acquired.error().message.find("journal/"), std::string::npos);
    }
    tenant.write(path, good);
  }
  EXPECT_EQ(*tenant.reopened(), kAll);
}

TEST(Damage, ByTruncatingOrExtendingTheHead) {
  StoppedTenant tenant;
  const Bytes good = tenant.bytes(kHeadPath);
  for (const std::size_t n : {0, 1, 100, 4095, 4096, 4097, 8191}) {
    tenant.write(kHeadPath, ByteSpan(good).first(n));
    expect_corrupt(tenant, "head", "cut to " + std::to_string(n));
  }
  Bytes longer = good;
  longer.push_back(0);
  tenant.write(kHeadPath, longer);
  expect_corrupt(tenant, "head", "one byte longer");
}

TEST(Damage, ByRemovingAnyFile) {
  for (const bool head : {true, false}) {
    StoppedTenant tenant;
    for (const std::string& path : head ? std::vector<std::string>{kHeadPath} : tenant.journal_files()) {
      const Bytes good = tenant.bytes(path);
      ASSERT_TRUE(tenant.fs.disk().unlink(path));
      expect_corrupt(tenant, path.substr(std::string("/t/a/").size()), "removed " + path);
      tenant.write(path, good);
    }
  }
}

TEST(Damage, BySwappingOrDuplicatingSegments) {
  StoppedTenant tenant;
  const std::string first = tenant.first_segment(), last = tenant.last_segment();
  const Bytes a = tenant.bytes(first), b = tenant.bytes(last);
  tenant.write(first, b);
  tenant.write(last, a);
  expect_corrupt(tenant, "journal/", "swapped");
  tenant.write(first, a);
  expect_corrupt(tenant, "journal/", "first one twice");
  tenant.write(last, b);
  tenant.write("/t/a/journal/0000000000000006.seg", b);
  const Result<Texts> found = tenant.reopened();
  ASSERT_TRUE(found) << "a file beyond the head is no part of the journal";
  EXPECT_EQ(*found, kAll);
}

TEST(Damage, OfBothSlotsIsNeverGuessedAway) {
  StoppedTenant tenant;
  tenant.flip(kHeadPath, 40);
  tenant.flip(kHeadPath, kSlotBytes + 40);
  expect_corrupt(tenant, "head", "both slots");
}

TEST(Damage, OfTheNewestSlotAndTheNewestRecordTogetherIsNamed) {
  for (const bool cut : {false, true}) {
    StoppedTenant tenant;
    const std::string path = tenant.last_segment();
    tenant.flip(kHeadPath, tenant.newest_slot() * kSlotBytes + 40);
    if (cut)
      tenant.write(path, ByteSpan(tenant.bytes(path)).first(100));
    else
      tenant.flip(path, 100);
    expect_corrupt(tenant, "head", "newest slot and newest record");
  }
}

TEST(Damage, OfTheOlderSlotChangesNothingButIsRepaired) {
  StoppedTenant tenant;
  tenant.flip(kHeadPath, (1 - tenant.newest_slot()) * kSlotBytes + 40);
  EXPECT_EQ(*tenant.reopened(), kAll);
  EXPECT_EQ(tenant.it->repairs().size(), 1u);
}

TEST(Damage, ByAnOlderCopyOfTheHead) {
  TenantDirectory tenant;
  ASSERT_TRUE(tenant.acquire());
  ASSERT_TRUE(tenant.publish({"one"}));
  const Bytes old = tenant.bytes(kHeadPath);
  ASSERT_TRUE(tenant.publish({"two"}));
  ASSERT_TRUE(tenant.publish({"three"}));
  tenant.it.reset();
  tenant.write(kHeadPath, old);
  const Result<Texts> found = tenant.reopened();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::Corrupt);
  EXPECT_NE(found.error().message.find("head: is older than the journal"), std::string::npos) << found.error().message;
}

TEST(Damage, ByAnOlderCopyOfOneSlot) {
  TenantDirectory tenant;
  ASSERT_TRUE(tenant.acquire());
  const Bytes old = tenant.bytes(kHeadPath);
  for (const char* text : {"one", "two", "three"}) ASSERT_TRUE(tenant.publish({text}));
  tenant.it.reset();
  Bytes mixed = tenant.bytes(kHeadPath);
  std::copy_n(old.begin(), kSlotBytes, mixed.begin());
  tenant.write(kHeadPath, mixed);
  const Result<Texts> found = tenant.reopened();
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message.find("head"), std::string::npos) << found.error().message;
}

TEST(HeadFile, AcceptsOnlySlotsThatCanStandTogether) {
  HeadSlot slot;
  slot.head = {5, 7, 9, *Digest::from_bytes(Bytes(32, 1)), 4, 6 * journal::kHeadBytes};
  const auto verdict = [&](const std::function<void(HeadSlot&)>& change) -> std::string {
    TenantDirectory tenant;
    HeadSlot other = slot;
    change(other);
    EXPECT_TRUE(fs::make_directories(tenant.fs.disk(), kTenant, 0700));
    for (const bool swapped : {false, true}) {
      Bytes both = encode_head_slot(swapped ? other : slot);
      const Bytes second = encode_head_slot(swapped ? slot : other);
      both.insert(both.end(), second.begin(), second.end());
      tenant.write(kHeadPath, both);
      const auto file = read_head_file(tenant.fs, kTenant);
      if (!file) return std::string(errc_name(file.error().code));
      EXPECT_TRUE((*file)->other);
    }
    return "good";
  };
  const auto older = [](HeadSlot& s) {
    s.head.generation = 6;
    s.head.number = 8;
    s.head.digest.bytes[0] ^= 1;
    s.head.segment_bytes -= journal::kHeadBytes;
  };
  EXPECT_EQ(verdict([](HeadSlot&) {}), "good");
  EXPECT_EQ(verdict([](HeadSlot& s) { s.written_ns = 1; }), "good");
  EXPECT_EQ(verdict(older), "good");
  EXPECT_EQ(verdict([&](HeadSlot& s) {
              older(s);
              s.head.epoch = 4;
              s.token[0] ^= 1;
            }),
            "good")
      << "a crash in acquire";
  EXPECT_EQ(verdict([](HeadSlot& s) {
              s.head.epoch = 4;
              s.token[0] ^= 1;
            }),
            "good");
  EXPECT_EQ(verdict([](HeadSlot& s) { s.token[0] ^= 1; }), "corrupt");
  EXPECT_EQ(verdict([](HeadSlot& s) {
              s.head.number = 10;
              s.head.segment_bytes *= 2;
            }),
            "corrupt");
  EXPECT_EQ(verdict([](HeadSlot& s) { s.head.digest.bytes[0] ^= 1; }), "corrupt");
  EXPECT_EQ(verdict([](HeadSlot& s) { s.head.segment = 5; }), "corrupt");
  EXPECT_EQ(verdict([](HeadSlot& s) { s.head.segment_bytes += 1; }), "corrupt");
  EXPECT_EQ(verdict([&](HeadSlot& s) {
              older(s);
              s.head.generation = 5;
            }),
            "corrupt");
  EXPECT_EQ(verdict([&](HeadSlot& s) {
              older(s);
              s.head.number = 9;
              s.head.segment_bytes += journal::kHeadBytes;
            }),
            "corrupt");
  EXPECT_EQ(verdict([&](HeadSlot& s) {
              older(s);
              s.head.epoch = 6;
              s.token[0] ^= 1;
            }),
            "corrupt")
      << "an older end in a newer epoch";
}

TEST(Damage, ByAnOlderCopyOfTheJournal) {
  StoppedTenant tenant;
  const Bytes old = tenant.bytes(tenant.last_segment());
  ASSERT_TRUE(tenant.reopened());
  ASSERT_TRUE(tenant.publish({"six"}));
  tenant.it.reset();
  tenant.write(tenant.last_segment(), old);
  expect_corrupt(tenant, "journal/", "older journal");
}

TEST(Damage, ByAHeadOfAnotherTenant) {
  StoppedTenant tenant;
  TenantDirectory other(99);
  ASSERT_TRUE(other.acquire());
  for (const char* text : {"a", "b", "c"}) ASSERT_TRUE(other.publish({text}));
  tenant.write(kHeadPath, other.bytes(kHeadPath));
  const Result<Texts> found = tenant.reopened();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::Corrupt);
}

TEST(Acquire, SetsAsideWhatLiesBeyondTheHead) {
  StoppedTenant tenant;
  const std::string path = tenant.last_segment();
  Bytes longer = tenant.bytes(path);
  const Bytes garbage = to_bytes(as_bytes("half a record"));
  longer.insert(longer.end(), garbage.begin(), garbage.end());
  tenant.write(path, longer);
  tenant.write("/t/a/journal/0000000000000006.seg", as_bytes("and a whole file"));
  EXPECT_EQ(*tenant.reopened(), kAll);
  EXPECT_FALSE(tenant.it->repairs().empty());
  EXPECT_EQ(tenant.bytes("/t/a/journal/set-aside-1"), garbage);
  EXPECT_EQ(as_text(tenant.bytes("/t/a/journal/set-aside-2")), "and a whole file");
  EXPECT_FALSE(tenant.fs.stat("/t/a/journal/0000000000000006.seg"));
  ASSERT_TRUE(tenant.publish({"six"}));
  EXPECT_EQ(tenant.texts().back(), "six");
}

TEST(Acquire, KeepsOnlyTheNewestSetAsideFiles) {
  StoppedTenant tenant;
  for (int i = 1; i <= 12; ++i) {
    tenant.it.reset();
    Bytes longer = tenant.bytes("/t/a/journal/0000000000000005.seg");
    longer.push_back(static_cast<std::uint8_t>(i));
    tenant.write("/t/a/journal/0000000000000005.seg", longer);
    ASSERT_EQ(*tenant.reopened(), kAll);
  }
  const std::vector<std::string> files = tenant.journal_files();
  EXPECT_EQ(
      std::count_if(files.begin(), files.end(), [](const auto& f) { return f.find("set-aside") != std::string::npos; }),
      static_cast<std::ptrdiff_t>(kMaxSetAsideFiles));
  EXPECT_EQ(tenant.bytes("/t/a/journal/set-aside-12"), Bytes{12});
}

TEST(Acquire, DropsTheTailWhenTheDiskIsFull) {
  StoppedTenant tenant;
  const std::string path = tenant.last_segment();
  Bytes longer = tenant.bytes(path);
  longer.resize(longer.size() + 500);
  tenant.write(path, longer);
  tenant.fs.disk().set_capacity(0);
  const Result<Texts> found = tenant.reopened();
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(*found, kAll);
}

TEST(Acquire, IsRefusedWhileAnotherHoldsTheTenant) {
  TenantDirectory tenant;
  ASSERT_TRUE(tenant.acquire());
  auto second = open_local_coordinator(tenant.fs, tenant.clock, tenant.random, kTenant);
  ASSERT_TRUE(second);
  const Result<Epoch> refused = (*second)->acquire();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Locked);
  tenant.it.reset();
  EXPECT_TRUE((*second)->acquire());
}

TEST(Acquire, GivesTheLockBackWhenItFindsDamage) {
  StoppedTenant tenant;
  tenant.flip(tenant.first_segment(), 5);
  tenant.open();
  ASSERT_FALSE(tenant.acquire());
  EXPECT_TRUE(tenant.fs.lock("/t/a/lock"));
}

TEST(Acquire, RefusesAHeadOfANewerVersion) {
  StoppedTenant tenant;
  Bytes head = tenant.bytes(kHeadPath);
  head[4] = 2;
  constexpr std::size_t kDigestAt = kSlotBytes - Digest::kBytes;
  const Digest digest = crypto::digest(ByteSpan(head).first(kDigestAt));
  std::copy(digest.bytes.begin(), digest.bytes.end(), head.begin() + kDigestAt);
  tenant.write(kHeadPath, head);
  const Result<Texts> found = tenant.reopened();
  ASSERT_FALSE(found) << "what a newer program wrote must not be taken for damage and repaired";
  EXPECT_EQ(found.error().code, Errc::TooNew);
}

TEST(Open, RefusesARelativeDirectoryAndAWrongSegmentLength) {
  support::FaultyFs fs;
  support::FakeClock clock;
  support::SeededRandom random;
  EXPECT_FALSE(open_local_coordinator(fs, clock, random, "t/a"));
  EXPECT_FALSE(open_local_coordinator(fs, clock, random, "/t/a", 0));
  EXPECT_FALSE(open_local_coordinator(fs, clock, random, "/t/a", journal::kSegmentBytes + 1));
}

}  // namespace
}  // namespace holdfast::coordinator
