#include "client/state/local_state.h"

#include <gtest/gtest.h>

#include "client/state/layout.h"
#include "tests/client/manifest/sample_tree.h"
#include "tests/common/crypto/vector_file.h"
#include "tests/support/faulty_fs.h"
#include "tests/support/mem_fs.h"

namespace holdfast::state {
namespace {

using namespace manifest::testing;
using manifest::Entry;

constexpr char kPath[] = "/state";
const Binding kBinding{filled<ClientId>(0xc0), filled<DomainId>(0xd0), 7};
const SnapshotId kBase = filled<SnapshotId>(0x5a);
const crypto::Key& state_key() {
  static const crypto::Key key = key_of(0x73);
  return key;
}

std::vector<Remembered> sample(std::size_t count, std::uint64_t seed = 1) {
  support::SeededRandom random(seed);
  std::vector<Remembered> out;
  for (Entry& e : random_entries(random, count)) {
    manifest::StatIdentity stat{e.size, e.mtime_ns, e.mtime_ns + 5, random.below(1u << 30), 2049};
    out.push_back({std::move(e), std::nullopt, stat, {}, {}, {}});
  }
  return out;
}

Status write(fs::FileSystem& fs, const std::vector<Remembered>& entries, const SnapshotId& base = kBase,
             std::uint64_t seed = 3) {
  support::SeededRandom random(seed);
  HF_TRY(StateWriter writer, StateWriter::create(fs, kPath, state_key(), kBinding, {}, false, random));
  for (const Remembered& r : entries) HF_TRY_DO(writer.add(r));
  return writer.finish(base, {});
}

std::optional<StateReader> open(fs::FileSystem& fs, std::string* why = nullptr) {
  return StateReader::open(fs, kPath, state_key(), kBinding, why);
}

bool same(const Remembered& a, const Remembered& b) { return a.entry == b.entry && a.stat == b.stat; }

Bytes contents(fs::FileSystem& fs) { return *fs::read_file(fs, kPath, 1u << 30); }
void put(fs::FileSystem& fs, ByteSpan bytes) { ASSERT_TRUE(fs::replace_file(fs, kPath, bytes, 0600)); }

/// How many of `entries` are found; none may be found wrong.
std::size_t count_found(StateReader& reader, const std::vector<Remembered>& entries) {
  std::size_t n = 0;
  for (const Remembered& r : entries) {
    const std::optional<Remembered> found = reader.find(r.entry.source, r.entry.path);
    if (!found) continue;
    EXPECT_TRUE(same(*found, r)) << r.entry.path;
    ++n;
  }
  return n;
}

TEST(LocalState, RemembersEverythingInOrder) {
  support::MemFs fs;
  const std::vector<Remembered> entries = sample(2000);
  ASSERT_TRUE(write(fs, entries));
  std::optional<StateReader> reader = open(fs);
  ASSERT_TRUE(reader);
  EXPECT_EQ(reader->base(), kBase);
  EXPECT_EQ(count_found(*reader, entries), entries.size());
  EXPECT_FALSE(reader->damaged());
  EXPECT_FALSE(reader->find("zz", "/more"));
}

TEST(LocalState, AnswersKeysThatItDoesNotHaveWithoutLosingTheNext) {
  support::MemFs fs;
  const std::vector<Remembered> entries = sample(500);
  std::vector<Remembered> kept;
  for (std::size_t i = 0; i < entries.size(); i += 3) kept.push_back(entries[i]);
  ASSERT_TRUE(write(fs, kept));
  std::optional<StateReader> reader = open(fs);
  ASSERT_TRUE(reader);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(reader->find(entries[i].entry.source, entries[i].entry.path).has_value(), i % 3 == 0) << i;
  }
}

TEST(LocalState, OfNothingHasABase) {
  support::MemFs fs;
  ASSERT_TRUE(write(fs, {}));
  std::optional<StateReader> reader = open(fs);
  ASSERT_TRUE(reader);
  EXPECT_EQ(reader->base(), kBase);
  EXPECT_FALSE(reader->find("www", "/"));
  EXPECT_FALSE(reader->damaged());
}

TEST(LocalState, SaysWhyThereIsNone) {
  support::MemFs fs;
  std::string why;
  EXPECT_FALSE(open(fs, &why));
  EXPECT_EQ(why, "there is none");
  put(fs, Bytes(500, 'x'));
  EXPECT_FALSE(open(fs, &why));
  EXPECT_NE(why.find("not a file of the local state"), std::string::npos);
  EXPECT_FALSE(open(fs, nullptr));
}

TEST(LocalState, OfAnotherVersionIsDiscarded) {
  support::MemFs fs;
  ASSERT_TRUE(write(fs, sample(3)));
  Bytes bytes = contents(fs);
  bytes[kStateMagic.size()] = 3;
  put(fs, bytes);
  std::string why;
  EXPECT_FALSE(open(fs, &why));
  EXPECT_NE(why.find("version 3"), std::string::npos);
}

TEST(LocalState, BelongsToOneClientDomainEpochAndKey) {
  support::MemFs fs;
  ASSERT_TRUE(write(fs, sample(3)));
  Binding other = kBinding;
  other.client = filled<ClientId>(0xc1);
  EXPECT_FALSE(StateReader::open(fs, kPath, state_key(), other, nullptr));
  other = kBinding;
  other.domain = filled<DomainId>(0xd1);
  EXPECT_FALSE(StateReader::open(fs, kPath, state_key(), other, nullptr));
  other = kBinding;
  other.epoch = 8;
  EXPECT_FALSE(StateReader::open(fs, kPath, state_key(), other, nullptr));
  EXPECT_FALSE(StateReader::open(fs, kPath, key_of(0x74), kBinding, nullptr));
  EXPECT_TRUE(open(fs));
}

TEST(LocalState, NeverAnswersWronglyWithAnyByteFlipped) {
  support::MemFs fs;
  const std::vector<Remembered> entries = sample(40);
  ASSERT_TRUE(write(fs, entries));
  Bytes bytes = contents(fs);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
    put(fs, bytes);
    if (std::optional<StateReader> reader = open(fs)) {
      EXPECT_EQ(reader->base(), kBase);
      EXPECT_LT(count_found(*reader, entries), entries.size()) << "byte " << i;
      EXPECT_TRUE(reader->damaged()) << "byte " << i;
    }
    bytes[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
  }
}

TEST(LocalState, IsDiscardedWhenCutAnywhereOrLengthened) {
  support::MemFs fs;
  ASSERT_TRUE(write(fs, sample(20)));
  const Bytes bytes = contents(fs);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    put(fs, ByteSpan(bytes).first(n));
    EXPECT_FALSE(open(fs)) << "cut to " << n;
  }
  Bytes longer = bytes;
  longer.push_back(0);
  put(fs, longer);
  EXPECT_FALSE(open(fs));
}

TEST(LocalState, ADamagedBlockLosesOnlyWhatItHeld) {
  support::MemFs fs;
  const std::vector<Remembered> entries = sample(6000);
  ASSERT_TRUE(write(fs, entries));
  Bytes bytes = contents(fs);
  ASSERT_GT(bytes.size(), 4 * kBlockTargetBytes);
  bytes[kHeaderBytes + kBlockTargetBytes + 100] ^= 1;  // in the second block or so
  put(fs, bytes);
  std::optional<StateReader> reader = open(fs);
  ASSERT_TRUE(reader);
  const std::size_t found = count_found(*reader, entries);
  EXPECT_TRUE(reader->damaged());
  EXPECT_LT(found, entries.size());
  EXPECT_GT(found, entries.size() / 2);
}

TEST(LocalState, BlocksOfAnotherFileDoNotFit) {
  support::MemFs fs;
  const std::vector<Remembered> entries = sample(30);
  ASSERT_TRUE(write(fs, entries, kBase, 3));
  const Bytes older = contents(fs);
  ASSERT_TRUE(write(fs, entries, kBase, 4));  // the same entries under another nonce
  const Bytes newer = contents(fs);
  ASSERT_EQ(older.size(), newer.size());
  const std::size_t body_end = newer.size() - kStateTrailerBytes - kTableItemBytes - encode_about({}).size();
  EXPECT_TRUE(std::equal(older.begin() + kHeaderBytes, older.begin() + static_cast<std::ptrdiff_t>(body_end),
                         newer.begin() + kHeaderBytes));
  // The old table and trailer behind the new header, and the old header before the new table: neither is believed.
  for (const std::size_t seam : {kHeaderBytes, body_end}) {
    Bytes mixed(newer.begin(), newer.begin() + static_cast<std::ptrdiff_t>(seam));
    mixed.insert(mixed.end(), older.begin() + static_cast<std::ptrdiff_t>(seam), older.end());
    put(fs, mixed);
    EXPECT_FALSE(open(fs));
  }
}

TEST(LocalState, AnOlderOneSaysWhichSnapshotItBelongsTo) {
  support::MemFs fs;
  ASSERT_TRUE(write(fs, sample(5), filled<SnapshotId>(1)));
  const Bytes older = contents(fs);
  ASSERT_TRUE(write(fs, sample(5, 2), filled<SnapshotId>(2)));
  put(fs, older);
  std::optional<StateReader> reader = open(fs);
  ASSERT_TRUE(reader);
  EXPECT_EQ(reader->base(), filled<SnapshotId>(1));
}

TEST(LocalState, ABaseCannotBeSwappedIn) {
  support::MemFs fs;
  ASSERT_TRUE(write(fs, sample(5)));
  Bytes bytes = contents(fs);
  std::fill_n(bytes.end() - kStateTrailerBytes, SnapshotId::kBytes, 0x77);
  put(fs, bytes);
  EXPECT_FALSE(open(fs));
}

TEST(LocalState, LeavesTheOldOneAloneUntilItIsFinished) {
  support::MemFs fs;
  const std::vector<Remembered> entries = sample(50);
  ASSERT_TRUE(write(fs, entries));
  {
    Result<StateWriter> writer = StateWriter::create(fs, kPath, state_key(), kBinding);
    ASSERT_TRUE(writer.has_value());
    ASSERT_TRUE(writer->add(entries[0]));
  }
  std::optional<StateReader> reader = open(fs);
  ASSERT_TRUE(reader);
  EXPECT_EQ(count_found(*reader, entries), entries.size());
  EXPECT_EQ(fs.list("/")->size(), 1u);  // and no temporary file
}

TEST(LocalState, ReplacesATemporaryFileThatACrashLeftBehind) {
  support::MemFs fs;
  {
    auto file = fs.create(std::string(kPath) + ".new", 0600);
  }
  ASSERT_TRUE(write(fs, sample(5)));
  EXPECT_TRUE(open(fs));
}

TEST(LocalState, RemovesItsOwnLeftoversAndNothingElse) {
  support::MemFs fs;
  const std::string leftover = "/chunks-" + std::string(32, 'a');
  const std::vector<std::string> others = {"/chunks-of-somebody", "/chunks-" + std::string(32, 'A'), leftover + "b"};
  for (const std::string& one : others) ASSERT_TRUE(fs::replace_file(fs, one, as_bytes("theirs"), 0600));
  ASSERT_TRUE(fs::replace_file(fs, leftover, as_bytes("ours"), 0600));
  ASSERT_TRUE(write(fs, sample(10)));
  for (const std::string& one : others) EXPECT_TRUE(fs.stat(one)) << one;
  EXPECT_FALSE(fs.stat(leftover));
}

TEST(LocalState, IsTheOldOrTheNewWhereverItCrashes) {
  const std::vector<Remembered> old_entries = sample(30, 1), new_entries = sample(30, 2);
  for (const support::CrashMode mode : support::kCrashModes) {
    bool done = false;
    for (std::uint64_t step = 0; !done; ++step) {
      SCOPED_TRACE(support::crash_mode_name(mode) + ", step " + std::to_string(step));
      support::FaultyFs fs;
      ASSERT_TRUE(write(fs, old_entries, filled<SnapshotId>(1)));
      fs.crash_after(step);
      const Status written = write(fs, new_entries, filled<SnapshotId>(2), 9);
      done = !fs.crashed();
      fs.reboot(mode, step);
      std::optional<StateReader> reader = open(fs);
      ASSERT_TRUE(reader);
      const bool is_new = reader->base() == filled<SnapshotId>(2);
      EXPECT_TRUE(is_new || !written);
      const std::vector<Remembered>& expected = is_new ? new_entries : old_entries;
      EXPECT_EQ(count_found(*reader, expected), expected.size());
    }
  }
}

TEST(LocalState, ReportsAFullDiskAndKeepsTheOldOne) {
  support::FaultyFs fs;
  const std::vector<Remembered> entries = sample(30);
  ASSERT_TRUE(write(fs, entries));
  fs.fail_on(support::Operation::Write, ".new", Errc::DiskFull);
  const Status written = write(fs, entries, filled<SnapshotId>(2));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Errc::DiskFull);
  EXPECT_EQ(open(fs)->base(), kBase);
}

TEST(LocalState, RemembersLongExtentLists) {
  support::MemFs fs;
  support::SeededRandom random(6);
  Remembered big{file_entry("/big"), std::nullopt, {1, 2, 3, 4, 5}, {}, {}, {}};
  give_extents(big.entry, 40'000, random);
  ASSERT_TRUE(write(fs, {big}));
  std::optional<StateReader> reader = open(fs);
  ASSERT_TRUE(reader);
  const std::optional<Remembered> found = reader->find("www", "/big");
  ASSERT_TRUE(found);
  EXPECT_TRUE(same(*found, big));
}

TEST(LocalState, IsReadAndWrittenAsInTheVector) {
  for (const auto& c : holdfast::testing::read_vectors("state/good.txt")) {
    support::MemFs fs;
    put(fs, c["file"]);
    std::optional<StateReader> reader = open(fs);
    ASSERT_TRUE(reader);
    EXPECT_EQ(reader->base(), c.id<SnapshotId>("base"));
    std::vector<Remembered> entries;
    for (const char* path : {"/", "/f", "/l"}) {
      std::optional<Remembered> found = reader->find("www", path);
      ASSERT_TRUE(found) << path;
      entries.push_back(*std::move(found));
    }
    EXPECT_EQ(entries[1].stat,
              (manifest::StatIdentity{5000, 1'767'225'600'000'000'000, 1'767'225'600'000'000'001, 77, 2049}));
    EXPECT_EQ(entries[1].entry.extents,
              (std::vector<manifest::Extent>{{{filled<BlobId>(0xb1), filled<RunId>(0x11)}, 100, 5000}}));
    EXPECT_EQ(entries[2].entry.link_target, "f");

    const Bytes body = encode_block(entries);
    EXPECT_EQ(body, to_bytes(ByteSpan(c["file"]).subspan(kHeaderBytes, body.size())));
    EXPECT_EQ(entries[1].list, (dedup::ListRef{0, 7, 2}));
    const blob::BlobRef blob{filled<BlobId>(0xb1), filled<RunId>(0x11)};
    ASSERT_NE(reader->usage().find(blob), nullptr);
    EXPECT_EQ(reader->usage().find(blob)->raw_bytes, 9000u);
    EXPECT_TRUE(reader->usage().is_retired(blob));
    ASSERT_EQ(reader->list_files().size(), 1u);
    EXPECT_EQ(reader->list_files()[0].nonce, filled<FileNonce>(0x4c));
    const Bytes about = encode_about({reader->list_files(), reader->usage()});
    EXPECT_EQ(kHeaderBytes + body.size() + about.size() + kTableItemBytes + kStateTrailerBytes, c["file"].size());
    EXPECT_EQ(about, to_bytes(ByteSpan(c["file"]).subspan(kHeaderBytes + body.size(), about.size())));
  }
}

TEST(BlockReader, SurvivesHostileBytes) {
  // The MAC keeps these away; the decoder does not rely on it.
  const Bytes body = encode_block(sample(30));
  const auto drain = [](Bytes bytes) {
    Result<BlockReader> reader = BlockReader::open(std::move(bytes));
    if (!reader) return false;
    for (;;) {
      Result<std::optional<Remembered>> next = reader->next();
      if (!next) return false;
      if (!*next) return true;
    }
  };
  EXPECT_TRUE(drain(body));
  for (std::size_t n = 0; n < body.size(); ++n)
    EXPECT_FALSE(drain(Bytes(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(n)))) << n;
  for (std::size_t i = 0; i < body.size(); ++i) {
    Bytes flipped = body;
    flipped[i] ^= 0x41;
    (void)drain(flipped);
  }
}

TEST(Receipt, IsReplacedWhole) {
  support::MemFs fs;
  ASSERT_TRUE(write_receipt(fs, "/receipt", as_bytes("one")));
  ASSERT_TRUE(write_receipt(fs, "/receipt", as_bytes("two")));
  EXPECT_EQ(as_text(*fs::read_file(fs, "/receipt", 100)), "two");
}

}  // namespace
}  // namespace holdfast::state
