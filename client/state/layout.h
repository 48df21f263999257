#pragma once
// Why: where things stand in the state file and which MAC covers what (FORMAT.md). Private to client/state.

#include <vector>

#include "client/manifest/entry_codec.h"
#include "client/state/local_state.h"
#include "common/crypto/hash.h"

namespace holdfast::state {

inline constexpr std::string_view kMagic = "HFSTATE\n";
inline constexpr std::uint16_t kVersion = 1;
inline constexpr std::size_t kNonceBytes = 16;
inline constexpr std::size_t kHeaderBytes = 8 + 2 + kNonceBytes;
inline constexpr std::size_t kTableItemBytes = 4 + Digest::kBytes;
inline constexpr std::size_t kTrailerBytes = SnapshotId::kBytes + 4 + Digest::kBytes;

using Nonce = std::array<std::uint8_t, kNonceBytes>;

struct TableItem {
  std::uint32_t bytes = 0;
  Digest mac;
};

/// The two MACs of one file. Immutable.
class Macs {
 public:
  Macs(const crypto::Key& state_key, const Binding& binding, const Nonce& nonce);
  Digest block(std::uint64_t number, ByteSpan body) const;
  /// Over header, table, base snapshot and count of blocks.
  Digest table(ByteSpan header, ByteSpan table, ByteSpan base_and_count) const;

 private:
  crypto::Key key_;
};

/// A block's body: its own table of blobs, then entries with their stat identities.
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

}  // namespace holdfast::state
