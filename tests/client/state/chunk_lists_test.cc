// Files of chunk lists beside the state: what is known of contents, over many runs, damage and crashes.
#include <gtest/gtest.h>

#include "client/state/list_file.h"
#include "tests/client/manifest/sample_tree.h"
#include "tests/common/crypto/vector_file.h"
#include "tests/support/faulty_fs.h"

namespace holdfast::state {
namespace {

using namespace manifest::testing;

constexpr char kPath[] = "/state";
const Binding kBinding{filled<ClientId>(0xc0), filled<DomainId>(0xd0), 7};
const crypto::Key& state_key() {
  static const crypto::Key key = key_of(0x73);
  return key;
}

/// A chunk of a content, told by its number; where it stands follows from it.
dedup::Image image(std::uint64_t number) {
  const std::uint64_t halves[] = {number * 0x9E3779B97F4A7C15u, ~number};
  dedup::Image made;
  std::memcpy(made.bytes.data(), halves, made.bytes.size());
  return made;
}
constexpr std::uint32_t kBytes = 700;
dedup::Location where(std::uint64_t number) {
  return {data_ref(number / 100), static_cast<std::uint32_t>(number % 100) * kBytes};
}

/// A file's content: chunks `first`, first + 1, …
struct File {
  std::string path;
  std::uint64_t first = 0, chunks = 0;
  bool changed = false;  ///< since the base
};

Remembered remembered(const File& file, const dedup::ListRef& list) {
  return {file_entry(file.path, 1 + file.first % 4096), std::nullopt, {1, 2, 3, 4, 5}, list, {}, {}};
}

/// One run as backup does it: unchanged files keep their lists, changed ones get new ones.
Status run(fs::FileSystem& fs, const std::vector<File>& files, std::uint8_t number) {
  support::SeededRandom random(number);
  std::string why;
  std::optional<StateReader> base = StateReader::open(fs, kPath, state_key(), kBinding, &why);
  const std::vector<ListFile> present = base ? base->list_files() : std::vector<ListFile>();
  HF_TRY(StateWriter next, StateWriter::create(fs, kPath, state_key(), kBinding, present, base.has_value(), random));
  ListReader lists(fs, kPath, state_key(), kBinding, present);
  for (const File& file : files) {
    std::optional<Remembered> known = base && !file.changed ? base->find("www", file.path) : std::nullopt;
    dedup::ListRef list;
    if (known && known->list.count > 0) {
      list = known->list;
      if (next.copies_lists()) {
        HF_TRY(list, next.copy_list(lists, list, chunking::Class::Stream));
      }
    } else {
      next.begin_list();
      for (std::uint64_t i = file.first; i < file.first + file.chunks; ++i)
        HF_TRY_DO(next.add_chunk(image(i), kBytes, where(i), chunking::Class::Stream));
      list = next.end_list();
    }
    HF_TRY_DO(next.add(remembered(file, list)));
  }
  return next.finish(filled<SnapshotId>(number), {});
}

struct Known {
  std::size_t found = 0, missing = 0, wrong = 0;
};

/// What the state on the disk knows of these files: right, missing, or wrong, chunk by chunk.
Known look(fs::FileSystem& fs, const std::vector<File>& files) {
  Known out;
  std::optional<StateReader> state = StateReader::open(fs, kPath, state_key(), kBinding, nullptr);
  if (!state) return out;
  ListReader lists(fs, kPath, state_key(), kBinding, state->list_files());
  for (const File& file : files) {
    const std::optional<Remembered> known = state->find("www", file.path);
    if (!known) continue;
    std::optional<dedup::KnownBlock> block;
    for (std::uint64_t i = 0; i < known->list.count; ++i) {
      const std::uint64_t at = known->list.first + i;
      if (i == 0 || at % dedup::kBlockChunks == 0) block = lists.load({known->list.file, at / dedup::kBlockChunks});
      const std::size_t index = static_cast<std::size_t>(at % dedup::kBlockChunks);
      if (!block || index >= block->chunks.size()) {
        ++out.missing;
        continue;
      }
      const dedup::KnownChunk& chunk = block->chunks[index];
      const std::uint64_t number = file.first + i;
      const bool right = chunk.image == image(number) && chunk.bytes == kBytes &&
                         dedup::Location{block->refs[chunk.ref], chunk.offset} == where(number);
      ++(right ? out.found : out.wrong);
    }
  }
  return out;
}

std::vector<std::string> list_files(fs::FileSystem& fs) {
  std::vector<std::string> out;
  const std::vector<fs::DirectoryEntry> all = *fs.list("/");
  for (const fs::DirectoryEntry& one : all) {
    if (one.name.starts_with(kListFilePrefix)) out.push_back("/" + one.name);
  }
  return out;
}

std::vector<File> some_files() { return {{"/a", 0, 300}, {"/b", 10'000, 1}, {"/c", 20'000, 120}}; }

TEST(ChunkLists, AreReadAndWrittenAsInTheVector) {
  for (const auto& c : holdfast::testing::read_vectors("state/lists.txt")) {
    support::MemFs fs;
    const FileNonce nonce = c.id<FileNonce>("nonce");
    ASSERT_TRUE(fs::replace_file(fs, "/" + list_file_name(nonce), c["file"], 0600));
    ListReader reader(fs, kPath, state_key(), kBinding, {{nonce, 3, 3}});
    const std::optional<dedup::KnownBlock> block = reader.load({0, 0});
    ASSERT_TRUE(block);
    ASSERT_EQ(block->chunks.size(), 3u);
    EXPECT_EQ(block->refs, (std::vector<blob::BlobRef>{{filled<BlobId>(0xb1), filled<RunId>(0x11)},
                                                       {filled<BlobId>(0xb2), filled<RunId>(0x12)}}));
    support::MemFs again;
    ListFileWriter writer(again, kPath, state_key(), kBinding, nonce);
    for (std::size_t i = 0; i < 3; ++i) {
      const dedup::KnownChunk& chunk = block->chunks[i];
      dedup::Image expected = filled<dedup::Image>(static_cast<std::uint8_t>(i + 1));
      if (i == 1) expected.bytes[7] = 0;
      EXPECT_EQ(chunk.image, expected);
      EXPECT_EQ(reader.find_sampled(chunk.image), (dedup::BlockAddress{0, 0}));
      ASSERT_TRUE(writer.add(chunk.image, chunk.bytes, {block->refs[chunk.ref], chunk.offset},
                             dedup::sample_bits(chunking::Class::Files)));
    }
    ASSERT_TRUE(writer.finish());
    EXPECT_EQ(*fs::read_file(again, "/" + list_file_name(nonce), 10'000), c["file"]);
    EXPECT_FALSE(reader.load({0, 1}));
    EXPECT_FALSE(reader.load({1, 0}));
    EXPECT_FALSE(reader.find_sampled(filled<dedup::Image>(4)));
  }
}

TEST(ChunkLists, OfUnchangedContentsStayWhereTheyAre) {
  support::MemFs fs;
  std::vector<File> files = some_files();
  ASSERT_TRUE(run(fs, files, 1));
  const std::vector<std::string> first = list_files(fs);
  ASSERT_EQ(first.size(), 1u);
  ASSERT_TRUE(run(fs, files, 2));
  EXPECT_EQ(list_files(fs), first) << "nothing new, no new file";
  files[1] = {"/b", 30'000, 5, true};
  ASSERT_TRUE(run(fs, files, 3));
  EXPECT_EQ(list_files(fs).size(), 2u);
  const Known known = look(fs, files);
  EXPECT_EQ(known.found, 425u);
  EXPECT_EQ(known.missing + known.wrong, 0u);
}

TEST(ChunkLists, AreCopiedWhenMoreThanHalfIsDead) {
  support::MemFs fs;
  std::vector<File> files = some_files();
  ASSERT_TRUE(run(fs, files, 1));
  for (std::uint8_t i = 2; i < 8; ++i) {
    files[0] = {"/a", i * 1000u, 300, true};
    ASSERT_TRUE(run(fs, files, i));
    files[0].changed = false;
    std::optional<StateReader> state = StateReader::open(fs, kPath, state_key(), kBinding, nullptr);
    std::uint64_t kept = 0;
    for (const ListFile& file : state->list_files()) kept += file.nonce.is_zero() ? 0 : file.chunks;
    EXPECT_LE(kept, 2u * 421 + 300) << "run " << int{i};
    EXPECT_EQ(look(fs, files).found, 421u) << "run " << int{i};
  }
}

TEST(ChunkLists, NeverStandInMoreThanSixteenFiles) {
  support::MemFs fs;
  std::vector<File> files{{"/all", 0, 9000}};  // so much that dead chunks are no reason to copy
  for (std::uint64_t i = 0; i < 40; ++i) files.push_back({"/f" + std::to_string(10 + i), 100'000 + i * 10, 3});
  std::size_t most = 0;
  for (std::uint8_t i = 1; i <= 40; ++i) {
    files[i].first += 1'000'000;
    files[i].changed = true;
    ASSERT_TRUE(run(fs, files, i));
    files[i].changed = false;
    most = std::max(most, list_files(fs).size());
    const Known known = look(fs, files);
    ASSERT_EQ(known.found, 9000u + 120) << "run " << int{i};
    ASSERT_EQ(known.wrong + known.missing, 0u);
  }
  EXPECT_LE(most, kMaxListFiles);
  EXPECT_GT(most, 5u);
}

TEST(ChunkLists, OfNoUseAreRemoved) {
  support::MemFs fs;
  std::vector<File> files = some_files();
  ASSERT_TRUE(run(fs, files, 1));
  const std::string leftover = "/" + list_file_name(filled<FileNonce>(0x77)), foreign = "/chunks-of-something";
  for (const std::string& name : {leftover, foreign}) ASSERT_TRUE(fs::replace_file(fs, name, as_bytes("x"), 0600));
  ASSERT_TRUE(run(fs, files, 2));
  EXPECT_FALSE(fs.stat(leftover));
  EXPECT_TRUE(fs.stat(foreign)) << "not ours";
  ASSERT_TRUE(fs.unlink(foreign));
  for (File& file : files) file = {file.path, file.first + 500'000, file.chunks, true};
  ASSERT_TRUE(run(fs, files, 3));
  EXPECT_EQ(list_files(fs).size(), 1u) << "nothing refers to the old one";
  EXPECT_EQ(look(fs, files).found, 421u);
}

TEST(ChunkLists, AreTheOldOrTheNewWithTheirStateWhereverItCrashes) {
  std::vector<File> before = some_files(), after = some_files();
  after[0] = {"/a", 50'000, 280, true};  // most is dead: the others are copied
  for (const support::CrashMode mode : support::kCrashModes) {
    bool done = false;
    for (std::uint64_t step = 0; !done; ++step) {
      SCOPED_TRACE(support::crash_mode_name(mode) + ", step " + std::to_string(step));
      support::FaultyFs fs;
      ASSERT_TRUE(run(fs, before, 1));
      ASSERT_TRUE(run(fs, {before[0], {"/b", 40'000, 2, true}, before[2]}, 2));
      fs.crash_after(step);
      const Status written = run(fs, {after[0], {"/b", 40'000, 2}, after[2]}, 3);
      done = !fs.crashed();
      fs.reboot(mode, step);
      std::optional<StateReader> state = StateReader::open(fs, kPath, state_key(), kBinding, nullptr);
      ASSERT_TRUE(state);
      const bool is_new = state->base() == filled<SnapshotId>(3);
      EXPECT_TRUE(is_new || !written);
      const Known known = look(fs, {is_new ? after[0] : before[0], {"/b", 40'000, 2}, before[2]});
      EXPECT_EQ(known.wrong, 0u);
      EXPECT_EQ(known.missing, 0u);
      EXPECT_EQ(known.found, is_new ? 402u : 422u);
      // And the next run goes on from there.
      ASSERT_TRUE(run(fs, {{"/a", 60'000, 10, true}, {"/b", 40'000, 2}, before[2]}, 4));
      EXPECT_EQ(look(fs, {{"/a", 60'000, 10}, {"/b", 40'000, 2}, before[2]}).found, 132u);
      EXPECT_LE(list_files(fs).size(), 3u);
    }
  }
}

TEST(ChunkLists, NeverNameAnotherPlaceWithAnyByteFlipped) {
  support::MemFs fs;
  const std::vector<File> files{{"/a", 0, 30}, {"/b", 500, 3}};
  ASSERT_TRUE(run(fs, files, 1));
  const std::string path = list_files(fs).at(0);
  Bytes bytes = *fs::read_file(fs, path, 1u << 20);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
    ASSERT_TRUE(fs::replace_file(fs, path, bytes, 0600));
    const Known known = look(fs, files);
    EXPECT_EQ(known.wrong, 0u) << "byte " << i;
    EXPECT_EQ(known.found + known.missing, 33u) << "byte " << i;
    // A sample may be lost, but never lead to a block that is not there.
    std::optional<StateReader> state = StateReader::open(fs, kPath, state_key(), kBinding, nullptr);
    ListReader lists(fs, kPath, state_key(), kBinding, state->list_files());
    for (std::uint64_t number = 0; number < 30; ++number) {
      if (const std::optional<dedup::BlockAddress> at = lists.find_sampled(image(number))) {
        EXPECT_EQ(at->block, 0u);
      }
    }
    bytes[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
  }
}

TEST(ChunkLists, CutOrLengthenedAreNotKnown) {
  support::MemFs fs;
  const std::vector<File> files{{"/a", 0, 30}};
  ASSERT_TRUE(run(fs, files, 1));
  const std::string path = list_files(fs).at(0);
  Bytes bytes = *fs::read_file(fs, path, 1u << 20);
  for (std::size_t n = 0; n < bytes.size(); n += 3) {
    ASSERT_TRUE(fs::replace_file(fs, path, ByteSpan(bytes).first(n), 0600));
    EXPECT_EQ(look(fs, files).missing, 30u) << n;
  }
  bytes.push_back(0);
  ASSERT_TRUE(fs::replace_file(fs, path, bytes, 0600));
  EXPECT_EQ(look(fs, files).missing, 30u);
  ASSERT_TRUE(run(fs, files, 2)) << "and a run goes on without them";
}

TEST(ChunkLists, OfAnotherRunUnderThisNameAreNotKnown) {
  support::MemFs fs;
  ASSERT_TRUE(run(fs, some_files(), 1));
  const std::string first = list_files(fs).at(0);
  const Bytes older = *fs::read_file(fs, first, 1u << 20);
  std::vector<File> files = some_files();
  for (File& file : files) file = {file.path, file.first + 7, file.chunks, true};
  ASSERT_TRUE(run(fs, files, 2));
  ASSERT_TRUE(fs::replace_file(fs, list_files(fs).at(0), older, 0600));
  const Known known = look(fs, files);
  EXPECT_EQ(known.wrong + known.found, 0u);
  EXPECT_EQ(known.missing, 421u);
}

TEST(ChunkLists, HaveASampleThatIsNeverTooLong) {
  support::MemFs fs;
  ListFileWriter writer(fs, kPath, state_key(), kBinding, filled<FileNonce>(1));
  const auto sampled = [](std::uint64_t i) {  // all of them have three zero bits at the top
    dedup::Image made = image(i);
    ByteWriter number;
    number.u64((i * 0x9E3779B97F4A7C15u) >> 3);
    std::copy(number.span().begin(), number.span().end(), made.bytes.begin());
    return made;
  };
  constexpr std::uint64_t kChunks = kMaxSamples + 50'000;
  for (std::uint64_t i = 0; i < kChunks; ++i) ASSERT_TRUE(writer.add(sampled(i), kBytes, where(i), 3));
  ASSERT_TRUE(writer.finish());
  Result<ListFileReader> reader = ListFileReader::open(fs, kPath, state_key(), kBinding, filled<FileNonce>(1));
  ASSERT_TRUE(reader) << reader.error().message;
  const auto samples = reader->samples();
  ASSERT_TRUE(samples);
  EXPECT_LE(samples->size(), kMaxSamples);
  EXPECT_GT(samples->size(), kMaxSamples / 3);
  for (std::size_t i = 0; i < samples->size(); i += 1000) {
    const auto& [number, block] = (*samples)[i];
    EXPECT_TRUE(dedup::is_sampled(number, 4));
    const Result<dedup::KnownBlock> held = reader->load(block);
    ASSERT_TRUE(held);
    EXPECT_TRUE(std::any_of(held->chunks.begin(), held->chunks.end(),
                            [&](const dedup::KnownChunk& chunk) { return dedup::number_of(chunk.image) == number; }));
  }
}

TEST(KnownBlockCodec, SurvivesHostileBytes) {
  // The MAC keeps these away; the decoder does not rely on it.
  dedup::KnownBlock block{{data_ref(1), data_ref(2)}, {}};
  for (std::uint32_t i = 0; i < 50; ++i) block.chunks.push_back({image(i), kBytes + i, i * 4000, i / 25});
  const Bytes body = encode_known(block);
  ASSERT_TRUE(decode_known(body));
  EXPECT_EQ(encode_known(*decode_known(body)), body);
  for (std::size_t n = 0; n < body.size(); ++n) EXPECT_FALSE(decode_known(ByteSpan(body).first(n))) << n;
  for (std::size_t i = 0; i < body.size(); ++i) {
    for (const std::uint8_t flip : {0x01, 0x80, 0xff}) {
      Bytes bad = body;
      bad[i] ^= flip;
      (void)decode_known(bad);
    }
  }
}

}  // namespace
}  // namespace holdfast::state
