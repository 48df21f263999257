// Why: the walk. An explicit stack of open directories instead of recursion, so that neither depth nor path length has
// a limit but kMaxPathBytes; every step is relative to a descriptor and follows nothing.

#include "client/sources/files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <unordered_set>

#include "client/sources/attributes.h"
#include "client/sources/content.h"
#include "client/sources/directory.h"
#include "client/sources/exclusions.h"
#include "client/sources/look_ahead.h"

namespace holdfast::sources {
namespace {

using manifest::Entry;
using manifest::EntryKind;
using Directory = std::shared_ptr<const Descriptor>;  // shared with the files found in it, which may be opened later

constexpr int kMaxAttempts = 4;  ///< at something that is replaced each time we look at it
constexpr char kOtherFileSystem[] = "other file system";

std::string join(const std::string& directory, std::string_view name) {
  std::string path = directory;
  if (path != "/") path += '/';
  return path.append(name);
}

bool is_plain(std::string_view path) {
  if (!path.starts_with('/') || path.size() > manifest::kMaxPathBytes || path.find('\0') != path.npos) return false;
  for (std::size_t at = 1; path != "/" && at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view name = path.substr(at, end - at);
    if (name.empty() || name == "." || name == "..") return false;
    at = end + 1;
  }
  return true;
}

/// A directory on the way down.
struct Level {
  Directory directory;  ///< null while closed (more than kMaxOpenDirectories levels deeper)
  std::shared_ptr<const NameList> names;
  std::size_t next = 0;
  std::string::size_type path_bytes;
  struct statx st;
  std::unique_ptr<NamesAhead> ahead;  ///< null: the directory is closed, or it has few names

  void close() {
    ahead.reset();
    directory.reset();
  }
};

class Walker {
 public:
  Walker(const FilesOptions& options, Visitor& visitor)
      : options_(options),
        visitor_(visitor),
        skip_paths_(options.skip_paths.begin(), options.skip_paths.end()),
        swap_files_(swap_files()) {}

  Status run() {
    std::vector<std::string> roots = options_.roots;
    std::sort(roots.begin(), roots.end(),
              [](const std::string& a, const std::string& b) { return manifest::compare_paths(a, b) < 0; });
    for (const std::string& root : roots) {
      if (!is_plain(root))
        return Error{Errc::Usage,
                     "'" + printable(root) + "' cannot be a root: write it absolute, without '.', '..' or empty parts"};
      if (is_below_last_root(root)) continue;
      HF_TRY_DO(walk_root(root).context("back up " + printable(root)));
      last_root_ = root;
    }
    return {};
  }

 private:
  enum class Outcome { Done, TryAgain };  // TryAgain: what stands there is no longer what we looked at

  bool is_below_last_root(const std::string& root) const {
    if (last_root_.empty()) return false;
    return root == last_root_ || last_root_ == "/" || root.starts_with(last_root_ + "/");
  }

  Status walk_root(const std::string& root) {
    HF_TRY(Directory above, open_above(root));
    path_ = root;
    const std::string name = root == "/" ? "." : root.substr(root.rfind('/') + 1);
    HF_TRY_DO(visit(above, name.c_str(), true));
    above.reset();
    return descend();
  }

  // Opens the directory that holds `root`, from "/" down, and visits those that no earlier root had above it.
  Result<Directory> open_above(const std::string& root) {
    constexpr int kFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    auto directory = std::make_shared<const Descriptor>(::open("/", kFlags));
    if (!*directory) return errno_error(errno, "open /");
    std::string path = "/";
    for (std::size_t at = 1; root != "/";) {
      HF_TRY_DO(visit_above(directory->get(), path));
      const std::size_t slash = root.find('/', at);
      if (slash == root.npos) break;
      const std::string name = root.substr(at, slash - at);
      path = root.substr(0, slash);
      at = slash + 1;
      auto next = std::make_shared<const Descriptor>(::openat(directory->get(), name.c_str(), kFlags));
      if (!*next) return cannot_go_through(errno, directory->get(), name, path);
      directory = std::move(next);
    }
    return directory;
  }

  static Error cannot_go_through(int error, int above, const std::string& name, const std::string& path) {
    const Result<struct statx> st = stat_at(above, name.c_str());
    if (st && S_ISLNK(st->stx_mode))
      return {Errc::Usage, printable(path) + " is a symbolic link; name the directory that it points to"};
    return errno_error(error, "open " + printable(path));
  }

  Status visit_above(int fd, const std::string& path) {
    if (!last_above_.empty() && manifest::compare_paths(path, last_above_) <= 0) return {};  // an earlier root's
    last_above_ = path;
    path_ = path;
    HF_TRY(const struct statx st, stat_at(fd, "").context("stat " + printable(path)));
    return found_directory(st, fd, "");
  }

  Status descend() {
    while (!levels_.empty()) {
      Level& level = levels_.back();
      path_.resize(level.path_bytes);
      if (level.next == level.names->size()) {
        leave();
        continue;
      }
      const std::size_t number = level.next++;
      const char* name = (*level.names)[number];
      const std::string path = join(path_, name);
      if (path.size() > manifest::kMaxPathBytes) {
        problem({Errc::Limit, "an entry's path would exceed " + std::to_string(manifest::kMaxPathBytes) +
                                  " bytes: " + printable(name)});
        continue;
      }
      path_ = path;
      const Directory directory = level.directory;  // visit may grow levels_
      const std::shared_ptr<const NameList> names = level.names;
      HF_TRY_DO(visit(directory, name, false, level.ahead ? level.ahead->take(number) : std::nullopt));
    }
    return {};
  }

  Status visit(const Directory& directory, const char* name, bool is_root, std::optional<Look> look = std::nullopt) {
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt, look.reset()) {
      Result<struct statx> st = look ? Result<struct statx>(look->st) : stat_at(directory->get(), name);
      if (!st && is_root && st.error().code == Errc::NotFound)
        return Error{Errc::NotFound, "no such file or directory"};
      if (!st && is_root) return std::move(st).error();
      if (!st) {
        problem(std::move(st).error());
        return {};
      }
      if (!is_root && leave_out(*st)) return {};
      HF_TRY(const Outcome outcome,
             S_ISDIR(st->stx_mode) ? enter(directory, name, *st, is_root) : visit_leaf(directory, name, *st, look));
      if (outcome == Outcome::Done) return {};
    }
    problem({Errc::NotFound, "replaced again and again while being read"});
    return {};
  }

  // True: nothing of it is kept.
  bool leave_out(const struct statx& st) {
    const bool is_directory = S_ISDIR(st.stx_mode);
    if (skip_paths_.contains(path_)) return skip("holds this program's own state");
    if (options_.excludes.excluded(path_, is_directory)) return skip("excluded by a pattern");
    if (is_directory) return false;
    if (!swap_files_.empty() && swap_files_.contains({identity_of(st).device, identity_of(st).inode}))
      return skip("swap file");
    // A single file may be a mount point. Its device number alone says nothing: on overlayfs every layer has its own.
    return options_.one_file_system && (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0 && leaves_file_system(st) &&
           skip(kOtherFileSystem);
  }

  bool leaves_file_system(const struct statx& st) const {
    return !levels_.empty() && identity_of(st).device != identity_of(levels_.back().st).device;
  }

  Result<Outcome> visit_leaf(const Directory& directory, const char* name, const struct statx& st,
                             std::optional<Look>& look) {
    Found found = begin_found(st);
    Result<EntryKind> kind = kind_of(st);
    if (!kind) {
      problem(std::move(kind).error());
      return Outcome::Done;
    }
    found.entry.kind = *kind;
    if (found.entry.kind == EntryKind::Symlink) {
      const Outcome outcome = read_link(*directory, name, found.entry.link_target);
      if (outcome != Outcome::Done) return outcome;
    }
    const bool has_links = st.stx_nlink > 1;
    if (has_links) {
      std::optional<std::string> first = links_->first_path({found.stat.device, found.stat.inode}, st.stx_nlink, path_);
      if (first) return hardlink(std::move(found), *std::move(first));
    }
    if (!add_xattrs(directory->get(), name, found.entry, look)) {
      if (has_links) links_->forget({found.stat.device, found.stat.inode}, path_);
      return Outcome::Done;
    }
    if (found.entry.kind == EntryKind::File) {
      auto file = std::make_shared<FoundFile>();
      file->directory = directory;
      file->name = name;
      file->path = path_;
      file->seen = found.stat;
      if (has_links) file->links = links_;
      found.open = [file] { return open_content(*file); };
    }
    HF_TRY_DO(visitor_.found(std::move(found)));
    return Outcome::Done;
  }

  Result<Outcome> hardlink(Found found, std::string first) {
    found.entry.kind = EntryKind::Hardlink;
    found.entry.link_target = std::move(first);
    found.entry.size = 0;  // size and attributes stand at the first link
    found.entry.rdev = 0;
    HF_TRY_DO(visitor_.found(std::move(found)));
    return Outcome::Done;
  }

  Outcome read_link(const Descriptor& directory, const char* name, std::string& target) {
    char buffer[PATH_MAX];
    const ssize_t n = ::readlinkat(directory.get(), name, buffer, sizeof buffer);
    if (n < 0 || n == static_cast<ssize_t>(sizeof buffer))
      return Outcome::TryAgain;  // gone or another type: stat will tell
    target.assign(buffer, static_cast<std::size_t>(n));
    return Outcome::Done;
  }

  // A directory: the entry always, its contents unless there is a reason not to.
  Result<Outcome> enter(const Directory& above, const char* name, const struct statx& st, bool is_root) {
    const bool other_device = leaves_file_system(st);
    if (!is_root && (is_kernel_directory(path_) || (other_device && options_.one_file_system)))
      return keep_closed(st, above->get(), name, is_kernel_directory(path_) ? "kernel file system" : kOtherFileSystem);

    auto directory = std::make_shared<const Descriptor>(open_unfollowed(above->get(), name, O_DIRECTORY));
    if (!*directory) return cannot_enter(errno, st, above->get(), name, is_root);
    HF_TRY(const struct statx opened, stat_at(directory->get(), ""));
    if (!same_inode(st, opened)) return Outcome::TryAgain;
    if ((is_root || other_device) && is_pseudo_file_system(directory->get()))
      return keep_closed(opened, directory->get(), "", "kernel file system");

    HF_TRY_DO(found_directory(opened, directory->get(), ""));
    Result<NameList> names = NameList::read(directory->get());
    if (!names) {
      problem(std::move(names).error());
      return Outcome::Done;
    }
    Level level{std::move(directory), nullptr, 0, path_.size(), opened, nullptr};
    level.names = heed_markers(level.directory->get(), *std::move(names));
    if (level.names->size() >= kMinNamesAhead)
      level.ahead = std::make_unique<NamesAhead>(look_ahead_, level.directory, level.names);
    push(std::move(level));
    return Outcome::Done;
  }

  Result<Outcome> keep_closed(const struct statx& st, int fd, const char* name, const char* why) {
    HF_TRY_DO(found_directory(st, fd, name));
    skip(why);
    return Outcome::Done;
  }

  Result<Outcome> cannot_enter(int error, const struct statx& st, int above, const char* name, bool is_root) {
    if (error == ENOENT || error == ENOTDIR || error == ELOOP) return Outcome::TryAgain;
    Error failed = errno_error(error, "open the directory");
    if (is_root) return failed;
    HF_TRY_DO(found_directory(st, above, name));
    problem(std::move(failed));
    return Outcome::Done;
  }

  // Markers and tags stay, so that a restored tree is left out again.
  std::shared_ptr<const NameList> heed_markers(int fd, NameList names) {
    std::vector<std::string> kept;
    if (options_.honour_cachedir_tag && has_cache_tag(fd, names)) kept.emplace_back(kCacheTagName);
    for (const std::string& marker : options_.markers)
      if (names.contains(marker)) kept.push_back(marker);
    if (!kept.empty()) {
      skip("holds " + printable(kept.front()));
      names = NameList::of(std::move(kept));
    }
    return std::make_shared<const NameList>(std::move(names));
  }

  Status found_directory(const struct statx& st, int fd, const char* name) {
    Found found = begin_found(st);
    found.entry.kind = EntryKind::Directory;
    std::optional<Look> none;
    if (!add_xattrs(fd, name, found.entry, none)) return {};
    return visitor_.found(std::move(found));
  }

  Found begin_found(const struct statx& st) {
    Found found;
    found.entry.source = options_.source;
    found.entry.path = path_;
    fill_metadata(st, names_, found.entry);
    found.stat = identity_of(st);
    return found;
  }

  // False: it vanished. Other failures are reported, and the entry goes on with what could be read.
  bool add_xattrs(int fd, const char* name, Entry& entry, std::optional<Look>& look) {
    if (look) entry.xattrs = std::move(look->xattrs);
    Status status = look ? std::move(look->xattr_status) : read_xattrs(fd, name, entry.xattrs);
    if (status) return true;
    const bool vanished = status.error().code == Errc::NotFound && has_proc();
    if (vanished)
      problem({Errc::NotFound, std::string(kVanished)});
    else if (status.error().code != Errc::NotFound)
      problem(std::move(status).error());
    else if (!std::exchange(told_no_proc_, true))
      problem({Errc::NotFound, "extended attributes, ACLs and capabilities are not read: /proc is not mounted"});
    return !vanished;
  }

  static bool has_proc() { return ::access("/proc/self/fd", X_OK) == 0; }

  void push(Level level) {
    levels_.push_back(std::move(level));
    // The lowest stays open: the way back to all others.
    if (levels_.size() > kMaxOpenDirectories) levels_[levels_.size() - kMaxOpenDirectories].close();
  }

  // Pops the lowest level and makes sure that the one above is open again.
  void leave() {
    const Directory below = std::move(levels_.back().directory);
    levels_.pop_back();
    if (levels_.empty() || levels_.back().directory) return;
    Level& level = levels_.back();
    path_.resize(level.path_bytes);
    level.directory = reopen(below ? below->get() : -1);
    if (level.directory) return;
    if (level.next < level.names->size())
      problem({Errc::NotFound, "the directory was moved while being read; the rest of it is missing"});
    level.next = level.names->size();
  }

  // The lowest level: through "..", or if the child was moved elsewhere from the top; only ever the same inode.
  Directory reopen(int child_fd) const {
    if (child_fd >= 0) {
      Directory parent = open_same(child_fd, "..", levels_.back().st);
      if (parent) return parent;
    }
    std::size_t open = levels_.size() - 1;
    while (open > 0 && !levels_[open].directory) --open;
    Directory directory = levels_[open].directory;
    for (std::size_t i = open + 1; directory && i < levels_.size(); ++i) {
      const std::string::size_type begin = levels_[i - 1].path_bytes + (levels_[i - 1].path_bytes > 1 ? 1 : 0);
      directory =
          open_same(directory->get(), path_.substr(begin, levels_[i].path_bytes - begin).c_str(), levels_[i].st);
    }
    return directory;
  }

  static Directory open_same(int fd, const char* name, const struct statx& expected) {
    auto directory = std::make_shared<const Descriptor>(open_unfollowed(fd, name, O_DIRECTORY));
    if (!*directory) return nullptr;
    const Result<struct statx> st = stat_at(directory->get(), "");
    return st && same_inode(*st, expected) ? directory : nullptr;
  }

  void problem(Error error) { visitor_.problem({path_, std::move(error)}); }
  bool skip(std::string why) {
    visitor_.skipped({path_, std::move(why)});
    return true;
  }

  const FilesOptions& options_;
  Visitor& visitor_;
  const std::unordered_set<std::string> skip_paths_;
  const std::set<std::pair<std::uint64_t, std::uint64_t>> swap_files_;
  std::shared_ptr<LinkTable> links_ = std::make_shared<LinkTable>();  // shared with the files found
  OwnerNames names_;
  LookAhead look_ahead_{options_.threads, options_.read_ahead};
  std::vector<Level> levels_;
  std::string path_;  ///< of what is being looked at
  std::string last_root_, last_above_;
  bool told_no_proc_ = false;
};

}  // namespace

Status walk(const FilesOptions& options, Visitor& visitor) { return Walker(options, visitor).run(); }

}  // namespace holdfast::sources
