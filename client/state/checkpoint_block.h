#pragma once
// Why: the bytes of a block of notes (FORMAT.md, section 9), and the names of the files. Private to client/state.

#include "client/state/checkpoint.h"

namespace holdfast::state {

inline constexpr std::string_view kCheckpointMagic = "HFCHECK\n";
inline constexpr std::string_view kCheckpointPrefix = "checkpoint-";
inline constexpr std::string_view kCheckpointLabel = "checkpoint";
inline constexpr std::size_t kMaxCheckpointBlock = 64u << 20;  ///< its last content may be long
inline constexpr std::size_t kCheckpointHeadBytes = 4 + Digest::kBytes;

std::string checkpoint_path(const std::string& state_path, const FileNonce& nonce);
/// All that have such a name, whatever they hold.
std::vector<fs::DirectoryEntry> list_checkpoints(fs::FileSystem& fs, const std::string& state_path);

/// The body of a block.
Bytes encode_kept(const std::vector<Kept>& contents);
/// Errors: Corrupt.
Result<std::vector<Kept>> decode_kept(ByteSpan body);

}  // namespace holdfast::state
