#pragma once
// Why: a blob that a stream needs again later is not fetched again: its record waits, as sealed as it came, in a little
// memory and then in a nameless file. Never plain text; nothing is left of the file when the program has ended, however.

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/blob/blob.h"

namespace holdfast::restore {

struct SpoolOptions {
  static constexpr std::uint64_t kDefaultLimit = 4ull << 30;
  /// The first that takes a file is used. None does: an error, unless `memory_will_do`.
  std::vector<std::string> directories;
  bool memory_will_do = true;
  std::uint64_t limit_bytes = kDefaultLimit;  ///< on disk; never more than half of what is free at the start
  std::size_t memory_bytes = 8u << 20;        ///< before anything goes to disk
};

/// Thread-safe.
class Spool {
 public:
  /// Errors: those of opening a file in the last directory.
  static Result<std::unique_ptr<Spool>> open(const SpoolOptions& options);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  /// Keeps a record until it is forgotten. False: there is no room (a full disk, too), and it is not kept.
  bool put(const blob::BlobRef& blob, Bytes record);
  bool holds(const blob::BlobRef& blob) const;
  /// A record that is held (HF_ASSERT). Errors: Io.
  Result<Bytes> read(const blob::BlobRef& blob) const;
  void forget(const blob::BlobRef& blob);
  std::uint64_t peak_file_bytes() const;

 private:
  struct Kept {
    std::list<std::pair<blob::BlobRef, Bytes>>::iterator memory;  // while `offset` is kInMemory
    std::uint64_t offset = 0;
    std::size_t bytes = 0;
  };
  Spool(int fd, std::uint64_t limit_bytes, std::size_t memory_bytes);
  bool make_room(std::size_t bytes);
  bool spill_oldest();

  const int fd_;  // -1: memory alone
  const std::uint64_t limit_bytes_;
  const std::size_t memory_limit_;
  mutable std::mutex mutex_;
  std::map<blob::BlobRef, Kept> kept_;
  std::list<std::pair<blob::BlobRef, Bytes>> memory_;  // oldest first
  std::size_t memory_bytes_ = 0;
  std::uint64_t end_ = 0;                               // of the file: grows, what is forgotten becomes a hole
  std::uint64_t file_bytes_ = 0, peak_file_bytes_ = 0;  // alive in it
};

}  // namespace holdfast::restore
