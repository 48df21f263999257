#include "client/restore/spool.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <limits>

namespace holdfast::restore {
namespace {

constexpr std::uint64_t kInMemory = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kPage = 4096;

/// The file is written in whole pages, so that a record that is forgotten frees all of its own.
std::uint64_t pages_of(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

/// A file without a name: O_TMPFILE, or where the file system has none, a name that is taken away at once.
Result<int> nameless_file(const std::string& directory) {
  int fd = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
  const bool not_known = errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL;
  if (!not_known) return errno_error(errno, "open a spool in " + printable(directory));
  std::string name = directory + "/holdfast-spool.XXXXXX";
  fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) return errno_error(errno, "open a spool in " + printable(directory));
  ::unlink(name.c_str());
  return fd;
}

std::uint64_t half_of_what_is_free(int fd) {
  struct statvfs space{};
  if (::fstatvfs(fd, &space) != 0) return std::numeric_limits<std::uint64_t>::max();
  return static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize / 2;
}

bool write_at(int fd, ByteSpan bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return true;
}

Status read_at(int fd, MutableByteSpan bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error(errno, "read the spool");
    if (n == 0) return Error{Errc::Io, "read the spool: it is shorter than what was written"};
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Spool>> Spool::open(const SpoolOptions& options) {
  std::optional<Error> why_not;
  for (const std::string& directory : options.directories) {
    if (options.limit_bytes == 0) break;
    const Result<int> fd = nameless_file(directory);
    if (fd) {
      const std::uint64_t limit = std::min(options.limit_bytes, half_of_what_is_free(*fd));
      return std::unique_ptr<Spool>(new Spool(*fd, limit, options.memory_bytes));
    }
    why_not = fd.error();
  }
  if (why_not && !options.memory_will_do) return *why_not;
  return std::unique_ptr<Spool>(new Spool(-1, 0, options.memory_bytes));
}

Spool::Spool(int fd, std::uint64_t limit_bytes, std::size_t memory_bytes)
    : fd_(fd), limit_bytes_(limit_bytes), memory_limit_(memory_bytes) {}

Spool::~Spool() {
  if (fd_ >= 0) ::close(fd_);
}

bool Spool::put(const blob::BlobRef& blob, Bytes record) {
  const std::lock_guard lock(mutex_);
  if (kept_.contains(blob)) return true;
  const std::size_t bytes = record.size();
  if (!make_room(bytes)) return false;
  memory_.emplace_back(blob, std::move(record));
  memory_bytes_ += bytes;
  kept_[blob] = {std::prev(memory_.end()), kInMemory, bytes};
  return true;
}

bool Spool::holds(const blob::BlobRef& blob) const {
  const std::lock_guard lock(mutex_);
  return kept_.contains(blob);
}

Result<Bytes> Spool::read(const blob::BlobRef& blob) const {
  const std::lock_guard lock(mutex_);
  const auto found = kept_.find(blob);
  HF_ASSERT(found != kept_.end());
  const Kept& kept = found->second;
  if (kept.offset == kInMemory) return kept.memory->second;
  Bytes record(kept.bytes);
  HF_TRY_DO(read_at(fd_, record, kept.offset));
  return record;
}

void Spool::forget(const blob::BlobRef& blob) {
  const std::lock_guard lock(mutex_);
  const auto found = kept_.find(blob);
  if (found == kept_.end()) return;
  const Kept& kept = found->second;
  if (kept.offset == kInMemory) {
    memory_bytes_ -= kept.bytes;
    memory_.erase(kept.memory);
  } else if (::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(kept.offset),
                         static_cast<off_t>(pages_of(kept.bytes))) == 0) {
    file_bytes_ -= pages_of(kept.bytes);  // a file system that cannot make holes gives nothing back
  }
  kept_.erase(found);
}

std::uint64_t Spool::peak_file_bytes() const {
  const std::lock_guard lock(mutex_);
  return peak_file_bytes_;
}

/// mutex_ held.
bool Spool::make_room(std::size_t bytes) {
  if (bytes > memory_limit_) return false;
  while (memory_bytes_ + bytes > memory_limit_) {
    if (!spill_oldest()) return false;
  }
  return true;
}

/// mutex_ held.
bool Spool::spill_oldest() {
  const auto& [blob, record] = memory_.front();
  const std::uint64_t pages = pages_of(record.size());
  if (fd_ < 0 || file_bytes_ + pages > limit_bytes_ || !write_at(fd_, record, end_)) return false;
  Kept& kept = kept_.at(blob);
  kept.offset = end_;
  kept.bytes = record.size();
  memory_bytes_ -= record.size();
  end_ += pages;
  file_bytes_ += pages;
  peak_file_bytes_ = std::max(peak_file_bytes_, file_bytes_);
  memory_.pop_front();
  return true;
}

}  // namespace holdfast::restore
