#pragma once
// Why: the journal's files on disk: their names, and reading records out of them in order within bounded memory.
// Every record that comes out has been checked: its digests, and that it continues the one before.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/fs/file_system.h"
#include "common/journal/journal.h"

namespace holdfast::coordinator {

struct SegmentFile {
  std::uint64_t first = 0;  ///< number of its first record: its name
  std::uint64_t bytes = 0;
};

std::string segment_name(std::uint64_t first);  ///< 16 digits of hex, `.seg`
std::optional<std::uint64_t> parse_segment_name(std::string_view name);
/// Sorted by number; files of other names are passed over. Errors: NotFound when there is no such directory.
Result<std::vector<SegmentFile>> list_segments(fs::FileSystem& fs, const std::string& journal_directory);

/// The chain as far as it has been followed. One thread at a time.
class Chain {
 public:
  /// Nothing yet: the next record is number 1.
  Chain() = default;
  /// `last` without its payload.
  explicit Chain(journal::Record last) : last_(std::move(last)) {}

  /// Errors: Corrupt when `next` does not continue what was followed before.
  Status follow(const journal::Record& next);
  const std::optional<journal::Record>& last() const { return last_; }  ///< without its payload
  std::uint64_t next_number() const { return last_ ? last_->number + 1 : 1; }

 private:
  std::optional<journal::Record> last_;
};

/// Reads one segment's records up to a given length. One thread at a time.
class SegmentReader {
 public:
  /// Reads from byte `begin`, where a record starts, to byte `end`. Errors: Corrupt when the file is missing or
  /// shorter.
  static Result<SegmentReader> open(fs::FileSystem& fs, const std::string& journal_directory, std::uint64_t first,
                                    std::uint64_t begin, std::uint64_t end);

  /// The next record, its own digests checked and followed by `chain`; nullopt exactly at the end.
  /// Errors: Corrupt, Limit, TooNew, naming file, byte and record; Io.
  Result<std::optional<journal::Record>> next(Chain& chain);
  std::uint64_t position() const { return position_; }  ///< where the next record starts
  bool at_end() const { return position_ == end_; }

 private:
  SegmentReader(std::string name, std::unique_ptr<fs::File> file, std::uint64_t begin, std::uint64_t end)
      : name_(std::move(name)), file_(std::move(file)), position_(begin), end_(end), buffer_offset_(begin) {}
  Result<ByteSpan> peek(std::size_t wanted);
  Result<journal::Decoded> decode_next();

  std::string name_;  ///< `journal/<first>.seg`, for messages
  std::unique_ptr<fs::File> file_;
  std::uint64_t position_;
  std::uint64_t end_;
  std::uint64_t buffer_offset_;  ///< where buffer_ starts in the file; never beyond position_
  Bytes buffer_;
};

}  // namespace holdfast::coordinator
