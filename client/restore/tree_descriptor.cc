#include "client/restore/tree_descriptor.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>

#include "client/manifest/entry.h"

namespace holdfast::restore {
namespace {

constexpr int kMaxTries = 128;  ///< openat2 answers EAGAIN when a rename crossed its way

bool must_be_refused(std::string_view name) {
  return name.empty() || name == "." || name == ".." || name.find('\0') != name.npos;
}

}  // namespace

int open_beneath(int directory_fd, const char* name, int flags, unsigned mode) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(static_cast<unsigned>(flags | O_CLOEXEC | O_NOFOLLOW));
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  for (int tries = 0; tries < kMaxTries; ++tries) {
    const long fd = ::syscall(SYS_openat2, directory_fd, name, &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    if (errno == ENOSYS) return ::openat(directory_fd, name, flags | O_CLOEXEC | O_NOFOLLOW, mode);
    if (errno != EAGAIN && errno != EINTR) return -1;
  }
  return -1;
}

Result<Components> split_path(std::string_view path) {
  const auto refuse = [&](std::string_view why) {
    return Error{Errc::Corrupt, "refuse the path '" + printable(path.substr(0, 256)) + "': " + std::string(why)};
  };
  if (!path.starts_with('/')) return refuse("it is not absolute");
  if (path.size() > manifest::kMaxPathBytes) return refuse("it is too long");
  Components components;
  for (std::size_t at = 1; path.size() > 1 && at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view name = path.substr(at, end - at);
    if (must_be_refused(name)) return refuse("a component is empty, '.', '..' or holds a zero byte");
    components.emplace_back(name);
    at = end + 1;
  }
  return components;
}

Result<TreeDirectories::Handle> TreeDirectories::open(const Components& path, std::size_t depth, bool create) {
  std::size_t common = 0;
  while (common < depth && common < levels_.size() && levels_[common].name == path[common]) ++common;
  levels_.resize(common);
  while (common > 0 && !levels_[common - 1].handle) --common;  // the lowest that is still open
  Handle handle = common == 0 ? root_ : levels_[common - 1].handle;
  for (; common < depth; ++common) {
    Result<Handle> next = open_one(handle, path[common], create);
    if (!next) {
      levels_.resize(common);
      return next;
    }
    handle = *std::move(next);
    if (common == levels_.size())
      levels_.push_back({path[common], handle});
    else
      levels_[common].handle = handle;
    if (common >= kMaxOpenLevels) levels_[common - kMaxOpenLevels].handle.reset();
  }
  return handle;
}

Result<TreeDirectories::Handle> TreeDirectories::nearest(const Components& path, std::size_t depth) {
  Result<Handle> found = open(path, depth, false);
  if (found || found.error().code != Errc::NotFound) return found;
  return open(path, levels_.size(), false);  // as far as it came
}

Result<TreeDirectories::Handle> TreeDirectories::open_one(const Handle& above, const std::string& name, bool create) {
  constexpr int kFlags = O_PATH | O_DIRECTORY;
  int fd = open_beneath(above->get(), name.c_str(), kFlags);
  if (fd < 0 && errno == ENOENT && create) {
    if (::mkdirat(above->get(), name.c_str(), 0700) != 0 && errno != EEXIST)
      return errno_error(errno, "make directory '" + printable(name) + "'");
    fd = open_beneath(above->get(), name.c_str(), kFlags);
  }
  if (fd >= 0) return std::make_shared<const Descriptor>(fd);
  if (errno == ENOTDIR || errno == ELOOP)
    return Error{
        Errc::Exists,
        "'" + printable(name) + "' is no directory in the target: what stands there is neither followed nor removed"};
  return errno_error(errno, "open directory '" + printable(name) + "'");
}

}  // namespace holdfast::restore
