#include "client/restore/spill_file.h"

#include <algorithm>
#include <cerrno>

namespace holdfast::restore {

Status write_at(int fd, ByteSpan bytes, std::uint64_t offset) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n = ::pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error(errno, "write a file of the restore's own in the target");
    done += static_cast<std::size_t>(n);
  }
  return {};
}

Status read_at(int fd, MutableByteSpan bytes, std::uint64_t offset) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n = ::pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return errno_error(n < 0 ? errno : EIO, "read a file of the restore's own in the target");
    done += static_cast<std::size_t>(n);
  }
  return {};
}

Status SpillWriter::add(ByteSpan bytes) {
  if (buffer_.size() + bytes.size() > kBufferBytes) HF_TRY_DO(flush());
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return {};
}

Result<Descriptor> SpillWriter::finish() {
  HF_TRY_DO(flush());
  return std::move(file_);
}

Status SpillWriter::flush() {
  HF_TRY_DO(write_at(file_.get(), buffer_, written_));
  hasher_.update(buffer_);
  written_ += buffer_.size();
  buffer_.clear();
  return {};
}

Result<ByteSpan> SpillCursor::take(std::size_t count) {
  if (buffer_.size() - used_ < count) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(used_));
    used_ = 0;
    const std::size_t had = buffer_.size();
    const std::uint64_t wanted = std::max(count - had, buffer_bytes_);
    const std::size_t more = static_cast<std::size_t>(std::min(wanted, end_ - next_));
    if (had + more < count) return Error{Errc::Corrupt, "a file of the restore's own ends too early"};
    buffer_.resize(had + more);
    HF_TRY_DO(read_at(fd_, MutableByteSpan(buffer_).subspan(had), next_));
    next_ += more;
  }
  const ByteSpan taken = ByteSpan(buffer_).subspan(used_, count);
  used_ += count;
  return taken;
}

}  // namespace holdfast::restore
