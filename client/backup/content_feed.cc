#include "client/backup/content_feed.h"

namespace holdfast::backup {
namespace {

constexpr std::size_t kReadBytes = 1u << 20;
constexpr std::size_t kMaxGroupChunks = 4096;   // chunk lengths travel in the blob: a bound for the reader
constexpr std::size_t kMaxGroupEntries = 8192;  // entries that wait for one group: half of the entry queue

}  // namespace

ContentFeed::ContentFeed(BlobPipeline& pipeline, const crypto::Key& fingerprint_key, const chunking::Chunker& chunker)
    : pipeline_(pipeline), fingerprint_key_(fingerprint_key), chunker_(chunker), buffer_(kReadBytes) {}

Result<Content> ContentFeed::read(sources::FileContent& file, const std::atomic<bool>* stop) {
  Content content;
  chunking::ContentDigest digest(fingerprint_key_);
  chunking::Splitter splitter(chunker_);
  content_ = &content;
  digest_ = &digest;
  const chunking::Splitter::Emit emit = [this](ByteSpan chunk) { return add_chunk(chunk); };
  for (;;) {
    if (stop != nullptr && *stop) return Error{Errc::Canceled, "stopped by a signal"};
    HF_TRY(const sources::FileContent::Piece piece, file.read(buffer_));
    if (piece.bytes == 0) break;
    content.bytes += piece.bytes;
    if (piece.hole) {
      HF_TRY_DO(splitter.end_region(emit));
      digest.add_hole(piece.bytes);
      content.pieces.push_back({true, 0, 0, piece.bytes});
      continue;
    }
    content.data_bytes += piece.bytes;
    HF_TRY_DO(splitter.add(ByteSpan(buffer_).first(piece.bytes), emit));
  }
  HF_TRY_DO(splitter.end_region(emit));
  content.digest = digest.finish();
  HF_TRY(content.changed_while_read, file.changed());
  return content;
}

Status ContentFeed::add_chunk(ByteSpan chunk) {
  if (!group_.raw.empty() && (!grouper_.fits(chunk.size()) || group_.chunk_bytes.size() >= kMaxGroupChunks)) {
    HF_TRY_DO(close_group());
  }
  const chunking::Fingerprint fingerprint = chunking::fingerprint(fingerprint_key_, chunk);
  const auto length = static_cast<std::uint32_t>(chunk.size());
  digest_->add_chunk(fingerprint, length);
  std::vector<Piece>& pieces = content_->pieces;
  if (!pieces.empty() && !pieces.back().hole && pieces.back().group == next_group_)
    pieces.back().length += length;
  else
    pieces.push_back({false, next_group_, static_cast<std::uint32_t>(group_.raw.size()), length});
  group_.raw.insert(group_.raw.end(), chunk.begin(), chunk.end());
  group_.chunk_bytes.push_back(length);
  group_.fingerprints.push_back(fingerprint);
  if (grouper_.add(fingerprint, chunk.size())) return close_group();
  return {};
}

Status ContentFeed::note_entry() {
  if (group_.raw.empty()) return {};
  if (++waiting_entries_ < kMaxGroupEntries) return {};
  return close_group();
}

Status ContentFeed::close_group() {
  waiting_entries_ = 0;
  if (group_.raw.empty()) return {};
  grouper_.reset();
  const Result<std::uint64_t> ordinal = pipeline_.submit(std::move(group_));
  group_ = {};
  if (!ordinal) {
    pipeline_failed_ = true;
    return ordinal.error();
  }
  HF_ASSERT(*ordinal == next_group_);
  ++next_group_;
  return {};
}

}  // namespace holdfast::backup
