#pragma once
// Why: a stream goes to a descriptor that is a pipe as a rule, and a pipe's reader may be slow, asleep or gone.

#include <atomic>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace holdfast::restore {

/// One thread at a time.
class StreamOutput {
 public:
  /// `fd` stays the caller's; `stop` (nullptr: never) ends a wait with Canceled.
  StreamOutput(int fd, const std::atomic<bool>* stop);
  /// Errors: Io (a reader that went away, too), DiskFull, Canceled.
  Status write(ByteSpan bytes);
  Status write_zeros(std::uint64_t count);
  /// What a file system only says when the bytes go to the disk must not be lost.
  Status finish();
  std::uint64_t written() const { return written_; }

 private:
  Status wait() const;

  const int fd_;
  const std::atomic<bool>* const stop_;
  bool is_file_ = false;
  std::size_t piece_bytes_;
  std::uint64_t written_ = 0;
};

}  // namespace holdfast::restore
