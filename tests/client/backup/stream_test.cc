#include "client/restore/stream.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <thread>

#include "client/backup/stream_source.h"
#include "client/sources/descriptor.h"
#include "tests/support/enrolled_client.h"

namespace holdfast::test {
namespace {

using Commands = std::vector<sources::CommandOptions>;

backup::BackupOptions with(EnrolledClient& client, Commands commands, std::vector<std::string>* failed = nullptr) {
  backup::BackupOptions options = client.options();
  options.commands = std::move(commands);
  if (failed != nullptr)
    options.on_source_failed = [failed](const std::string& name, const Error& error) {
      failed->push_back(name + ": " + error.message);
    };
  return options;
}

restore::Archive open_archive(EnrolledClient& client) {
  Result<restore::OpeningKey> key = restore::own_key(client.ring);
  HF_ASSERT(key.has_value());
  return {*client.remote, {}, *std::move(key)};
}

/// The stream's bytes, or the error's message.
std::string stream_of(EnrolledClient& client, const std::string& snapshot, const std::string& name) {
  restore::Archive archive = open_archive(client);
  const Result<restore::SnapshotInfo> info = archive.find(snapshot, "");
  HF_ASSERT(info.has_value());
  const std::string path = client.root + "/out";
  const sources::Descriptor out(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  restore::StreamOptions options;
  options.name = name;
  options.descriptor = out.get();
  const Result<restore::StreamReport> done = restore::restore_stream(archive, *info, options);
  return done ? EnrolledClient::text_of(path) : "error: " + done.error().message;
}

TEST(Streams, StandBesideATreeInOneSnapshot) {
  EnrolledClient client;
  client.write("file", "text");
  client.write("big", noise(3'000'000));
  const std::string dump = noise(5'000'000);
  std::ofstream(client.root + "/dump", std::ios::binary) << dump;
  // Before, between and behind "files" in the order of names; given in another order.
  const Result<backup::BackupReport> report =
      client.back_up(with(client, {{"zz", "echo last"}, {"a b", "cat '" + client.root + "/dump'"}, {"empty", "true"}}));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->streams, 3u);
  EXPECT_TRUE(report->failed_sources.empty());
  EXPECT_EQ(client.remote->rows.size(), 1u);
  EXPECT_TRUE(stream_of(client, "latest", "a b") == dump);
  EXPECT_EQ(stream_of(client, "latest", "zz"), "last\n");
  EXPECT_EQ(stream_of(client, "latest", "empty"), "");
  const Result<restore::RestoreReport> restored = client.restore_to(client.root + "/back");
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(restored->streams_skipped, 3u);
  EXPECT_EQ(restored->failed, 0u);
  EXPECT_EQ(EnrolledClient::text_of(client.root + "/back" + client.root + "/data/file"), "text");
  EXPECT_FALSE(std::filesystem::exists(client.root + "/back/zz"));

  restore::Archive archive = open_archive(client);
  const Result<restore::SnapshotInfo> info = archive.find("latest", "empty");
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_TRUE(info->complete);
  std::map<std::string, std::string> kinds;
  for (const auto& source : info->part->sources) kinds[source.name] = source.kind;
  EXPECT_EQ(kinds, (std::map<std::string, std::string>{
                       {"a b", "command"}, {"empty", "command"}, {"files", "files"}, {"zz", "command"}}));
  EXPECT_EQ(info->core().sources.size(), 4u);
}

TEST(Streams, NeedNoFiles) {
  EnrolledClient client;
  backup::BackupOptions options = with(client, {{"db.sql", "echo rows"}});
  options.files.roots.clear();
  const Result<backup::BackupReport> report = client.back_up(options);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->entries, 1u);
  EXPECT_EQ(stream_of(client, "1", "db.sql"), "rows\n");
}

TEST(Streams, AFailedCommandIsNeverTakenForAGoodSource) {
  EnrolledClient client;
  client.write("file", "text");
  ASSERT_TRUE(client.back_up(with(client, {{"bad", "echo whole"}, {"good", "echo one"}})));
  std::vector<std::string> failed;
  const Result<backup::BackupReport> report = client.back_up(with(
      client, {{"bad", "head -c 3000000 /dev/urandom; echo no space >&2; exit 1"}, {"good", "echo two"}}, &failed));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->failed_sources, std::vector<std::string>{"bad"});
  EXPECT_EQ(report->streams, 1u);
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_NE(failed[0].find("exit status 1; it said: no space"), std::string::npos) << failed[0];

  restore::Archive archive = open_archive(client);
  EXPECT_EQ(archive.find("latest", "")->core().sequence, 1u) << "an incomplete snapshot was given as the latest";
  EXPECT_EQ(archive.find("latest", "bad")->core().sequence, 1u);
  EXPECT_EQ(archive.find("@2026-11-21T06:00Z", "bad")->core().sequence, 1u);
  EXPECT_EQ(archive.find("latest", "good")->core().sequence, 2u) << "the others are complete in it";
  EXPECT_EQ(archive.find("latest", "files")->core().sequence, 2u);
  EXPECT_FALSE(archive.find("2", "")->complete);
  EXPECT_EQ(stream_of(client, "2", "good"), "two\n");
  const std::string refused = stream_of(client, "2", "bad");
  EXPECT_NE(refused.find("failed in that run; it holds 'good'"), std::string::npos) << refused;
  EXPECT_EQ(stream_of(client, "latest", "bad"), "whole\n");
}

TEST(Streams, NoSnapshotStandsWhenEverySourceFailed) {
  EnrolledClient client;
  backup::BackupOptions options = with(client, {{"a", "exit 3"}, {"b", "echo x; exit 4"}});
  options.files.roots = {client.root + "/not-there"};
  const Result<backup::BackupReport> report = client.back_up(options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Errc::SourceFailed);
  EXPECT_NE(report.error().message.find("every source failed"), std::string::npos) << report.error().message;
  EXPECT_TRUE(client.remote->rows.empty());
}

TEST(Streams, StandWhenTheFilesFailed) {
  EnrolledClient client;
  std::vector<std::string> failed;
  backup::BackupOptions options = with(client, {{"db.sql", "echo rows"}}, &failed);
  options.files.roots = {client.root + "/not-there"};
  const Result<backup::BackupReport> report = client.back_up(options);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->failed_sources, std::vector<std::string>{"files"});
  EXPECT_EQ(stream_of(client, "1", "db.sql"), "rows\n");
  restore::Archive archive = open_archive(client);
  EXPECT_FALSE(archive.find("latest", ""));
  EXPECT_FALSE(archive.find("latest", "files"));
}

TEST(Streams, EachSourceHasANameOfItsOwn) {
  EnrolledClient client;
  client.write("file", "text");
  for (const Commands& commands :
       {Commands{{"x", "true"}, {"x", "true"}}, Commands{{"files", "true"}}, Commands{{"a/b", "true"}}}) {
    const Result<backup::BackupReport> refused = client.back_up(with(client, commands));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::Usage);
  }
  EXPECT_TRUE(client.remote->rows.empty());
}

TEST(Streams, AStopInMidStreamLeavesNoSnapshot) {
  EnrolledClient client;
  std::atomic<bool> stop{false};
  backup::Progress progress;
  backup::BackupOptions options = with(client, {{"endless", "yes"}});
  options.files.roots.clear();
  options.stop = &stop;
  options.progress = &progress;
  std::thread asker([&] {
    while (progress.bytes == 0) std::this_thread::yield();
    stop = true;
  });
  const Result<backup::BackupReport> stopped = client.back_up(options);
  asker.join();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Errc::Canceled);
  EXPECT_TRUE(client.remote->rows.empty());
}

TEST(Streams, ALostConnectionIsNoFailureOfTheSource) {
  EnrolledClient client;
  client.remote->puts_before_loss = 2;
  const Result<backup::BackupReport> lost =
      client.back_up(with(client, {{"dump", "head -c 30000000 /dev/urandom"}, {"other", "echo x"}}));
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Errc::Unreachable);
}

TEST(Streams, AnEntryIsTheOwnersAlone) {
  class Clock1 final : public Clock {
   public:
    WallTime wall() const override { return from_ns(1'700'000'000'000'000'000); }
    MonotonicTime monotonic() const override { return system_clock().monotonic(); }
  } const clock;
  const Result<backup::OpenStream> stream = backup::open_stream({"db.sql", "true"}, clock, nullptr);
  ASSERT_TRUE(stream);
  const manifest::Entry& entry = stream->entry;
  EXPECT_EQ(entry.source, "db.sql");
  EXPECT_EQ(entry.path, "/db.sql");
  EXPECT_EQ(entry.kind, manifest::EntryKind::Stream);
  EXPECT_EQ(entry.mode, 0600u);
  EXPECT_EQ(entry.uid, ::geteuid());
  EXPECT_EQ(entry.gid, ::getegid());
  EXPECT_EQ(entry.mtime_ns, 1'700'000'000'000'000'000);
  EXPECT_EQ(backup::open_stream({"a/b", "true"}, clock, nullptr).error().code, Errc::Usage);
}

}  // namespace
}  // namespace holdfast::test
