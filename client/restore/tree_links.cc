#include "client/restore/tree_links.h"

#include <fcntl.h>

#include <cerrno>

#include "client/restore/tree_attributes.h"
#include "client/restore/tree_target.h"

namespace holdfast::restore {
namespace {

using manifest::Entry;
using Handle = TreeDirectories::Handle;

Error no_first_link(const Entry& entry, std::string_view why) {
  return {Errc::NotFound, "link to '" + printable(entry.link_target) + "': that " + std::string(why)};
}

}  // namespace

Status HardLinks::make(const Entry& entry, const Components& path) {
  HF_TRY(const Components first, split_path(entry.link_target));
  HF_TRY_DO(check_not_own(first));
  HF_TRY(const Handle directory, context_.directory_of(path));
  HF_TRY(const std::optional<struct stat> there, context_.occupant(directory->get(), path.back()));
  if (there && context_.options.overwrite == Overwrite::Never && !context_.was_made(*there)) {
    context_.may_replace(false);
    return {};
  }
  HF_TRY(const Handle first_directory, first_directory_of(first, entry));
  struct stat st{};
  if (::fstatat(first_directory->get(), first.back().c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
    return no_first_link(entry, "is absent");
  if (S_ISDIR(st.st_mode))
    return Error{Errc::Corrupt, "a hard link to a directory: '" + printable(entry.link_target) + "'"};
  if (!is_first_link(st, entry)) return no_first_link(entry, "was there before and left in place");
  if (there && same_inode(*there, st) && context_.was_made(*there)) return {};
  if (there && !context_.may_replace(same_inode(*there, st))) return {};

  TemporaryName temporary(directory, context_.temporary_name());
  if (::linkat(first_directory->get(), first.back().c_str(), directory->get(), temporary.name().c_str(), 0) != 0) {
    const int error = errno;
    temporary.forget();
    if (error == EXDEV || error == EMLINK || error == EPERM)
      return no_first_link(entry, "cannot get another link here");
    return errno_error(error, "link to '" + printable(entry.link_target) + "'");
  }
  // The temporary name goes in any case: rename(2) leaves it when both are links of one file.
  HF_TRY_DO(context_.put_in_place(directory->get(), temporary.name(), path.back()));
  return {};
}

Result<Handle> HardLinks::first_directory_of(const Components& first, const Entry& entry) {
  if (first.empty()) return Error{Errc::Corrupt, "a hard link to the root directory"};
  Result<Handle> directory = first_links_.open(first, first.size() - 1, false);
  if (!directory) return no_first_link(entry, "is absent");
  return directory;
}

// Did this run write it? Its change time tells, and nobody can set that back. Under Changed it may also have been
// there, equal, and been left; links share their times.
bool HardLinks::is_first_link(const struct stat& st, const Entry& entry) const {
  if (!is_before(st.st_ctim, context_.began)) return true;
  return context_.options.overwrite == Overwrite::Changed && mtime_ns(st) == entry.mtime_ns;
}

}  // namespace holdfast::restore
