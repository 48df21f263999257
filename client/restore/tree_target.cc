#include "client/restore/tree_target.h"

#include <fcntl.h>

#include <cerrno>

#include "client/restore/plan_directory.h"
#include "client/restore/tree_descriptor.h"
#include "client/restore/tree_made.h"

namespace holdfast::restore {

Result<std::string> make_target(const std::string& path) {
  std::string topmost;
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    const bool is_new = ::mkdir(part.c_str(), 0700) == 0;
    if (!is_new && errno != EEXIST && end == path.npos) return errno_error(errno, "make the target " + printable(path));
    if (is_new && topmost.empty()) topmost = part;
    if (!is_new && errno == EEXIST) topmost.clear();
    if (end == path.npos || path.find_first_not_of('/', end) == path.npos) return topmost;  // trailing slashes
  }
}

DirectoryStream open_stream(int directory_fd) {
  const int fd = open_beneath(directory_fd, ".", O_RDONLY | O_DIRECTORY);
  DIR* stream = fd < 0 ? nullptr : ::fdopendir(fd);
  if (fd >= 0 && !stream) ::close(fd);
  return DirectoryStream(stream);
}

bool is_empty(int directory_fd) {
  const DirectoryStream stream = open_stream(directory_fd);
  if (!stream) return false;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && name != "lost+found" && name != kPlanDirectory) return false;
  }
  return true;
}

bool same_inode(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

bool is_before(const timespec& a, const timespec& b) {
  return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

Result<timespec> begin_after_all_changes(int root_fd) {
  const Descriptor probe(open_nameless(root_fd));
  if (!probe) return errno_error(errno, "make a temporary file in the target");
  struct stat st{};
  if (::fstat(probe.get(), &st) != 0) return errno_error(errno, "stat a temporary file in the target");
  const timespec before = st.st_ctim;
  constexpr timespec kMillisecond{0, 1'000'000};
  for (int tries = 0; tries < 50 && !is_before(before, st.st_ctim); ++tries) {
    ::nanosleep(&kMillisecond, nullptr);
    if (::futimens(probe.get(), nullptr) != 0 || ::fstat(probe.get(), &st) != 0)
      return errno_error(errno, "read the target's clock");
  }
  return st.st_ctim;
}

bool is_root_directory(int fd) {
  struct stat a{}, b{};
  return ::fstat(fd, &a) == 0 && ::stat("/", &b) == 0 && same_inode(a, b);
}

}  // namespace holdfast::restore
