#pragma once
// Why: what a restore must remember of a large tree stands in files of its own, not in memory: written from front to end,
// read from front to end or at a place. No format of its own.

#include <functional>

#include "client/restore/tree_descriptor.h"
#include "common/crypto/hash.h"

namespace holdfast::restore {

/// Makes an empty file, open for reading and writing. Errors: DiskFull, Denied, Io.
using MakeFile = std::function<Result<Descriptor>()>;

/// Errors: DiskFull, Io.
Status write_at(int fd, ByteSpan bytes, std::uint64_t offset);
/// Errors: Io, also when the file ends before.
Status read_at(int fd, MutableByteSpan bytes, std::uint64_t offset);

/// Appends through a buffer, and digests what it appends. One thread at a time.
class SpillWriter {
 public:
  static constexpr std::size_t kBufferBytes = 256u << 10;

  explicit SpillWriter(Descriptor file) : file_(std::move(file)) {}
  Status add(ByteSpan bytes);
  std::uint64_t bytes() const { return written_ + buffer_.size(); }
  /// Writes what is left in the buffer, and gives the file back. Errors: DiskFull, Io.
  Result<Descriptor> finish();
  Digest digest() { return hasher_.finish(); }  ///< of everything, after `finish`, once

 private:
  Status flush();

  Descriptor file_;
  crypto::Hasher hasher_;
  Bytes buffer_;
  std::uint64_t written_ = 0;
};

/// Reads a range of a file from front to end through a buffer. One thread at a time.
class SpillCursor {
 public:
  /// `fd` must outlive it.
  SpillCursor(int fd, std::uint64_t from, std::uint64_t to, std::size_t buffer_bytes = SpillWriter::kBufferBytes)
      : fd_(fd), next_(from), end_(to), buffer_bytes_(buffer_bytes) {}
  bool at_end() const { return used_ == buffer_.size() && next_ == end_; }
  /// The next `count` bytes, valid until the next call. Errors: Corrupt when fewer are left in the range; Io.
  Result<ByteSpan> take(std::size_t count);

 private:
  const int fd_;
  std::uint64_t next_;
  const std::uint64_t end_;
  const std::size_t buffer_bytes_;
  Bytes buffer_;
  std::size_t used_ = 0;
};

}  // namespace holdfast::restore
