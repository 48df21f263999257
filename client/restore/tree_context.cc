#include "client/restore/tree_context.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "client/restore/plan_directory.h"
#include "client/restore/tree_target.h"
#include "common/base/clock.h"

namespace holdfast::restore {
namespace {

constexpr std::size_t kRunDigits = 16, kRandomDigits = 32;  ///< of a temporary name, the run's included

std::string random_hex() { return system_random().id<RunId>().hex(); }

Error taken_by_directory(const std::string& name) {
  return {Errc::Exists, "a directory stands at '" + printable(name) + "' in the target; directories are not replaced"};
}

}  // namespace

Status check_not_own(const Components& path) {
  if (path.empty() || path.front() != kPlanDirectory) return {};
  return Error{Errc::Denied, "this name in the target belongs to the restore itself"};
}

TreeContext::TreeContext(TargetOptions target_options, TreeDirectories::Handle root_handle)
    : options(std::move(target_options)),
      root(std::move(root_handle)),
      directories(root),
      run(random_hex().substr(0, kRunDigits)),
      tag(random_hex().substr(0, kRunDigits)) {}

std::string TreeContext::temporary_name() const {
  return std::string(kTemporaryPrefix) + run + random_hex().substr(0, kRandomDigits - kRunDigits);
}

std::string TreeContext::draft_name(std::uint64_t number) const {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(number));
  return std::string(kTemporaryPrefix) + tag + digits;
}

bool TreeContext::is_leftover(std::string_view name) const {
  if (!name.starts_with(kTemporaryPrefix)) return false;
  name.remove_prefix(kTemporaryPrefix.size());
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  const bool is_ours = name.size() == kRandomDigits && std::all_of(name.begin(), name.end(), is_hex);
  return is_ours && !name.starts_with(run) && !name.starts_with(tag);
}

Result<TreeDirectories::Handle> TreeContext::directory_of(const Components& path) {
  if (path.empty()) return Error{Errc::Corrupt, "only a directory can stand at '/'"};
  return directories.open(path, path.size() - 1, true);
}

bool TreeContext::was_made(const struct stat& st) const { return resumed && !is_before(st.st_ctim, began); }

Result<std::optional<struct stat>> TreeContext::occupant(int directory_fd, const std::string& name) const {
  struct stat st{};
  if (::fstatat(directory_fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return std::optional<struct stat>{};
    return errno_error(errno, "look at '" + printable(name) + "' in the target");
  }
  if (S_ISDIR(st.st_mode)) return taken_by_directory(name);
  return std::optional<struct stat>(st);
}

bool TreeContext::may_replace(bool same) {
  switch (options.overwrite) {
    case Overwrite::Never:
      ++report.left_in_place;
      return false;
    case Overwrite::Changed:
      report.unchanged += same;
      return !same;
    case Overwrite::Always:
      return true;
  }
  return false;
}

Result<bool> TreeContext::put_in_place(int directory_fd, const std::string& temporary, const std::string& name) {
  if (options.overwrite == Overwrite::Never) {
    if (::renameat2(directory_fd, temporary.c_str(), directory_fd, name.c_str(), RENAME_NOREPLACE) == 0) return true;
    if (errno == EEXIST) {
      ++report.left_in_place;
      return false;
    }
    if (errno != EINVAL && errno != ENOSYS) return errno_error(errno, "rename to '" + printable(name) + "'");
    // A file system that cannot rename without replacing: `occupant` said a moment ago that the name was free.
  }
  if (::renameat(directory_fd, temporary.c_str(), directory_fd, name.c_str()) == 0) return true;
  if (errno == EISDIR) return taken_by_directory(name);
  return errno_error(errno, "rename to '" + printable(name) + "'");
}

}  // namespace holdfast::restore
