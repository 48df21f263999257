#pragma once
// Contents too long to keep: any place of them can be made again. And what cutting and grouping made of one.

#include <algorithm>
#include <cstring>

#include "client/chunking/splitter.h"
#include "tests/client/chunking/sample_data.h"

namespace holdfast::chunking::testing {

enum class Kind : std::uint64_t { Random = 1, Text = 2 };

/// The same for the same kind, whoever asks for whichever part. One thread at a time.
class LongContent {
 public:
  static constexpr std::size_t kBlockBytes = 64u << 10;
  explicit LongContent(Kind kind) : kind_(kind) {}

  void fill_block(std::uint64_t number, std::uint8_t* out) const {
    std::uint64_t state = (number + 1) * 0x9E3779B97F4A7C15u ^ static_cast<std::uint64_t>(kind_) << 56;
    for (int i = 0; i < 4; ++i) (void)next(state);
    kind_ == Kind::Random ? fill_random(state, out) : fill_text(state, out);
  }
  Bytes part(std::uint64_t offset, std::size_t bytes) const {
    const std::uint64_t first = offset / kBlockBytes, last = (offset + bytes + kBlockBytes - 1) / kBlockBytes;
    Bytes blocks(static_cast<std::size_t>(last - first) * kBlockBytes);
    for (std::uint64_t i = first; i < last; ++i)
      fill_block(i, blocks.data() + static_cast<std::size_t>(i - first) * kBlockBytes);
    const auto at = blocks.begin() + static_cast<std::ptrdiff_t>(offset - first * kBlockBytes);
    return {at, at + static_cast<std::ptrdiff_t>(bytes)};
  }

 private:
  static std::uint64_t next(std::uint64_t& state) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
  }
  static void fill_random(std::uint64_t state, std::uint8_t* out) {
    for (std::size_t i = 0; i < kBlockBytes; i += 8) {
      const std::uint64_t word = next(state);
      std::memcpy(out + i, &word, 8);
    }
  }
  /// Words in lines, as prose or logs have them: a few common ones, many rare ones, numbers between.
  static void fill_text(std::uint64_t state, std::uint8_t* out) {
    constexpr std::string_view kSyllables = "re con ver ta mi lo ser vi ce er ror la ter pa ge mo de ba ck up ";
    std::size_t at = 0;
    while (at + 32 <= kBlockBytes) {
      std::uint64_t word = next(state);
      for (std::uint64_t n = 1 + (word >> 62); n > 0; --n, word >>= 4) {
        std::memcpy(out + at, kSyllables.data() + (word & 15) * 3, 3);
        at += 3;
      }
      out[at++] = static_cast<std::uint8_t>((word & 7) == 0 ? '\n' : ((word & 56) == 0 ? '0' + (word >> 8) % 10 : ' '));
    }
    std::fill(out + at, out + kBlockBytes, std::uint8_t{'\n'});
  }
  Kind kind_;
};

/// One chunk of a long content: all that grouping asks of it.
struct Cut {
  std::uint64_t end = 0;
  std::uint32_t bytes = 0;
  std::uint64_t fingerprint = 0;  ///< its first eight bytes

  static Cut of(const crypto::Key& fingerprint_key, ByteSpan chunk, std::uint64_t start) {
    const Fingerprint whole = chunking::fingerprint(fingerprint_key, chunk);
    return {start + chunk.size(), static_cast<std::uint32_t>(chunk.size()), ByteReader(whole.bytes).u64()};
  }
  Fingerprint as_fingerprint() const {
    ByteWriter front;
    front.u64(fingerprint);
    Fingerprint out;
    std::copy(front.span().begin(), front.span().end(), out.bytes.begin());
    return out;
  }
};

/// True when a group ended before or with this chunk; `end` is where.
inline bool add_to_group(Grouper& grouper, const Cut& cut, std::uint64_t* end) {
  if (!grouper.fits(cut.bytes)) {
    grouper.reset();
    *end = cut.end - cut.bytes;
    (void)grouper.add(cut.as_fingerprint(), cut.bytes);
    return true;
  }
  *end = cut.end;
  return grouper.add(cut.as_fingerprint(), cut.bytes);
}

struct CutContent {
  std::vector<Cut> cuts;
  std::vector<std::uint64_t> group_ends;  ///< without the end of the content
};

inline CutContent cut_long(const LongContent& content, std::uint64_t bytes, const Chunker& chunker,
                           const crypto::Key& fingerprint_key) {
  CutContent out;
  Grouper grouper;
  Splitter splitter(chunker);
  const Splitter::Emit emit = [&](ByteSpan chunk) -> Status {
    const std::uint64_t start = out.cuts.empty() ? 0 : out.cuts.back().end;
    out.cuts.push_back(Cut::of(fingerprint_key, chunk, start));
    std::uint64_t end = 0;
    if (add_to_group(grouper, out.cuts.back(), &end)) out.group_ends.push_back(end);
    return {};
  };
  HF_ASSERT(bytes % LongContent::kBlockBytes == 0);
  Bytes block(LongContent::kBlockBytes);
  for (std::uint64_t i = 0; i < bytes / LongContent::kBlockBytes; ++i) {
    content.fill_block(i, block.data());
    HF_ASSERT(splitter.add(block, emit).has_value());
  }
  HF_ASSERT(splitter.end_region(emit).has_value());
  HF_ASSERT(out.cuts.back().end == bytes);
  return out;
}

}  // namespace holdfast::chunking::testing
