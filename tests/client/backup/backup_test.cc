#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "tests/client/backup/watched_client.h"

namespace holdfast::test {
namespace {

const LaterClock kLater;

TEST(Backup, RestoresEveryByteOfATree) {
  EnrolledClient client;
  client.write("small", "hello");
  client.write("empty", "");
  client.write("deep/er/big", noise(9'000'000));
  for (int i = 0; i < 200; ++i) client.write("many/" + std::to_string(i), noise(3000));
  const Result<backup::BackupReport> report = client.back_up();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->sequence, 1u);
  const Result<restore::RestoreReport> restored = client.restore_to(client.root + "/back");
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(restored->failed, 0u);
  for (const char* name : {"small", "empty", "deep/er/big", "many/0", "many/199"}) {
    EXPECT_EQ(EnrolledClient::text_of(client.root + "/back" + client.root + "/data/" + name),
              EnrolledClient::text_of(client.root + "/data/" + name))
        << name;
  }
}

TEST(Backup, SendsNothingButACoreWhenNothingChanged) {
  EnrolledClient client;
  client.clock = &kLater;
  for (int i = 0; i < 300; ++i) client.write(std::to_string(i), noise(5000));
  ASSERT_TRUE(client.back_up());
  const std::size_t puts = client.remote->put_count;
  const Result<backup::BackupReport> again = client.back_up();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(client.remote->put_count, puts);
  EXPECT_EQ(again->read_bytes, 0u);
  EXPECT_EQ(again->sequence, 2u);
}

TEST(Backup, DoesNotTrustAFileWhoseTimesAreTooYoung) {
  EnrolledClient client;  // the real clock: the files were written this moment
  client.write("young", "first");
  ASSERT_TRUE(client.back_up());
  const Result<backup::BackupReport> again = client.back_up();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->read_bytes, 5u);
}

TEST(Backup, TakesAFileReplacedWithTheSameTimeAndAnotherSize) {  // Burp kept the old text for ever
  EnrolledClient client;
  client.clock = &kLater;
  client.write("file", "old text");
  const std::string path = client.root + "/data/file";
  const auto stamp = std::filesystem::last_write_time(path);
  ASSERT_TRUE(client.back_up());
  client.write("file", "a longer new text");
  std::filesystem::last_write_time(path, stamp);
  ASSERT_TRUE(client.back_up());
  ASSERT_TRUE(client.restore_to(client.root + "/back"));
  EXPECT_EQ(EnrolledClient::text_of(client.root + "/back" + path), "a longer new text");
}

TEST(Backup, SurvivesALostConnectionWithoutAChangedState) {
  EnrolledClient client;
  client.clock = &kLater;
  client.write("first", noise(2'000'000));
  ASSERT_TRUE(client.back_up());
  client.write("second", noise(6'000'000));
  client.remote->puts_before_loss = client.remote->put_count + 2;
  const Result<backup::BackupReport> lost = client.back_up();
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Errc::Unreachable);
  EXPECT_EQ(client.remote->rows.size(), 1u);
  client.remote->puts_before_loss = std::numeric_limits<std::size_t>::max();
  const Result<backup::BackupReport> again = client.back_up();
  ASSERT_TRUE(again) << again.error().message;
  ASSERT_TRUE(client.restore_to(client.root + "/back"));
  EXPECT_EQ(EnrolledClient::text_of(client.root + "/back" + client.root + "/data/second"),
            EnrolledClient::text_of(client.root + "/data/second"));
}

TEST(Backup, SendsAgainWhatTheServerHasLost) {
  EnrolledClient client;
  client.clock = &kLater;
  for (int i = 0; i < 20; ++i) client.write(std::to_string(i), noise(400'000));
  ASSERT_TRUE(client.back_up());
  std::size_t lost = 0;
  for (auto record = client.remote->records.begin(); record != client.remote->records.end();) {
    const Result<blob::RecordView> view = blob::decode_record(record->second);
    const bool loses = view->header.type == blob::Type::Data && lost < 3;
    record = loses ? client.remote->records.erase(record) : std::next(record);
    lost += loses;
  }
  ASSERT_EQ(lost, 3u);
  client.write("more", "text");
  const Result<backup::BackupReport> healed = client.back_up();
  ASSERT_TRUE(healed) << healed.error().message;
  EXPECT_NE(healed->state_note.find("the server has lost"), std::string::npos);
  EXPECT_LE(healed->blobs_sent, 4u);
  const Result<restore::RestoreReport> restored = client.restore_to(client.root + "/back");
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(restored->failed, 0u);
  const Result<backup::BackupReport> after = client.back_up();
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(after->read_bytes, 0u);
}

TEST(Backup, RefusesAServerOlderThanItsReceipt) {
  EnrolledClient client;
  client.write("file", "text");
  ASSERT_TRUE(client.back_up());
  const std::size_t puts = client.remote->put_count;
  client.remote->forget_newest = true;
  const Result<backup::BackupReport> refused = client.back_up();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Rollback);
  EXPECT_EQ(client.remote->put_count, puts) << "something was sent";
}

TEST(Backup, RefusesAReceiptThatKeepsTheSnapshotShorterThanThePlan) {
  EnrolledClient client;
  client.write("file", "text");
  client.remote->promise_days = 29;
  const Result<backup::BackupReport> refused = client.back_up();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Protocol);
}

TEST(Backup, HoldsTheServerToEveryPlanThatThereIs) {
  const std::pair<const char*, std::int64_t> plans[] = {{"1d", 1},     {"90d", 90},     {"1y", 366},    {"2y", 731},
                                                        {"10y", 3653}, {"30d-max", 17}, {"2y-max", 678}};
  for (const auto& [plan, days] : plans) {
    EnrolledClient client;
    client.write("file", "text");
    client.ring.plan = plan;
    client.remote->promise_days = days - 1;
    const Result<backup::BackupReport> refused = client.back_up();
    ASSERT_FALSE(refused) << plan;
    EXPECT_EQ(refused.error().code, Errc::Protocol) << plan;
    client.remote->promise_days = days;
    EXPECT_TRUE(client.back_up()) << plan;
  }
}

TEST(Backup, RefusesAReceiptOfAnotherKey) {
  EnrolledClient client;
  client.write("file", "text");
  client.ring.receipt_key = crypto::SigningKey::generate(system_random()).public_key();
  const Result<backup::BackupReport> refused = client.back_up();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Corrupt);
}

TEST(Backup, ReadsEverythingAndSaysSoWhenTheServerDoesNotKnowTheBase) {
  EnrolledClient client;
  client.clock = &kLater;
  client.write("file", noise(100'000));
  ASSERT_TRUE(client.back_up());
  client.remote->base_known = false;
  const Result<backup::BackupReport> again = client.back_up();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->state_lost);
  EXPECT_EQ(again->read_bytes, 100'000u);
}

TEST(Backup, MakesItsStateDirectoryAnewWhenItIsLost) {
  EnrolledClient client;
  client.clock = &kLater;
  client.write("file", noise(100'000));
  ASSERT_TRUE(client.back_up());
  std::filesystem::remove_all(client.root + "/state");
  const Result<backup::BackupReport> again = client.back_up();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->read_bytes, 100'000u);
  struct stat facts{};
  ASSERT_EQ(::stat((client.root + "/state").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0700u);
}

TEST(Backup, LetsOneRunAtATimeIn) {
  EnrolledClient client;
  client.write("file", "text");
  const Result<std::unique_ptr<fs::Lock>> lock = fs::real().lock(client.root + "/state/lock");
  ASSERT_TRUE(lock);
  const Result<backup::BackupReport> second = client.back_up();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::Locked);
}

TEST(Backup, WaitsForAnotherRunWhenToldTo) {
  EnrolledClient client;
  client.write("file", "text");
  Result<std::unique_ptr<fs::Lock>> lock = fs::real().lock(client.root + "/state/lock");
  ASSERT_TRUE(lock);
  backup::BackupOptions options = client.options();
  options.wait = true;
  std::thread other([&] { lock->reset(); });  // before or after the first try: both must work
  const Result<backup::BackupReport> done = client.back_up(options);
  other.join();
  EXPECT_TRUE(done) << done.error().message;
}

TEST(Backup, SendsOnceWhatStandsTwiceInATree) {
  EnrolledClient client;
  const std::string content = noise(12'000'000);
  client.write("a", content);
  client.write("b", content);
  const Result<backup::BackupReport> report = client.back_up();
  ASSERT_TRUE(report) << report.error().message;
  // The groups around the border of the two files differ; those inside are the same.
  EXPECT_LT(report->raw_bytes_sent, content.size() * 3 / 2);
}

TEST(Backup, StopsCleanlyWhenAsked) {
  EnrolledClient client;
  client.write("file", "text");
  const std::atomic<bool> stop{true};
  backup::BackupOptions options = client.options();
  options.stop = &stop;
  const Result<backup::BackupReport> stopped = client.back_up(options);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Errc::Canceled);
  EXPECT_TRUE(client.remote->rows.empty());
}

/// Asks to stop when its time has been read `calls` times: once for the run, then once for each file.
class StoppingClock final : public Clock {
 public:
  explicit StoppingClock(int calls) : calls_(calls) {}
  WallTime wall() const override {
    if (--calls_ <= 0) stop = true;
    return kLater.wall();
  }
  MonotonicTime monotonic() const override { return system_clock().monotonic(); }
  mutable std::atomic<bool> stop{false};

 private:
  mutable std::atomic<int> calls_;
};

TEST(Backup, StopsWhileEntriesWaitForAGroupThatIsStillOpen) {
  EnrolledClient client;
  for (int i = 0; i < 20; ++i) client.write(std::to_string(i), noise(2000));
  const StoppingClock clock(10);
  client.clock = &clock;
  backup::BackupOptions options = client.options();
  options.stop = &clock.stop;
  const Result<backup::BackupReport> stopped = client.back_up(options);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Errc::Canceled);
}

TEST(Backup, KeepsMoreTinyFilesThanTheQueueHolds) {
  EnrolledClient client;
  client.write("0", "x");
  for (int i = 0; i < 17'000; ++i) std::filesystem::create_directories(client.root + "/data/d/" + std::to_string(i));
  const Result<backup::BackupReport> report = client.back_up();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_GE(report->entries, 17'000u);
}

}  // namespace
}  // namespace holdfast::test
