#include "common/console/exit_code.h"

namespace holdfast::console {

int exit_code(Errc code) {
  switch (code) {
    case Errc::Usage:
    case Errc::Config:
      return kUsage;
    case Errc::NotFound:
    case Errc::Exists:
    case Errc::Io:
    case Errc::DiskFull:
    case Errc::SourceFailed:
    case Errc::Fenced:
    case Errc::Conflict:
    case Errc::Limit:
    case Errc::Unknown:
      return kFailed;
    case Errc::Denied:
    case Errc::WrongKey:
    case Errc::Quota:
    case Errc::TooNew:
      return kRefused;
    case Errc::Unreachable:
    case Errc::Timeout:
      return kUnreachable;
    case Errc::Corrupt:
    case Errc::Protocol:
    case Errc::Rollback:
    case Errc::Missing:
      return kDamaged;
    case Errc::Locked:
      return kLocked;
    case Errc::Canceled:
      return kInterrupted;
  }
  return kFailed;  // a number of a newer server
}

namespace {

int rank(int code) {
  switch (code) {
    case kDone:
      return 0;
    case kWarnings:
      return 1;
    case kFailed:
      return 2;
    case kUnreachable:
      return 3;
    case kRefused:
      return 4;
    case kDamaged:
      return 5;
    default:
      return 6;
  }
}

}  // namespace

int graver(int a, int b) { return rank(b) > rank(a) ? b : a; }

}  // namespace holdfast::console
