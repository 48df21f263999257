#include "client/restore/tree_writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>
#include <utility>

#include "client/restore/plan_directory.h"
#include "client/restore/tree_attributes.h"
#include "client/restore/tree_context.h"
#include "client/restore/tree_made.h"
#include "client/restore/tree_pending.h"

namespace holdfast::restore {
namespace {

using manifest::Entry;
using manifest::EntryKind;
using Handle = TreeDirectories::Handle;

// A directory on its way: nobody else looks in, and should we be killed, the next run knows it by this mode.
constexpr mode_t kUnfinishedMode = S_ISVTX | 0700;

bool is_unfinished(const struct stat& st) {
  return (st.st_mode & 07777 & ~static_cast<mode_t>(S_ISGID)) == kUnfinishedMode &&
         st.st_uid == ::geteuid();  // setgid: inherited
}

// mkdir -p. The topmost directory that it made; empty: all were there.
Result<std::string> make_target(const std::string& path) {
  std::string topmost;
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    const bool is_new = ::mkdir(part.c_str(), 0700) == 0;
    if (!is_new && errno != EEXIST && end == path.npos) return errno_error(errno, "make the target " + printable(path));
    if (is_new && topmost.empty()) topmost = part;
    if (!is_new && errno == EEXIST) topmost.clear();
    if (end == path.npos || path.find_first_not_of('/', end) == path.npos) return topmost;  // trailing slashes
  }
}

struct CloseDirectory {
  void operator()(DIR* stream) const { ::closedir(stream); }
};
using DirectoryStream = std::unique_ptr<DIR, CloseDirectory>;

DirectoryStream open_stream(int directory_fd) {
  const int fd = open_beneath(directory_fd, ".", O_RDONLY | O_DIRECTORY);
  DIR* stream = fd < 0 ? nullptr : ::fdopendir(fd);
  if (fd >= 0 && !stream) ::close(fd);
  return DirectoryStream(stream);
}

bool is_empty(int directory_fd) {
  const DirectoryStream stream = open_stream(directory_fd);
  if (!stream) return false;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && name != "lost+found" && name != kPlanDirectory) return false;
  }
  return true;
}

bool same_inode(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

bool is_before(const timespec& a, const timespec& b) {
  return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

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

class Writer final : public TreeWriter {
 public:
  Writer(TargetOptions options, std::string topmost, Handle root, bool root_is_ours, timespec began)
      : context_(std::make_shared<TreeContext>(std::move(options), root)),
        topmost_(std::move(topmost)),
        first_links_(root),
        made_(root),
        root_is_ours_(root_is_ours),
        began_(began) {}

  TreeIdentity identity() const override { return {context_->tag, began_, root_is_ours_}; }
  void resume(TreeIdentity earlier) override {
    context_->tag = std::move(earlier.tag);
    began_ = earlier.began;
    root_is_ours_ = earlier.root_is_ours;
    resumed_ = true;
  }
  Handle root() const override { return context_->root; }
  void abandon() override {
    std::string path = context_->options.target;
    while (!topmost_.empty() && path.size() >= topmost_.size() && ::rmdir(path.c_str()) == 0)
      path.resize(path.find_last_not_of('/', path.rfind('/', path.find_last_not_of('/'))) + 1);
  }

  Status make(const Entry& entry) override {
    HF_TRY(const Components path, place_of(entry));
    switch (entry.kind) {
      case EntryKind::Directory:
        return path.empty() ? make_root(entry) : make_directory(entry, path);
      case EntryKind::Hardlink:
        return make_hardlink(entry, path);
      case EntryKind::Symlink:
      case EntryKind::Fifo:
      case EntryKind::CharDevice:
      case EntryKind::BlockDevice:
      case EntryKind::Socket:
        return make_special(entry, path);
      default:
        return Error{Errc::Corrupt, "its kind has no place in a tree"};
    }
  }

  Result<bool> wants(const Entry& entry) override {
    HF_TRY(const std::optional<struct stat> there, find(entry));
    return !there || context_->may_replace(is_same_file(*there, entry));
  }

  Result<bool> is_restored(const Entry& entry) override {
    HF_TRY(const std::optional<struct stat> there, find(entry));
    return there && is_same_file(*there, entry) && !is_before(there->st_ctim, began_);
  }

  Result<Descriptor> open_file(const Entry& entry) override {
    HF_TRY(const Components path, split_path(entry.path));
    if (path.empty()) return Error{Errc::Corrupt, "only a directory can stand at '/'"};
    HF_TRY(const Handle directory, context_->directories.open(path, path.size() - 1, false));
    Descriptor file(open_beneath(directory->get(), path.back().c_str(), O_RDONLY | O_NONBLOCK));
    if (!file) return errno_error(errno, "open '" + printable(path.back()) + "' in the target");
    struct stat st{};
    if (::fstat(file.get(), &st) != 0) return errno_error(errno, "stat '" + printable(path.back()) + "' in the target");
    if (!S_ISREG(st.st_mode)) return Error{Errc::Denied, "'" + printable(path.back()) + "' is no regular file"};
    return file;
  }

  Result<std::unique_ptr<PendingFile>> begin_file(const Entry& entry, const std::optional<Draft>& draft) override {
    HF_TRY(Components path, place_of(entry));
    if (entry.kind != EntryKind::File) return Error{Errc::Corrupt, "it is no regular file"};
    if (entry.size > static_cast<std::uint64_t>(INT64_MAX)) return Error{Errc::Corrupt, "its size is impossible"};
    HF_TRY(Handle directory, directory_of(path));
    HF_TRY(const std::optional<struct stat> there, context_->occupant(directory->get(), path.back()));
    if (there && !context_->may_replace(is_same_file(*there, entry))) return std::unique_ptr<PendingFile>();
    return Pending::begin(context_, std::move(path), std::move(directory), entry, draft);
  }

  Status finish() override {
    Status first_failure;
    for (;;) {
      HF_TRY(const std::optional<MadeDirectory> made, made_.pop());
      if (!made) break;
      Status finished = finish_directory(*made).context("finish directory '" + printable(made->entry.path) + "'");
      if (!finished && first_failure)
        first_failure = std::move(finished);  // one directory must not keep the others closed
    }
    const Descriptor root(open_beneath(context_->root->get(), ".", O_RDONLY | O_DIRECTORY));
    if (root && ::syncfs(root.get()) != 0) return errno_error(errno, "flush the target to the disk");
    return first_failure;
  }

  const TargetReport& report() const override { return context_->report; }

  void remove_leftovers(int directory_fd) {
    const DirectoryStream stream = open_stream(directory_fd);
    if (!stream) return;
    while (const dirent* entry = ::readdir(stream.get()))
      if (context_->is_leftover(entry->d_name)) remove_leftover(directory_fd, entry->d_name);
  }

 private:
  // Only a file of our own user that no running restore holds locked.
  static void remove_leftover(int directory_fd, const char* name) {
    const Descriptor file(open_beneath(directory_fd, name, O_RDONLY | O_NONBLOCK));
    struct stat st{};
    if (!file || ::fstat(file.get(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != ::geteuid()) return;
    if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) ::unlinkat(directory_fd, name, 0);
  }

  static Status check_not_own(const Components& path) {
    if (path.empty() || path.front() != kPlanDirectory) return {};
    return Error{Errc::Denied, "this name in the target belongs to the restore itself"};
  }

  /// Where an entry belongs. What a killed restore left in the target itself goes before the first one is made.
  Result<Components> place_of(const Entry& entry) {
    HF_TRY(Components path, split_path(entry.path));
    HF_TRY_DO(check_not_own(path));
    if (!std::exchange(begun_, true)) remove_leftovers(context_->root->get());
    return path;
  }

  /// What stands at an entry's place; makes no directories. Errors: as `occupant`.
  Result<std::optional<struct stat>> find(const Entry& entry) {
    HF_TRY(const Components path, split_path(entry.path));
    if (path.empty()) return Error{Errc::Corrupt, "only a directory can stand at '/'"};
    const Result<Handle> directory = context_->directories.open(path, path.size() - 1, false);
    if (!directory && directory.error().code == Errc::NotFound) return std::optional<struct stat>{};
    if (!directory) return directory.error();
    return context_->occupant((*directory)->get(), path.back());
  }

  static bool is_same_file(const struct stat& st, const Entry& entry) {
    return S_ISREG(st.st_mode) && static_cast<std::uint64_t>(st.st_size) == entry.size &&
           mtime_ns(st) == entry.mtime_ns;
  }

  /// A run that was killed has made it.
  bool was_made(const struct stat& st) const { return resumed_ && !is_before(st.st_ctim, began_); }

  Result<Handle> directory_of(const Components& path) {
    if (path.empty()) return Error{Errc::Corrupt, "only a directory can stand at '/'"};
    return context_->directories.open(path, path.size() - 1, true);
  }

  Status make_root(const Entry& entry) {
    struct stat st{};
    if (!root_is_ours_) return {};
    if (::fstat(context_->root->get(), &st) != 0) return errno_error(errno, "stat the target");
    return made_.push(entry, st.st_dev, st.st_ino);
  }

  Status make_directory(const Entry& entry, const Components& path) {
    HF_TRY(const Handle above, directory_of(path));
    const std::string& name = path.back();
    const bool is_new = ::mkdirat(above->get(), name.c_str(), kUnfinishedMode) == 0;
    if (!is_new && errno != EEXIST) return errno_error(errno, "make the directory");
    HF_TRY(const Handle directory, context_->directories.open(path, path.size(), false));
    struct stat st{};
    if (::fstat(directory->get(), &st) != 0) return errno_error(errno, "stat the directory");
    if (!is_new) remove_leftovers(directory->get());
    if (!is_new && !is_unfinished(st) && context_->options.overwrite == Overwrite::Never) return {};
    return made_.push(entry, st.st_dev, st.st_ino);
  }

  Status finish_directory(const MadeDirectory& made) {
    HF_TRY(const Components path, split_path(made.entry.path));
    const Result<Handle> directory = context_->directories.open(path, path.size(), false);
    struct stat st{};
    const bool is_there =
        directory && ::fstat((*directory)->get(), &st) == 0 && st.st_nlink > 0;  // it may be open and removed
    if (!is_there || st.st_dev != made.device || st.st_ino != made.inode) {
      ++context_->report.attributes_not_set;  // moved or replaced by another process: not ours to touch
      return {};
    }
    const Descriptor readable(open_beneath((*directory)->get(), ".", O_RDONLY | O_DIRECTORY));
    const AttributeTarget target =
        readable ? AttributeTarget{readable.get(), false} : AttributeTarget{(*directory)->get(), true};
    return apply_attributes(target, made.entry, context_->options.set_owner, context_->report);
  }

  Status make_special(const Entry& entry, const Components& path) {
    if (entry.kind == EntryKind::Symlink && (entry.link_target.empty() || entry.link_target.size() >= PATH_MAX ||
                                             entry.link_target.find('\0') != std::string::npos))
      return Error{Errc::Corrupt, "a symbolic link with an impossible target"};
    HF_TRY(const Handle directory, directory_of(path));
    HF_TRY(const std::optional<struct stat> there, context_->occupant(directory->get(), path.back()));
    const bool is_same = there && is_same_special(*there, entry, directory->get(), path.back());
    if (is_same && was_made(*there)) return {};
    if (there && !context_->may_replace(is_same)) return {};
    TemporaryName temporary(directory, context_->temporary_name());
    if (!create_special(entry, directory->get(), temporary.name())) {
      const int error = errno;
      temporary.forget();
      if (error != EPERM || entry.kind == EntryKind::Symlink) return errno_error(error, "make it");
      ++context_->report.devices_not_made;
      return {};
    }
    HF_TRY_DO(dress_special(entry, directory->get(), temporary.name()));
    HF_TRY(const bool placed, context_->put_in_place(directory->get(), temporary.name(), path.back()));
    if (placed) temporary.forget();
    return {};
  }

  static bool is_same_special(const struct stat& st, const Entry& entry, int directory_fd, const std::string& name) {
    if ((st.st_mode & S_IFMT) != type_of(entry.kind) || mtime_ns(st) != entry.mtime_ns) return false;
    if (entry.kind == EntryKind::Symlink) return read_link(directory_fd, name) == entry.link_target;
    return st.st_rdev == entry.rdev;
  }

  static bool create_special(const Entry& entry, int directory_fd, const std::string& name) {
    if (entry.kind == EntryKind::Symlink)
      return ::symlinkat(entry.link_target.c_str(), directory_fd, name.c_str()) == 0;
    return ::mknodat(directory_fd, name.c_str(), type_of(entry.kind) | 0600, entry.rdev) == 0;
  }

  Status dress_special(const Entry& entry, int directory_fd, const std::string& name) {
    const Descriptor made(open_beneath(directory_fd, name.c_str(), O_PATH));
    struct stat st{};
    if (!made || ::fstat(made.get(), &st) != 0) return errno_error(errno, "open what was made");
    // Another name of it would be somebody else's file.
    if ((st.st_mode & S_IFMT) != type_of(entry.kind) || st.st_nlink != 1)
      return Error{Errc::Denied, "another process has put something else in its place"};
    return apply_attributes({made.get(), true}, entry, context_->options.set_owner, context_->report);
  }

  Status make_hardlink(const Entry& entry, const Components& path) {
    HF_TRY(const Components first, split_path(entry.link_target));
    HF_TRY_DO(check_not_own(first));
    HF_TRY(const Handle directory, directory_of(path));
    HF_TRY(const std::optional<struct stat> there, context_->occupant(directory->get(), path.back()));
    if (there && context_->options.overwrite == Overwrite::Never && !was_made(*there)) {
      context_->may_replace(false);
      return {};
    }
    HF_TRY(const Handle first_directory, first_directory_of(first, entry));
    struct stat st{};
    if (::fstatat(first_directory->get(), first.back().c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
      return no_first_link(entry, "is absent");
    if (S_ISDIR(st.st_mode))
      return Error{Errc::Corrupt, "a hard link to a directory: '" + printable(entry.link_target) + "'"};
    if (!is_first_link(st, entry)) return no_first_link(entry, "was there before and left in place");
    if (there && same_inode(*there, st) && was_made(*there)) return {};
    if (there && !context_->may_replace(same_inode(*there, st))) return {};

    TemporaryName temporary(directory, context_->temporary_name());
    if (::linkat(first_directory->get(), first.back().c_str(), directory->get(), temporary.name().c_str(), 0) != 0) {
      const int error = errno;
      temporary.forget();
      if (error == EXDEV || error == EMLINK || error == EPERM)
        return no_first_link(entry, "cannot get another link here");
      return errno_error(error, "link to '" + printable(entry.link_target) + "'");
    }
    // The temporary name goes in any case: rename(2) leaves it when both are links of one file.
    HF_TRY_DO(context_->put_in_place(directory->get(), temporary.name(), path.back()));
    return {};
  }

  Result<Handle> first_directory_of(const Components& first, const Entry& entry) {
    if (first.empty()) return Error{Errc::Corrupt, "a hard link to the root directory"};
    Result<Handle> directory = first_links_.open(first, first.size() - 1, false);
    if (!directory) return no_first_link(entry, "is absent");
    return directory;
  }

  static Error no_first_link(const Entry& entry, std::string_view why) {
    return {Errc::NotFound, "link to '" + printable(entry.link_target) + "': that " + std::string(why)};
  }

  // Did this run write it? Its change time tells, and nobody can set that back. Under Changed it may also have been
  // there, equal, and been left; links share their times.
  bool is_first_link(const struct stat& st, const Entry& entry) const {
    if (!is_before(st.st_ctim, began_)) return true;
    return context_->options.overwrite == Overwrite::Changed && mtime_ns(st) == entry.mtime_ns;
  }

  const std::shared_ptr<TreeContext> context_;  // with pending files
  const std::string topmost_;                   ///< of the directories that were made for the target; empty: none
  TreeDirectories first_links_;                 ///< a way down of its own, so that the main one stays open
  MadeDirectories made_;
  bool root_is_ours_;
  timespec began_;
  bool resumed_ = false, begun_ = false;
};

// A time of the target's file system that is later than every change made before. Its clock ticks coarsely: waits for
// the next tick, 50 ms at the most.
Result<timespec> begin_after_all_changes(int root_fd) {
  const Descriptor probe(open_nameless(root_fd));
  if (!probe) return errno_error(errno, "make a temporary file in the target");
  struct stat st{};
  if (::fstat(probe.get(), &st) != 0) return errno_error(errno, "stat a temporary file in the target");
  const timespec before = st.st_ctim;
  constexpr timespec kMillisecond{0, 1'000'000};
  for (int tries = 0; tries < 50 && !is_before(before, st.st_ctim); ++tries) {
    ::nanosleep(&kMillisecond, nullptr);
    if (::futimens(probe.get(), nullptr) != 0 || ::fstat(probe.get(), &st) != 0)
      return errno_error(errno, "read the target's clock");
  }
  return st.st_ctim;
}

bool is_root_directory(int fd) {
  struct stat a{}, b{};
  return ::fstat(fd, &a) == 0 && ::stat("/", &b) == 0 && same_inode(a, b);
}

}  // namespace

Result<std::unique_ptr<TreeWriter>> TreeWriter::open(TargetOptions options) {
  if (options.target.empty() || options.target.find('\0') != options.target.npos)
    return Error{Errc::Usage, "restore: no target directory is named"};
  HF_TRY(std::string topmost, make_target(options.target));
  const bool is_new = !topmost.empty();
  auto root = std::make_shared<const Descriptor>(::open(options.target.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!*root) return errno_error(errno, "open the target " + printable(options.target));
  HF_TRY(const timespec began, begin_after_all_changes(root->get()).context("restore to " + printable(options.target)));
  const bool may_change =
      options.overwrite != Overwrite::Never && (is_empty(root->get()) || is_root_directory(root->get()));
  return std::unique_ptr<TreeWriter>(
      std::make_unique<Writer>(std::move(options), std::move(topmost), root, is_new || may_change, began));
}

}  // namespace holdfast::restore
