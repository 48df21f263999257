#include "client/sources/content.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "client/sources/attributes.h"

namespace holdfast::sources {
namespace {

Error cannot_open(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return {Errc::NotFound, std::string(kVanished)};
    case ELOOP:
      return {Errc::NotFound, "replaced by a symbolic link while being read"};
    case ENXIO:
      return {Errc::NotFound, "replaced by something that is no regular file while being read"};
    default:
      return errno_error(error, "open");
  }
}

/// One thread at a time.
class OpenFile final : public FileContent {
 public:
  OpenFile(Descriptor fd, const manifest::StatIdentity& opened, const manifest::StatIdentity& expected, bool sparse)
      : fd_(std::move(fd)), opened_(opened), expected_(expected), sparse_(sparse) {}

  Result<Piece> read(MutableByteSpan out) override {
    HF_ASSERT(!out.empty());
    if (at_ >= opened_.size || ended_) return Piece{};
    if (at_ >= data_end_) {
      HF_TRY(const std::uint64_t data_begin, find_data());
      if (data_begin > at_) return Piece{.hole = true, .bytes = data_begin - std::exchange(at_, data_begin)};
    }
    return read_data(out);
  }

  Result<bool> changed() override {
    HF_TRY(const struct statx st, stat_at(fd_.get(), ""));
    return ended_ || identity_of(st) != expected_;
  }

  std::optional<manifest::StatIdentity> opened() const override { return opened_; }

 private:
  // Start of the next data at or after at_ (or the end); sets data_end_. Never beyond the size seen at the opening.
  Result<std::uint64_t> find_data() {
    data_end_ = opened_.size;
    if (!sparse_) return at_;
    const off_t begin = ::lseek(fd_.get(), static_cast<off_t>(at_), SEEK_DATA);
    if (begin < 0 && errno == ENXIO) return opened_.size;  // a hole to the end
    if (begin < 0 && errno == EINVAL) {                    // the file system knows no holes
      sparse_ = false;
      return at_;
    }
    if (begin < 0) return errno_error(errno, "look for holes");
    const off_t end = ::lseek(fd_.get(), begin, SEEK_HOLE);
    if (end > begin) data_end_ = std::min(opened_.size, static_cast<std::uint64_t>(end));
    return std::min(opened_.size, static_cast<std::uint64_t>(begin));
  }

  Result<Piece> read_data(MutableByteSpan out) {
    const std::uint64_t wanted = std::min<std::uint64_t>(out.size(), data_end_ - at_);
    for (;;) {
      const ssize_t n = ::pread(fd_.get(), out.data(), wanted, static_cast<off_t>(at_));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno_error(errno, "read at byte " + std::to_string(at_));
      ended_ = n == 0;  // shorter than it was
      at_ += static_cast<std::uint64_t>(n);
      return Piece{.hole = false, .bytes = static_cast<std::uint64_t>(n)};
    }
  }

  Descriptor fd_;
  manifest::StatIdentity opened_, expected_;
  bool sparse_;
  bool ended_ = false;
  std::uint64_t at_ = 0, data_end_ = 0;
};

Result<std::unique_ptr<FileContent>> try_open(FoundFile& file) {
  const bool first = file.openings++ == 0;
  Descriptor fd(open_unfollowed(file.directory->get(), file.name.c_str(), 0));
  if (!fd) return cannot_open(errno);
  HF_TRY(const struct statx st, stat_at(fd.get(), ""));
  if (!S_ISREG(st.stx_mode)) return cannot_open(ENXIO);
  const manifest::StatIdentity opened = identity_of(st);
  const bool sparse = st.stx_blocks * 512 < st.stx_size;
  return std::unique_ptr<FileContent>(
      std::make_unique<OpenFile>(std::move(fd), opened, first ? file.seen : opened, sparse));
}

}  // namespace

std::optional<std::string> LinkTable::first_path(Inode inode, std::uint64_t links, const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto [at, is_new] = firsts_.try_emplace(inode, First{path, links});
  std::optional<std::string> first;
  if (!is_new) first = at->second.path;
  if (--at->second.links_left == 0) firsts_.erase(at);
  return first;
}

void LinkTable::forget(Inode inode, const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto at = firsts_.find(inode);
  if (at != firsts_.end() && at->second.path == path) firsts_.erase(at);
}

Result<std::unique_ptr<FileContent>> open_content(FoundFile& file) {
  Result<std::unique_ptr<FileContent>> content = try_open(file);
  if (!content && file.links) file.links->forget({file.seen.device, file.seen.inode}, file.path);
  return content;
}

int open_unfollowed(int directory_fd, const char* name, int extra_flags) {
  const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | extra_flags;
  for (int noatime = O_NOATIME;;) {
    const int fd = ::openat(directory_fd, name, flags | noatime);
    if (fd >= 0) return fd;
    if (errno == EINTR) continue;
    if (errno != EPERM || noatime == 0) return -1;
    noatime = 0;  // neither owner nor CAP_FOWNER
  }
}

}  // namespace holdfast::sources
