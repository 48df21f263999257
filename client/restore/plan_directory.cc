#include "client/restore/plan_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "client/restore/tree_made.h"

namespace holdfast::restore {
namespace {

constexpr int kMaxTries = 16;  ///< a restore that ends takes the directory away under our hands

const std::string kName(kPlanDirectory);

Error not_ours(std::string_view why) {
  return {Errc::Denied, "the target holds '" + kName + "', which " + std::string(why) + ": remove it first"};
}

/// Nothing: it was removed meanwhile.
Result<Descriptor> open_locked(int target_fd) {
  if (::mkdirat(target_fd, kName.c_str(), 0700) != 0 && errno != EEXIST)
    return errno_error(errno, "make the directory '" + kName + "' in the target");
  Descriptor directory(open_beneath(target_fd, kName.c_str(), O_RDONLY | O_DIRECTORY));
  if (!directory && errno == ENOENT) return Descriptor();
  if (!directory && (errno == ENOTDIR || errno == ELOOP)) return not_ours("is no directory");
  if (!directory) return errno_error(errno, "open the directory '" + kName + "' in the target");
  struct stat st{};
  if (::fstat(directory.get(), &st) != 0) return errno_error(errno, "stat the directory '" + kName + "' in the target");
  if (st.st_uid != ::geteuid()) return not_ours("belongs to another user");
  if ((st.st_mode & 0077) != 0) return not_ours("is open to others");
  if (::flock(directory.get(), LOCK_EX | LOCK_NB) != 0)
    return Error{Errc::Locked, "another restore to this target is running"};
  if (::fstat(directory.get(), &st) != 0 || st.st_nlink == 0) return Descriptor();
  return directory;
}

}  // namespace

Result<PlanDirectory> PlanDirectory::open(TreeDirectories::Handle target) {
  for (int tries = 0; tries < kMaxTries; ++tries) {
    HF_TRY(Descriptor directory, open_locked(target->get()));
    if (directory) return PlanDirectory(std::move(target), std::move(directory));
  }
  return Error{Errc::Locked, "other restores to this target begin and end"};
}

Result<Descriptor> PlanDirectory::open_file(const std::string& name) const {
  Descriptor file(open_beneath(directory_.get(), name.c_str(), O_RDWR | O_NONBLOCK));
  if (!file) return errno_error(errno, "open the restore's file '" + name + "'");
  struct stat st{};
  if (::fstat(file.get(), &st) != 0) return errno_error(errno, "stat the restore's file '" + name + "'");
  if (!S_ISREG(st.st_mode) || st.st_uid != ::geteuid() || st.st_nlink != 1)
    return Error{Errc::Denied, "the restore's file '" + name + "' is not ours"};
  return file;
}

Result<Descriptor> PlanDirectory::make_file(const std::string& name) const {
  ::unlinkat(directory_.get(), name.c_str(), 0);
  Descriptor file(open_beneath(directory_.get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600));
  if (!file) return errno_error(errno, "make the restore's file '" + name + "'");
  return file;
}

Result<Descriptor> PlanDirectory::make_nameless() const {
  Descriptor file(open_nameless(directory_.get()));
  if (!file) return errno_error(errno, "make a file of the restore's own");
  return file;
}

Status PlanDirectory::rename(const std::string& from, const std::string& to) const {
  if (::renameat(directory_.get(), from.c_str(), directory_.get(), to.c_str()) != 0)
    return errno_error(errno, "rename the restore's file '" + from + "'");
  return {};
}

void PlanDirectory::clear() const {
  const int fd = open_beneath(directory_.get(), ".", O_RDONLY | O_DIRECTORY);
  DIR* const stream = fd < 0 ? nullptr : ::fdopendir(fd);
  if (stream == nullptr) {
    if (fd >= 0) ::close(fd);
    return;
  }
  while (const dirent* entry = ::readdir(stream)) ::unlinkat(directory_.get(), entry->d_name, 0);
  ::closedir(stream);
}

void PlanDirectory::remove() const {
  clear();
  struct stat st{};
  const bool known = ::fstat(target_->get(), &st) == 0;
  ::unlinkat(target_->get(), kName.c_str(), AT_REMOVEDIR);
  const timespec times[2] = {{0, UTIME_OMIT}, st.st_mtim};  // the target has its times already
  if (known) ::utimensat(target_->get(), "", times, AT_EMPTY_PATH);
}

}  // namespace holdfast::restore
