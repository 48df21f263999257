#pragma once
// Why: one file of chunk lists (FORMAT.md §5): written once from start to end, then read block by block. Private to
// client/state.

#include <map>

#include "client/state/layout.h"

namespace holdfast::state {

inline constexpr std::string_view kListFilePrefix = "chunks-";
std::string list_file_name(const FileNonce& nonce);

/// Made on the first chunk, removed unless finished. One thread at a time.
class ListFileWriter {
 public:
  ListFileWriter(fs::FileSystem& fs, const std::string& state_path, const crypto::Key& state_key,
                 const Binding& binding, const FileNonce& nonce);
  ~ListFileWriter();
  const FileNonce& nonce() const { return nonce_; }
  std::uint64_t chunks() const { return chunks_; }
  Status add(const dedup::Image& image, std::uint32_t bytes, const dedup::Location& where, unsigned sample_bits);
  Status finish();  ///< synced; its name is not: the caller syncs the directory

 private:
  Status write_block();
  void take_sample(std::uint64_t number, unsigned sample_bits);

  fs::FileSystem& fs_;
  const std::string path_;
  const FileNonce nonce_;
  const Macs macs_;
  std::unique_ptr<fs::File> file_;
  std::vector<TableItem> table_;
  dedup::KnownBlock block_;
  std::map<blob::BlobRef, std::uint32_t> refs_;                   ///< of the block
  std::vector<std::pair<std::uint64_t, std::uint32_t>> samples_;  ///< number, block
  unsigned more_bits_ = 0;                                        ///< zero bits that every number in it has
  std::uint64_t chunks_ = 0;
  bool finished_ = false;
};

/// Immutable but for the file's position; thread-safe.
class ListFileReader {
 public:
  /// Errors: NotFound, Corrupt, TooNew.
  static Result<ListFileReader> open(fs::FileSystem& fs, const std::string& state_path, const crypto::Key& state_key,
                                     const Binding& binding, const FileNonce& nonce);
  std::uint64_t blocks() const { return table_.size(); }
  /// Errors: Corrupt, Io.
  Result<dedup::KnownBlock> load(std::uint64_t block) const;
  /// Ascending by number. Errors: Corrupt, Io.
  Result<std::vector<std::pair<std::uint64_t, std::uint32_t>>> samples() const;

 private:
  ListFileReader(std::unique_ptr<fs::File> file, Macs macs) : file_(std::move(file)), macs_(std::move(macs)) {}
  Result<Bytes> read(std::uint64_t offset, const TableItem& item, std::uint64_t number) const;
  std::unique_ptr<fs::File> file_;
  Macs macs_;
  std::vector<TableItem> table_;
  std::vector<std::uint64_t> offsets_;
  TableItem samples_;
  std::uint64_t samples_at_ = 0;
};

}  // namespace holdfast::state
