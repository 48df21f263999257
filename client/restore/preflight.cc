#include "client/restore/preflight.h"

#include <sys/statvfs.h>

#include <cerrno>

namespace holdfast::restore {

Status check_room(int target_fd, const std::string& target, std::uint64_t bytes, std::uint64_t inodes) {
  struct statvfs space{};
  if (::fstatvfs(target_fd, &space) != 0) return errno_error(errno, "look at the free space of " + printable(target));
  const auto refuse = [&](const std::string& what, std::uint64_t needed, std::uint64_t free) {
    return Error{Errc::DiskFull, "restore to " + printable(target) + ": " + std::to_string(needed) + " " + what +
                                     " are needed, " + std::to_string(free) + " are free there; nothing was written"};
  };
  const std::uint64_t free_bytes = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
  if (bytes > free_bytes) return refuse("bytes", bytes, free_bytes);
  if (space.f_files != 0 && inodes > space.f_favail) return refuse("inodes", inodes, space.f_favail);
  return {};
}

}  // namespace holdfast::restore
