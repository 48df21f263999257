#include "client/restore/tree_special.h"

#include <fcntl.h>

#include <cerrno>
#include <climits>

#include "client/restore/tree_attributes.h"

namespace holdfast::restore {
namespace {

using manifest::Entry;
using manifest::EntryKind;
using Handle = TreeDirectories::Handle;

std::string read_link(int directory_fd, const std::string& name) {
  char buffer[PATH_MAX];
  const ssize_t n = ::readlinkat(directory_fd, name.c_str(), buffer, sizeof buffer);
  return n < 0 ? std::string() : std::string(buffer, static_cast<std::size_t>(n));
}

mode_t type_of(EntryKind kind) {
  switch (kind) {
    case EntryKind::Symlink:
      return S_IFLNK;
    case EntryKind::Fifo:
      return S_IFIFO;
    case EntryKind::CharDevice:
      return S_IFCHR;
    case EntryKind::BlockDevice:
      return S_IFBLK;
    case EntryKind::Socket:
      return S_IFSOCK;
    default:
      return 0;
  }
}

bool is_same_special(const struct stat& st, const Entry& entry, int directory_fd, const std::string& name) {
  if ((st.st_mode & S_IFMT) != type_of(entry.kind) || mtime_ns(st) != entry.mtime_ns) return false;
  if (entry.kind == EntryKind::Symlink) return read_link(directory_fd, name) == entry.link_target;
  return st.st_rdev == entry.rdev;
}

bool create_special(const Entry& entry, int directory_fd, const std::string& name) {
  if (entry.kind == EntryKind::Symlink) return ::symlinkat(entry.link_target.c_str(), directory_fd, name.c_str()) == 0;
  return ::mknodat(directory_fd, name.c_str(), type_of(entry.kind) | 0600, entry.rdev) == 0;
}

Status dress_special(TreeContext& context, const Entry& entry, int directory_fd, const std::string& name) {
  const Descriptor made(open_beneath(directory_fd, name.c_str(), O_PATH));
  struct stat st{};
  if (!made || ::fstat(made.get(), &st) != 0) return errno_error(errno, "open what was made");
  // Another name of it would be somebody else's file.
  if ((st.st_mode & S_IFMT) != type_of(entry.kind) || st.st_nlink != 1)
    return Error{Errc::Denied, "another process has put something else in its place"};
  return apply_attributes({made.get(), true}, entry, context.options.set_owner, context.report);
}

}  // namespace

Status make_special(TreeContext& context, const Entry& entry, const Components& path) {
  if (entry.kind == EntryKind::Symlink && (entry.link_target.empty() || entry.link_target.size() >= PATH_MAX ||
                                           entry.link_target.find('\0') != std::string::npos))
    return Error{Errc::Corrupt, "a symbolic link with an impossible target"};
  HF_TRY(const Handle directory, context.directory_of(path));
  HF_TRY(const std::optional<struct stat> there, context.occupant(directory->get(), path.back()));
  const bool is_same = there && is_same_special(*there, entry, directory->get(), path.back());
  if (is_same && context.was_made(*there)) return {};
  if (there && !context.may_replace(is_same)) return {};
  TemporaryName temporary(directory, context.temporary_name());
  if (!create_special(entry, directory->get(), temporary.name())) {
    const int error = errno;
    temporary.forget();
    if (error != EPERM || entry.kind == EntryKind::Symlink) return errno_error(error, "make it");
    ++context.report.devices_not_made;
    return {};
  }
  HF_TRY_DO(dress_special(context, entry, directory->get(), temporary.name()));
  HF_TRY(const bool placed, context.put_in_place(directory->get(), temporary.name(), path.back()));
  if (placed) temporary.forget();
  return {};
}

}  // namespace holdfast::restore
