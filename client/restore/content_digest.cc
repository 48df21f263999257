#include "client/restore/content_digest.h"

#include <algorithm>
#include <cerrno>

namespace holdfast::restore {
namespace {

constexpr std::size_t kPieceBytes = 256u << 10;

/// Reads a file from front to end. One thread at a time.
class FileReading {
 public:
  explicit FileReading(int fd) : fd_(fd), buffer_(kPieceBytes) {}

  /// Hands over [from, to). False: the file is shorter, or `take` has seen enough.
  template <class Take>
  Result<bool> read(std::uint64_t from, std::uint64_t to, Take take) {
    while (from < to) {
      const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(to - from, kPieceBytes));
      const ssize_t n = ::pread(fd_, buffer_.data(), wanted, static_cast<off_t>(from));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno_error(errno, "read the file again");
      if (n == 0) return false;
      HF_TRY(const bool goes_on, take(ByteSpan(buffer_).first(static_cast<std::size_t>(n))));
      if (!goes_on) return false;
      from += static_cast<std::uint64_t>(n);
    }
    return true;
  }

  /// Is there nothing but zeros? Beyond the end of the file, too. What no disk block stands behind is not read.
  Result<bool> is_hole(std::uint64_t from, std::uint64_t to) {
    while (from < to) {
      const off_t data = ::lseek(fd_, static_cast<off_t>(from), SEEK_DATA);
      if (data < 0 && errno == ENXIO) return true;
      const std::uint64_t at = data < 0 ? from : static_cast<std::uint64_t>(data);
      if (at >= to) return true;
      const std::uint64_t next = std::min<std::uint64_t>(to, at + kPieceBytes);
      bool is_zero = true;
      HF_TRY(const bool all, read(at, next, [&](ByteSpan bytes) -> Result<bool> {
               is_zero = std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t one) { return one == 0; });
               return is_zero;
             }));
      if (!all) return is_zero;
      from = next;
    }
    return true;
  }

 private:
  const int fd_;
  Bytes buffer_;
};

}  // namespace

Result<std::optional<Digest>> digest_of_file(int fd, const PlannedEntry& planned, const Plan& plan,
                                             const ContentKeys& keys, const TakeBytes& take) {
  chunking::ContentVerifier verifier(keys.chunkers.of(planned.entry.chunk_class), keys.fingerprint);
  FileReading file(fd);
  std::uint64_t at = 0;
  const auto digest = [&](ByteSpan bytes) -> Result<bool> {
    HF_TRY_DO(verifier.data(bytes));
    if (take) HF_TRY_DO(take(at, bytes));
    at += bytes.size();
    return true;
  };
  bool fits = true;
  HF_TRY_DO(plan.each_stretch(planned, [&](const Stretch& hole) -> Status {
    if (!fits) return {};
    HF_TRY(const bool whole, file.read(at, hole.offset, digest));
    at = hole.offset + hole.length;
    HF_TRY(const bool empty, file.is_hole(hole.offset, at));
    fits = whole && empty;
    return verifier.hole(hole.length);
  }));
  if (fits) {
    HF_TRY(fits, file.read(at, planned.entry.size, digest));
  }
  if (!fits) return std::optional<Digest>{};
  HF_TRY(const Digest found, verifier.finish());
  return std::optional<Digest>(found);
}

}  // namespace holdfast::restore
