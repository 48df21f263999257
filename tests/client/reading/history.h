#pragma once
// Backups of a directory that a test changes, and what the reading commands see of them.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "client/reading/changes.h"
#include "tests/support/enrolled_client.h"

namespace holdfast::test {

class History : public ::testing::Test {
 protected:
  History() { ::chmod(client.root.c_str(), 0755); }

  std::string data(const std::string& name = "") const {
    return client.root + "/data" + (name.empty() ? "" : "/" + name);
  }
  void set_time(const std::string& name, std::int64_t seconds) const {
    const timespec times[] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, data(name).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  }
  /// A file with this text and time.
  void file(const std::string& name, const std::string& text, std::int64_t seconds = 1'700'000'000) const {
    client.write(name, text);
    set_time(name, seconds);
  }
  void back_up() { back_up(client.options()); }
  void back_up(const backup::BackupOptions& options) {
    const Result<backup::BackupReport> done = client.back_up(options);
    ASSERT_TRUE(done.has_value()) << done.error().message;
  }
  restore::Archive archive() { return {*client.remote, {}, *restore::own_key(client.ring)}; }
  std::vector<restore::SnapshotInfo> snapshots() { return *archive().snapshots(); }
  /// "M data/x content,mtime": paths without what stands above the test's directory.
  std::string line(const reading::Difference& difference) const {
    std::string text = std::string(1, difference.letter()) + " " + below(difference.entry().path);
    std::string names;
    for (const std::string& name : reading::names_of(difference.changes)) names += (names.empty() ? " " : ",") + name;
    return text + names;
  }
  std::string below(const std::string& path) const {
    return path.starts_with(client.root + "/") ? path.substr(client.root.size() + 1) : path;
  }

  EnrolledClient client;
};

using Lines = std::vector<std::string>;

}  // namespace holdfast::test
