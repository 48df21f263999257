#pragma once
// Why: the server keeps a few small files of its own beside the tenants (operators, the deny list, tenants' names).
// Each is magic ‖ version ‖ body ‖ digest, so that a flipped byte is named and never believed (FORMAT.md §1).

#include <string>

#include "common/fs/file_system.h"

namespace holdfast::session {

inline constexpr std::uint64_t kMaxSmallFileBytes = 4u << 20;

/// magic (4 bytes) ‖ u16 version 1 ‖ u32 body length ‖ body ‖ BLAKE2b-256 over everything before it.
Bytes encode_small_file(std::string_view magic, ByteSpan body);
/// The body. Errors: Corrupt, TooNew.
Result<Bytes> decode_small_file(std::string_view magic, ByteSpan file);
/// Errors: NotFound, Corrupt (naming the path), TooNew.
Result<Bytes> read_small_file(fs::FileSystem& fs, const std::string& path, std::string_view magic);
/// Mode 0600, atomic, durable.
Status write_small_file(fs::FileSystem& fs, const std::string& path, std::string_view magic, ByteSpan body);

}  // namespace holdfast::session
