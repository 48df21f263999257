#include "client/restore/tree_attributes.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

namespace holdfast::restore {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::string_view kCapability = "security.capability";

// Rights, or a file system that cannot keep it: counted, never fatal.
bool is_refusal(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
    case ENOTSUP:
    case EINVAL:
    case ENOSYS:
    case ENODATA:
    case E2BIG:
    case ERANGE:
    case ENOSPC:
      return true;  // ENOSPC: the attributes exceed the inode's room for them
    default:
      return false;
  }
}

bool is_wanted(const manifest::Entry& entry, std::string_view name) {
  return std::any_of(entry.xattrs.begin(), entry.xattrs.end(),
                     [&](const manifest::Xattr& x) { return x.name == name; });
}

// Labels of security modules belong to the machine, unless the entry brings its own.
bool is_removable(std::string_view name) {
  return name.starts_with("user.") || name.starts_with("trusted.") || name.starts_with("system.posix_acl_") ||
         name == kCapability;
}

/// Without its owner it runs as nobody else.
mode_t mode_for(const manifest::Entry& entry, bool has_user, bool has_group) {
  mode_t wanted = entry.mode & 07777;
  if (!has_user) wanted &= ~static_cast<mode_t>(S_ISUID);
  if (!has_group && entry.kind != manifest::EntryKind::Directory) wanted &= ~static_cast<mode_t>(S_ISGID);
  return wanted;
}

bool has_xattr(int fd, const manifest::Xattr& wanted) {
  std::string value(wanted.value.size() + 1, '\0');
  const ssize_t n = ::fgetxattr(fd, wanted.name.c_str(), value.data(), value.size());
  return n >= 0 && std::string_view(value).substr(0, static_cast<std::size_t>(n)) == wanted.value;
}

bool has_foreign_xattrs(int fd, const manifest::Entry& entry) {
  char list[XATTR_LIST_MAX];
  const ssize_t bytes = ::flistxattr(fd, list, sizeof list);
  for (const char* name = list; name < list + bytes; name += std::char_traits<char>::length(name) + 1)
    if (!is_wanted(entry, name) && is_removable(name)) return true;
  return false;
}

class Setter {
 public:
  Setter(AttributeTarget target, const manifest::Entry& entry, TargetReport& report)
      : target_(target), entry_(entry), report_(report), proc_path_("/proc/self/fd/" + std::to_string(target.fd)) {}

  Status apply(bool set_owner) {
    HF_TRY_DO(owner(set_owner));
    HF_TRY_DO(remove_foreign_xattrs());
    for (const manifest::Xattr& attribute : entry_.xattrs)
      if (attribute.name != kCapability) HF_TRY_DO(xattr(attribute));
    for (const manifest::Xattr& attribute : entry_.xattrs)
      if (attribute.name == kCapability) HF_TRY_DO(xattr(attribute));
    if (entry_.kind != manifest::EntryKind::Symlink) HF_TRY_DO(mode());
    return times();
  }

 private:
  Status owner(bool set_owner) {
    struct stat st{};
    if (::fstat(target_.fd, &st) != 0) return errno_error(errno, "stat what was made");
    if (set_owner && (st.st_uid != entry_.uid || st.st_gid != entry_.gid)) {
      constexpr int kFlags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;
      const bool done = ::fchownat(target_.fd, "", entry_.uid, entry_.gid, kFlags) == 0;
      if (!done && !is_refusal(errno)) return errno_error(errno, "set the owner");
      // One may give a file to a group of one's own.
      if (!done) [[maybe_unused]]
        const int refused = ::fchownat(target_.fd, "", static_cast<uid_t>(-1), entry_.gid, kFlags);
      if (::fstat(target_.fd, &st) != 0) return errno_error(errno, "stat what was made");
    }
    has_user_ = st.st_uid == entry_.uid;
    has_group_ = st.st_gid == entry_.gid;
    if (!has_user_ || !has_group_) ++report_.owners_not_set;
    return {};
  }

  // An ACL inherited from the directory around it, or what a reused directory had.
  Status remove_foreign_xattrs() {
    char list[XATTR_LIST_MAX];
    const ssize_t bytes = target_.path_only ? ::listxattr(proc_path_.c_str(), list, sizeof list)
                                            : ::flistxattr(target_.fd, list, sizeof list);
    if (bytes < 0) return {};  // nothing there to remove, or no such attributes in this file system
    for (const char* name = list; name < list + bytes; name += std::char_traits<char>::length(name) + 1) {
      if (is_wanted(entry_, name) || !is_removable(name)) continue;
      const int rc = target_.path_only ? ::removexattr(proc_path_.c_str(), name) : ::fremovexattr(target_.fd, name);
      if (rc != 0 && errno != ENODATA) HF_TRY_DO(counted(errno, "remove an extended attribute"));
    }
    return {};
  }

  Status xattr(const manifest::Xattr& attribute) {
    const std::string& name = attribute.name;
    if (name.empty() || name.size() > XATTR_NAME_MAX || name.find('\0') != name.npos)
      return Error{Errc::Corrupt,
                   "an extended attribute has the impossible name '" + printable(name.substr(0, XATTR_NAME_MAX)) + "'"};
    const char* value = attribute.value.data();
    const std::size_t bytes = attribute.value.size();
    const int rc = target_.path_only ? ::setxattr(proc_path_.c_str(), name.c_str(), value, bytes, 0)
                                     : ::fsetxattr(target_.fd, name.c_str(), value, bytes, 0);
    return rc == 0 ? Status{} : counted(errno, "set extended attribute " + printable(name));
  }

  Status mode() {
    const mode_t wanted = mode_for(entry_, has_user_, has_group_);
    if (wanted != (entry_.mode & 07777)) ++report_.attributes_not_set;
    const int rc = target_.path_only ? ::chmod(proc_path_.c_str(), wanted) : ::fchmod(target_.fd, wanted);
    return rc == 0 ? Status{} : counted(errno, "set the mode");
  }

  Status times() {
    const timespec both[2] = {{0, UTIME_OMIT}, to_timespec(entry_.mtime_ns)};
    const int rc = target_.path_only ? ::utimensat(target_.fd, "", both, AT_EMPTY_PATH) : ::futimens(target_.fd, both);
    return rc == 0 ? Status{} : counted(errno, "set the time");
  }

  Status counted(int error, std::string_view doing) {
    // Without /proc a path-only target has no attributes that could be set.
    if (!is_refusal(error) && !(target_.path_only && error == ENOENT)) return errno_error(error, doing);
    ++report_.attributes_not_set;
    return {};
  }

  const AttributeTarget target_;
  const manifest::Entry& entry_;
  TargetReport& report_;
  const std::string proc_path_;
  bool has_user_ = false, has_group_ = false;
};

}  // namespace

Status apply_attributes(AttributeTarget target, const manifest::Entry& entry, bool set_owner, TargetReport& report) {
  return Setter(target, entry, report).apply(set_owner);
}

bool has_attributes(int fd, const struct stat& st, const manifest::Entry& entry) {
  const mode_t mode = mode_for(entry, st.st_uid == entry.uid, st.st_gid == entry.gid);
  if ((st.st_mode & 07777) != mode || mtime_ns(st) != entry.mtime_ns || has_foreign_xattrs(fd, entry)) return false;
  return std::all_of(entry.xattrs.begin(), entry.xattrs.end(),
                     [fd](const manifest::Xattr& wanted) { return has_xattr(fd, wanted); });
}

timespec to_timespec(std::int64_t ns) {
  std::int64_t seconds = ns / kSecond, rest = ns % kSecond;
  if (rest < 0) {  // before 1970 the nanoseconds still count forward
    --seconds;
    rest += kSecond;
  }
  return {static_cast<time_t>(seconds), static_cast<long>(rest)};
}

std::int64_t mtime_ns(const struct stat& st) {
  std::int64_t ns = 0;
  if (__builtin_mul_overflow(static_cast<std::int64_t>(st.st_mtim.tv_sec), kSecond, &ns) ||
      __builtin_add_overflow(ns, static_cast<std::int64_t>(st.st_mtim.tv_nsec), &ns))
    return st.st_mtim.tv_sec < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
  return ns;
}

}  // namespace holdfast::restore
