#include "client/backup/content_feed.h"

#include <algorithm>

namespace holdfast::backup {
namespace {

constexpr std::size_t kReadBytes = 1u << 20;
// What may wait for one open group; the entry stage's queue holds twice as much, so that it never waits for a group that
// nobody closes.
constexpr std::size_t kMaxWaitingEntries = 8192;
constexpr std::size_t kMaxWaitingCost = 12u << 20;
constexpr std::size_t kMaxPartChunks = 16384;

/// Takes back what it counted unless the reading succeeded.
class ReadingCount {
 public:
  explicit ReadingCount(std::atomic<std::uint64_t>* total) : total_(total) {}
  ReadingCount(const ReadingCount&) = delete;
  ~ReadingCount() {
    if (total_ != nullptr && !kept_) *total_ -= counted_;
  }
  void add(std::uint64_t bytes) {
    counted_ += bytes;
    if (total_ != nullptr) *total_ += bytes;
  }
  void keep() { kept_ = true; }

 private:
  std::atomic<std::uint64_t>* const total_;
  std::uint64_t counted_ = 0;
  bool kept_ = false;
};

/// Does `piece` go on where `last` ends?
bool goes_on(const Piece& last, const Piece& piece) {
  if (last.where != piece.where) return false;
  if (piece.where == Piece::Where::Hole) return true;
  const bool same_place = piece.where == Piece::Where::Group ? last.group == piece.group : last.known == piece.known;
  return same_place && last.offset + last.length == piece.offset;
}

}  // namespace

ContentFeed::ContentFeed(BlobPipeline& pipeline, Keys keys, const chunking::Chunkers& chunkers, dedup::Matcher* matcher,
                         PartSink sink)
    : pipeline_(pipeline),
      keys_(keys),
      chunkers_(chunkers),
      matcher_(matcher),
      sink_(std::move(sink)),
      buffer_(kReadBytes) {}

Result<Content> ContentFeed::read(sources::FileContent& file, const Reading& reading, const std::atomic<bool>* stop) {
  Content content;
  ReadingCount count(reading.progress);
  chunking::ContentDigest digest(keys_.fingerprint);
  std::optional<chunking::Splitter> splitter;
  content_ = &content;
  digest_ = &digest;
  const chunking::Splitter::Emit emit = [this](ByteSpan chunk) { return add_chunk(chunk); };
  const auto begin = [&](ByteSpan head) {
    content.chunk_class =
        reading.chunk_class ? *reading.chunk_class : chunking::class_of(reading.path, reading.size, head);
    content.rest.chunk_class = content.chunk_class;
    splitter.emplace(chunkers_.of(content.chunk_class));
    if (matcher_ != nullptr) matcher_->begin(content.chunk_class, reading.previous);
  };
  for (;;) {
    if (stop != nullptr && *stop) return Error{Errc::Canceled, "stopped by a signal"};
    HF_TRY(const sources::FileContent::Piece piece, file.read(buffer_));
    if (piece.bytes == 0) break;
    content.bytes += piece.bytes;
    count.add(piece.bytes);
    const ByteSpan data = piece.hole ? ByteSpan() : ByteSpan(buffer_).first(piece.bytes);
    if (!splitter) begin(data.first(std::min<std::size_t>(data.size(), chunking::kHeadBytes)));
    if (piece.hole) {
      HF_TRY_DO(splitter->end_region(emit));
      digest.add_hole(piece.bytes);
      extend({Piece::Where::Hole, 0, piece.bytes, 0, {}});
      continue;
    }
    content.data_bytes += piece.bytes;
    HF_TRY_DO(splitter->add(data, emit));
  }
  if (!splitter) begin({});
  HF_TRY_DO(splitter->end_region(emit));
  content.digest = digest.finish();
  content.only_grew = matcher_ != nullptr && matcher_->only_grew();
  HF_TRY(content.changed_while_read, file.changed());
  count.keep();
  return content;
}

Status ContentFeed::add_chunk(ByteSpan chunk) {
  const chunking::Fingerprint fingerprint = chunking::fingerprint(keys_.fingerprint, chunk);
  const dedup::Image image = dedup::image_of(keys_.image, fingerprint);
  const auto bytes = static_cast<std::uint32_t>(chunk.size());
  digest_->add_chunk(fingerprint, bytes);
  content_->rest.chunks.push_back({image, bytes});
  std::optional<dedup::Location> known;
  if (matcher_ != nullptr) known = matcher_->find(image, bytes);
  if (known) {
    content_->known_bytes += bytes;
    extend({Piece::Where::Known, known->offset, bytes, 0, known->blob});
  } else if (const auto place = recent_.find(image, bytes, next_group_)) {
    extend({Piece::Where::Group, place->offset, bytes, place->group, {}});
  } else {
    HF_TRY_DO(add_new_chunk(chunk, fingerprint, image));
  }
  return hand_on_if_long();
}

Status ContentFeed::add_new_chunk(ByteSpan chunk, const chunking::Fingerprint& fingerprint, const dedup::Image& image) {
  if (!group_.raw.empty() && !grouper_.fits(chunk.size())) HF_TRY_DO(close_group());
  const auto bytes = static_cast<std::uint32_t>(chunk.size());
  const auto offset = static_cast<std::uint32_t>(group_.raw.size());
  extend({Piece::Where::Group, offset, bytes, next_group_, {}});
  recent_.add(image, bytes, {next_group_, offset});
  group_.raw.insert(group_.raw.end(), chunk.begin(), chunk.end());
  group_.chunk_bytes.push_back(bytes);
  group_.fingerprints.push_back(fingerprint);
  if (grouper_.add(fingerprint, chunk.size())) return close_group();
  return {};
}

void ContentFeed::extend(const Piece& piece) {
  std::vector<Piece>& pieces = content_->rest.pieces;
  if (!pieces.empty() && goes_on(pieces.back(), piece)) {
    pieces.back().length += piece.length;
  } else {
    pieces.push_back(piece);
  }
}

Status ContentFeed::hand_on_if_long() {
  Part& part = content_->rest;
  if (part.chunks.size() < kMaxPartChunks) return {};
  const std::size_t cost = cost_of(part);
  HF_TRY_DO(pipeline_error(sink_(std::move(part))));
  content_->parted = true;
  part = {};
  part.chunk_class = content_->chunk_class;
  part.first = false;
  return note_entry(cost);
}

Status ContentFeed::note_entry(std::size_t cost) {
  if (group_.raw.empty()) return {};
  waiting_cost_ += cost;
  if (++waiting_entries_ < kMaxWaitingEntries && waiting_cost_ < kMaxWaitingCost) return {};
  return close_group();
}

Status ContentFeed::close_group() {
  waiting_entries_ = waiting_cost_ = 0;
  if (group_.raw.empty()) return {};
  grouper_.reset();
  const Result<std::uint64_t> ordinal = pipeline_.submit(std::move(group_));
  group_ = {};
  if (!ordinal) return pipeline_error(ordinal.error());
  HF_ASSERT(*ordinal == next_group_);
  ++next_group_;
  return {};
}

Status ContentFeed::pipeline_error(Status status) {
  if (!status) pipeline_failed_ = true;
  return status;
}

}  // namespace holdfast::backup
