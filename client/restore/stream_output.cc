#include "client/restore/stream_output.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace holdfast::restore {
namespace {

constexpr std::size_t kAtomicBytes = 4096;    // PIPE_BUF: a pipe that is ready takes these without blocking
constexpr std::size_t kFileBytes = 1u << 20;  // a write to anything else
constexpr int kLookMs = 100;                  // how late a stop may be seen while the reader is slow
constexpr std::array<std::uint8_t, 65536> kZeros{};

}  // namespace

StreamOutput::StreamOutput(int fd, const std::atomic<bool>* stop) : fd_(fd), stop_(stop), piece_bytes_(kAtomicBytes) {
  struct stat facts{};
  if (::fstat(fd, &facts) != 0) return;
  is_file_ = S_ISREG(facts.st_mode);
  piece_bytes_ = S_ISFIFO(facts.st_mode) || S_ISSOCK(facts.st_mode) ? kAtomicBytes : kFileBytes;
}

Status StreamOutput::write(ByteSpan bytes) {
  while (!bytes.empty()) {
    HF_TRY_DO(wait());
    const ssize_t n = ::write(fd_, bytes.data(), std::min(bytes.size(), piece_bytes_));
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0 && errno == EPIPE) return Error{Errc::Io, "the program that reads the output has ended"};
    if (n < 0) return errno_error(errno, "write the output");
    written_ += static_cast<std::uint64_t>(n);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Status StreamOutput::write_zeros(std::uint64_t count) {
  while (count > 0) {
    const std::size_t now = static_cast<std::size_t>(std::min<std::uint64_t>(count, kZeros.size()));
    HF_TRY_DO(write(ByteSpan(kZeros).first(now)));
    count -= now;
  }
  return {};
}

Status StreamOutput::finish() {
  if (is_file_ && ::fsync(fd_) != 0 && errno != EINVAL && errno != EROFS) return errno_error(errno, "write the output");
  return {};
}

Status StreamOutput::wait() const {
  for (;;) {
    if (stop_ != nullptr && *stop_) return Error{Errc::Canceled, "stopped by a signal"};
    if (is_file_) return {};
    pollfd one{fd_, POLLOUT, 0};
    const int ready = ::poll(&one, 1, kLookMs);
    if (ready > 0) return {};  // an error, too: the write says which
    if (ready < 0 && errno != EINTR) return errno_error(errno, "wait for the reader of the output");
  }
}

}  // namespace holdfast::restore
