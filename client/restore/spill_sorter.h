#pragma once
// Why: a tree may have more extents than memory holds, and they must be grouped by the blobs that they stand in. Sorts
// records of one size by their bytes: in memory while they fit, else in sorted runs that are merged from the disk.

#include "client/restore/spill_file.h"

namespace holdfast::restore {

/// One thread at a time. Memory: about `memory_bytes`, however much is added.
class SpillSorter {
 public:
  static constexpr std::size_t kMemoryBytes = 16u << 20;

  /// `make_file` is asked when the first run must leave the memory.
  SpillSorter(std::size_t record_bytes, MakeFile make_file, std::size_t memory_bytes = kMemoryBytes);
  /// `record` has exactly `record_bytes`. Errors: DiskFull, Io.
  Status add(ByteSpan record);
  /// Every record in ascending order of its bytes; equal ones one after the other. Once. Errors: those of `take`; DiskFull, Io.
  Status finish(const std::function<Status(ByteSpan record)>& take);
  std::size_t runs() const { return runs_.size(); }  ///< on the disk

 private:
  using Take = std::function<Status(ByteSpan)>;
  struct Run {
    std::uint64_t from, to;  // in file_
  };
  std::vector<std::size_t> sorted() const;
  Status spill();
  Status merge(const std::vector<Run>& runs, const Take& take) const;
  Status merge_some();

  const std::size_t record_bytes_;
  const MakeFile make_file_;
  const std::size_t memory_bytes_;
  Bytes buffer_;  // whole records
  Descriptor file_;
  std::uint64_t file_bytes_ = 0;
  std::vector<Run> runs_;
};

}  // namespace holdfast::restore
