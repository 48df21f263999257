#pragma once
// Why: backup and restore must cut the same bytes at the same places, however they arrive. Feeds a Chunker from pieces
// of any size and hands out whole chunks; a hole (or the end of the file) ends the running chunk.

#include <functional>

#include "client/chunking/chunker.h"

namespace holdfast::chunking {

/// One thread at a time. `emit` gets each chunk once, in order; the span lives only during the call.
class Splitter {
 public:
  using Emit = std::function<Status(ByteSpan chunk)>;
  /// `chunker` must outlive it.
  explicit Splitter(const Chunker& chunker) : chunker_(chunker) {}
  /// Errors: what `emit` returns.
  Status add(ByteSpan bytes, const Emit& emit);
  /// Ends the region: what is left becomes its last chunks.
  Status end_region(const Emit& emit);

 private:
  Status cut(ByteSpan bytes, bool at_end, const Emit& emit, std::size_t* used);
  const Chunker& chunker_;
  std::uint64_t offset_ = 0;  // bytes handed out so far
  Bytes carry_;               // < kMaxChunkBytes: the start of a chunk whose end is not known yet
};

/// Recomputes the content digest of bytes that arrive in order. One thread at a time.
class ContentVerifier {
 public:
  /// All arguments must outlive it.
  ContentVerifier(const Chunker& chunker, const crypto::Key& fingerprint_key);
  ContentVerifier(const ContentVerifier&) = delete;  // emit_ points into this object
  ContentVerifier& operator=(const ContentVerifier&) = delete;
  Status data(ByteSpan bytes);
  Status hole(std::uint64_t bytes);
  Result<Digest> finish();

 private:
  const crypto::Key& fingerprint_key_;
  Splitter splitter_;
  ContentDigest digest_;
  Splitter::Emit emit_;
};

}  // namespace holdfast::chunking
