// What is only partly used does not stay for ever: dead bytes and fragments are bounded, and that costs what it must.
#include "tests/client/backup/watched_client.h"

namespace holdfast::test {
namespace {

constexpr std::int64_t kDayNs = 24ll * 3600 * 1'000'000'000;

/// How much of which data blobs the newest versions of these files use, by the local state. Names ascend.
std::map<blob::BlobRef, std::uint64_t> uses_of(WatchedClient& client, const std::vector<std::string>& names) {
  std::optional<state::StateReader> state = client.open_state();
  HF_ASSERT(state.has_value());
  std::map<blob::BlobRef, std::uint64_t> out;
  for (const std::string& name : names) {
    const std::optional<state::Remembered> file = state->find("files", client.data(name));
    HF_ASSERT(file.has_value());
    for (const manifest::Extent& extent : file->entry.extents) {
      if (!extent.is_hole()) out[extent.blob] += extent.length;
    }
    for (const auto& [ref, bytes] : file->uses) out[ref] += bytes;
  }
  return out;
}

TEST(Rewrites, PartlyUsedBlobsAreWrittenAnewBeforeTheyAreTooOld) {
  WatchedClient client;
  const std::vector<std::string> names{"file", "rests"};
  client.write("file", noise(6'000'000));
  client.write("rests", noise(2'000'000));
  client.run();
  for (std::size_t at = 100'000; at < 6'000'000; at += 400'000) client.patch("file", at, "changed");
  client.run();
  const auto before = uses_of(client, names);
  std::uint64_t sent = 0, most = 0;
  for (int days = 10; days <= 31; days += days < 19 ? 9 : 1) {
    client.remote->server_ns = 1'000'000'000'000 + days * kDayNs;
    client.run();
    if (days < 20) {
      EXPECT_EQ(client.added.contents(), 0u) << "day " << days;
    }
    sent += client.added.bytes;
    most = std::max(most, client.added.bytes);
    if (client.added.contents() > 0) client.expect_restores();
  }
  RecordProperty("sent_bytes", std::to_string(sent));
  RecordProperty("most_bytes_in_a_run", std::to_string(most));
  EXPECT_LT(sent, 8'500'000u) << "once is enough";
  std::optional<state::StateReader> state = client.open_state();
  for (const auto& [ref, bytes] : uses_of(client, names)) {
    if (!before.contains(ref)) continue;
    EXPECT_EQ(state->usage().find(ref)->raw_bytes, bytes) << "an old blob that is not used whole";
  }
}

TEST(Rewrites, ANewDateBoundsTheAgeOfWhatIsPartlyUsed) {
  WatchedClient client;
  client.write("file", noise(3'000'000));
  client.run();
  client.patch("file", 1'500'000, "changed");
  client.run();
  backup::BackupOptions options = client.options();
  options.rewrite.max_dead_age_ns = 2 * kDayNs;
  client.remote->server_ns += 2 * kDayNs;
  client.run(options);  // says what is due …
  EXPECT_EQ(client.added.contents(), 0u);
  client.run(options);  // … and this one writes it
  EXPECT_GT(client.added.contents(), 0u);
  client.expect_restores();
}

TEST(Rewrites, ReferencedBytesStayWithinTwiceTheUsedOnes) {
  WatchedClient client;
  constexpr std::size_t kFile = 4'000'000, kPart = 200'000;
  std::string content = noise(kFile);
  client.write("file", content);
  client.run();
  for (std::size_t i = 0; i < 40; ++i) {  // pieces everywhere, so that every blob dies slowly
    for (std::size_t at = i * 4096 % kPart; at + 9000 < kFile; at += kPart) content.replace(at, 9000, noise(9000));
    client.write("file", content);
    client.run();
    std::optional<state::StateReader> state = client.open_state();
    std::uint64_t raw = 0;
    for (const auto& [ref, bytes] : uses_of(client, {"file"})) {
      const dedup::Usage::Blob* const blob = state->usage().find(ref);
      ASSERT_NE(blob, nullptr);
      raw += blob->retired ? bytes : blob->raw_bytes;
    }
    EXPECT_LE(raw, 2 * kFile) << "run " << i;
  }
  client.expect_restores();
}

/// Regions of 1 MiB that may stand in eight blobs.
backup::BackupOptions with_small_regions(WatchedClient& client) {
  backup::BackupOptions options = client.options();
  options.rewrite.region_bytes = 1u << 20;
  options.rewrite.max_blobs_per_region = 8;
  return options;
}

TEST(Rewrites, AFileDoesNotStandInTooManyBlobs) {
  WatchedClient client;
  client.write("file", noise(3'000'000));
  const backup::BackupOptions options = with_small_regions(client);
  client.run(options);
  std::uint64_t sent = 0;
  std::size_t most = 0;
  for (std::size_t i = 0; i < 60; ++i) {
    client.patch("file", i * 49'000, "changed");
    sent += client.run(options).raw_bytes_sent;
    most = std::max(most, uses_of(client, {"file"}).size());
  }
  EXPECT_LE(most, 3 * (8 + 1u));  // three regions, one blob of the run itself in each besides
  EXPECT_LT(sent, 60 * 60'000u) << "60 changed chunks of 8 KiB, and now and then a few of them once more";
  RecordProperty("most_blobs", std::to_string(most));
  RecordProperty("sent_bytes", std::to_string(sent));
  client.expect_restores();
}

TEST(Rewrites, AScatteredFileComesToRest) {
  WatchedClient client;
  client.write("file", noise(1'000'000));
  const backup::BackupOptions options = with_small_regions(client);
  client.run(options);
  for (std::size_t i = 0; i < 8; ++i) {
    client.patch("file", 20'000 + i * 120'000, "changed");
    client.run(options);
  }
  client.run(options);  // may still write anew what the last one found scattered
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.run(options).read_bytes, 0u);
    EXPECT_EQ(client.added.contents(), 0u) << "nothing changed";
  }
  client.expect_restores();
}

}  // namespace
}  // namespace holdfast::test
