#include "client/state/checkpoint.h"

#include <gtest/gtest.h>

#include <set>

#include "client/state/checkpoint_block.h"
#include "client/state/layout.h"
#include "tests/client/manifest/sample_tree.h"
#include "tests/common/crypto/vector_file.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_fs.h"

namespace holdfast::state {
namespace {

using namespace manifest::testing;

constexpr char kPath[] = "/state";
constexpr std::int64_t kTime = 1'767'225'600'000'000'000;
const Binding kBinding{filled<ClientId>(0xc0), filled<DomainId>(0xd0), 7};
const RunId kKilled = filled<RunId>(0x11), kPromised = filled<RunId>(0x22);

Kept sample(std::uint64_t i, std::uint32_t bytes = 5000) {
  Kept kept;
  kept.source = "www";
  kept.path = "/f" + std::to_string(100'000 + i);
  kept.stat = {bytes, kTime, kTime + 1, i + 1, 2049};
  kept.digest = filled<Digest>(static_cast<std::uint8_t>(i));
  kept.extents = {{{data_ref(i / 4), static_cast<std::uint32_t>(i % 4) * bytes, bytes}, 4 * bytes}};
  kept.chunks = {{filled<dedup::Image>(1), bytes - 1000}, {filled<dedup::Image>(2), 1000}};
  return kept;
}
std::vector<Kept> samples(std::uint64_t count) {
  std::vector<Kept> out;
  for (std::uint64_t i = 0; i < count; ++i) out.push_back(sample(i));
  return out;
}

/// Asks a server that has all but `lost`.
struct Server {
  std::set<BlobId> lost;
  std::size_t questions = 0, largest = 0;
  Checkpoints::Ask ask() {
    return [this](const std::vector<BlobId>& ids) -> Result<std::vector<std::optional<RunId>>> {
      ++questions;
      largest = std::max(largest, ids.size());
      std::vector<std::optional<RunId>> out;
      for (const BlobId& id : ids) out.push_back(lost.contains(id) ? std::nullopt : std::optional(kPromised));
      return out;
    };
  }
};

class Notes : public ::testing::Test {
 protected:
  std::unique_ptr<CheckpointWriter> writer(std::uint64_t seed = 3, const Binding& binding = kBinding) {
    support::SeededRandom random(seed);
    return std::make_unique<CheckpointWriter>(fs, kPath, key_of(0x73), binding, clock, random);
  }
  void write(const std::vector<Kept>& contents, std::uint64_t seed = 3) {
    const auto notes = writer(seed);
    for (const Kept& one : contents) notes->add(one);
  }
  std::unique_ptr<Checkpoints> open(std::uint8_t key = 0x73, const Binding& binding = kBinding) {
    return std::make_unique<Checkpoints>(fs, kPath, key_of(key), binding);
  }
  /// How many of `contents` are found; none may be found wrong.
  std::size_t count_found(Checkpoints& notes, const std::vector<Kept>& contents) {
    std::size_t n = 0;
    for (Kept one : contents) {
      const Result<std::optional<Kept>> found = notes.find(one.source, one.path, one.stat, server.ask());
      if (!found || !*found) continue;
      for (KeptExtent& each : one.extents) each.extent.blob.run = kPromised;
      EXPECT_EQ(**found, one) << one.path;
      ++n;
    }
    return n;
  }
  std::vector<std::string> files() {
    std::vector<std::string> out;
    for (const fs::DirectoryEntry& one : list_checkpoints(fs, kPath)) out.push_back("/" + one.name);
    return out;
  }
  Bytes only_file() { return *fs::read_file(fs, files().at(0), 1u << 30); }
  void put(const std::string& path, ByteSpan bytes) { ASSERT_TRUE(fs::replace_file(fs, path, bytes, 0600)); }

  support::FaultyFs fs;
  support::FakeClock clock;
  Server server;
};

TEST_F(Notes, AreFoundAgainUnderTheRunOfThePromise) {
  const std::vector<Kept> contents = samples(20'000);
  write(contents);
  EXPECT_EQ(count_found(*open(), contents), contents.size());
}

TEST_F(Notes, AreOfNoUseWhenAnyPartOfTheIdentityDiffers) {
  write(samples(3));
  const manifest::StatIdentity good = sample(1).stat;
  for (int part = 0; part < 5; ++part) {
    manifest::StatIdentity other = good;
    if (part == 0) ++other.size;
    if (part == 1) ++other.mtime_ns;
    if (part == 2) ++other.ctime_ns;
    if (part == 3) ++other.inode;
    if (part == 4) ++other.device;
    EXPECT_FALSE(open()->find("www", sample(1).path, other, server.ask())->has_value()) << part;
  }
  EXPECT_FALSE(open()->find("xxx", sample(1).path, good, server.ask())->has_value());
  EXPECT_FALSE(open()->find("www", sample(1).path + "1", good, server.ask())->has_value());
  EXPECT_TRUE(open()->find("www", sample(1).path, good, server.ask())->has_value());
}

TEST_F(Notes, OfAFileWithABlobThatIsNotPromisedAreOfNoUse) {
  std::vector<Kept> contents = samples(12);
  contents[9].extents = {{{data_ref(7), 0, 2000}, 4000}, {{data_ref(8), 10, 3000}, 4000}};
  write(contents);
  server.lost = {data_ref(1).blob, data_ref(8).blob};
  EXPECT_EQ(count_found(*open(), contents), 7u) << "four and one";
}

TEST_F(Notes, AreAskedAboutOnceForMany) {
  const std::vector<Kept> contents = samples(8000);
  write(contents);
  EXPECT_EQ(count_found(*open(), contents), 8000u);
  EXPECT_EQ(server.questions, 1u);
  EXPECT_EQ(server.largest, 2000u);
}

TEST_F(Notes, AreAskedAboutOnceThoughTheServerHasNothing) {
  const std::vector<Kept> contents = samples(400);
  write(contents);
  for (std::uint64_t i = 0; i < 100; ++i) server.lost.insert(data_ref(i).blob);
  EXPECT_EQ(count_found(*open(), contents), 0u);
  EXPECT_EQ(server.questions, 1u);
}

TEST_F(Notes, AreAskedAboutInBoundedQuestions) {
  Kept kept = sample(1, 3 * 5000);
  kept.extents.clear();
  for (std::uint64_t i = 0; i < 5000; ++i) kept.extents.push_back({{data_ref(i), 7, 3}, 10});
  write({kept});
  EXPECT_EQ(count_found(*open(), {kept}), 1u);
  EXPECT_EQ(server.questions, 2u);
  EXPECT_EQ(server.largest, Checkpoints::kMaxAsked);
}

TEST_F(Notes, EndTheRunWhenTheServerCannotBeAsked) {
  write(samples(3));
  const auto found = open()->find(
      "www", sample(1).path, sample(1).stat,
      [](const auto&) -> Result<std::vector<std::optional<RunId>>> { return Error{Errc::Unreachable, "gone"}; });
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::Unreachable);
}

TEST_F(Notes, OfAnotherKeyClientDomainOrEpochAreRemoved) {
  const Binding others[] = {{filled<ClientId>(0xc1), kBinding.domain, 7},
                            {kBinding.client, filled<DomainId>(0xd1), 7},
                            {kBinding.client, kBinding.domain, 8}};
  for (const Binding& other : others) {
    write(samples(10));
    EXPECT_EQ(count_found(*open(0x73, other), samples(10)), 0u);
    EXPECT_TRUE(files().empty());
  }
  write(samples(10));
  EXPECT_EQ(count_found(*open(0x74), samples(10)), 0u);
  EXPECT_TRUE(files().empty());
}

/// One block for every content.
TEST_F(Notes, WithAnyByteFlippedOrCutOffAreNeverWrong) {
  const std::vector<Kept> contents = samples(3);
  {
    const auto notes = writer();
    for (const Kept& one : contents) {
      notes->add(one);
      notes->flush();
    }
  }
  const std::string path = files().at(0);
  const Bytes good = only_file();
  std::size_t some = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
    put(path, bad);
    const std::size_t found = count_found(*open(), contents);
    EXPECT_LT(found, 3u) << i;
    some += found > 0;
    put(path, ByteSpan(good).first(i));
    EXPECT_LT(count_found(*open(), contents), 3u) << i;
  }
  EXPECT_GT(some, good.size() / 2) << "what stands before the damage is used";
}

TEST_F(Notes, BlocksOfOtherPlacesAndFilesAreRefused) {
  const auto two = [&](std::uint64_t seed) {
    const auto notes = writer(seed);
    for (const Kept& one : samples(2)) {
      notes->add(one);
      notes->flush();
    }
  };
  two(3);
  const std::string path = files().at(0);
  const Bytes good = only_file();
  const std::size_t block = (good.size() - kHeaderBytes) / 2;
  Bytes swapped = to_bytes(ByteSpan(good).first(kHeaderBytes));
  for (const std::size_t at : {kHeaderBytes + block, kHeaderBytes})
    swapped.insert(swapped.end(), good.begin() + static_cast<std::ptrdiff_t>(at),
                   good.begin() + static_cast<std::ptrdiff_t>(at + block));
  put(path, swapped);
  EXPECT_EQ(count_found(*open(), samples(2)), 0u);
  two(4);
  Bytes spliced = only_file();
  std::copy(good.begin() + kHeaderBytes, good.end(), spliced.begin() + kHeaderBytes);
  put(files().at(0), spliced);
  EXPECT_EQ(count_found(*open(), samples(2)), 0u);
  put(path, good);  // under its own name it is good, under another not
  EXPECT_EQ(count_found(*open(), samples(2)), 2u);
  put("/checkpoint-" + std::string(32, '0'), good);
  EXPECT_EQ(open() != nullptr, true);
  EXPECT_EQ(files(), std::vector<std::string>{path});
}

TEST_F(Notes, ContentsThatContradictThemselvesAreRefused) {
  const Kept good = sample(1);
  EXPECT_TRUE(decode_kept(encode_kept({good})));
  const auto refuses = [&](const auto& change) {
    Kept bad = good;
    change(bad);
    return !decode_kept(encode_kept({bad}));
  };
  EXPECT_TRUE(refuses([](Kept& k) { k.stat = {}; }));
  EXPECT_TRUE(refuses([](Kept& k) { k.stat.size += 1; }));
  EXPECT_TRUE(refuses([](Kept& k) { k.stat.size -= 1; }));
  EXPECT_TRUE(refuses([](Kept& k) { k.chunks.pop_back(); }));
  EXPECT_TRUE(refuses([](Kept& k) { k.chunks.push_back({filled<dedup::Image>(3), 1}); }));
  EXPECT_TRUE(refuses([](Kept& k) { k.chunks[0].bytes = 0; }));
  EXPECT_TRUE(refuses([](Kept& k) { k.extents[0].extent.offset = 4 * 5000 - 4999; }));
  EXPECT_TRUE(refuses([](Kept& k) { k.extents[0].blob_bytes = 100; }));
  EXPECT_TRUE(refuses([](Kept& k) { k.extents.push_back({}); }));
  EXPECT_TRUE(refuses([](Kept& k) { k.extents.push_back({{data_ref(9), 0, ~std::uint64_t{0}}, 0}); }));
  EXPECT_TRUE(refuses([](Kept& k) { k.chunk_class = static_cast<chunking::Class>(4); }));
  Bytes longer = encode_kept({good});
  longer.push_back(0);
  EXPECT_FALSE(decode_kept(longer));
}

TEST_F(Notes, StandOnTheDiskAfter16MiBOrTenSeconds) {
  const auto notes = writer();
  for (std::uint64_t i = 0; i < 3; ++i) {
    Kept kept = sample(i);
    kept.stat.size = 4u << 20;
    notes->add(kept);
  }
  EXPECT_TRUE(files().empty());
  Kept kept = sample(3);
  kept.stat.size = 4u << 20;
  notes->add(kept);
  const std::size_t first = only_file().size();
  notes->add(sample(8));
  EXPECT_EQ(only_file().size(), first);
  clock.advance(std::chrono::seconds(11));
  notes->add(sample(9));
  EXPECT_GT(only_file().size(), first);
}

TEST_F(Notes, CostNoSyncInTheFirst30Seconds) {
  const auto notes = writer();
  for (int i = 0; i < 20'000; ++i) notes->add(sample(static_cast<std::uint64_t>(i)));
  fs.fail_on(support::Operation::Sync, "checkpoint-");
  notes->add(sample(20'000));
  notes->flush();
  EXPECT_FALSE(fs.struck());
  clock.advance(std::chrono::seconds(31));
  notes->add(sample(20'001));
  EXPECT_TRUE(fs.struck());
}

TEST_F(Notes, EndWithAnErrorOfTheDiskAndMakeRoomWhenItIsFull) {
  for (const Errc code : {Errc::Io, Errc::DiskFull}) {
    const auto notes = writer();
    notes->add(sample(1));
    notes->flush();
    fs.fail_on(support::Operation::Write, "checkpoint-", code);
    notes->add(sample(2));
    notes->flush();
    ASSERT_TRUE(fs.struck());
    notes->add(sample(3));
    notes->flush();
    EXPECT_EQ(count_found(*open(), samples(4)), code == Errc::Io ? 1u : 0u);
    EXPECT_EQ(files().size(), code == Errc::Io ? 1u : 0u);
    Checkpoints::remove_all(fs, kPath);
  }
}

TEST_F(Notes, OfAContentThatIsTooLongAreNotRead) {
  Kept kept = sample(1, 1);
  kept.stat.size = kMaxKeptExtents + 1;
  kept.extents.assign(kMaxKeptExtents + 1, {{data_ref(1), 0, 1}, 1});
  kept.chunks.assign(kMaxKeptExtents + 1, {filled<dedup::Image>(1), 1});
  EXPECT_FALSE(decode_kept(encode_kept({kept})));
  kept.extents.pop_back();
  kept.chunks.pop_back();
  --kept.stat.size;
  EXPECT_TRUE(decode_kept(encode_kept({kept})));
}

/// The largest kept ones are of this client, and one more has room.
TEST_F(Notes, OfManyRunsAreFewAndUsable) {
  for (std::uint64_t run = 0; run < 6; ++run) write(samples(10 + run), 10 + run);
  put("/checkpoint-" + std::string(32, 'a'), Bytes(1u << 20));  // large, and nothing in it
  const auto notes = open();
  EXPECT_EQ(files().size(), kMaxCheckpoints - 1);
  EXPECT_FALSE(notes->empty());
  EXPECT_EQ(count_found(*notes, samples(15)), 15u);
}

TEST_F(Notes, OfSeveralRunsAreOneAfterTheOtherTried) {
  std::vector<Kept> older = samples(20), newer = samples(10);
  for (Kept& one : newer) one.stat.mtime_ns += 5;  // changed between the two runs
  write(older, 1);
  write(newer, 2);
  for (std::size_t i = 0; i < newer.size(); ++i) older[i] = newer[i];
  EXPECT_EQ(count_found(*open(), older), 20u);
}

TEST_F(Notes, AfterACrashAreAPrefixOrNothing) {
  const std::vector<Kept> contents = samples(50);
  for (const support::CrashMode mode : support::kCrashModes) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      {
        const auto notes = writer(seed);
        for (const Kept& one : contents) {
          notes->add(one);
          clock.advance(std::chrono::seconds(4));
        }
      }
      fs.reboot(mode, seed);
      (void)count_found(*open(), contents);
      Checkpoints::remove_all(fs, kPath);
      EXPECT_TRUE(files().empty());
    }
  }
}

TEST_F(Notes, AreReadAndWrittenAsInTheVector) {
  for (const auto& c : holdfast::testing::read_vectors("state/notes.txt")) {
    put(checkpoint_path(kPath, c.id<FileNonce>("nonce")), c["file"]);
    const auto notes = open();
    const auto f = notes->find("www", "/f", {5000, kTime, kTime + 1, 77, 2049}, server.ask());
    ASSERT_TRUE(f && *f);
    EXPECT_EQ((*f)->extents, (std::vector<KeptExtent>{{{{filled<BlobId>(0xb1), kPromised}, 100, 5000}, 9000}}));
    EXPECT_EQ((*f)->chunks,
              (std::vector<KeptChunk>{{filled<dedup::Image>(0xa1), 3000}, {filled<dedup::Image>(0xa2), 2000}}));
    EXPECT_EQ((*f)->digest, filled<Digest>(0xd1));
    const auto g = notes->find("www", "/g", {8192, kTime, kTime, 78, 2049}, server.ask());
    ASSERT_TRUE(g && *g);
    EXPECT_EQ((*g)->extents,
              (std::vector<KeptExtent>{{{{}, 0, 4096}, 0}, {{{filled<BlobId>(0xb2), kPromised}, 0, 4096}, 0}}));
    const auto h = notes->find("www", "/h", {0, kTime, kTime, 79, 2049}, server.ask());
    ASSERT_TRUE(h && *h);
    EXPECT_TRUE((*h)->extents.empty());

    Kept first = **f, second = **g;
    first.extents[0].extent.blob.run = kKilled;
    second.extents[1].extent.blob.run = filled<RunId>(0x12);
    const Bytes body = encode_kept({first, second});
    EXPECT_EQ(body, to_bytes(ByteSpan(c["file"]).subspan(kHeaderBytes + kCheckpointHeadBytes, body.size())));
  }
}

}  // namespace
}  // namespace holdfast::state
