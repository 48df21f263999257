#include "client/restore/tree_removal.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>

#include "client/restore/plan_directory.h"
#include "client/restore/tree_target.h"
#include "client/restore/tree_writer.h"

namespace holdfast::restore {
namespace {

bool is_of_a_restore(std::string_view name) { return name == kPlanDirectory || name.starts_with(kTemporaryPrefix); }

}  // namespace

int open_on_mount(int directory_fd, const char* name) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  for (int tries = 0; tries < 128; ++tries) {
    const long fd = ::syscall(SYS_openat2, directory_fd, name, &how, sizeof how);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) return static_cast<int>(fd);
  }
  return -1;
}

Result<std::vector<std::string>> names_in(int directory_fd) {
  const DirectoryStream stream = open_stream(directory_fd);
  if (!stream) return errno_error(errno, "read the directory");
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) return errno_error(errno, "read the directory");
  std::sort(names.begin(), names.end());
  return names;
}

TreeRemoval::TreeRemoval(Options options) : options_(std::move(options)) {
  for (const std::string& path : options_.keep) {
    struct stat st{};
    if (::stat(path.c_str(), &st) == 0) kept_.insert({st.st_dev, st.st_ino});
  }
}

bool TreeRemoval::remove(int directory_fd, const std::string& name, const std::string& path, unsigned depth) {
  if (stopped() || is_of_a_restore(name)) return false;
  struct stat st{};
  if (::fstatat(directory_fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return true;
    leave(path, errno_error(errno, "look at it"));
    return false;
  }
  if (kept_.contains({st.st_dev, st.st_ino})) {
    leave(path, Error{Errc::Denied, "it belongs to Holdfast itself"});
    return false;
  }
  if (options_.left_out && options_.left_out(path, S_ISDIR(st.st_mode))) {
    options_.spared(path);
    return false;
  }
  return S_ISDIR(st.st_mode) ? remove_directory(directory_fd, name, path, depth) : unlink(directory_fd, name, path, 0);
}

bool TreeRemoval::spares(const std::vector<std::string>& names, const std::string& path) const {
  const bool marked = std::any_of(options_.markers.begin(), options_.markers.end(), [&](const std::string& marker) {
    return std::binary_search(names.begin(), names.end(), marker);
  });
  if (marked) options_.spared(path);
  return marked;
}

bool TreeRemoval::remove_directory(int directory_fd, const std::string& name, const std::string& path, unsigned depth) {
  const auto leave_it = [&](const Error& why) {
    leave(path, why);
    return false;
  };
  if (depth >= kMaxDepth) return leave_it(Error{Errc::Limit, "it is nested too deeply"});
  const Descriptor directory(open_on_mount(directory_fd, name.c_str()));
  if (!directory && errno == EXDEV)
    return leave_it(Error{Errc::Denied, "it is on another file system, or another one is mounted there"});
  if (!directory) return leave_it(errno_error(errno, "open the directory"));
  const Result<std::vector<std::string>> names = names_in(directory.get());
  if (!names) return leave_it(names.error());
  if (spares(*names, path)) return false;
  bool is_empty = true;
  for (const std::string& one : *names)
    is_empty = remove(directory.get(), one, path + "/" + one, depth + 1) && is_empty;
  return is_empty && unlink(directory_fd, name, path, AT_REMOVEDIR);
}

bool TreeRemoval::unlink(int directory_fd, const std::string& name, const std::string& path, int flags) const {
  if (!options_.dry_run && ::unlinkat(directory_fd, name.c_str(), flags) != 0 && errno != ENOENT) {
    leave(path, errno_error(errno, "remove it"));
    return false;
  }
  options_.removed(path);
  return true;
}

}  // namespace holdfast::restore
