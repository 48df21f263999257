#include "common/base/result.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace holdfast {

std::string_view errc_name(Errc code) {
  switch (code) {
    case Errc::Usage:
      return "usage";
    case Errc::Config:
      return "config";
    case Errc::NotFound:
      return "not-found";
    case Errc::Exists:
      return "exists";
    case Errc::Io:
      return "io";
    case Errc::DiskFull:
      return "disk-full";
    case Errc::SourceFailed:
      return "source-failed";
    case Errc::Denied:
      return "denied";
    case Errc::WrongKey:
      return "wrong-key";
    case Errc::Quota:
      return "quota";
    case Errc::TooNew:
      return "too-new";
    case Errc::Unreachable:
      return "unreachable";
    case Errc::Timeout:
      return "timeout";
    case Errc::Corrupt:
      return "corrupt";
    case Errc::Protocol:
      return "protocol";
    case Errc::Rollback:
      return "rollback";
    case Errc::Locked:
      return "locked";
    case Errc::Canceled:
      return "canceled";
    case Errc::Fenced:
      return "fenced";
    case Errc::Conflict:
      return "conflict";
    case Errc::Limit:
      return "limit";
    case Errc::Unknown:
      return "unknown-outcome";
    case Errc::Missing:
      return "missing";
  }
  return "invalid";
}

Error errno_error(int errno_value, std::string_view doing) {
  Errc code = Errc::Io;
  switch (errno_value) {
    case ENOENT:
    case ENOTDIR:
      code = Errc::NotFound;
      break;
    case EEXIST:
      code = Errc::Exists;
      break;
    case ENOSPC:
    case EDQUOT:
      code = Errc::DiskFull;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = Errc::Denied;
      break;
    default:
      break;
  }
  return {code, std::string(doing) + ": " + std::generic_category().message(errno_value)};
}

void assert_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "holdfast: internal error: %s (%s:%d)\n", what, file, line);
  std::abort();
}

}  // namespace holdfast
