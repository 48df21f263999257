// What stands at the server already is referred to, not sent again.
#include <fcntl.h>

#include "client/restore/stream.h"
#include "client/sources/descriptor.h"
#include "tests/client/backup/watched_client.h"

namespace holdfast::test {
namespace {

TEST(KnownContent, AChangedByteInABigFileCostsLessThan64KiB) {
  WatchedClient client;
  client.write("big", noise(3'000'000));
  client.run();
  client.patch("big", 1'500'000, "!");
  const backup::BackupReport report = client.run();
  EXPECT_GT(report.matched_bytes, 2'850'000u);
  EXPECT_LT(report.raw_bytes_sent, 64u << 10);
  EXPECT_LT(client.added.bytes, 64u << 10);
  client.expect_restores();
}

TEST(KnownContent, InsertedBytesMoveTheRestButDoNotSendIt) {
  WatchedClient client;
  const std::string content = noise(3'000'000);
  client.write("big", content);
  client.run();
  client.write("big", content.substr(0, 700'000) + "some more bytes" + content.substr(700'000));
  const backup::BackupReport report = client.run();
  EXPECT_LT(report.raw_bytes_sent, 64u << 10);
  client.expect_restores();
}

TEST(KnownContent, ARenamedDirectoryIsFoundByItsContent) {
  WatchedClient client;
  for (int i = 0; i < 40; ++i) client.write("old/" + std::to_string(i), noise(200'000));
  client.run();
  std::filesystem::rename(client.data("old"), client.data("a new name"));
  const backup::BackupReport report = client.run();
  EXPECT_EQ(report.read_bytes, 8'000'000u) << "nothing proves that they are the same but their bytes";
  EXPECT_EQ(report.matched_bytes, report.read_bytes);
  client.expect_restores();
}

TEST(KnownContent, ACopyOfAnOldFileIsNotSent) {
  WatchedClient client;
  client.write("old", noise(5'000'000));
  client.run();
  std::filesystem::copy(client.data("old"), client.data("copy"));
  const backup::BackupReport report = client.run();
  EXPECT_EQ(report.raw_bytes_sent, 0u);
  client.expect_restores();
}

TEST(KnownContent, ManyGenerationsOfAFileAllRestore) {
  WatchedClient client;
  std::string content = noise(700'000);
  for (std::size_t generation = 0; generation < 25; ++generation) {
    content.replace(generation * 15'000, 40, noise(40 + generation % 3));
    if (generation % 5 == 4) content.erase(generation * 1000, 20'000);
    client.write("file", content);
    client.run();
    client.expect_restores();
  }
}

/// The stream's bytes in the newest snapshot.
std::string newest_stream(WatchedClient& client, const std::string& name) {
  Result<restore::OpeningKey> key = restore::own_key(client.ring);
  HF_ASSERT(key.has_value());
  restore::Archive archive(*client.remote, {}, *std::move(key));
  const Result<restore::SnapshotInfo> info = archive.find("latest", "");
  HF_ASSERT(info.has_value());
  const std::string path = client.work() + "/out";
  const sources::Descriptor out(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  restore::StreamOptions options;
  options.name = name;
  options.descriptor = out.get();
  const Result<restore::StreamReport> done = restore::restore_stream(archive, *info, options);
  return done ? EnrolledClient::text_of(path) : "error: " + done.error().message;
}

TEST(KnownContent, AStreamWithAChangedRowSendsTheRow) {
  WatchedClient client;
  const std::string path = client.work() + "/dump";
  std::string dump = dump_rows(60'000);
  backup::BackupOptions options = client.options();
  options.commands = {{"db.sql", "cat '" + path + "'"}};
  const auto back_up_dump = [&] {
    std::ofstream(path, std::ios::binary) << dump;
    const backup::BackupReport report = client.run(options);
    EXPECT_TRUE(newest_stream(client, "db.sql") == dump);
    return report;
  };
  back_up_dump();
  // Where the cuts fall is the key's choice, and a chunk may be eight times the mean: a row's cost is bounded on average.
  std::uint64_t changed = 0, inserted = 0;
  for (const std::size_t place : {400'000u, 1'200'000u, 2'000'000u, 2'800'000u}) {
    dump.replace(dump.find("customer", place), 8, "Customer");
    changed += back_up_dump().raw_bytes_sent;
    EXPECT_LT(client.added.bytes, 64u << 10);
    dump.insert(dump.find("INSERT", place - 300'000), dump_rows(3, place));
    inserted += back_up_dump().raw_bytes_sent;
    EXPECT_LT(client.added.bytes, 64u << 10);
  }
  EXPECT_LT(changed, 4 * 5000u);
  EXPECT_LT(inserted, 4 * 5000u);
  back_up_dump();
  EXPECT_EQ(client.added.data_blobs, 0u);
  EXPECT_EQ(client.added.extent_segments, 0u);
}

/// A dump in so many pieces that its extent list spills into segments.
void make_spilled(WatchedClient& client) {
  std::string dump = dump_rows(50'000);
  client.write("big.sql", dump);
  client.write("other", "first");
  client.run();
  for (std::size_t at = 2000; at + 10 < dump.size(); at += 6000) dump[at] ^= 1;
  client.write("big.sql", dump);
  client.run();
  EXPECT_GT(client.added.extent_segments, 0u) << "no extent list has spilled";
  client.expect_restores();
}

TEST(KnownContent, AnUnchangedSpilledFileSendsNothing) {
  WatchedClient client;
  make_spilled(client);
  for (int i = 0; i < 2; ++i) {
    const backup::BackupReport report = client.run();
    EXPECT_EQ(report.read_bytes, 0u);
    EXPECT_EQ(client.added.contents(), 0u);
    client.expect_restores();
  }
}

TEST(KnownContent, TheSegmentsOfAnUnchangedSpilledFileStayKnown) {
  WatchedClient client;
  make_spilled(client);
  for (const char* text : {"second", "third"}) {
    client.write("other", text);
    client.run();
    EXPECT_EQ(client.added.extent_segments, 0u) << "recalled";
    client.expect_restores();
  }
  // Read again, it gives the same list: its segments were carried along while nobody looked at them.
  std::filesystem::last_write_time(client.data("big.sql"), std::filesystem::file_time_type::clock::now());
  const backup::BackupReport report = client.run();
  EXPECT_GT(report.read_bytes, 2'000'000u);
  EXPECT_EQ(client.added.extent_segments, 0u);
  EXPECT_EQ(client.added.data_blobs, 0u);
  client.expect_restores();
}

TEST(KnownContent, ALostStateSendsNoDataAgain) {
  WatchedClient client;
  client.write("big", noise(3'000'000));
  for (int i = 0; i < 50; ++i) client.write("small/" + std::to_string(i), noise(20'000));
  client.write("dump.sql", dump_rows(30'000));
  client.run();
  for (const auto& one : std::filesystem::directory_iterator(client.root + "/state"))
    std::filesystem::remove(one.path());
  const backup::BackupReport report = client.run();
  EXPECT_EQ(report.known_bytes, 0u);
  EXPECT_EQ(report.matched_bytes, 0u);
  EXPECT_EQ(client.added.data_blobs, 0u) << "the same groups have the same ids";
  client.expect_restores();
  client.run();
  EXPECT_EQ(client.added.contents(), 0u) << "and the new state knows where everything stands";
  client.expect_restores();
}

TEST(KnownContent, FullReadsEverythingAndSendsNoDataAgain) {
  WatchedClient client;
  client.write("big", noise(3'000'000));
  client.run();
  backup::BackupOptions options = client.options();
  options.full = true;
  const backup::BackupReport report = client.run(options);
  EXPECT_EQ(report.read_bytes, 3'000'000u);
  EXPECT_EQ(client.added.data_blobs, 0u);
  client.expect_restores();
  client.patch("big", 1'000'000, "!");
  EXPECT_LT(client.run().raw_bytes_sent, 64u << 10) << "the lists of the full run are known";
  client.expect_restores();
}

TEST(KnownContent, ManyRunsWithChangesKeepTheStateSmall) {
  WatchedClient client;
  client.write("dump.sql", dump_rows(30'000));
  client.write("rests", noise(500'000));
  for (int i = 0; i < 40; ++i) {
    client.write("log" + std::to_string(i % 3), noise(60'000));
    if (i % 4 == 0) client.patch("dump.sql", static_cast<std::size_t>(i) * 10'000, "changed");
    client.run();
    EXPECT_LE(client.chunk_list_files().size(), 16u);
  }
  client.expect_restores();
  std::uint64_t bytes = 0;
  for (const std::string& one : client.chunk_list_files()) bytes += std::filesystem::file_size(one);
  // 2 MB of a dump at 534 bytes and 0.7 MB at 8 KiB are 4,000 chunks; at most half of what is kept is dead.
  EXPECT_LT(bytes, 2 * 2 * 4000 * 25u);
  client.run();
  EXPECT_EQ(client.added.contents(), 0u);
}

}  // namespace
}  // namespace holdfast::test
