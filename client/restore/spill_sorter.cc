#include "client/restore/spill_sorter.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <queue>

namespace holdfast::restore {
namespace {

constexpr std::size_t kMergeBuffer = 64u << 10;  ///< of one run; as many runs are merged at a time as fit in memory

}  // namespace

SpillSorter::SpillSorter(std::size_t record_bytes, MakeFile make_file, std::size_t memory_bytes)
    : record_bytes_(record_bytes), make_file_(std::move(make_file)), memory_bytes_(memory_bytes) {
  HF_ASSERT(record_bytes > 0 && memory_bytes >= record_bytes);
}

Status SpillSorter::add(ByteSpan record) {
  HF_ASSERT(record.size() == record_bytes_);
  if (buffer_.size() + record_bytes_ > memory_bytes_) HF_TRY_DO(spill());
  if (buffer_.capacity() == 0) buffer_.reserve(memory_bytes_);  // growing would hold it twice
  buffer_.insert(buffer_.end(), record.begin(), record.end());
  return {};
}

std::vector<std::size_t> SpillSorter::sorted() const {
  std::vector<std::size_t> order(buffer_.size() / record_bytes_);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::memcmp(&buffer_[a * record_bytes_], &buffer_[b * record_bytes_], record_bytes_) < 0;
  });
  return order;
}

Status SpillSorter::spill() {
  if (!file_) {
    HF_TRY(file_, make_file_());
  }
  const std::uint64_t from = file_bytes_;
  Bytes out;
  for (const std::size_t at : sorted()) {
    const ByteSpan record = ByteSpan(buffer_).subspan(at * record_bytes_, record_bytes_);
    out.insert(out.end(), record.begin(), record.end());
    if (out.size() < SpillWriter::kBufferBytes) continue;
    HF_TRY_DO(write_at(file_.get(), out, file_bytes_));
    file_bytes_ += out.size();
    out.clear();
  }
  HF_TRY_DO(write_at(file_.get(), out, file_bytes_));
  file_bytes_ += out.size();
  runs_.push_back({from, file_bytes_});
  buffer_.clear();
  return {};
}

Status SpillSorter::finish(const Take& take) {
  if (runs_.empty()) {
    for (const std::size_t at : sorted()) HF_TRY_DO(take(ByteSpan(buffer_).subspan(at * record_bytes_, record_bytes_)));
    Bytes().swap(buffer_);
    return {};
  }
  if (!buffer_.empty()) HF_TRY_DO(spill());
  Bytes().swap(buffer_);
  while (runs_.size() > std::max<std::size_t>(2, memory_bytes_ / kMergeBuffer)) HF_TRY_DO(merge_some());
  return merge(runs_, take);
}

/// The oldest runs become one, at the end of the file.
Status SpillSorter::merge_some() {
  const std::size_t count = std::max<std::size_t>(2, memory_bytes_ / kMergeBuffer);
  const std::vector<Run> some(runs_.begin(), runs_.begin() + static_cast<std::ptrdiff_t>(count));
  runs_.erase(runs_.begin(), runs_.begin() + static_cast<std::ptrdiff_t>(count));
  const std::uint64_t from = file_bytes_;
  Bytes out;
  HF_TRY_DO(merge(some, [&](ByteSpan record) -> Status {
    out.insert(out.end(), record.begin(), record.end());
    if (out.size() < kMergeBuffer) return {};
    HF_TRY_DO(write_at(file_.get(), out, file_bytes_));
    file_bytes_ += out.size();
    out.clear();
    return {};
  }));
  HF_TRY_DO(write_at(file_.get(), out, file_bytes_));
  file_bytes_ += out.size();
  runs_.push_back({from, file_bytes_});
  return {};
}

Status SpillSorter::merge(const std::vector<Run>& runs, const Take& take) const {
  struct Head {
    Bytes record;
    std::size_t run;
  };
  const auto later = [](const Head& a, const Head& b) {
    return std::memcmp(a.record.data(), b.record.data(), a.record.size()) > 0;
  };
  std::priority_queue<Head, std::vector<Head>, decltype(later)> heads(later);
  std::vector<SpillCursor> cursors;
  for (const Run& run : runs) cursors.emplace_back(file_.get(), run.from, run.to, kMergeBuffer);
  const auto read_next = [&](std::size_t run) -> Status {
    if (cursors[run].at_end()) return {};
    HF_TRY(const ByteSpan record, cursors[run].take(record_bytes_));
    heads.push({to_bytes(record), run});
    return {};
  };
  for (std::size_t i = 0; i < runs.size(); ++i) HF_TRY_DO(read_next(i));
  while (!heads.empty()) {
    const Head head = heads.top();
    heads.pop();
    HF_TRY_DO(take(head.record));
    HF_TRY_DO(read_next(head.run));
  }
  return {};
}

}  // namespace holdfast::restore
