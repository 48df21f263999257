// Logs: files to which somebody appends while they are read.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/client/backup/watched_client.h"

namespace holdfast::test {
namespace {

const LaterClock kLater;

/// Appends short lines until destroyed.
class Appender {
 public:
  explicit Appender(const std::string& path)
      : thread_([this, path] {
          std::ofstream out(path, std::ios::app);
          while (!stop_) out << "one more line of a log that never rests\n" << std::flush;
        }) {}
  ~Appender() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

TEST(GrowingFile, IsTakenAsItStoodWithoutAWarningOnceItIsKnownToOnlyGrow) {
  EnrolledClient client;
  client.clock = &kLater;
  client.write("log", noise(6'000'000));
  ASSERT_TRUE(client.back_up());
  const std::string path = client.root + "/data/log";
  {
    const Appender appender(path);
    for (int run = 0; run < 3; ++run) {
      const Result<backup::BackupReport> report = client.back_up();
      ASSERT_TRUE(report) << report.error().message;
      EXPECT_EQ(report->problems, 0u) << "run " << run;
    }
  }
  ASSERT_TRUE(client.restore_to(client.root + "/back"));
  const std::string now = EnrolledClient::text_of(path),
                    restored = EnrolledClient::text_of(client.root + "/back" + path);
  ASSERT_GE(restored.size(), 6'000'000u);
  ASSERT_LE(restored.size(), now.size());
  EXPECT_TRUE(now.starts_with(restored)) << "a state that the file never had";
}

TEST(GrowingFile, IsReadAgainNextTimeThoughItRests) {
  EnrolledClient client;
  client.clock = &kLater;
  client.write("log", noise(3'000'000));
  ASSERT_TRUE(client.back_up());
  {
    const Appender appender(client.root + "/data/log");
    ASSERT_TRUE(client.back_up());
  }
  ASSERT_TRUE(client.back_up());
  ASSERT_TRUE(client.restore_to(client.root + "/back"));
  const std::string path = client.root + "/data/log";
  EXPECT_EQ(EnrolledClient::text_of(client.root + "/back" + path), EnrolledClient::text_of(path));
}

}  // namespace
}  // namespace holdfast::test
