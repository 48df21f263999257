// What a restore fetches, and what becomes of one that ends before its end.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "client/restore/plan_directory.h"
#include "tests/support/enrolled_client.h"

namespace holdfast::test {
namespace {

/// Names, kinds, modes, times, contents and link counts of everything below `path`.
std::map<std::string, std::string> picture_of(const std::string& path) {
  std::map<std::string, std::string> out;
  for (const auto& one : std::filesystem::recursive_directory_iterator(path)) {
    struct stat st{};
    EXPECT_EQ(::lstat(one.path().c_str(), &st), 0);
    std::string text =
        std::to_string(st.st_mode) + " " + std::to_string(st.st_mtim.tv_sec) + "." + std::to_string(st.st_mtim.tv_nsec);
    if (!one.is_directory()) text += " " + std::to_string(st.st_nlink);
    if (one.is_symlink())
      text += " " + std::filesystem::read_symlink(one.path()).string();
    else if (one.is_regular_file())
      text += " " + std::to_string(std::hash<std::string>{}(EnrolledClient::text_of(one.path())));
    out[one.path().lexically_relative(path)] = text;
  }
  return out;
}

class Resume : public ::testing::Test {
 protected:
  /// Small files that share blobs, copies, a sparse file, links, an empty file, and files of several blobs.
  void write_tree(std::size_t big = 5'000'000) {
    for (int i = 0; i < 6; ++i) client.write("small/" + std::to_string(i), noise(20'000));
    client.write("big", noise(big));
    client.write("copies/one", EnrolledClient::text_of(data("big")));
    client.write("copies/two", noise(1'000) + EnrolledClient::text_of(data("big")));
    client.write("empty", "");
    client.write("sparse", noise(300'000));
    std::filesystem::resize_file(data("sparse"), 3'000'000);
    client.write("hole", "");
    std::filesystem::resize_file(data("hole"), 1'000'000);
    std::filesystem::create_symlink("big", data("link"));
    std::filesystem::create_hard_link(data("big"), data("second"));
    std::filesystem::permissions(data("small"), std::filesystem::perms(0710));
    ASSERT_TRUE(client.back_up());
    original = picture_of(data(""));
    client.remote->fetches_of.clear();
  }
  std::string data(const std::string& name) const { return client.root + "/data/" + name; }
  std::string back() const { return client.root + "/back"; }

  Result<restore::RestoreReport> restore(std::function<void()> between_steps = {},
                                         restore::Overwrite overwrite = restore::Overwrite::Never) {
    HF_TRY(restore::OpeningKey key, restore::own_key(client.ring));
    restore::Archive archive(*client.remote, {}, std::move(key));
    HF_TRY(const restore::SnapshotInfo info, archive.find("latest", ""));
    restore::RestoreOptions options;
    options.target.target = back();
    options.target.overwrite = overwrite;
    options.target.set_owner = ::geteuid() == 0;
    options.between_steps = std::move(between_steps);
    options.on_failure = [this](const std::string& path, const Error& error) {
      client.failures.push_back(path + ": " + error.message);
    };
    return restore::run_restore(archive, info, options);
  }
  /// False: it came to its end before that step.
  bool killed_at(int step) {
    const pid_t child = ::fork();
    if (child == 0) {
      int left = step;
      const auto done = restore([&] {
        if (left-- == 0) ::_exit(9);
      });
      ::_exit(done ? 0 : 1);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 1) << "step " << step;
    return WIFEXITED(status) && WEXITSTATUS(status) == 9;
  }
  /// Restores once, and takes the server away in the middle of the next restore.
  void lose_the_server_half_way() {
    const std::size_t before = client.remote->fetch_count;
    const auto reference = restore();
    ASSERT_TRUE(reference);
    entries = reference->entries;
    blobs = data_fetches();
    std::filesystem::remove_all(back());
    const std::size_t segments = client.remote->fetch_count - before - blobs;
    client.remote->fetches_of.clear();
    client.remote->fetches_before_loss = client.remote->fetch_count + segments + (blobs + 1) / 2;
    const auto lost = restore();
    client.remote->fetches_before_loss = std::numeric_limits<std::size_t>::max();
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code, Errc::Unreachable);
    EXPECT_NE(lost.error().message.find("the same command goes on"), std::string::npos) << lost.error().message;
  }
  void expect_whole(const Result<restore::RestoreReport>& done) {
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(done->failed, 0u) << (client.failures.empty() ? "" : client.failures.back());
    EXPECT_EQ(done->target.left_in_place, 0u);
    EXPECT_EQ(done->entries, entries);
    EXPECT_EQ(picture_of(back() + client.root + "/data"), original);
    for (const auto& one : std::filesystem::recursive_directory_iterator(back()))
      EXPECT_FALSE(one.path().filename().string().starts_with(".holdfast")) << one.path();
  }
  std::size_t data_fetches() const {
    std::size_t sum = 0;
    for (const auto& [ref, times] : client.remote->fetches_of)
      sum += blob::decode_record(client.remote->records.at(ref))->header.type == blob::Type::Data ? times : 0;
    return sum;
  }
  void flip(const std::string& name, std::size_t at) const {
    std::fstream bytes(back() + "/" + std::string(restore::kPlanDirectory) + "/" + name,
                       std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekg(static_cast<std::streamoff>(at));
    const int old = bytes.get();
    bytes.seekp(static_cast<std::streamoff>(at));
    bytes.put(static_cast<char>(old ^ 0x55));
  }

  EnrolledClient client;
  std::map<std::string, std::string> original;
  std::uint64_t entries = 0;
  std::size_t blobs = 0;
};

TEST_F(Resume, EachBlobIsFetchedOnceInWhateverOrderItComes) {
  write_tree();
  client.remote->answers_shuffled = true;
  const auto done = restore();
  entries = done ? done->entries : 0;
  expect_whole(done);
  EXPECT_EQ(done->blobs_fetched, data_fetches());
  for (const auto& [ref, record] : client.remote->records) {
    if (blob::decode_record(record)->header.type != blob::Type::Data) continue;
    EXPECT_EQ(client.remote->fetches_of[ref], 1u) << ref.blob.short_hex();
  }
  EXPECT_FALSE(done->resumed);
  struct stat facts{};
  ASSERT_EQ(::stat((back() + data("hole")).c_str(), &facts), 0);
  EXPECT_EQ(facts.st_blocks, 0);
}

TEST_F(Resume, AKillAtAnyStepIsGoneOnWith) {
  write_tree(700'000);
  const auto reference = restore();
  ASSERT_TRUE(reference);
  entries = reference->entries;
  const std::uint64_t most = reference->blobs_fetched;
  int step = 0;
  for (;; ++step) {
    std::filesystem::remove_all(back());
    if (!killed_at(step)) break;
    const auto done = restore();
    expect_whole(done);
    EXPECT_TRUE(done->resumed) << "step " << step;
    EXPECT_LE(done->blobs_fetched, most);
    if (HasFailure()) FAIL() << "step " << step;
  }
  EXPECT_GT(step, 60);
}

TEST_F(Resume, WhatWasWrittenIsNotFetchedAgain) {
  write_tree(12'000'000);
  lose_the_server_half_way();
  const auto done = restore();
  expect_whole(done);
  EXPECT_TRUE(done->resumed);
  EXPECT_EQ(data_fetches(), blobs) << "of two runs";
  EXPECT_EQ(done->blobs_fetched, blobs - (blobs + 1) / 2);
}

TEST_F(Resume, WrongBytesInItsMemoryNeverMakeWrongFiles) {
  write_tree(700'000);
  const auto reference = restore();
  ASSERT_TRUE(reference);
  entries = reference->entries;
  for (const std::string name : {"written", "states"}) {
    for (std::size_t at = 0; at < 400; at += name == "written" ? 1 : 24) {
      std::filesystem::remove_all(back());
      ASSERT_TRUE(killed_at(25));
      const std::string path = back() + "/" + std::string(restore::kPlanDirectory) + "/" + name;
      if (at >= std::filesystem::file_size(path)) break;
      flip(name, at);
      expect_whole(restore());
      if (HasFailure()) FAIL() << name << " byte " << at;
    }
  }
}

TEST_F(Resume, DraftsThatLostTheirBytesAreMadeAnew) {
  write_tree(12'000'000);
  lose_the_server_half_way();
  int emptied = 0;
  for (const auto& one : std::filesystem::recursive_directory_iterator(back())) {
    if (!one.path().filename().string().starts_with(restore::kTemporaryPrefix)) continue;
    const auto size = one.file_size();
    std::filesystem::resize_file(one.path(), 0);  // what a power failure leaves of bytes that were not flushed
    std::filesystem::resize_file(one.path(), size);
    ++emptied;
  }
  EXPECT_GT(emptied, 0);
  expect_whole(restore());
}

TEST_F(Resume, AnotherRestoreRemovesWhatOneLeft) {
  write_tree();
  const auto reference = restore();
  ASSERT_TRUE(reference);
  entries = reference->entries;
  std::filesystem::remove_all(back());
  ASSERT_TRUE(killed_at(25));
  const auto done = restore({}, restore::Overwrite::Always);
  expect_whole(done);
  EXPECT_FALSE(done->resumed);
}

TEST_F(Resume, RefusesASecondRestoreToTheSameTarget) {
  write_tree();
  std::optional<Errc> second;
  const auto first = restore([&] {
    if (second) return;
    second = Errc::Io;
    const auto other = restore();
    second = other ? Errc::Unknown : other.error().code;
  });
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(second, Errc::Locked);
}

TEST_F(Resume, LeavesNoTargetWhenThePlanFails) {
  client.write("file", "text");
  ASSERT_TRUE(client.back_up());
  const auto refused = client.restore_to(client.root + "/new/back", {"/no/such"});
  ASSERT_FALSE(refused);
  EXPECT_FALSE(std::filesystem::exists(client.root + "/new"));
}

TEST_F(Resume, OneDirectoryCostsWhatOneDirectoryHolds) {
  const std::string body = noise(40);
  for (int i = 0; i < 12'000; ++i)
    client.write("d" + std::to_string(i / 40) + "/f" + std::to_string(i), body + std::to_string(i));
  ASSERT_TRUE(client.back_up());
  std::size_t segments = 0;
  for (const auto& [ref, record] : client.remote->records)
    segments += blob::decode_record(record)->header.type != blob::Type::Data;
  client.remote->fetches_of.clear();
  const auto done = client.restore_to(back(), {data("d77")});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->files, 40u);
  EXPECT_LE(done->blobs_fetched, 2u);
  EXPECT_LE(client.remote->fetches_of.size() - data_fetches(), 8u) << "of " << segments << " segments";
}

}  // namespace
}  // namespace holdfast::test
