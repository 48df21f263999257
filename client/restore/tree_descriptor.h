#pragma once
// Why: descriptors below the target directory: one owner each, opened without leaving it.

#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"

namespace holdfast::restore {

/// Closes on destruction.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { reset(); }
  void reset() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// openat2(2) of one name: beneath the directory, through no symbolic link, no magic link. Kernels before 5.6 have
/// openat only; one component with O_NOFOLLOW is as safe, since nothing stands between the directory and the name.
/// A symbolic link itself is opened by O_PATH | O_NOFOLLOW. -1 and errno on failure.
int open_beneath(int directory_fd, const char* name, int flags, unsigned mode = 0);

using Components = std::vector<std::string>;

/// The components of an entry's path. Errors: Corrupt for what must never reach the kernel: relative paths, "." and
/// "..", empty parts, zero bytes, more than kMaxPathBytes.
Result<Components> split_path(std::string_view path);

/// Directories below the target, resolved one component at a time, the last way down kept open: entries come in tree
/// order. At most kMaxOpenLevels descriptors. One thread at a time.
class TreeDirectories {
 public:
  using Handle = std::shared_ptr<const Descriptor>;  ///< O_PATH; shared with the files being written in it
  static constexpr std::size_t kMaxOpenLevels = 128;

  explicit TreeDirectories(Handle root) : root_(std::move(root)) {}
  /// The directory that the first `depth` components name. `create`: missing ones are made, 0700.
  /// Errors: NotFound, Exists (something else than a directory stands there; links are not followed), Denied, Io.
  Result<Handle> open(const Components& path, std::size_t depth, bool create);
  /// The deepest of them that is there. Errors: as open, but NotFound.
  Result<Handle> nearest(const Components& path, std::size_t depth);

 private:
  struct Level {
    std::string name;
    Handle handle;  ///< null while closed: many levels deeper
  };
  Result<Handle> open_one(const Handle& above, const std::string& name, bool create);

  Handle root_;
  std::vector<Level> levels_;
};

}  // namespace holdfast::restore
