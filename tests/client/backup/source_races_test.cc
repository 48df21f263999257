// Row 29: what is backed up changes under the walk. Nothing outside is followed into, nothing waits for ever, and what
// was not there to be read is named. The walk alone is in tests/client/sources.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "tests/support/enrolled_client.h"

namespace holdfast::test {
namespace {

namespace files = std::filesystem;

constexpr std::string_view kOutside = "outside bytes that nobody may back up";
constexpr auto kSoon = std::chrono::seconds(60);

class SourceRaces : public ::testing::Test {
 protected:
  void SetUp() override {
    files::create_directories(outside + "/dir");
    std::ofstream(outside + "/secret") << kOutside;
    std::ofstream(outside + "/dir/secret") << kOutside;
  }
  std::string at(const std::string& name) const { return client.root + "/data/" + name; }
  std::string back(const std::string& name) const { return client.root + "/back" + at(name); }
  /// Everything that a snapshot gives back, without following anything: path below the source → bytes of files.
  std::map<std::string, std::string> restored() {
    files::remove_all(client.root + "/back");
    const Result<restore::RestoreReport> done = client.restore_to(client.root + "/back");
    EXPECT_TRUE(done && done->failed == 0);
    std::map<std::string, std::string> out;
    for (const auto& one : files::recursive_directory_iterator(client.root + "/back"))
      if (one.is_regular_file() && !one.is_symlink())
        out[one.path().string().substr(back("").size())] = EnrolledClient::text_of(one.path());
    return out;
  }
  void expect_nothing_of_outside() {
    for (const auto& [name, text] : restored()) EXPECT_EQ(text.find(kOutside), std::string::npos) << name;
  }

  EnrolledClient client;
  const std::string outside = client.root + "/outside";
};

/// What happens to `victim` or `dir` after their names were read and before they are looked at.
struct Change {
  std::string name;
  std::function<void(const std::string& data, const std::string& outside)> act;
  bool victim_is_file = false;  ///< it is still a file, with these bytes
  std::string bytes = "";
  bool problem = false;  ///< named, hence exit 3
};

std::vector<Change> changes() {
  const auto replace = [](const std::string& path, const std::function<void()>& make) {
    files::remove_all(path);
    make();
  };
  return {
      {"a file goes", [](auto& d, auto&) { files::remove(d + "victim"); }, false, "", true},
      {"a file becomes a link to an outside file",
       [=](auto& d, auto& o) { replace(d + "victim", [&] { files::create_symlink(o + "/secret", d + "victim"); }); }},
      {"a file becomes a fifo that nobody writes",
       [=](auto& d, auto&) { replace(d + "victim", [&] { ASSERT_EQ(::mkfifo((d + "victim").c_str(), 0600), 0); }); }},
      {"a file becomes a directory",
       [=](auto& d, auto&) { replace(d + "victim", [&] { files::create_directory(d + "victim"); }); }},
      {"a file becomes another file",
       [=](auto& d, auto&) { replace(d + "victim", [&] { std::ofstream(d + "victim") << "new"; }); }, true, "new"},
      {"a file is emptied", [](auto& d, auto&) { files::resize_file(d + "victim", 0); }, true, ""},
      {"a file grows to 64 MiB of hole", [](auto& d, auto&) { files::resize_file(d + "victim", 64u << 20); }, true,
       "old" + std::string((64u << 20) - 3, '\0')},
      {"a directory goes", [](auto& d, auto&) { files::remove_all(d + "wdir"); }, true, "old", true},
      {"a directory becomes a link to an outside one",
       [=](auto& d, auto& o) { replace(d + "wdir", [&] { files::create_directory_symlink(o, d + "wdir"); }); }, true,
       "old"},
      {"a directory becomes a fifo",
       [=](auto& d, auto&) { replace(d + "wdir", [&] { ASSERT_EQ(::mkfifo((d + "wdir").c_str(), 0600), 0); }); }, true,
       "old"},
      {"a directory gets another name", [](auto& d, auto&) { files::rename(d + "wdir", d + "zdir"); }, true, "old",
       true},
      {"a directory becomes a file",
       [=](auto& d, auto&) { replace(d + "wdir", [&] { std::ofstream(d + "wdir") << "was a directory"; }); }, true,
       "old"},
      {"the directory around them becomes a link to the outside",
       [](auto& d, auto& o) {
         const std::string data = d.substr(0, d.size() - 1);
         files::rename(data, data + ".moved");
         files::create_directory_symlink(o, data);
       },
       true, "old"},
  };
}

TEST_F(SourceRaces, WhatChangesBetweenItsNameAndItsLookFollowsNobodyOut) {
  for (const Change& one : changes()) {
    SCOPED_TRACE(one.name);
    files::remove_all(client.root + "/data");
    files::remove_all(client.root + "/data.moved");
    files::remove_all(client.root + "/state");
    files::create_directory(client.root + "/state");
    client.remote->rows.clear();
    client.write("before", "first in the walk");
    client.write("hook", "left out, and thereby a moment to act in");
    client.write("victim", "old");
    client.write("wdir/secret", "inside");
    backup::BackupOptions options = client.options();
    options.files.excludes = *sources::GlobList::compile({"hook"});
    bool acted = false;
    options.on_skipped = [&](const sources::Skipped& skipped) {
      if (!skipped.path.ends_with("/hook") || acted) return;
      acted = true;
      one.act(client.root + "/data/", outside);
    };
    const MonotonicTime begun = system_clock().monotonic();
    const Result<backup::BackupReport> done = client.back_up(options);
    EXPECT_LT(system_clock().monotonic() - begun, kSoon);
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_TRUE(acted);
    EXPECT_EQ(done->problems > 0, one.problem);
    const std::map<std::string, std::string> got = restored();
    EXPECT_EQ(got.contains("victim"), one.victim_is_file);
    if (one.victim_is_file && got.contains("victim")) {
      EXPECT_TRUE(got.at("victim") == one.bytes);
    }
    for (const auto& [name, text] : got) EXPECT_EQ(text.find(kOutside), std::string::npos) << name;
  }
}

TEST_F(SourceRaces, AFileThatGrowsWithoutEndEndsTheRunAllTheSame) {
  client.write("log", "first line\n");
  client.write("other", "stays");
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    const std::string more = noise(256u << 10);
    for (std::size_t written = 0; !stop && written < (256u << 20); written += more.size()) {
      std::ofstream(at("log"), std::ios::binary | std::ios::app) << more;
      std::this_thread::yield();
    }
  });
  const MonotonicTime begun = system_clock().monotonic();
  const Result<backup::BackupReport> done = client.back_up();
  EXPECT_LT(system_clock().monotonic() - begun, kSoon);
  stop = true;
  writer.join();
  ASSERT_TRUE(done) << done.error().message;
  const std::map<std::string, std::string> got = restored();
  EXPECT_EQ(got.at("other"), "stays");
  EXPECT_TRUE(EnrolledClient::text_of(at("log")).starts_with(got.at("log"))) << "not the log at any moment";
}

TEST_F(SourceRaces, StaysInsideWhileAThreadChangesEverythingAllTheTime) {
  for (int i = 0; i < 12; ++i) {
    client.write("d" + std::to_string(i) + "/secret", "inside");
    client.write("f" + std::to_string(i), "a file");
  }
  files::create_symlink(outside, client.root + "/link");
  files::create_symlink(outside + "/secret", client.root + "/file_link");
  ASSERT_EQ(::mkfifo((client.root + "/fifo").c_str(), 0600), 0);
  files::create_directory(client.root + "/empty");
  std::atomic<bool> stop{false};
  std::thread racer([&] {
    const std::vector<std::string> foreign = {client.root + "/link", client.root + "/file_link", client.root + "/fifo",
                                              client.root + "/empty"};
    const auto swap = [](const std::string& a, const std::string& b) {
      ::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE);
    };
    for (unsigned i = 0; !stop; ++i) {
      const std::string victim = at((i % 2 == 0 ? "d" : "f") + std::to_string(i / 2 % 12));
      const std::string& other = foreign[i / 24 % foreign.size()];
      swap(other, victim);
      if (i % 5 == 0) std::this_thread::yield();
      swap(other, victim);
      if (i % 64 == 0) {  // one that goes, and comes again
        std::error_code ignored;
        files::remove(at("f0"), ignored);
        std::ofstream(at("f0")) << "a file";
      }
    }
  });
  int rounds = 0, warned = 0;
  const MonotonicTime begun = system_clock().monotonic();
  for (; system_clock().monotonic() - begun < std::chrono::seconds(2) || rounds < 8; ++rounds) {
    const Result<backup::BackupReport> done = client.back_up();
    ASSERT_TRUE(done) << done.error().message;
    warned += done->problems > 0;
    expect_nothing_of_outside();
  }
  EXPECT_LT(system_clock().monotonic() - begun, kSoon);
  stop = true;
  racer.join();
  RecordProperty("rounds", rounds);
  RecordProperty("warned", warned);
}

}  // namespace
}  // namespace holdfast::test
