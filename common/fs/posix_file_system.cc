// The machine's file system. Sources: open(2), rename(2), fsync(2), flock(2); what a failed fsync means on Linux:
// https://wiki.postgresql.org/wiki/Fsync_Errors

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <limits>

#include "common/fs/file_system.h"

namespace holdfast::fs {
namespace {

Error failed(int errno_value, std::string_view verb, const std::string& path) {
  return errno_error(errno_value, std::string(verb) + " '" + printable(path) + "'");
}

/// Repeats a call that a signal interrupted.
template <class Call>
auto again_on_eintr(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

/// Owns a descriptor. Immutable but for moves.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    // Linux closes the descriptor even on EINTR (close(2)); what had to be durable was synced before.
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

Result<Descriptor> open_descriptor(const std::string& path, int flags, unsigned mode, std::string_view verb) {
  const int fd = again_on_eintr([&] { return ::open(path.c_str(), flags | O_CLOEXEC, static_cast<mode_t>(mode)); });
  if (fd < 0) return failed(errno, verb, path);
  return Descriptor(fd);
}

bool fits_off_t(std::uint64_t offset, std::uint64_t length) {
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
  return offset <= kMax && length <= kMax - offset;
}

/// One thread at a time for writes; reads from any thread (pread).
class PosixFile final : public File {
 public:
  PosixFile(std::string path, Descriptor descriptor, std::uint64_t end)
      : path_(std::move(path)), descriptor_(std::move(descriptor)), end_(end) {}

  Status append(ByteSpan bytes) override { return write_at(end_, bytes); }

  Status write_at(std::uint64_t offset, ByteSpan bytes) override {
    if (!fits_off_t(offset, bytes.size())) return failed(EFBIG, "write", path_);
    while (!bytes.empty()) {
      const ssize_t n = again_on_eintr(
          [&] { return ::pwrite(descriptor_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
      if (n < 0) return failed(errno, "write", path_);
      if (n == 0) return failed(EIO, "write", path_);  // a device that takes nothing would hold us for ever
      offset += static_cast<std::uint64_t>(n);
      end_ = std::max(end_, offset);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return {};
  }

  Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) const override {
    std::size_t done = 0;
    while (done < out.size()) {
      if (!fits_off_t(offset + done, 0)) break;  // beyond any file's end
      const ssize_t n = again_on_eintr([&] {
        return ::pread(descriptor_.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      });
      if (n < 0) return failed(errno, "read", path_);
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  Result<std::uint64_t> size() const override {
    struct stat found{};
    if (::fstat(descriptor_.get(), &found) != 0) return failed(errno, "stat", path_);
    return static_cast<std::uint64_t>(found.st_size);
  }

  Status truncate(std::uint64_t length) override {
    if (!fits_off_t(length, 0)) return failed(EFBIG, "truncate", path_);
    if (again_on_eintr([&] { return ::ftruncate(descriptor_.get(), static_cast<off_t>(length)); }) != 0) {
      return failed(errno, "truncate", path_);
    }
    end_ = length;
    return {};
  }

  Status sync() override {
    if (again_on_eintr([&] { return ::fdatasync(descriptor_.get()); }) != 0) return failed(errno, "sync", path_);
    return {};
  }

 private:
  const std::string path_;
  const Descriptor descriptor_;
  std::uint64_t end_;  ///< where append() goes on, also after a write that failed half-way
};

class PosixLock final : public Lock {
 public:
  explicit PosixLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  const Descriptor descriptor_;  // closing it gives the flock back
};

FileKind kind_of(const struct stat& found) {
  if (S_ISREG(found.st_mode)) return FileKind::File;
  return S_ISDIR(found.st_mode) ? FileKind::Directory : FileKind::Other;
}

DirectoryEntry entry_of(std::string name, const struct stat& found) {
  const FileKind kind = kind_of(found);
  return {std::move(name), kind, kind == FileKind::File ? static_cast<std::uint64_t>(found.st_size) : 0};
}

Result<std::unique_ptr<File>> open_file(const std::string& path, int flags, unsigned mode, std::string_view verb) {
  HF_TRY(Descriptor descriptor, open_descriptor(path, flags, mode, verb));
  struct stat found{};
  if (::fstat(descriptor.get(), &found) != 0) return failed(errno, verb, path);
  if (S_ISDIR(found.st_mode)) return failed(EISDIR, verb, path);
  const auto end = static_cast<std::uint64_t>(found.st_size);
  return std::unique_ptr<File>(std::make_unique<PosixFile>(path, std::move(descriptor), end));
}

/// Thread-safe: no state.
class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> create(const std::string& path, unsigned mode) override {
    return open_file(path, O_RDWR | O_CREAT | O_EXCL, mode, "create");
  }
  Result<std::unique_ptr<File>> open_read(const std::string& path) override {
    return open_file(path, O_RDONLY, 0, "open");
  }
  Result<std::unique_ptr<File>> open_write(const std::string& path) override {
    return open_file(path, O_RDWR, 0, "open for writing");
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return failed(errno, "rename to", to);
    return {};
  }

  Status rename_new(const std::string& from, const std::string& to) override {
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
    if (errno != EINVAL && errno != ENOSYS) return failed(errno, "rename to", to);
    // File systems without RENAME_NOREPLACE (NFS): link(2) refuses an existing name just as well.
    if (::link(from.c_str(), to.c_str()) != 0) return failed(errno, "rename to", to);
    (void)::unlink(from.c_str());  // the file has its name; a second one left behind is a leftover like any other
    return {};
  }

  Status unlink(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return failed(errno, "remove", path);
    return {};
  }
  Status remove_directory(const std::string& path) override {
    if (::rmdir(path.c_str()) != 0) return failed(errno, "remove directory", path);
    return {};
  }
  Status make_directory(const std::string& path, unsigned mode) override {
    if (::mkdir(path.c_str(), static_cast<mode_t>(mode)) != 0) return failed(errno, "make directory", path);
    return {};
  }

  Status sync_directory(const std::string& path) override {
    HF_TRY(const Descriptor directory, open_descriptor(path, O_RDONLY | O_DIRECTORY, 0, "open directory"));
    if (again_on_eintr([&] { return ::fsync(directory.get()); }) != 0) return failed(errno, "sync directory", path);
    return {};
  }

  Result<std::vector<DirectoryEntry>> list(const std::string& path) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), &::closedir);
    if (!directory) return failed(errno, "list", path);
    std::vector<DirectoryEntry> out;
    for (;;) {
      errno = 0;
      const dirent* next = ::readdir(directory.get());  // one DIR, one thread: readdir is safe (readdir(3))
      if (next == nullptr && errno != 0) return failed(errno, "list", path);
      if (next == nullptr) break;
      const std::string name = next->d_name;
      if (name == "." || name == "..") continue;
      struct stat found{};
      if (::fstatat(::dirfd(directory.get()), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;  // removed since it was read
        return failed(errno, "stat", join(path, name));
      }
      out.push_back(entry_of(name, found));
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return out;
  }

  Result<DirectoryEntry> stat(const std::string& path) override {
    struct stat found{};
    if (::stat(path.c_str(), &found) != 0) return failed(errno, "stat", path);
    return entry_of(path.substr(path.rfind('/') + 1), found);
  }

  Result<std::uint64_t> available_bytes(const std::string& path) override {
    struct statvfs found{};
    if (again_on_eintr([&] { return ::statvfs(path.c_str(), &found); }) != 0)
      return failed(errno, "free space of", path);
    return static_cast<std::uint64_t>(found.f_bavail) * found.f_frsize;
  }

  Result<std::unique_ptr<Lock>> lock(const std::string& path) override {
    HF_TRY(Descriptor descriptor, open_descriptor(path, O_RDWR | O_CREAT, 0600, "open lock"));
    if (again_on_eintr([&] { return ::flock(descriptor.get(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno != EWOULDBLOCK) return failed(errno, "lock", path);
      return Error{Errc::Locked, "'" + printable(path) + "' is held by another process"};
    }
    return std::unique_ptr<Lock>(std::make_unique<PosixLock>(std::move(descriptor)));
  }
};

}  // namespace

FileSystem& real() {
  static PosixFileSystem file_system;
  return file_system;
}

}  // namespace holdfast::fs
