// What is asked ahead of the walk must make no difference to what the walk says.
#include "client/sources/look_ahead.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "client/sources/content.h"
#include "tests/client/sources/collector.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::sources {
namespace {

class LookAheadTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::mkdir(root.c_str(), 0755), 0); }
  static std::string number(int i) { return std::to_string(1000 + i); }
  void file(const std::string& name, std::size_t bytes) const {
    std::ofstream(root + "/" + name, std::ios::trunc) << std::string(bytes, 'x');
  }
  Collector walk_with(std::size_t threads, std::function<Status(const Found&)> on_found = {}) const {
    FilesOptions options;
    options.roots = {root};
    options.threads = threads;
    options.read_ahead = threads > 0;
    Collector seen;
    seen.on_found = std::move(on_found);
    const Status walked = walk(options, seen);
    EXPECT_TRUE(walked) << walked.error().message;
    return seen;
  }
  std::shared_ptr<const Descriptor> open_root() const {
    return std::make_shared<const Descriptor>(::open(root.c_str(), O_RDONLY | O_DIRECTORY));
  }
  std::shared_ptr<const NameList> names_of(const Descriptor& directory) const {
    return std::make_shared<const NameList>(*NameList::read(directory.get()));
  }

  support::TemporaryDirectory tmp;
  const std::string root = tmp / "root";
};

TEST_F(LookAheadTest, TheWalkSaysTheSameWithAndWithoutIt) {
  for (int i = 0; i < 700; ++i) {
    const std::string name = number(i), path = root + "/" + name;
    if (i % 9 == 0) {
      ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
      for (int j = 0; j < i / 9; ++j) file(name + "/" + number(j), static_cast<std::size_t>(j));
    } else if (i % 9 == 1) {
      ASSERT_EQ(::symlink("nowhere", path.c_str()), 0);
    } else if (i % 9 == 2) {
      ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    } else if (i % 9 == 3) {
      ASSERT_EQ(::link((root + "/" + number(i + 2 - 9)).c_str(), path.c_str()), i > 9 ? 0 : -1);
    } else {
      file(name, static_cast<std::size_t>(i));
      if (i % 2 == 0) (void)::setxattr(path.c_str(), "user.note", name.data(), name.size(), 0);
    }
  }
  const Collector alone = walk_with(0), ahead = walk_with(3);
  ASSERT_GT(alone.founds.size(), 3500u);
  ASSERT_EQ(ahead.founds.size(), alone.founds.size());
  for (std::size_t i = 0; i < alone.founds.size(); ++i) {
    EXPECT_EQ(ahead.founds[i].entry, alone.founds[i].entry) << alone.founds[i].entry.path;
    EXPECT_EQ(ahead.founds[i].stat, alone.founds[i].stat) << alone.founds[i].entry.path;
  }
  EXPECT_TRUE(ahead.problems.empty());
}

TEST_F(LookAheadTest, WhatItSaysIsNeverOld) {
  for (int i = 0; i < 200; ++i) file(number(i), 10);
  const Collector seen = walk_with(4, [&](const Found& found) -> Status {
    if (found.entry.path != root + "/" + number(5)) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // names behind it have been asked about
    for (int i = 6; i < 200; ++i) file(number(i), 20);
    EXPECT_EQ(::unlink((root + "/" + number(150)).c_str()), 0);
    std::this_thread::sleep_for(kFreshFor);
    return {};
  });
  for (int i = 6; i < 200; ++i) {
    const Found* const found = seen.find(root + "/" + number(i));
    ASSERT_EQ(found != nullptr, i != 150) << i;
    if (i != 150) {
      EXPECT_EQ(found->stat.size, 20u) << i;
    }
  }
  ASSERT_EQ(seen.problems.size(), 1u);
  EXPECT_EQ(seen.problems[0].path, root + "/" + number(150));
}

TEST_F(LookAheadTest, AnswersInOrderOrNotAtAll) {
  for (int i = 0; i < 300; ++i) file(number(i), static_cast<std::size_t>(i));
  const auto directory = open_root();
  const auto names = names_of(*directory);
  LookAhead pool(2, false);
  std::size_t answered = 0;
  for (int tries = 0; tries < 200 && answered == 0; ++tries) {  // threads may be slow to begin
    NamesAhead ahead(pool, directory, names);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    for (std::size_t i = 0; i < names->size(); ++i) {
      const std::optional<Look> look = ahead.take(i);
      if (!look) continue;
      ++answered;
      EXPECT_EQ(look->st.stx_size, i);
    }
  }
  EXPECT_GT(answered, 0u);
}

TEST_F(LookAheadTest, OldAnswersAreAskedAnew) {
  for (int i = 0; i < 40; ++i) file(number(i), 1);
  const auto directory = open_root();
  const auto names = names_of(*directory);
  support::FakeClock clock;
  LookAhead pool(1, false, clock);
  NamesAhead ahead(pool, directory, names);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  for (std::size_t i = 0; i < 10; ++i) (void)ahead.take(i);
  file(number(20), 7);
  clock.advance(kFreshFor);
  EXPECT_FALSE(ahead.take(10)) << "too old";
  for (std::size_t i = 11; i < names->size(); ++i) {
    const std::optional<Look> look = ahead.take(i);
    if (look && i == 20) {
      EXPECT_EQ(look->st.stx_size, 7u);
    }
  }
}

TEST_F(LookAheadTest, EndsWhileMuchIsUnderWay) {
  for (int i = 0; i < 300; ++i) file(number(i), 1);
  const auto directory = open_root();
  const auto names = names_of(*directory);
  for (int i = 0; i < 50; ++i) {
    LookAhead pool(4, true);
    const NamesAhead one(pool, directory, names), other(pool, directory, names);
  }
}

}  // namespace
}  // namespace holdfast::sources
