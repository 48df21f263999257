// Half a gibibyte of random bytes and as much of text through chunker and grouper: sizes of chunks and blobs, and how soon
// an edited content is in step again. Nothing is kept but 24 bytes a chunk; bytes are made again where they are needed.
#include "tests/client/chunking/long_content.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>

#include "tests/support/seeded_random.h"

namespace holdfast::chunking {
namespace {

using namespace testing;

constexpr std::uint64_t kBytes = 512u << 20;

Chunker chunker_of(std::uint8_t key) { return {make_gear_table(counting_key(key)), Class::Files}; }

class LongContents : public ::testing::TestWithParam<Kind> {
 protected:
  /// Cut once for all tests.
  static const CutContent& cut(Kind kind) {
    static std::map<Kind, CutContent> made;
    const auto [at, fresh] = made.try_emplace(kind);
    if (fresh) at->second = cut_long(LongContent(kind), kBytes, chunker_of(0), counting_key(1));
    return at->second;
  }
};
std::string name_of(const ::testing::TestParamInfo<Kind>& one) { return one.param == Kind::Random ? "Random" : "Text"; }
INSTANTIATE_TEST_SUITE_P(Of, LongContents, ::testing::Values(Kind::Random, Kind::Text), &name_of);

/// Share of chunks longer than `bytes`, from the masks alone: every place may end a chunk with the same chance.
double expected_share_beyond(const Shape& shape, std::size_t bytes) {
  const auto span = [&](double to) { return std::max(0.0, std::min<double>(static_cast<double>(bytes), to)); };
  const double small = std::max(0.0, span(shape.normal_bytes) - shape.min_bytes);
  const double large = std::max(0.0, span(shape.max_bytes) - shape.normal_bytes);
  return std::exp(-small * std::exp2(-static_cast<int>(shape.small_bits)) -
                  large * std::exp2(-static_cast<int>(shape.large_bits)));
}

TEST_P(LongContents, HaveChunksOfTheSizesThatTheMasksPromise) {
  const Shape shape = shape_of(Class::Files, 0);
  const CutContent& content = cut(GetParam());
  const double count = static_cast<double>(content.cuts.size());
  EXPECT_NEAR(static_cast<double>(kBytes) / count, 8192, 0.02 * 8192);
  const std::size_t marks[] = {3000, 4096, 6000, 7000, 8192, 10000, 12000, 16384};
  std::map<std::size_t, std::size_t> beyond;
  for (std::size_t i = 0; i + 1 < content.cuts.size(); ++i) {
    ASSERT_GE(content.cuts[i].bytes, shape.min_bytes);
    ASSERT_LE(content.cuts[i].bytes, shape.max_bytes);
    for (const std::size_t mark : marks) beyond[mark] += content.cuts[i].bytes > mark;
  }
  for (const std::size_t mark : marks) {  // 65,000 chunks: one in a hundred is five deviations
    EXPECT_NEAR(static_cast<double>(beyond[mark]) / count, expected_share_beyond(shape, mark), 0.01) << mark;
  }
}

TEST_P(LongContents, HaveBlobsOfTheSizesThatTheGrouperPromises) {
  const std::vector<std::uint64_t>& ends = cut(GetParam()).group_ends;
  std::uint64_t last = 0;
  std::size_t beyond_target = 0;
  for (const std::uint64_t end : ends) {
    ASSERT_GE(end - last, 256u << 10);
    ASSERT_LE(end - last, kMaxGroupBytes);
    beyond_target += end - last > (1u << 20);
    last = end;
  }
  const double count = static_cast<double>(ends.size());  // about 512: the mean is known within 4 %
  EXPECT_NEAR(static_cast<double>(kBytes) / count, 1 << 20, 0.15 * (1 << 20));
  EXPECT_NEAR(static_cast<double>(beyond_target) / count, std::exp(-1.0), 0.09);  // 786,432 bytes past the minimum
}

constexpr std::size_t kNever = 100;

/// One edit of a long content, and how many blobs it takes until an end of theirs is an old one.
class Edit {
 public:
  Edit(const LongContent& content, const CutContent& old, std::uint64_t place, std::size_t removed, Bytes inserted)
      : content_(content), old_(old), place_(place), removed_(removed), inserted_(std::move(inserted)) {}

  /// Cuts and fingerprints every chunk from the blob of the edit on.
  std::size_t blobs_in_full(const Chunker& chunker, const crypto::Key& key) { return blobs(chunker, key, false); }
  /// Takes over the chunks before the edit, and those after it once a cut is an old one: from there on the same bytes
  /// follow, and `next` looks at nothing else.
  std::size_t blobs_quickly(const Chunker& chunker, const crypto::Key& key) { return blobs(chunker, key, true); }

 private:
  std::size_t blobs(const Chunker& chunker, const crypto::Key& key, bool quickly) {
    const auto after = std::upper_bound(old_.group_ends.begin(), old_.group_ends.end(), place_);
    const std::uint64_t base = after == old_.group_ends.begin() ? 0 : *(after - 1);
    auto at_old = first_behind(base);
    count_ = 0;
    grouper_.reset();
    std::uint64_t start = base;
    if (quickly) {
      for (; at_old->end <= place_; ++at_old) {
        if (in_step(*at_old)) return kNever;  // the old content has no end here
        start = at_old->end;
      }
    }
    const Bytes bytes = edited(start, quickly ? 256u << 10 : 12u << 20);
    for (std::size_t at = 0; at + kMaxChunkBytes < bytes.size();) {
      const std::size_t n = chunker.next(ByteSpan(bytes).subspan(at), false, start + at);
      if (in_step(Cut::of(key, ByteSpan(bytes).subspan(at, n), start + at))) return count_;
      at += n;
      if (quickly && is_old_cut(start + at)) return blobs_of_old_chunks(start + at);
    }
    return quickly ? blobs(chunker, key, false) : kNever;
  }
  std::size_t blobs_of_old_chunks(std::uint64_t from) {
    for (auto at = first_behind(from - growth()); at != old_.cuts.end(); ++at) {
      Cut moved = *at;
      moved.end += growth();
      if (in_step(moved)) return count_;
    }
    return kNever;
  }
  /// Takes the next chunk; true when a blob beyond the edit ends where an old one did.
  bool in_step(const Cut& cut) {
    std::uint64_t end = 0;
    if (!add_to_group(grouper_, cut, &end)) return false;
    ++count_;
    return end - growth() > place_ &&
           std::binary_search(old_.group_ends.begin(), old_.group_ends.end(), end - growth());
  }
  bool is_old_cut(std::uint64_t end) const {
    if (end < place_ + inserted_.size() || end - growth() < place_ + removed_) return false;
    const auto at = first_behind(end - growth());
    return at != old_.cuts.begin() && (at - 1)->end == end - growth();
  }
  std::vector<Cut>::const_iterator first_behind(std::uint64_t offset) const {
    return std::upper_bound(old_.cuts.begin(), old_.cuts.end(), offset,
                            [](std::uint64_t o, const Cut& cut) { return o < cut.end; });
  }
  std::uint64_t growth() const { return inserted_.size() - removed_; }  // modulo 2^64
  /// The new content from `start`, which lies before the place, on.
  Bytes edited(std::uint64_t start, std::size_t bytes) const {
    Bytes out = content_.part(start, bytes);
    const auto at = out.begin() + static_cast<std::ptrdiff_t>(place_ - start);
    out.erase(at, at + static_cast<std::ptrdiff_t>(removed_));
    out.insert(out.begin() + static_cast<std::ptrdiff_t>(place_ - start), inserted_.begin(), inserted_.end());
    return out;
  }

  const LongContent& content_;
  const CutContent& old_;
  std::uint64_t place_;
  std::size_t removed_;
  Bytes inserted_;
  Grouper grouper_;
  std::size_t count_ = 0;
};

TEST_P(LongContents, AreBackInStepWithinThreeBlobsAfterInsertOrDelete) {
  constexpr std::uint64_t kSeed = 18;
  SCOPED_TRACE(::testing::Message() << "seed " << kSeed);
  constexpr int kPlaces = 1000, kInFullEvery = 100;
  support::SeededRandom random(kSeed);
  const LongContent content(GetParam());
  const CutContent& old = cut(GetParam());
  const Chunker chunker = chunker_of(0);
  const crypto::Key key = counting_key(1);
  std::array<int, 6> taken{};
  for (int i = 0; i < kPlaces; ++i) {
    const std::uint64_t place = random.below(kBytes - (16u << 20));
    const std::size_t edit_bytes = 1 + random.below(1000);
    const bool inserts = random.below(2) == 0;
    Edit edit(content, old, place, inserts ? 0 : edit_bytes, inserts ? random.bytes(edit_bytes) : Bytes());
    const std::size_t blobs = edit.blobs_quickly(chunker, key);
    if (i % kInFullEvery == 0) {
      EXPECT_EQ(edit.blobs_in_full(chunker, key), blobs) << "place " << place;
    }
    ++taken[std::min<std::size_t>(blobs, 5)];
  }
  EXPECT_EQ(taken[0] + taken[4] + taken[5], 0) << "after 1: " << taken[1] << ", 2: " << taken[2] << ", 3: " << taken[3];
}

TEST_P(LongContents, OfTwoDomainsShareNoBlobEndsBeyondChance) {
  // An eighth is enough: about 64 blob ends each among 8,000 chunks of which the keys share next to none.
  constexpr std::uint64_t kPart = kBytes / 8;
  std::vector<std::uint64_t> a = cut(GetParam()).group_ends;
  a.erase(std::upper_bound(a.begin(), a.end(), kPart), a.end());
  const std::vector<std::uint64_t> b =
      cut_long(LongContent(GetParam()), kPart, chunker_of(5), counting_key(6)).group_ends;
  std::vector<std::uint64_t> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  EXPECT_LE(both.size(), 1u);  // by chance 64 · 64 / 2^26: one in 16,000
}

}  // namespace
}  // namespace holdfast::chunking
