#include "server/coordinator/segments.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace holdfast::coordinator {
namespace {

constexpr std::string_view kSuffix = ".seg";
constexpr std::size_t kNameDigits = 16;
/// Most records are far smaller than this; one read then serves many.
constexpr std::size_t kReadAhead = 256u << 10;

}  // namespace

std::string segment_name(std::uint64_t first) {
  char text[kNameDigits + 1];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(first));
  return std::string(text) + std::string(kSuffix);
}

std::optional<std::uint64_t> parse_segment_name(std::string_view name) {
  if (name.size() != kNameDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  std::uint64_t first = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + kNameDigits, first, 16);
  if (parsed.ec != std::errc{} || first == 0 || segment_name(first) != name) return std::nullopt;
  return first;
}

Result<std::vector<SegmentFile>> list_segments(fs::FileSystem& fs, const std::string& journal_directory) {
  HF_TRY(const std::vector<fs::DirectoryEntry> entries, fs.list(journal_directory));
  std::vector<SegmentFile> out;
  for (const fs::DirectoryEntry& entry : entries) {
    const std::optional<std::uint64_t> first = parse_segment_name(entry.name);
    if (first && entry.kind == fs::FileKind::File) out.push_back({*first, entry.size});
  }
  return out;  // names of one length in hex sort as their numbers do
}

Status Chain::follow(const journal::Record& next) {
  HF_TRY_DO(journal::check_link(last_ ? &*last_ : nullptr, next));
  const std::uint64_t generation = last_ ? last_->generation : 0;
  // A publish makes exactly one generation; several of its records may share it.
  if (next.generation != generation + 1 && (next.generation != generation || generation == 0)) {
    return Error{Errc::Corrupt, "journal: record " + std::to_string(next.number) + " has generation " +
                                    std::to_string(next.generation) + " after generation " +
                                    std::to_string(generation)};
  }
  last_ = next;
  last_->payload = {};
  return {};
}

Result<SegmentReader> SegmentReader::open(fs::FileSystem& fs, const std::string& journal_directory, std::uint64_t first,
                                          std::uint64_t begin, std::uint64_t end) {
  const std::string name = "journal/" + segment_name(first);
  Result<std::unique_ptr<fs::File>> file = fs.open_read(fs::join(journal_directory, segment_name(first)));
  if (!file && file.error().code == Errc::NotFound) {
    return Error{Errc::Corrupt,
                 name + ": the file is missing; record " + std::to_string(first) + " and those after it were in it"};
  }
  if (!file) return std::move(file).error();
  HF_TRY(const std::uint64_t bytes, (*file)->size());
  if (bytes < end) {
    return Error{Errc::Corrupt, name + ": ends at byte " + std::to_string(bytes) + ", but records up to byte " +
                                    std::to_string(end) + " were published"};
  }
  return SegmentReader(name, std::move(*file), begin, end);
}

Result<ByteSpan> SegmentReader::peek(std::size_t wanted) {
  wanted = static_cast<std::size_t>(std::min<std::uint64_t>(wanted, end_ - position_));
  const std::uint64_t have = buffer_offset_ + buffer_.size() - position_;
  if (have < wanted) {
    buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(std::max(wanted, kReadAhead), end_ - position_)));
    buffer_offset_ = position_;
    HF_TRY(const std::size_t n, file_->read_at(position_, buffer_));
    buffer_.resize(n);
  }
  const ByteSpan left = ByteSpan(buffer_).subspan(static_cast<std::size_t>(position_ - buffer_offset_));
  return left.first(std::min(wanted, left.size()));
}

Result<journal::Decoded> SegmentReader::decode_next() {
  HF_TRY(const ByteSpan head_bytes, peek(journal::kHeadBytes));
  HF_TRY(const journal::DecodedHead head, journal::decode_head(head_bytes));
  HF_TRY(const ByteSpan record_bytes, peek(journal::kHeadBytes + head.payload_bytes));
  return journal::decode(record_bytes);
}

Result<std::optional<journal::Record>> SegmentReader::next(Chain& chain) {
  if (at_end()) return std::optional<journal::Record>();
  const std::string where =
      name_ + " at byte " + std::to_string(position_) + ", record " + std::to_string(chain.next_number());
  Result<journal::Decoded> decoded = decode_next();
  if (!decoded) return std::move(decoded).error().with_context(where);
  HF_TRY_DO(chain.follow(decoded->record).context(where));
  position_ += decoded->bytes;
  return std::optional<journal::Record>(std::move(decoded->record));
}

}  // namespace holdfast::coordinator
