#include "client/reading/content_check.h"

#include <algorithm>

namespace holdfast::reading {
namespace {

using manifest::Extent;

constexpr std::size_t kBufferBytes = 1u << 20;

/// Takes a content's bytes in order and cuts them where the entry has holes. One thread at a time.
class HoleKeeper {
 public:
  HoleKeeper(const std::vector<Extent>& extents, chunking::ContentVerifier& verifier)
      : extents_(extents), verifier_(verifier) {
    begin();
  }
  /// False: these bytes are more, or others, than the entry's.
  Result<bool> take(ByteSpan bytes) {
    while (!bytes.empty()) {
      if (at_ == extents_.size()) return false;
      const ByteSpan here = bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), left_)));
      const bool hole = extents_[at_].is_hole();
      if (hole && std::any_of(here.begin(), here.end(), [](std::uint8_t byte) { return byte != 0; })) return false;
      if (!hole) HF_TRY_DO(verifier_.data(here));
      HF_TRY_DO(pass(here.size()));
      bytes = bytes.subspan(here.size());
    }
    return true;
  }
  Result<bool> take_zeros(std::uint64_t bytes) {
    static constexpr std::array<std::uint8_t, 65536> kZeros{};
    while (bytes > 0) {
      if (at_ == extents_.size()) return false;
      std::uint64_t here = std::min(bytes, left_);
      if (!extents_[at_].is_hole()) {
        here = std::min<std::uint64_t>(here, kZeros.size());
        HF_TRY_DO(verifier_.data(ByteSpan(kZeros).first(static_cast<std::size_t>(here))));
      }
      HF_TRY_DO(pass(here));
      bytes -= here;
    }
    return true;
  }
  bool complete() const { return at_ == extents_.size(); }

 private:
  void begin() { left_ = at_ < extents_.size() ? extents_[at_].length : 0; }
  Status pass(std::uint64_t bytes) {
    left_ -= bytes;
    if (left_ > 0) return {};
    if (extents_[at_].is_hole()) HF_TRY_DO(verifier_.hole(extents_[at_].length));
    ++at_;
    begin();
    return {};
  }

  const std::vector<Extent>& extents_;
  chunking::ContentVerifier& verifier_;
  std::size_t at_ = 0;
  std::uint64_t left_ = 0;  // of the extent
};

}  // namespace

Result<bool> has_content_of(const manifest::Entry& entry, sources::FileContent& file, const chunking::Chunker& chunker,
                            const crypto::Key& fingerprint_key, const std::function<bool(std::uint64_t)>& on_read) {
  chunking::ContentVerifier verifier(chunker, fingerprint_key);
  HoleKeeper keeper(entry.extents, verifier);
  Bytes buffer(kBufferBytes);
  for (;;) {
    HF_TRY(const sources::FileContent::Piece piece, file.read(buffer));
    if (piece.bytes == 0) break;
    if (!on_read(piece.bytes)) return Error{Errc::Canceled, "stopped by a signal"};
    HF_TRY(const bool fits, piece.hole ? keeper.take_zeros(piece.bytes)
                                       : keeper.take(ByteSpan(buffer).first(static_cast<std::size_t>(piece.bytes))));
    if (!fits) return false;
  }
  if (!keeper.complete()) return false;
  HF_TRY(const Digest digest, verifier.finish());
  return digest == entry.content_digest;
}

}  // namespace holdfast::reading
