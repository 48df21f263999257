#include "client/sources/attributes.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/limits.h>
#include <pwd.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <limits>

namespace holdfast::sources {
namespace {

// Nanoseconds since 1970, held at the ends of the type (years 1677 and 2262): some file systems reach further.
std::int64_t to_ns(const statx_timestamp& time) {
  std::int64_t ns = 0;
  if (__builtin_mul_overflow(static_cast<std::int64_t>(time.tv_sec), std::int64_t{1'000'000'000}, &ns) ||
      __builtin_add_overflow(ns, static_cast<std::int64_t>(time.tv_nsec), &ns))
    return time.tv_sec < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
  return ns;
}

constexpr std::size_t kNameBufferBytes = 64u << 10;  ///< one record of a directory service; larger ones have no name

template <class Record, class Lookup>
std::string look_up(std::uint32_t number, Lookup lookup, char* Record::* name) {
  std::vector<char> buffer(1024);
  for (;;) {
    Record record{};
    Record* found = nullptr;
    const int rc = lookup(number, &record, buffer.data(), buffer.size(), &found);
    if (rc == ERANGE && buffer.size() < kNameBufferBytes) {
      buffer.resize(buffer.size() * 4);
      continue;
    }
    return rc == 0 && found ? std::string(found->*name) : std::string();
  }
}

struct XattrPath {
  std::string path;
  bool follow;  ///< the last component is /proc's own link to the descriptor
};

ssize_t list_names(const XattrPath& at, char* out, std::size_t bytes) {
  return at.follow ? ::listxattr(at.path.c_str(), out, bytes) : ::llistxattr(at.path.c_str(), out, bytes);
}

ssize_t get_value(const XattrPath& at, const char* name, char* out, std::size_t bytes) {
  return at.follow ? ::getxattr(at.path.c_str(), name, out, bytes) : ::lgetxattr(at.path.c_str(), name, out, bytes);
}

}  // namespace

Result<struct statx> stat_at(int directory_fd, const char* name) {
  struct statx st{};
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);
  if (::statx(directory_fd, name, flags, STATX_BASIC_STATS, &st) == 0) return st;
  if (errno == ENOENT) return Error{Errc::NotFound, std::string(kVanished)};
  return errno_error(errno, "stat");
}

manifest::StatIdentity identity_of(const struct statx& st) {
  return {st.stx_size, to_ns(st.stx_mtime), to_ns(st.stx_ctime), st.stx_ino,
          makedev(st.stx_dev_major, st.stx_dev_minor)};
}

bool same_inode(const struct statx& a, const struct statx& b) {
  return a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major && a.stx_dev_minor == b.stx_dev_minor;
}

Result<manifest::EntryKind> kind_of(const struct statx& st) {
  using manifest::EntryKind;
  switch (st.stx_mode & S_IFMT) {
    case S_IFREG:
      return EntryKind::File;
    case S_IFDIR:
      return EntryKind::Directory;
    case S_IFLNK:
      return EntryKind::Symlink;
    case S_IFIFO:
      return EntryKind::Fifo;
    case S_IFCHR:
      return EntryKind::CharDevice;
    case S_IFBLK:
      return EntryKind::BlockDevice;
    case S_IFSOCK:
      return EntryKind::Socket;
    default:
      return Error{Errc::NotFound, "a type of file that cannot be backed up"};
  }
}

const std::string& OwnerNames::user(std::uint32_t uid) {
  const auto [at, is_new] = users_.try_emplace(uid);
  if (is_new) at->second = look_up<passwd>(uid, ::getpwuid_r, &passwd::pw_name);
  return at->second;
}

const std::string& OwnerNames::group(std::uint32_t gid) {
  const auto [at, is_new] = groups_.try_emplace(gid);
  if (is_new) at->second = look_up<::group>(gid, ::getgrgid_r, &::group::gr_name);
  return at->second;
}

void fill_metadata(const struct statx& st, OwnerNames& names, manifest::Entry& entry) {
  entry.mode = st.stx_mode & 07777;
  entry.uid = st.stx_uid;
  entry.gid = st.stx_gid;
  entry.owner = names.user(st.stx_uid);
  entry.group = names.group(st.stx_gid);
  entry.mtime_ns = to_ns(st.stx_mtime);
  if (S_ISREG(st.stx_mode)) entry.size = st.stx_size;
  if (S_ISCHR(st.stx_mode) || S_ISBLK(st.stx_mode)) entry.rdev = makedev(st.stx_rdev_major, st.stx_rdev_minor);
}

Status read_xattrs(int directory_fd, const char* name, std::vector<manifest::Xattr>& out) {
  XattrPath at{"/proc/self/fd/" + std::to_string(directory_fd), *name == 0};
  if (*name) at.path.append("/").append(name);

  char list[XATTR_LIST_MAX];  // the kernel's own bound: no second call is ever needed
  const ssize_t list_bytes = list_names(at, list, sizeof list);
  if (list_bytes < 0 && errno == ENOTSUP) return {};
  if (list_bytes < 0) return errno_error(errno, "list extended attributes");

  Status status;
  std::size_t total = 0;
  static thread_local char value[XATTR_SIZE_MAX];  // likewise
  for (const char* each = list; each < list + list_bytes; each += std::char_traits<char>::length(each) + 1) {
    const ssize_t bytes = get_value(at, each, value, sizeof value);
    if (bytes < 0 && errno == ENODATA) continue;  // removed meanwhile
    if (bytes < 0) {
      status = errno_error(errno, "read extended attribute " + printable(each));
      continue;
    }
    total += std::char_traits<char>::length(each) + static_cast<std::size_t>(bytes);
    if (total > manifest::kMaxXattrBytes) {
      status = Error{Errc::Limit, "extended attributes beyond 1 MiB are left out, from " + printable(each) + " on"};
      break;
    }
    out.push_back({each, std::string(value, static_cast<std::size_t>(bytes))});
  }
  std::sort(out.begin(), out.end(), [](const manifest::Xattr& a, const manifest::Xattr& b) { return a.name < b.name; });
  return status;
}

}  // namespace holdfast::sources
