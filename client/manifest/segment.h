#pragma once
// Why: the plaintext of the three kinds of segment, and what names and cuts them (FORMAT.md, sections 4 to 7).
// Decoders take the bytes of an opened blob: authenticated, yet written by whoever held the keys, hence checked.

#include <string>
#include <vector>

#include "client/manifest/entry_codec.h"
#include "client/manifest/manifest.h"

namespace holdfast::manifest {

inline constexpr std::uint8_t kSegmentVersion = 1;  // frozen

/// BLAKE2b-256(K_blob, "segment" ‖ type ‖ digest of the child list ‖ plaintext): equal ids mean equal subtrees.
BlobId segment_id(const crypto::Key& blob_key, blob::Type type, const std::vector<blob::BlobRef>& children,
                  ByteSpan plaintext);

/// Says where segments end, by a keyed hash of what stands last in them, independently on each level. Immutable, thread-safe.
class CutRule {
 public:
  explicit CutRule(const crypto::Key& blob_key);
  /// A number that depends on key, level and the entry's key only.
  std::uint64_t of_key(unsigned level, const KeyView& key) const;
  std::uint64_t of_extent(unsigned level, const Extent& extent) const;

 private:
  std::uint64_t hash(ByteSpan bytes) const;
  crypto::Key key_;
};

/// One line of an index segment: a subtree's first key and how many entries it holds.
struct IndexItem {
  EntryKey first;
  std::uint64_t entries = 0;
  blob::BlobRef child;
};
struct IndexSegment {
  unsigned level = 1;            ///< 1 above leaves, and so on
  std::vector<IndexItem> items;  ///< in key order, at least one
};
Bytes encode_index(const IndexSegment& segment, const RefTable& refs);
/// Errors: Corrupt, TooNew, Limit. Every child was referred to.
Result<IndexSegment> decode_index(ByteSpan plaintext, std::vector<blob::BlobRef> children);

/// One line of an extent segment above level 0.
struct ExtentItem {
  std::uint64_t extents = 0;
  std::uint64_t bytes = 0;
  blob::BlobRef child;
};
struct ExtentSegment {
  unsigned level = 0;
  std::vector<Extent> extents;    ///< level 0
  std::vector<ExtentItem> items;  ///< above it
};
Bytes encode_extents(const ExtentSegment& segment, const RefTable& refs);
Result<ExtentSegment> decode_extents(ByteSpan plaintext, std::vector<blob::BlobRef> children);

/// Reads a leaf's entries one after the other. `plaintext` must outlive it. One thread at a time.
class LeafReader {
 public:
  /// Errors: Corrupt, TooNew.
  static Result<LeafReader> open(ByteSpan plaintext, std::vector<blob::BlobRef> children);
  std::uint64_t entries() const { return count_; }
  /// nullopt after the last entry, once every child was found to be referred to and nothing is left over.
  Result<std::optional<DecodedEntry>> next();

 private:
  LeafReader(ByteReader in, std::vector<blob::BlobRef> children, std::uint64_t count)
      : in_(in), refs_(std::move(children)), count_(count) {}
  ByteReader in_;
  RefTable refs_;
  std::uint64_t count_;
  std::uint64_t read_ = 0;
  std::optional<Entry> previous_;  ///< key and owner only
};

/// One entry of a leaf that is about to be written.
struct LeafItem {
  Entry entry;  ///< without extents when `spill` is set
  std::optional<Spill> spill;
};
Bytes encode_leaf(const std::vector<LeafItem>& items, const RefTable& refs);

}  // namespace holdfast::manifest
