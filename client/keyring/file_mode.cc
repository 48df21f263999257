#include "client/keyring/file_mode.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

namespace holdfast::keyring {

Status check_private(const fs::FileSystem& fs, const std::string& path) {
  if (&fs != &fs::real()) return {};
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) return errno_error(errno, "look at '" + printable(path) + "'");
  constexpr mode_t kWider = 0777 & ~static_cast<mode_t>(0600);
  if ((facts.st_mode & kWider) == 0) return {};
  char mode[8];
  std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(facts.st_mode & 07777));
  const std::string name = printable(path);
  return Error{Errc::Denied,
               "'" + name + "' holds secrets and has mode " + mode + ", so others may read it: chmod 600 " + name};
}

}  // namespace holdfast::keyring
