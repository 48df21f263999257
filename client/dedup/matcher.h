#pragma once
// Why: the one entrance to deduplication: known chunks in, places of new chunks out. Restore knows nothing of it, and
// nothing here can make a restore wrong: an entry's content digest is made from the bytes as read.
// Memory is bounded whatever is known: a window of kWindowBlocks blocks slides over the content's previous version beside
// the new bytes; a sparse sample of everything known finds what moved further, or came from another file.

#include <boost/unordered/unordered_flat_map.hpp>
#include <functional>

#include "client/dedup/known.h"

namespace holdfast::dedup {

inline constexpr std::size_t kWindowBlocks =
    64;  ///< 230,000 chunks, about 10 MiB: 120 MiB of a stream, 1.8 GiB of files
inline constexpr std::size_t kBlocksAhead =
    24;  ///< at most, of where the new bytes are expected in the previous version
inline constexpr std::size_t kBlocksBehind = 4;

/// One thread at a time.
class Matcher {
 public:
  /// `usable`: false for blobs that must not be referred to any more (see plan_rewrites). Both must outlive it.
  using Usable = std::function<bool(const blob::BlobRef&)>;
  Matcher(KnownBlocks& known, Usable usable);

  /// A new content begins; `previous`: its chunks in the base snapshot, if it was there.
  void begin(chunking::Class chunk_class, const std::optional<ListRef>& previous);
  /// Where a chunk of this content with this image and length already stands. Chunks in content order.
  std::optional<Location> find(const Image& image, std::uint32_t bytes);
  /// So far this content is its previous version (but for that one's last chunk, which its end cut short) and what
  /// follows: a file to which somebody appends. Of a previous version of one chunk nothing can be said.
  bool only_grew() const { return previous_ && previous_->count > 1 && in_step_ + 1 >= previous_->count; }
  /// What is held in memory: at most kWindowBlocks, and a line for each of their chunks.
  std::size_t resident_blocks() const { return loaded_.size(); }
  std::size_t resident_chunks() const { return places_.size(); }

 private:
  struct Place {
    std::uint32_t slot = 0, index = 0;
  };
  struct Slot {
    BlockAddress address;
    KnownBlock block;
    std::uint64_t used = 0;  ///< tick of last use
  };
  struct Position {
    std::uint32_t file = 0;
    std::uint64_t chunk = 0;
  };

  std::optional<Location> answer(const Place& place, const Image& image, std::uint32_t bytes);
  std::optional<Place> at_cursor();
  std::optional<Place> in_window(const Image& image) const;
  void slide();
  std::optional<std::uint32_t> slot_of(const BlockAddress& address);
  std::optional<std::uint32_t> load(const BlockAddress& address);
  std::uint32_t free_slot();
  void forget(std::uint32_t slot);

  KnownBlocks& known_;
  const Usable usable_;
  std::vector<Slot> slots_;
  std::uint64_t tick_ = 0;
  boost::unordered_flat_map<BlockAddress, std::uint32_t, std::size_t (*)(const BlockAddress&)> loaded_;
  boost::unordered_flat_map<std::uint64_t, Place> places_;  ///< by the first half of the image

  chunking::Class class_ = chunking::Class::Files;
  std::optional<ListRef> previous_;
  std::uint64_t seen_ = 0;                ///< chunks of this content
  std::uint64_t in_step_ = 0;             ///< of them, from the first on, that are those of `previous_`
  std::int64_t shift_ = 0;                ///< how far the last match in `previous_` stood from its own number
  std::optional<std::uint64_t> slid_to_;  ///< block around which the window was last laid
  std::size_t ahead_ = kBlocksAhead;      ///< how far it was laid
  std::optional<Position> cursor_;        ///< the chunk behind the last match
};

}  // namespace holdfast::dedup
