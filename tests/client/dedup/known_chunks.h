#pragma once
// What is known, in memory: files of chunk lists whose chunks are numbers, with blocks that can be damaged, and a count
// of what was loaded.

#include <cstring>
#include <map>
#include <set>

#include "client/dedup/known.h"

namespace holdfast::dedup::testing {

/// Image of chunk `number`, spread like a real one.
inline Image image(std::uint64_t number) {
  const auto mix = [](std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
  };
  const std::uint64_t halves[] = {mix(number + 1), mix(number + 0x9E3779B97F4A7C15u)};
  Image made;
  std::memcpy(made.bytes.data(), halves, made.bytes.size());
  return made;
}
constexpr std::uint32_t kBytes = 1000;  ///< of every chunk

inline blob::BlobRef blob_of(std::uint64_t number) {
  blob::BlobRef ref;
  ByteWriter out;
  out.u64(number * 0x9E3779B97F4A7C15u + 1).u64(number);
  std::copy(out.span().begin(), out.span().end(), ref.blob.bytes.begin());
  ref.run.bytes.fill(0x11);
  return ref;
}
constexpr std::uint64_t kPerBlob = 1000;

/// Each chunk that is added stands behind the one before, `kPerBlob` in a blob, in a new blob for every file.
class KnownChunks final : public KnownBlocks {
 public:
  ListRef add_list(std::uint32_t file, const std::vector<std::uint64_t>& numbers) {
    std::vector<std::uint64_t>& chunks = files_[file];
    const ListRef list{file, chunks.size(), numbers.size()};
    for (const std::uint64_t number : numbers) {
      const BlockAddress block{file, chunks.size() / kBlockChunks};
      samples_.try_emplace(number_of(image(number)), block);
      chunks.push_back(number);
    }
    return list;
  }
  /// Where the chunk at this position of a file stands.
  static Location where(std::uint32_t file, std::uint64_t position) {
    return {blob_of(file * 1'000'000 + position / kPerBlob), static_cast<std::uint32_t>(position % kPerBlob) * kBytes};
  }

  std::optional<KnownBlock> load(const BlockAddress& address) override {
    ++loads;
    const auto file = files_.find(address.file);
    if (damaged.contains(address) || file == files_.end()) return std::nullopt;
    const std::vector<std::uint64_t>& chunks = file->second;
    const std::uint64_t first = address.block * kBlockChunks;
    if (first >= chunks.size()) return std::nullopt;
    KnownBlock block;
    const std::uint64_t end = std::min<std::uint64_t>(chunks.size(), first + kBlockChunks);
    block.chunks.reserve(static_cast<std::size_t>(end - first));
    for (std::uint64_t i = first; i < end; ++i) {
      if (i == first || i % kPerBlob == 0) block.refs.push_back(where(address.file, i).blob);
      block.chunks.push_back({image(chunks[i]), kBytes, static_cast<std::uint32_t>(i % kPerBlob) * kBytes,
                              static_cast<std::uint32_t>(block.refs.size() - 1)});
    }
    return block;
  }
  std::optional<BlockAddress> find_sampled(const Image& wanted) override {
    ++asked;
    const auto found = samples_.find(number_of(wanted));
    return found == samples_.end() ? std::nullopt : std::optional(found->second);
  }

  std::set<BlockAddress> damaged;
  std::size_t loads = 0, asked = 0;

 private:
  std::map<std::uint32_t, std::vector<std::uint64_t>> files_;
  std::map<std::uint64_t, BlockAddress> samples_;
};

inline std::vector<std::uint64_t> numbers(std::uint64_t from, std::uint64_t count) {
  std::vector<std::uint64_t> out(count);
  for (std::uint64_t i = 0; i < count; ++i) out[i] = from + i;
  return out;
}

}  // namespace holdfast::dedup::testing
