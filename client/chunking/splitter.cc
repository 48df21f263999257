#include "client/chunking/splitter.h"

namespace holdfast::chunking {

Status Splitter::cut(ByteSpan bytes, bool at_end, const Emit& emit, std::size_t* used) {
  *used = 0;
  while (*used < bytes.size()) {
    const ByteSpan rest = bytes.subspan(*used);
    const std::size_t n = chunker_.next(rest, at_end, offset_);
    if (n == 0) return {};
    HF_TRY_DO(emit(rest.first(n)));
    *used += n;
    offset_ += n;
  }
  return {};
}

Status Splitter::add(ByteSpan bytes, const Emit& emit) {
  // A carried start needs at most kMaxChunkBytes more to be decided: join only that much, then go on without copying.
  while (!carry_.empty() && !bytes.empty()) {
    const std::size_t old = carry_.size();
    const std::size_t take = std::min<std::size_t>(bytes.size(), kMaxChunkBytes - old);
    carry_.insert(carry_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(take));
    const std::size_t n = chunker_.next(carry_, false, offset_);
    if (n == 0) {
      HF_ASSERT(take == bytes.size());  // a full window always has an end
      return {};
    }
    // A cut depends only on the bytes before it. The carried ones held none, but all of them may be a chunk: of exactly the
    // least length, which nothing decides until more bytes come.
    HF_ASSERT(n >= old);
    HF_TRY_DO(emit(ByteSpan(carry_).first(n)));
    offset_ += n;
    bytes = bytes.subspan(n - old);
    carry_.clear();
  }
  std::size_t used = 0;
  HF_TRY_DO(cut(bytes, false, emit, &used));
  carry_.insert(carry_.end(), bytes.begin() + static_cast<std::ptrdiff_t>(used), bytes.end());
  return {};
}

Status Splitter::end_region(const Emit& emit) {
  std::size_t used = 0;
  HF_TRY_DO(cut(carry_, true, emit, &used));
  HF_ASSERT(used == carry_.size());
  carry_.clear();
  return {};
}

ContentVerifier::ContentVerifier(const Chunker& chunker, const crypto::Key& fingerprint_key)
    : fingerprint_key_(fingerprint_key), splitter_(chunker), digest_(fingerprint_key) {
  emit_ = [this](ByteSpan chunk) -> Status {
    digest_.add_chunk(fingerprint(fingerprint_key_, chunk), static_cast<std::uint32_t>(chunk.size()));
    return {};
  };
}

Status ContentVerifier::data(ByteSpan bytes) { return splitter_.add(bytes, emit_); }

Status ContentVerifier::hole(std::uint64_t bytes) {
  HF_TRY_DO(splitter_.end_region(emit_));
  digest_.add_hole(bytes);
  return {};
}

Result<Digest> ContentVerifier::finish() {
  HF_TRY_DO(splitter_.end_region(emit_));
  return digest_.finish();
}

}  // namespace holdfast::chunking
