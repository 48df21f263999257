#pragma once
// Why: where things stand in the two kinds of file and which MAC covers what (FORMAT.md). Private to client/state.

#include <vector>

#include "client/manifest/entry_codec.h"
#include "client/state/local_state.h"
#include "common/crypto/hash.h"

namespace holdfast::state {

inline constexpr std::string_view kStateMagic = "HFSTATE\n";
inline constexpr std::string_view kListsMagic = "HFLISTS\n";
inline constexpr std::uint16_t kVersion = 2;
inline constexpr std::size_t kHeaderBytes = 8 + 2 + FileNonce::kBytes;
inline constexpr std::size_t kTableItemBytes = 4 + Digest::kBytes;
inline constexpr std::size_t kStateTrailerBytes = SnapshotId::kBytes + 4 + 4 + Digest::kBytes;
inline constexpr std::size_t kMaxAboutBytes = 512u << 20;  ///< 20 million blobs
inline constexpr std::size_t kListsTrailerBytes = 8 + 4 + 4 + Digest::kBytes;

struct TableItem {
  std::uint32_t bytes = 0;
  Digest mac;
};

/// The MACs of one file. Immutable.
class Macs {
 public:
  /// `label`: "state-file", "list-file" or "checkpoint".
  Macs(const crypto::Key& state_key, std::string_view label, const Binding& binding, const FileNonce& nonce);
  Digest block(std::uint64_t number, ByteSpan body) const;
  /// Over everything but the blocks, in the order of the file.
  Digest rest(std::initializer_list<ByteSpan> parts) const;

 private:
  crypto::Key key_;
};

Bytes encode_header(std::string_view magic, const FileNonce& nonce);
/// Errors: Corrupt, TooNew.
Result<FileNonce> decode_header(ByteSpan header, std::string_view magic);
Bytes encode_table(const std::vector<TableItem>& table);
/// Blocks of `block_bytes` in all must be filled exactly. Errors: Corrupt.
Result<std::vector<TableItem>> decode_table(ByteSpan bytes, std::uint64_t block_bytes);
void encode_stat(ByteWriter& out, const manifest::StatIdentity& stat);
/// What is cut short fails the reader.
manifest::StatIdentity decode_stat(ByteReader& in);
Status read_exactly(const fs::File& file, std::uint64_t offset, MutableByteSpan out);

/// A block's body: its own table of blobs, then entries with what is remembered of them.
Bytes encode_block(const std::vector<Remembered>& entries);

/// Reads a block entry by entry. Owns the body. One thread at a time.
class BlockReader {
 public:
  /// Errors: Corrupt.
  static Result<BlockReader> open(Bytes body);
  /// nullopt at the end, when nothing is left over. Errors: Corrupt.
  Result<std::optional<Remembered>> next();

 private:
  BlockReader(Bytes body, std::size_t start, std::vector<blob::BlobRef> refs, std::uint64_t count);
  Bytes body_;  // heap memory: in_ stays valid when this moves
  ByteReader in_;
  manifest::RefTable refs_;
  std::uint64_t left_;
  std::optional<manifest::Entry> previous_;  // key and owner only
};

/// What stands between the blocks of a state file and their table.
struct About {
  std::vector<ListFile> files;
  dedup::Usage usage;
};
Bytes encode_about(const About& about);
/// Errors: Corrupt.
Result<About> decode_about(ByteSpan bytes);

/// One block of a file of lists.
Bytes encode_known(const dedup::KnownBlock& block);
/// Errors: Corrupt.
Result<dedup::KnownBlock> decode_known(ByteSpan body);

}  // namespace holdfast::state
