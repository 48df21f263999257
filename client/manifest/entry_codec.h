#pragma once
// Why: the bytes of one entry, as leaves of the manifest and blocks of the local state hold them (FORMAT.md, section 3).
// Blobs are named by their place in a sorted table that stands elsewhere: a leaf's clear child list, a block's own table.
// Paths are compressed against the entry before. Canonical: an entry has one encoding after a given predecessor.

#include <optional>
#include <vector>

#include "client/manifest/entry.h"

namespace holdfast::manifest {

/// A list of extents that stands in segments of its own.
struct Spill {
  blob::BlobRef root;       ///< an Extents segment
  std::uint64_t count = 0;  ///< extents in all of it
};

/// The table behind reference numbers, and which of them were used. One thread at a time.
class RefTable {
 public:
  /// `refs` sorted and unique.
  explicit RefTable(std::vector<blob::BlobRef> refs) : refs_(std::move(refs)), used_(refs_.size(), false) {}
  /// HF_ASSERTs that it is there.
  std::size_t index_of(const blob::BlobRef& ref) const;
  /// nullptr beyond the table; else marks it as used.
  const blob::BlobRef* use(std::uint64_t index);
  bool all_used() const;
  const std::vector<blob::BlobRef>& refs() const { return refs_; }

 private:
  std::vector<blob::BlobRef> refs_;
  std::vector<bool> used_;
};

/// Appends `entry`, which follows `previous` (nullptr: the first). `spill`: written instead of the extents.
void encode_entry(ByteWriter& out, const Entry& entry, const Entry* previous, const std::optional<Spill>& spill,
                  const RefTable& refs);

struct DecodedEntry {
  Entry entry;  ///< without extents when `spill` is set
  std::optional<Spill> spill;
};
/// Reads one entry of untrusted bytes. Key order against `previous` is checked; check_entry is left to the caller, who
/// first fetches spilled extents. Errors: Corrupt, Limit, TooNew.
Result<DecodedEntry> decode_entry(ByteReader& in, const Entry* previous, RefTable& refs);

void encode_extent(ByteWriter& out, const Extent& extent, const RefTable& refs);
/// A malformed extent fails the reader.
Extent decode_extent(ByteReader& in, RefTable& refs);
inline constexpr std::size_t kMinExtentBytes = 2;

/// A key, owned by someone else.
struct KeyView {
  std::string_view source, path;
};
inline KeyView key_of(const Entry& entry) { return {entry.source, entry.path}; }
std::strong_ordering compare(const KeyView& a, const KeyView& b);
/// A key of its own, as index segments hold them.
struct EntryKey {
  std::string source, path;
  KeyView view() const { return {source, path}; }
};
/// Compressed against the key before (nullptr: the first).
void encode_key(ByteWriter& out, const KeyView& key, const KeyView* previous);
/// Errors: Corrupt when it does not follow `previous`, is not in its shortest form, or breaks the path rule.
Result<EntryKey> decode_key(ByteReader& in, const KeyView* previous);

/// Bytes that a key takes behind `previous` (nullptr: it is the first).
std::size_t key_bytes(const KeyView& key, const KeyView* previous);
/// Bytes that the entry takes behind `previous` (nullptr: it is the first), numbers of blobs counted as two bytes each.
std::size_t encoded_bytes(const Entry& entry, const Entry* previous, bool spilled);
/// Bytes that the entry takes at most, without source and path: the same wherever the entry stands.
std::size_t body_bytes(const Entry& entry, bool spilled);

}  // namespace holdfast::manifest
