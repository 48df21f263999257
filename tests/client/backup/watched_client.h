#pragma once
// A client whose runs are weighed: what each of them stored at the server, and whether the newest snapshot gives back the
// tree as it is.

#include <gtest/gtest.h>

#include <set>

#include "client/state/local_state.h"
#include "tests/support/enrolled_client.h"

namespace holdfast::test {

/// The wall time is ahead: everything on disk is older than the grain of file times.
class LaterClock final : public Clock {
 public:
  WallTime wall() const override { return system_clock().wall() + std::chrono::hours(1); }
  MonotonicTime monotonic() const override { return system_clock().monotonic(); }
};

/// What one run added at the server.
struct Added {
  std::size_t data_blobs = 0, segments = 0, extent_segments = 0;
  std::uint64_t bytes = 0;  ///< of whole records, as sealed
  /// Without leaves and indexes: a directory above the tree may change at any time, which is a new leaf.
  std::size_t contents() const { return data_blobs + extent_segments; }
};

class WatchedClient : public EnrolledClient {
 public:
  WatchedClient() {
    clock = &later_;
    std::filesystem::create_directory(work());
  }

  backup::BackupReport run() { return run(options()); }
  /// A run that must succeed; `added` says what it stored.
  backup::BackupReport run(const backup::BackupOptions& with) {
    std::set<blob::BlobRef> before;
    for (const auto& [ref, record] : remote->records) before.insert(ref);
    const Result<backup::BackupReport> report = back_up(with);
    EXPECT_TRUE(report) << (report ? "" : report.error().message);
    added = {};
    for (const auto& [ref, record] : remote->records) {
      if (before.contains(ref)) continue;
      const blob::Type type = blob::decode_record(record)->header.type;
      added.data_blobs += type == blob::Type::Data;
      added.segments += type != blob::Type::Data;
      added.extent_segments += type == blob::Type::Extents;
      added.bytes += record.size();
    }
    return report ? *report : backup::BackupReport{};
  }

  /// For the test's own files: the directory above `data` is in the snapshot too, and must not change.
  std::string work() const { return root + "/work"; }
  std::string data(const std::string& name) const { return root + "/data/" + name; }
  std::string state(const std::string& name) const { return root + "/state/" + name; }
  /// Overwrites bytes in place.
  void patch(const std::string& name, std::size_t at, const std::string& text) const {
    std::fstream file(data(name), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at));
    file << text;
  }

  /// The newest snapshot holds exactly the files that are there.
  void expect_restores() {
    const std::string back = work() + "/back";
    std::filesystem::remove_all(back);
    const Result<restore::RestoreReport> restored = restore_to(back);
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_EQ(restored->failed, 0u) << (failures.empty() ? "" : failures.back());
    EXPECT_EQ(files_below(back + root + "/data"), files_below(root + "/data"));
  }

  /// The local state as it stands.
  std::optional<state::StateReader> open_state(std::string* why = nullptr) {
    const keyring::DomainKeys keys(ring.domain_key->clone());
    return state::StateReader::open(fs::real(), state("state"), keys.state,
                                    {ring.client, ring.domain, ring.domain_epoch}, why);
  }
  std::vector<std::string> chunk_list_files() const {
    std::vector<std::string> out;
    for (const auto& one : std::filesystem::directory_iterator(root + "/state")) {
      if (one.path().filename().string().starts_with("chunks-")) out.push_back(one.path());
    }
    return out;
  }
  /// Copies the state directory to `name` beside it, or back.
  void save_state(const std::string& name) const { copy(root + "/state", work() + "/" + name); }
  void bring_back_state(const std::string& name) const { copy(work() + "/" + name, root + "/state"); }

  Added added;

 private:
  static std::map<std::string, std::string> files_below(const std::string& path) {
    std::map<std::string, std::string> out;
    for (const auto& one : std::filesystem::recursive_directory_iterator(path)) {
      if (one.is_regular_file()) out[one.path().lexically_relative(path)] = text_of(one.path());
    }
    return out;
  }
  static void copy(const std::string& from, const std::string& to) {
    std::filesystem::create_directory(to);
    for (const auto& one : std::filesystem::directory_iterator(to)) std::filesystem::remove_all(one.path());
    std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
  }
  const LaterClock later_;
};

/// Lines as a dump has them.
inline std::string dump_rows(std::size_t count, std::size_t first = 0) {
  std::string out;
  for (std::size_t i = first; i < first + count; ++i) {
    out += "INSERT INTO orders VALUES (" + std::to_string(i) + ", 'customer " + std::to_string(i * 7919 % 9973) +
           "', " + std::to_string(i * 104729 % 1000003) + ");\n";
  }
  return out;
}

}  // namespace holdfast::test
