// A run that ended in the middle, by whatever it was, and its successor: nothing is sent again that is there, nothing is
// read again that is proven, and no doubt makes a wrong snapshot.
#include <gtest/gtest.h>

#include <atomic>

#include "client/state/checkpoint.h"
#include "tests/client/backup/watched_client.h"

namespace holdfast::test {
namespace {

constexpr std::size_t kFiles = 400, kFileBytes = 40'000;
constexpr std::size_t kMinGroupBytes = 256u << 10;  // client/chunking: what one blob of data holds at least

class KilledRun : public ::testing::Test {
 protected:
  explicit KilledRun(std::size_t files = kFiles) {
    for (std::size_t i = 0; i < files; ++i) client.write(name(i), noise(kFileBytes));
    client.age();
  }
  static std::string name(std::size_t i) { return "f" + std::to_string(1000 + i); }

  /// Blobs are sent in the order of their contents.
  backup::BackupOptions options() {
    backup::BackupOptions made = client.options();
    made.seal_threads = 1;
    return made;
  }
  /// The connection is lost for good after so many blobs more.
  void die_after(std::size_t blobs) { die_after(blobs, options()); }
  void die_after(std::size_t blobs, const backup::BackupOptions& with) {
    client.remote->puts_before_loss = client.remote->put_count + blobs;
    const Result<backup::BackupReport> report = client.back_up(with);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, Errc::Unreachable);
    client.remote->puts_before_loss = std::numeric_limits<std::size_t>::max();
  }
  std::vector<std::string> notes() const {
    std::vector<std::string> out;
    for (const auto& one : std::filesystem::directory_iterator(client.root + "/state")) {
      if (one.path().filename().string().starts_with("checkpoint-")) out.push_back(one.path());
    }
    return out;
  }
  std::uint64_t stored() const {
    std::uint64_t bytes = 0;
    for (const auto& [ref, record] : client.remote->records) bytes += record.size();
    return bytes;
  }
  /// Of files that lie wholly in what the server has (padding is an eighth at most), but for one at the end of each run.
  std::uint64_t whole_files(std::size_t runs) const { return stored() * 8 / 9 - runs * 2 * kFileBytes; }
  /// As before the first snapshot, but with these blobs.
  void forget_snapshots(const std::map<blob::BlobRef, Bytes>& records) {
    client.remote->rows.clear();
    client.remote->records = records;
  }

  WatchedClient client;
};

/// For what is done many times.
class SmallKilledRun : public KilledRun {
 protected:
  static constexpr std::size_t kFew = 60;
  SmallKilledRun() : KilledRun(kFew) {}
};

TEST_F(KilledRun, LeavesOnlyTheRestToRead) {
  die_after(10);
  ASSERT_EQ(notes().size(), 1u);
  const std::uint64_t there = stored(), whole = whole_files(1);
  const backup::BackupReport report = client.run();
  EXPECT_GE(report.known_bytes, 64 * kFileBytes);
  EXPECT_GE(report.known_bytes, whole);
  EXPECT_EQ(report.known_bytes + report.read_bytes, kFiles * kFileBytes);
  EXPECT_LE(there + client.added.bytes, kFiles * kFileBytes * 105 / 100 + (4u << 20));
  EXPECT_TRUE(notes().empty());
  client.expect_restores();
  // What was taken over is as good as what was read: known by its identity, and chunk by chunk.
  const backup::BackupReport next = client.run();
  EXPECT_EQ(next.read_bytes, 0u);
  client.patch("f1001", 20'000, "changed");
  client.age();
  (void)client.run();
  EXPECT_LT(client.added.bytes, 150'000u);
  client.expect_restores();
}

TEST_F(KilledRun, MayBeFollowedByOthers) {
  for (int i = 0; i < 4; ++i) die_after(3);
  EXPECT_LE(notes().size(), state::kMaxCheckpoints);
  const std::uint64_t whole = whole_files(4);
  EXPECT_GE(client.run().known_bytes, whole);
  client.expect_restores();
}

TEST_F(KilledRun, ThatReadEverythingLeavesNoMoreThanTheOthers) {
  backup::BackupOptions everything = options();
  everything.full = true;
  for (int i = 0; i < 8; ++i) die_after(1, everything);
  EXPECT_LE(notes().size(), state::kMaxCheckpoints);
}

TEST_F(KilledRun, ReadsWhatHasChangedSince) {
  die_after(10);
  client.patch("f1000", 7, "other text");
  client.write("f1002", noise(1000));
  std::filesystem::remove(client.data("f1003"));
  std::filesystem::rename(client.data("f1004"), client.data("f1005"));
  // As long and as old as before: only the time of its change tells.
  const auto time = std::filesystem::last_write_time(client.data("f1006"));
  client.patch("f1006", 7, "other text");
  std::filesystem::last_write_time(client.data("f1006"), time);
  (void)client.run();
  client.expect_restores();
}

TEST_F(KilledRun, NotesNoFileThatMayChangeWithoutItsTimes) {
  for (std::size_t i = 0; i < kFiles; ++i) client.write(name(i), noise(kFileBytes));
  client.clock = &system_clock();  // by which they are new
  die_after(10);
  EXPECT_EQ(client.run().known_bytes, 0u);
  client.expect_restores();
}

TEST_F(KilledRun, StoppedByASignalHasNotedAllThatItHasRead) {
  std::atomic<bool> stop{false};
  std::size_t puts = 0;
  client.remote->on_put = [&] { stop = stop || ++puts == 8; };
  backup::BackupOptions with = options();
  with.stop = &stop;
  const Result<backup::BackupReport> report = client.back_up(with);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Errc::Canceled);
  client.remote->on_put = {};
  const std::uint64_t there = stored(), whole = whole_files(1);
  EXPECT_GE(client.run().known_bytes, whole);
  EXPECT_LE(there + client.added.bytes, (kFiles + 2) * kFileBytes * 9 / 8) << "one file was half read";
  client.expect_restores();
}

TEST_F(KilledRun, ReadsWhatTheServerHasLostOrHasForgotten) {
  die_after(10);
  client.remote->records.erase(std::next(client.remote->records.begin(), 3));
  const backup::BackupReport report = client.run();
  EXPECT_GT(report.known_bytes, 0u);
  // At once, not by a second run after a refused commit.
  EXPECT_EQ(report.state_note.find("sent again"), std::string::npos) << report.state_note;
  client.expect_restores();
}

TEST_F(KilledRun, SendsAgainWhatTheServerLosesAfterItsPromise) {
  die_after(10);
  const blob::BlobRef lost = client.remote->records.begin()->first;
  client.remote->on_put = [&] { client.remote->records.erase(lost); };
  const Result<backup::BackupReport> report = client.back_up();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_NE(report->state_note.find("sent again"), std::string::npos) << report->state_note;
  client.remote->on_put = {};
  client.expect_restores();
  EXPECT_EQ(client.run().read_bytes, 0u);
  client.expect_restores();
}

TEST_F(KilledRun, WhoseSessionIsGoneIsDoneAgainInFull) {
  die_after(10);
  client.remote->records.clear();
  const backup::BackupReport report = client.run();
  EXPECT_EQ(report.known_bytes, 0u);
  EXPECT_EQ(report.read_bytes, kFiles * kFileBytes);
  client.expect_restores();
}

TEST_F(KilledRun, IsNotBelievedByAFullOne) {
  die_after(10);
  backup::BackupOptions options = client.options();
  options.full = true;
  EXPECT_EQ(client.run(options).read_bytes, kFiles * kFileBytes);
  EXPECT_TRUE(notes().empty());
}

TEST_F(KilledRun, IsNotBelievedWithOtherKeys) {
  die_after(10);
  client.ring.domain_key = crypto::Key::random(system_random());
  EXPECT_EQ(client.run().read_bytes, kFiles * kFileBytes);
  client.expect_restores();
}

TEST_F(SmallKilledRun, NotesThatAreDamagedCutShortOrForeignOnlyCostAReading) {
  die_after(1);
  client.save_state("killed");
  const std::string file = notes().at(0);
  const std::string good = EnrolledClient::text_of(file);
  const auto records = client.remote->records;
  for (std::size_t step = 0; step < 6; ++step) {
    std::string bad = good;
    const std::size_t at = good.size() * step / 6;
    if (step % 3 == 0)
      bad.resize(at);
    else
      bad[at] = static_cast<char>(bad[at] ^ (1 << step % 8));
    client.bring_back_state("killed");
    std::ofstream(file, std::ios::binary | std::ios::trunc) << bad;
    (void)client.run();
    client.expect_restores();
    forget_snapshots(records);
    EXPECT_TRUE(notes().empty());
  }
  client.bring_back_state("killed");
  std::filesystem::copy(file, client.root + "/state/checkpoint-" + std::string(32, '0'));
  (void)client.run();
  client.expect_restores();
}

TEST_F(KilledRun, NotesAndABaseGoTogether) {
  (void)client.run();
  for (std::size_t i = 0; i < kFiles; i += 2) client.patch(name(i), 1000, noise(15'000));
  for (std::size_t i = 0; i < kFiles; i += 2) {  // another time than in the base
    std::filesystem::last_write_time(client.data(name(i)),
                                     std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  }
  die_after(2);
  const backup::BackupReport report = client.run();
  // Of a changed file all bytes may be new ones: so many such files stand in two blobs at least.
  constexpr std::size_t kNoted = 2 * kMinGroupBytes / kFileBytes;
  EXPECT_GE(report.known_bytes, (kFiles / 2 + kNoted) * kFileBytes);
  EXPECT_TRUE(notes().empty());
  client.expect_restores();
}

/// Whatever of it is on the disk while it goes on.
TEST_F(SmallKilledRun, MayHaveBeenKilledAtAnyMoment) {
  int moments = 0;
  client.remote->on_put = [&] { client.save_state("moment" + std::to_string(moments++)); };
  (void)client.run(options());
  client.remote->on_put = {};
  ASSERT_GE(moments, 2);
  const auto records = client.remote->records;
  for (int i = 0; i < moments; ++i) {
    forget_snapshots(records);
    client.bring_back_state("moment" + std::to_string(i));
    (void)client.run();
    client.expect_restores();
  }
}

/// First the receipt is written, then the segments, then the state; then the notes are removed.
TEST_F(SmallKilledRun, MayHaveBeenKilledBetweenTheReceiptAndTheEndOfItsNotes) {
  (void)client.run();
  client.patch("f1000", 7, "the second text");
  client.age();
  die_after(0);
  for (std::size_t i = 0; i < kFew; ++i) client.patch(name(i), 70, "the second text");
  client.age();
  die_after(1);
  client.save_state("old");
  (void)client.run();
  client.save_state("new");
  for (int written = 0; written <= 3; ++written) {
    client.bring_back_state("old");
    int left = written;
    for (const char* part : {"receipt", "segments", "state"}) {
      if (left-- > 0)
        std::filesystem::copy(client.work() + "/new/" + part, client.state(part),
                              std::filesystem::copy_options::overwrite_existing);
    }
    client.patch("f1007", 70, "the third text" + std::to_string(written));
    (void)client.run();
    client.expect_restores();
    EXPECT_TRUE(notes().empty());
  }
}

TEST_F(KilledRun, NotesOlderThanTheBaseAreOfNoHarm) {
  die_after(10);
  client.save_state("older");
  (void)client.run();
  for (std::size_t i = 0; i < 100; ++i) client.patch(name(i), i, "the second text");
  client.age();
  (void)client.run();
  for (std::size_t i = 0; i < 50; ++i) client.patch(name(i), i, "the third text");
  for (const auto& one : std::filesystem::directory_iterator(client.work() + "/older")) {
    if (one.path().filename().string().starts_with("checkpoint-"))
      std::filesystem::copy(one.path(), client.root + "/state");
  }
  ASSERT_EQ(notes().size(), 1u);
  (void)client.run();
  client.expect_restores();
  EXPECT_TRUE(notes().empty());
}

TEST(KilledRunOfOtherTrees, DoesNotHaveItsManifestSentAgain) {
  WatchedClient client;
  for (int i = 0; i < 4000; ++i) client.write("d/" + std::to_string(i), noise(100));
  client.age();
  WatchedClient other;  // what all of it costs
  std::filesystem::remove_all(other.root + "/data");
  std::filesystem::copy(client.root + "/data", other.root + "/data", std::filesystem::copy_options::recursive);
  other.age();
  (void)other.run();
  client.remote->puts_before_loss = other.remote->put_count - 5;
  EXPECT_FALSE(client.back_up());
  client.remote->puts_before_loss = std::numeric_limits<std::size_t>::max();
  (void)client.run();
  EXPECT_LE(client.added.segments, other.added.segments / 2);
  client.expect_restores();
}

TEST(KilledRunOfOtherTrees, NotesLongFilesHolesAndEmptyOnes) {
  WatchedClient client;
  client.write("a.sql", dump_rows(200'000));  // in several parts
  client.write("b", noise(300'000));
  std::filesystem::resize_file(client.data("b"), 3'000'000);
  client.patch("b", 2'000'000, noise(300'000));
  client.write("c", "");
  client.write("d", noise(6'000'000));
  client.write("e", noise(6'000'000));
  client.age();
  const std::uint64_t dump = std::filesystem::file_size(client.data("a.sql"));
  backup::BackupOptions with = client.options();
  with.seal_threads = 1;
  std::size_t most = 0;
  for (std::size_t blobs = 4; blobs < 16; blobs += 3) {
    client.remote->puts_before_loss = client.remote->put_count + blobs;
    const Result<backup::BackupReport> died = client.back_up(with);
    client.remote->puts_before_loss = std::numeric_limits<std::size_t>::max();
    if (died) break;
    ++most;
  }
  EXPECT_GT(most, 1u);
  const backup::BackupReport report = client.run();
  EXPECT_GE(report.known_bytes, dump + 3'000'000);
  client.expect_restores();
  EXPECT_EQ(client.run().read_bytes, 0u);
}

}  // namespace
}  // namespace holdfast::test
