#include "client/restore/tree_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "client/restore/tree_attributes.h"
#include "client/restore/tree_context.h"
#include "client/restore/tree_links.h"
#include "client/restore/tree_made.h"
#include "client/restore/tree_pending.h"
#include "client/restore/tree_special.h"
#include "client/restore/tree_target.h"

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

class Writer final : public TreeWriter {
 public:
  Writer(TargetOptions options, std::string topmost, Handle root, bool root_is_ours, timespec began)
      : context_(std::make_shared<TreeContext>(std::move(options), root)),
        topmost_(std::move(topmost)),
        links_(*context_),
        made_(root),
        root_is_ours_(root_is_ours) {
    context_->began = began;
  }

  TreeIdentity identity() const override { return {context_->tag, context_->began, root_is_ours_}; }
  void resume(TreeIdentity earlier) override {
    context_->tag = std::move(earlier.tag);
    context_->began = earlier.began;
    root_is_ours_ = earlier.root_is_ours;
    context_->resumed = true;
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
        return links_.make(entry, path);
      case EntryKind::Symlink:
      case EntryKind::Fifo:
      case EntryKind::CharDevice:
      case EntryKind::BlockDevice:
      case EntryKind::Socket:
        return make_special(*context_, entry, path);
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
    return there && is_same_file(*there, entry) && !is_before(there->st_ctim, context_->began);
  }

  Result<Descriptor> open_file(const Entry& entry) override {
    HF_TRY(const Components path, split_path(entry.path));
    if (path.empty()) return Error{Errc::Corrupt, "only a directory can stand at '/'"};
    HF_TRY(const Handle directory, context_->directories.open(path, path.size() - 1, false));
    constexpr int kFlags = O_RDONLY | O_NONBLOCK;
    Descriptor file(open_beneath(directory->get(), path.back().c_str(), kFlags | O_NOATIME));
    if (!file && errno == EPERM) file = Descriptor(open_beneath(directory->get(), path.back().c_str(), kFlags));
    if (!file) return errno_error(errno, "open '" + printable(path.back()) + "' in the target");
    struct stat st{};
    if (::fstat(file.get(), &st) != 0) return errno_error(errno, "stat '" + printable(path.back()) + "' in the target");
    if (!S_ISREG(st.st_mode)) return Error{Errc::Denied, "'" + printable(path.back()) + "' is no regular file"};
    return file;
  }

  Result<Place> place(const Entry& entry) override {
    HF_TRY(const Components path, split_path(entry.path));
    Place found;
    if (path.empty()) return Place{context_->root, true};
    HF_TRY(found.nearest, context_->directories.nearest(path, path.size() - 1));
    struct stat st{};
    const Result<Handle> above = context_->directories.open(path, path.size() - 1, false);
    found.is_taken = above && ::fstatat((*above)->get(), path.back().c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
    return found;
  }

  Result<std::optional<Standing>> standing(const Entry& entry) override {
    const auto may_be_it = [&](const struct stat& st) {
      return S_ISREG(st.st_mode) && static_cast<std::uint64_t>(st.st_size) == entry.size;
    };
    HF_TRY(const std::optional<struct stat> there, find(entry));  // nothing but a regular file is opened
    if (!there || !may_be_it(*there)) return std::optional<Standing>{};
    Standing found;
    HF_TRY(found.file, open_file(entry));
    if (::fstat(found.file.get(), &found.facts) != 0) return errno_error(errno, "stat a file in the target");
    if (!may_be_it(found.facts)) return std::optional<Standing>{};
    return std::optional<Standing>(std::move(found));
  }

  Result<std::optional<Fit>> fit(const Entry& entry, const Standing& standing) override {
    struct stat now{};
    if (::fstat(standing.file.get(), &now) != 0) return errno_error(errno, "stat a file in the target");
    HF_TRY(const bool is_still_there, stands_at(entry, now));
    if (!is_still_there || !is_unchanged(now, standing.facts)) return std::optional<Fit>{};
    const bool has_owner = now.st_uid == entry.uid && now.st_gid == entry.gid;
    // Whoever owned it may have it open for writing.
    if (!has_owner && context_->options.set_owner) return std::optional<Fit>(Fit::Bytes);
    if (!has_attributes(standing.file.get(), now, entry))
      return std::optional<Fit>(now.st_nlink == 1 ? Fit::Attributes : Fit::Bytes);
    context_->report.owners_not_set += !has_owner;
    return std::optional<Fit>(Fit::Whole);
  }

  Result<bool> dress(const Entry& entry, const Standing& standing) override {
    HF_TRY_DO(apply_attributes({standing.file.get(), false}, entry, context_->options.set_owner, context_->report));
    return stands_at(entry, standing.facts);
  }

  Result<std::unique_ptr<PendingFile>> begin_file(const Entry& entry, const std::optional<Draft>& draft,
                                                  bool differs) override {
    HF_TRY(Components path, place_of(entry));
    if (entry.kind != EntryKind::File) return Error{Errc::Corrupt, "it is no regular file"};
    if (entry.size > static_cast<std::uint64_t>(INT64_MAX)) return Error{Errc::Corrupt, "its size is impossible"};
    HF_TRY(Handle directory, context_->directory_of(path));
    HF_TRY(const std::optional<struct stat> there, context_->occupant(directory->get(), path.back()));
    const bool is_same = there && !differs && is_same_file(*there, entry);
    if (there && !context_->may_replace(is_same)) return std::unique_ptr<PendingFile>();
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

  static bool is_unchanged(const struct stat& a, const struct stat& b) {
    const bool is_same_time = !is_before(a.st_ctim, b.st_ctim) && !is_before(b.st_ctim, a.st_ctim);
    return same_inode(a, b) && a.st_size == b.st_size && mtime_ns(a) == mtime_ns(b) && is_same_time;
  }

  /// Does the entry's place lead to this file, now?
  Result<bool> stands_at(const Entry& entry, const struct stat& st) {
    HF_TRY(const std::optional<struct stat> there, find(entry));
    return there && same_inode(*there, st);
  }

  Status make_root(const Entry& entry) {
    struct stat st{};
    if (!root_is_ours_) return {};
    if (::fstat(context_->root->get(), &st) != 0) return errno_error(errno, "stat the target");
    return made_.push(entry, st.st_dev, st.st_ino);
  }

  Status make_directory(const Entry& entry, const Components& path) {
    HF_TRY(const Handle above, context_->directory_of(path));
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

  const std::shared_ptr<TreeContext> context_;  // with pending files
  const std::string topmost_;                   ///< of the directories that were made for the target; empty: none
  HardLinks links_;
  MadeDirectories made_;
  bool root_is_ours_;
  bool begun_ = false;
};

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
