#include "server/coordinator/set_aside.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "server/coordinator/local_coordinator.h"
#include "server/coordinator/segments.h"

namespace holdfast::coordinator {
namespace {

constexpr std::string_view kPrefix = "set-aside-";
constexpr std::size_t kCopyBytes = 1u << 20;

std::optional<std::uint64_t> parse_name(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  std::uint64_t n = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), n);
  const bool whole = parsed.ec == std::errc{} && parsed.ptr == name.data() + name.size() && !name.empty();
  return whole ? std::optional(n) : std::nullopt;
}

Result<std::vector<std::uint64_t>> numbers_in_use(fs::FileSystem& fs, const std::string& directory) {
  HF_TRY(const std::vector<fs::DirectoryEntry> entries, fs.list(directory));
  std::vector<std::uint64_t> out;
  for (const fs::DirectoryEntry& entry : entries) {
    if (const auto n = parse_name(entry.name)) out.push_back(*n);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::string path_of(const std::string& directory, std::uint64_t n) {
  return fs::join(directory, std::string(kPrefix) + std::to_string(n));
}

Status copy_range(const fs::File& from, std::uint64_t begin, std::uint64_t end, fs::File& to) {
  Bytes buffer(static_cast<std::size_t>(std::min<std::uint64_t>(kCopyBytes, end - begin)));
  while (begin < end) {
    const MutableByteSpan part =
        MutableByteSpan(buffer).first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), end - begin)));
    HF_TRY(const std::size_t n, from.read_at(begin, part));
    if (n == 0) return Error{Errc::Io, "a journal segment became shorter while it was read"};
    HF_TRY_DO(to.append(part.first(n)));
    begin += n;
  }
  return to.sync();
}

/// Copies the end of a segment, then cuts it off.
Status cut_segment(fs::FileSystem& fs, const std::string& directory, const Head& head, std::uint64_t n,
                   std::vector<std::string>& notes) {
  HF_TRY(const std::unique_ptr<fs::File> segment, fs.open_write(fs::join(directory, segment_name(head.segment))));
  HF_TRY(const std::uint64_t bytes, segment->size());
  const std::string copy_path = path_of(directory, n);
  const Status copied = [&]() -> Status {
    HF_TRY(const std::unique_ptr<fs::File> copy, fs.create(copy_path, 0600));
    HF_TRY_DO(copy_range(*segment, head.segment_bytes, bytes, *copy));
    return fs.sync_directory(directory);
  }();
  if (!copied) {
    (void)fs.unlink(copy_path);
    if (copied.error().code != Errc::DiskFull) return copied;
    notes.push_back("journal: the disk is full, the unacknowledged bytes were dropped instead of set aside");
  }
  HF_TRY_DO(segment->truncate(head.segment_bytes));
  return segment->sync();
}

/// A file beyond the head: all of it is unacknowledged, so it only changes its name. Nothing is kept of an empty one.
Status move_segment(fs::FileSystem& fs, const std::string& directory, const SegmentFile& file, std::uint64_t n) {
  const std::string path = fs::join(directory, segment_name(file.first));
  return file.bytes == 0 ? fs.unlink(path) : fs.rename(path, path_of(directory, n));
}

}  // namespace

Status set_tail_aside(fs::FileSystem& fs, const std::string& journal_directory, const Head& head,
                      std::vector<std::string>& notes) {
  HF_TRY(std::vector<std::uint64_t> used, numbers_in_use(fs, journal_directory));
  std::uint64_t next = used.empty() ? 1 : used.back() + 1;
  HF_TRY(const std::vector<SegmentFile> files, list_segments(fs, journal_directory));
  for (const SegmentFile& file : files) {
    if (file.first < head.segment || (file.first == head.segment && file.bytes == head.segment_bytes)) continue;
    if (file.first == head.segment)
      HF_TRY_DO(cut_segment(fs, journal_directory, head, next, notes));
    else
      HF_TRY_DO(move_segment(fs, journal_directory, file, next));
    used.push_back(next++);
  }
  for (std::size_t i = 0; i + kMaxSetAsideFiles < used.size(); ++i) {
    const Status removed = fs.unlink(path_of(journal_directory, used[i]));
    if (!removed && removed.error().code != Errc::NotFound) return removed;
  }
  return fs.sync_directory(journal_directory);
}

}  // namespace holdfast::coordinator
