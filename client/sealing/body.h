#pragma once
// Why: the plaintext layout inside a sealed blob (common/blob/FORMAT.md §3), apart from keys: encode, decode, compress.
// Private to this folder. Thread-safe; each thread keeps its own zstd contexts.

#include <vector>

#include "common/blob/blob.h"

namespace holdfast::sealing {

/// Frozen numbers.
enum class Encoding : std::uint8_t { Raw = 0, Zstd = 1 };

struct Body {
  Bytes raw;
  std::vector<std::uint32_t> chunk_bytes;
};

/// Segments that are not compressed are padded to 4 KiB at least, everything else to 16 KiB.
std::size_t padding_floor(blob::Type type, Encoding encoding);
/// Padded plaintext of a body. `raw` ≤ blob::kMaxRawBytes, `chunk_bytes` adds up to it.
Bytes encode_body(ByteSpan raw, const std::vector<std::uint32_t>& chunk_bytes, int zstd_level, blob::Type type);
/// `bytes` are authentic, yet their writer may have lied (a hostile member of a shared domain): everything is bounded.
/// Errors: Corrupt, TooNew (unknown encoding).
Result<Body> decode_body(ByteSpan bytes, blob::Type type);

}  // namespace holdfast::sealing
