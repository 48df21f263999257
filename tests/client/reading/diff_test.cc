#include "client/reading/diff.h"

#include <map>

#include "tests/client/reading/history.h"
#include "tests/support/seeded_random.h"

namespace holdfast::test {
namespace {

class Diff : public History {
 protected:
  Result<reading::DiffReport> diff(std::size_t before, std::size_t after, Lines* lines,
                                   std::vector<std::string> paths = {}) {
    restore::Archive archive = this->archive();
    HF_TRY(const std::vector<restore::SnapshotInfo> all, archive.snapshots());
    reading::DiffOptions options;
    options.paths = std::move(paths);
    options.on_difference = [&](const reading::Difference& one) { lines->push_back(line(one)); };
    client.remote->fetch_count = 0;
    return reading::diff(archive, all.at(before - 1), all.at(after - 1), options);
  }
  Lines diff(std::size_t before, std::size_t after) {
    Lines lines;
    const Result<reading::DiffReport> done = diff(before, after, &lines, {data()});
    EXPECT_TRUE(done.has_value()) << done.error().message;
    return lines;
  }
  /// Both manifests, every entry. Directories above the test's belong to others, who change them.
  Lines naive(std::size_t before, std::size_t after) {
    restore::Archive archive = this->archive();
    const std::vector<restore::SnapshotInfo> all = *archive.snapshots();
    struct Less {
      bool operator()(const std::string& a, const std::string& b) const { return manifest::compare_paths(a, b) < 0; }
    };
    std::map<std::string, reading::Difference, Less> sides;
    for (const bool is_after : {false, true}) {
      const restore::SnapshotInfo& info = all.at((is_after ? after : before) - 1);
      const keyring::DomainKeys keys = *archive.domain_keys(info);
      const Status read =
          restore::open_manifest(archive, info, keys).visit_below(data(), [&](manifest::Entry entry) -> Status {
            const std::string path = entry.path;
            (is_after ? sides[path].after : sides[path].before) = std::move(entry);
            return {};
          });
      EXPECT_TRUE(read.has_value()) << read.error().message;
    }
    Lines lines;
    for (auto& [path, one] : sides) {
      if (one.before && one.after) {
        one.changes = reading::changes_between(*one.before, *one.after, reading::Contents::ByDigest);
        if (one.changes == 0) continue;
      }
      lines.push_back(line(one));
    }
    return lines;
  }
};

TEST_F(Diff, SaysWhatChangedAndHow) {
  for (const char* name : {"content", "mode", "time", "kind", "removed", "same", "\xff\n"}) file(name, "1");
  std::filesystem::create_symlink("a", data("link"));
  std::filesystem::create_directories(data("removed.d/sub"));
  set_time("", 1);
  back_up();
  file("content", "2");
  ::chmod(data("mode").c_str(), 0600);
  set_time("time", 5);
  std::filesystem::remove(data("kind"));
  std::filesystem::create_directory(data("kind"));
  std::filesystem::remove(data("removed"));
  std::filesystem::remove_all(data("removed.d"));
  std::filesystem::remove(data("link"));
  std::filesystem::create_symlink("b", data("link"));
  file("\xff\n", "22");
  file("new", "12345");
  set_time("", 1);
  back_up();
  Lines lines;
  const Result<reading::DiffReport> done = diff(1, 2, &lines, {data()});
  ASSERT_TRUE(done.has_value()) << done.error().message;
  EXPECT_EQ(lines, (Lines{"M data/content content", "T data/kind kind", "M data/link target,mtime", "U data/mode mode",
                          "+ data/new", "- data/removed", "- data/removed.d", "- data/removed.d/sub",
                          "U data/time mtime", "M data/\xff\n content"}));
  EXPECT_EQ(done->count.added, 1u);
  EXPECT_EQ(done->count.added_bytes, 5u);
  EXPECT_EQ(done->count.removed, 3u);
  EXPECT_EQ(done->count.removed_bytes, 1u);
  EXPECT_EQ(done->count.changed, 6u);
  EXPECT_EQ(done->count.changed_bytes, 3u);
  EXPECT_FALSE(done->by_size);
}

TEST_F(Diff, AgreesWithANaiveComparisonOverRandomHistories) {
  support::SeededRandom random(7);
  const auto name = [&] { return "d" + std::to_string(random.below(9)) + "/f" + std::to_string(random.below(150)); };
  for (int i = 0; i < 900; ++i)
    file(name(), std::to_string(random.below(50)), static_cast<std::int64_t>(random.below(3)));
  back_up();
  for (std::size_t round = 2; round <= 7; ++round) {
    for (std::size_t i = 0; i < random.below(30); ++i) {
      const std::string one = name();
      switch (random.below(4)) {
        case 0:
          std::filesystem::remove(data(one));
          break;
        case 1:
          ::chmod(data(one).c_str(), random.below(2) == 0 ? 0600 : 0644);
          break;
        default:
          file(one, std::to_string(random.below(50)), static_cast<std::int64_t>(random.below(3)));
      }
    }
    back_up();
  }
  for (std::size_t before = 1; before <= 7; ++before) {
    for (std::size_t after = 1; after <= 7; ++after) {
      SCOPED_TRACE(std::to_string(before) + " " + std::to_string(after));
      EXPECT_EQ(diff(before, after), naive(before, after));
    }
  }
}

TEST_F(Diff, FetchesNothingOfWhatBothShare) {
  for (int i = 0; i < 3000; ++i) file("d" + std::to_string(i % 7) + "/file" + std::to_string(i), "x");
  back_up();
  back_up();
  Lines lines;
  ASSERT_TRUE(diff(1, 2, &lines).has_value());
  EXPECT_LE(client.remote->fetch_count, 4u);  // none, or the way to the directories above
  file("d3/file3", "y");
  back_up();
  ASSERT_TRUE(diff(2, 3, &lines).has_value());
  EXPECT_LE(client.remote->fetch_count, 8u);
  EXPECT_EQ(diff(2, 3), (Lines{"M data/d3/file3 content"}));
}

TEST_F(Diff, KeepsToThePathsAndRefusesOnesThatAreInNeither) {
  file("a/x", "1");
  file("b/x", "1");
  back_up();
  file("a/x", "2");
  file("b/x", "2");
  file("c/new", "1");
  back_up();
  Lines lines;
  ASSERT_TRUE(diff(1, 2, &lines, {data("a"), data("c/new")}).has_value());
  EXPECT_EQ(lines, (Lines{"M data/a/x content", "+ data/c/new"}));
  EXPECT_EQ(diff(1, 2, &lines, {data("nowhere")}).error().code, Errc::NotFound);
}

TEST_F(Diff, ComparesContentsBySizeWhenTheKeysChanged) {
  file("same", "1");
  file("longer", "1");
  back_up();
  client.ring.domain = system_random().id<DomainId>();
  client.ring.domain_key = crypto::Key::random(system_random());
  snapshot::ClientCertificate certificate;
  certificate.tenant = client.ring.tenant;
  certificate.client = client.ring.client;
  certificate.signing_key = client.ring.signing->public_key();
  certificate.domain = client.ring.domain;
  certificate.root = client.ring.root;
  client.ring.certificate = snapshot::encode_signed(certificate, client.kit.root);
  client.remote->certificate = client.ring.certificate;
  std::filesystem::remove_all(client.root + "/state");
  std::filesystem::create_directories(client.root + "/state");
  client.remote->base_known = false;
  file("longer", "12");
  back_up();
  Lines lines;
  const Result<reading::DiffReport> done = diff(1, 2, &lines, {data()});
  ASSERT_TRUE(done.has_value()) << done.error().message;
  EXPECT_TRUE(done->by_size);
  EXPECT_EQ(lines, (Lines{"M data/longer content"}));
}

}  // namespace
}  // namespace holdfast::test
