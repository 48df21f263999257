#pragma once
// Why: a stream is read in the order of its content and its blobs come again at any distance. Who knows where a blob is
// needed for the last time keeps no blob longer, and none too short.

#include <cstdint>
#include <vector>

#include "common/blob/blob.h"

namespace holdfast::restore {

/// For each blob of one extent list the number of the last extent that names it: 10 to 15 bytes a blob. Blobs are told
/// apart by 39 bits of their names, which are keyed digests: should two be taken for one, both count as needed until the
/// later one's last use, and are kept a little longer. One thread at a time.
class LastUse {
 public:
  LastUse();
  /// Extents are numbered from 0 in their order, as kMaxEntryExtents allows.
  void note(const blob::BlobRef& blob, std::uint64_t extent);
  /// Of a blob that was noted (HF_ASSERT).
  std::uint64_t of(const blob::BlobRef& blob) const;
  /// Remembers that it has been fetched; true: it had been before.
  bool mark_fetched(const blob::BlobRef& blob);
  std::size_t blobs() const { return used_; }
  std::size_t memory_bytes() const { return slots_.capacity() * sizeof(std::uint64_t); }

 private:
  std::size_t find(std::uint64_t key) const;
  void grow();

  std::vector<std::uint64_t> slots_;  // 39 bits of key, fetched, 24 bits of extent; 0: free
  std::size_t used_ = 0;
};

}  // namespace holdfast::restore
