// ACCEPTANCE row 49: whatever becomes of the local state, every later snapshot restores exactly.
#include "common/fs/file_system.h"
#include "tests/client/backup/watched_client.h"
#include "tests/support/seeded_random.h"

namespace holdfast::test {
namespace {

/// A small tree with everything that the state remembers: whole files, extents of several blobs, chunk lists, holes.
void write_tree(WatchedClient& client) {
  client.write("a", "hello");
  client.write("b", noise(60'000));
  client.write("d/e", noise(3000));
  client.write("holes", noise(8192));
  std::filesystem::resize_file(client.data("holes"), 1u << 20);
  client.run();
  client.patch("b", 30'000, "the second version");
  client.run();
}

/// What changes behind the state's back.
void change_tree(WatchedClient& client) {
  client.patch("b", 50'000, "the third version");
  client.write("d/new", noise(5000));
  std::filesystem::copy(client.data("b"), client.data("copy"));
}

/// One server's memory of snapshots and one state directory, to begin from again and again.
class Moment {
 public:
  explicit Moment(WatchedClient& client)
      : client_(client), rows_(client.remote->rows), records_(client.remote->records) {
    client.save_state("moment");
  }
  void again() {
    client_.remote->rows = rows_;
    client_.remote->records = records_;
    client_.bring_back_state("moment");
  }

 private:
  WatchedClient& client_;
  const std::vector<remote::SnapshotRow> rows_;
  const std::map<blob::BlobRef, Bytes> records_;
};

TEST(StateLoss, AFlippedByteAnywhereNeverMakesAWrongSnapshot) {
  WatchedClient client;
  write_tree(client);
  change_tree(client);
  Moment moment(client);
  std::vector<std::string> names;
  for (const auto& one : std::filesystem::directory_iterator(client.root + "/state")) {
    names.push_back(one.path().filename());
  }
  ASSERT_GE(names.size(), 5u);        // state, segments, receipt, lock, lists of two runs
  constexpr std::size_t kEvery = 23;  // each byte in tests/client/state; here every 23rd, on bits that take turns
  std::size_t flips = 0;
  for (const std::string& name : names) {
    const std::string bytes = EnrolledClient::text_of(client.state(name));
    for (std::size_t at = flips % kEvery; at < bytes.size(); at += kEvery) {
      SCOPED_TRACE(name + ", byte " + std::to_string(at));
      moment.again();
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << flips % 8));
      std::ofstream(client.state(name), std::ios::binary) << flipped;
      client.run();
      client.expect_restores();
      if (::testing::Test::HasFailure()) return;
      ++flips;
    }
  }
  RecordProperty("flips", std::to_string(flips));
  EXPECT_GE(flips, 60u);
}

TEST(StateLoss, AnyFileOfItMayBeGoneOrEmptyOrAnothers) {
  WatchedClient client;
  write_tree(client);
  change_tree(client);
  Moment moment(client);
  std::vector<std::string> names;
  for (const auto& one : std::filesystem::directory_iterator(client.root + "/state")) {
    names.push_back(one.path().filename());
  }
  for (const std::string& name : names) {
    for (const std::string& other : names) {
      SCOPED_TRACE(other + " in the place of " + name);
      moment.again();
      if (name == other) {
        std::filesystem::remove(client.state(name));
      } else {
        std::filesystem::copy_file(client.state(other), client.state(name),
                                   std::filesystem::copy_options::overwrite_existing);
      }
      client.run();
      client.expect_restores();
      client.run();
      EXPECT_EQ(client.added.contents(), 0u) << "the next state is whole again";
      client.expect_restores();
    }
    moment.again();
    std::filesystem::resize_file(client.state(name), 0);
    client.run();
    client.expect_restores();
  }
}

TEST(StateLoss, AnOlderOneMayBePutBack) {
  WatchedClient client;
  write_tree(client);
  client.save_state("older");
  change_tree(client);
  client.run();
  client.write("a", "HELLO");  // as long as before
  client.patch("b", 1000, "the fourth version");
  client.run();
  client.bring_back_state("older");
  client.run();
  client.expect_restores();
  client.run();
  EXPECT_EQ(client.added.contents(), 0u);
  client.expect_restores();
}

TEST(StateLoss, AnOlderStateAmongNewerListsMayBePutBack) {
  WatchedClient client;
  write_tree(client);
  const std::string older = EnrolledClient::text_of(client.state("state"));
  for (int i = 0; i < 3; ++i) {
    client.patch("b", 1000u * static_cast<unsigned>(i + 1), "again");
    client.write("d/e", noise(3000));
    client.run();
  }
  std::ofstream(client.state("state"), std::ios::binary) << older;
  client.patch("b", 20'000, "and now this");
  client.run();
  client.expect_restores();
}

TEST(StateLoss, DeletedListsCostAReadingOfWhatChangesNotMore) {
  WatchedClient client;
  write_tree(client);
  for (const std::string& one : client.chunk_list_files()) std::filesystem::remove(one);
  const backup::BackupReport unchanged = client.run();
  EXPECT_EQ(unchanged.read_bytes, 0u);
  EXPECT_EQ(client.added.contents(), 0u);
  change_tree(client);
  client.run();
  client.expect_restores();
  client.patch("copy", 100, "changed");
  EXPECT_LT(client.run().raw_bytes_sent, 40'000u) << "the lists of what was read since are there";
  client.expect_restores();
}

TEST(StateLoss, AServerWithoutTheBaseGetsEverythingItMisses) {
  WatchedClient client;
  write_tree(client);
  change_tree(client);
  client.remote->base_known = false;
  client.remote->records.clear();  // it was collected
  const backup::BackupReport report = client.run();
  EXPECT_TRUE(report.state_lost);
  client.expect_restores();
}

TEST(StateLoss, ARunThatBrokeOffLeavesAStateThatIsUsed) {
  WatchedClient client;
  client.write("file", noise(3'000'000));
  client.run();
  client.patch("file", 1'000'000, "changed");
  client.write("new", noise(12'000'000));
  for (std::size_t puts = 0; puts < 3; ++puts) {
    client.remote->puts_before_loss = client.remote->put_count + puts;
    EXPECT_FALSE(client.back_up());
    EXPECT_LE(client.chunk_list_files().size(), 2u) << "lists of a run that did not end";
  }
  client.remote->puts_before_loss = std::numeric_limits<std::size_t>::max();
  // The state alone; what those runs have noted is tests/resume's.
  for (const auto& one : std::filesystem::directory_iterator(client.root + "/state")) {
    if (one.path().filename().string().starts_with("checkpoint-")) std::filesystem::remove(one.path());
  }
  const backup::BackupReport report = client.run();
  EXPECT_GT(report.matched_bytes, 2'900'000u);
  client.expect_restores();
}

/// A real file system that fails at its nth change, as when the process is killed: nothing after it happens.
class CutFs final : public fs::FileSystem {
 public:
  explicit CutFs(std::uint64_t changes) : left_(changes) {}
  bool cut() const { return cut_; }

  Result<std::unique_ptr<fs::File>> create(const std::string& path, unsigned mode) override {
    HF_TRY_DO(change());
    return fs::real().create(path, mode);
  }
  Result<std::unique_ptr<fs::File>> open_read(const std::string& path) override { return fs::real().open_read(path); }
  Result<std::unique_ptr<fs::File>> open_write(const std::string& path) override {
    HF_TRY_DO(change());
    return fs::real().open_write(path);
  }
  Status rename(const std::string& from, const std::string& to) override {
    HF_TRY_DO(change());
    return fs::real().rename(from, to);
  }
  Status rename_new(const std::string& from, const std::string& to) override {
    HF_TRY_DO(change());
    return fs::real().rename_new(from, to);
  }
  Status unlink(const std::string& path) override {
    HF_TRY_DO(change());
    return fs::real().unlink(path);
  }
  Status remove_directory(const std::string& path) override { return fs::real().remove_directory(path); }
  Status make_directory(const std::string& path, unsigned mode) override {
    return fs::real().make_directory(path, mode);
  }
  Status sync_directory(const std::string& path) override {
    HF_TRY_DO(change());
    return fs::real().sync_directory(path);
  }
  Result<std::vector<fs::DirectoryEntry>> list(const std::string& path) override { return fs::real().list(path); }
  Result<fs::DirectoryEntry> stat(const std::string& path) override { return fs::real().stat(path); }
  Result<std::uint64_t> available_bytes(const std::string& path) override { return fs::real().available_bytes(path); }
  Result<std::unique_ptr<fs::Lock>> lock(const std::string& path) override { return fs::real().lock(path); }

 private:
  Status change() {
    if (left_ == 0) cut_ = true;
    if (cut_) return Error{Errc::Io, "killed"};
    --left_;
    return {};
  }
  std::uint64_t left_;
  bool cut_ = false;
};

TEST(StateLoss, AKillAnywhereAroundTheReceiptLeavesAStateThatIsRight) {
  WatchedClient client;
  write_tree(client);
  change_tree(client);
  Moment moment(client);
  bool done = false;
  std::uint64_t changes = 0;
  for (; !done; ++changes) {
    SCOPED_TRACE(changes);
    moment.again();
    CutFs fs(changes);
    const Result<backup::BackupReport> killed =
        backup::run_backup(*client.remote, client.ring, fs, *client.clock, system_random(), client.options());
    done = !fs.cut();
    EXPECT_TRUE(killed || !done);
    client.patch("b", 20'000 + changes, "!");
    client.run();
    client.expect_restores();
    client.run();
    EXPECT_EQ(client.added.contents(), 0u);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(changes, 8u);
}

}  // namespace
}  // namespace holdfast::test
