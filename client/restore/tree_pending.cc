#include "client/restore/tree_pending.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "client/restore/tree_attributes.h"

namespace holdfast::restore {
namespace {

constexpr int kMaxNames = 16;  ///< random names that may be taken before we believe that something is wrong

manifest::Entry without_extents(const manifest::Entry& entry) {
  manifest::Entry copy;
  copy.path = entry.path;
  copy.kind = entry.kind;
  copy.mode = entry.mode;
  copy.uid = entry.uid;
  copy.gid = entry.gid;
  copy.mtime_ns = entry.mtime_ns;
  copy.size = entry.size;
  copy.xattrs = entry.xattrs;
  return copy;
}

}  // namespace

Result<std::unique_ptr<PendingFile>> Pending::begin(std::shared_ptr<TreeContext> context, Components path,
                                                    TreeDirectories::Handle directory, const manifest::Entry& entry,
                                                    const std::optional<Draft>& draft) {
  std::unique_ptr<Pending> pending(new Pending(std::move(context), std::move(path), entry));
  if (draft)
    HF_TRY_DO(pending->create_draft(std::move(directory), *draft));
  else
    HF_TRY_DO(pending->create(std::move(directory)));
  return std::unique_ptr<PendingFile>(std::move(pending));
}

Pending::Pending(std::shared_ptr<TreeContext> context, Components path, const manifest::Entry& entry)
    : context_(std::move(context)), path_(std::move(path)), entry_(without_extents(entry)) {}

Pending::~Pending() {
  leave_list();
  if (temporary_.empty()) return;
  if (ensure_directory()) ::unlinkat(directory_->get(), temporary_.c_str(), 0);  // else it waits for the next run
}

Status Pending::create(TreeDirectories::Handle directory) {
  for (int tries = 0; tries < kMaxNames && !file_; ++tries) {
    temporary_ = context_->temporary_name();
    file_ = Descriptor(open_beneath(directory->get(), temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600));
    if (!file_ && errno != EEXIST) break;
  }
  return opened(std::move(directory));
}

Status Pending::create_draft(TreeDirectories::Handle directory, const Draft& draft) {
  temporary_ = context_->draft_name(draft.number);
  is_continued_ = draft.inode != 0 && open_draft(directory, draft.inode);
  if (!is_continued_) {
    ::unlinkat(directory->get(), temporary_.c_str(), 0);  // of a run that was killed before it could note the inode
    file_ = Descriptor(open_beneath(directory->get(), temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600));
  }
  return opened(std::move(directory));
}

/// Only the very file that was begun, and only while it has no other name.
bool Pending::open_draft(const TreeDirectories::Handle& directory, std::uint64_t inode) {
  file_ = Descriptor(open_beneath(directory->get(), temporary_.c_str(), O_RDWR | O_NONBLOCK));
  struct stat st{};
  const bool is_it = file_ && ::fstat(file_.get(), &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == inode &&
                     st.st_uid == ::geteuid() && st.st_nlink == 1;
  if (!is_it) file_.reset();
  end_ = is_it ? static_cast<std::uint64_t>(st.st_size) : 0;
  return is_it;
}

Status Pending::opened(TreeDirectories::Handle directory) {
  if (!file_) {
    temporary_.clear();
    return errno_error(errno, "make a temporary file");
  }
  directory_ = std::move(directory);
  enter_list();
  ::flock(file_.get(), LOCK_EX | LOCK_NB);  // tells another run that it is no leftover
  struct stat st{};
  if (::fstat(file_.get(), &st) != 0) return errno_error(errno, "stat the temporary file");
  device_ = st.st_dev;
  inode_ = st.st_ino;
  return {};
}

Status Pending::write(std::uint64_t offset, ByteSpan bytes) {
  if (offset > entry_.size || bytes.size() > entry_.size - offset)
    return Error{Errc::Corrupt, "its content goes beyond its size of " + std::to_string(entry_.size) + " bytes"};
  HF_TRY_DO(ensure_open());
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n =
        ::pwrite(file_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error(errno, "write at byte " + std::to_string(offset + done));
    done += static_cast<std::size_t>(n);
  }
  end_ = std::max(end_, offset + bytes.size());
  bytes_ += bytes.size();
  return {};
}

Status Pending::commit() {
  HF_TRY_DO(ensure_open());
  if (end_ != entry_.size && ::ftruncate(file_.get(), static_cast<off_t>(entry_.size)) != 0)
    return errno_error(errno, "set the length");
  HF_TRY_DO(apply_attributes({file_.get(), false}, entry_, context_->options.set_owner, context_->report));
  HF_TRY(const bool placed, context_->put_in_place(directory_->get(), temporary_, path_.back()));
  if (placed) {
    temporary_.clear();
    ++context_->report.files;
    context_->report.bytes += bytes_;
  }
  leave_list();
  file_.reset();
  return {};
}

Result<int> Pending::descriptor() {
  HF_TRY_DO(ensure_open());
  return file_.get();
}

void Pending::keep() {
  temporary_.clear();
  close();
}

Status Pending::ensure_open() {
  HF_TRY_DO(ensure_directory());
  if (!file_) {
    file_ = Descriptor(open_beneath(directory_->get(), temporary_.c_str(), O_RDWR | O_NONBLOCK));
    struct stat st{};
    if (!file_ || ::fstat(file_.get(), &st) != 0) return errno_error(errno, "open the temporary file again");
    if (st.st_dev != device_ || st.st_ino != inode_) {
      file_.reset();
      return Error{Errc::Denied, "open the temporary file again: another process has put something else in its place"};
    }
    ::flock(file_.get(), LOCK_EX | LOCK_NB);
  }
  leave_list();
  enter_list();
  return {};
}

Status Pending::ensure_directory() {
  if (directory_) return {};
  HF_TRY(directory_, context_->directories.open(path_, path_.size() - 1, false));
  return {};
}

void Pending::enter_list() {
  std::list<Pending*>& files = context_->open_files;
  while (files.size() >= TreeContext::kMaxOpenFiles) files.back()->close();
  files.push_front(this);
  position_ = files.begin();
  listed_ = true;
}

void Pending::leave_list() {
  if (listed_) context_->open_files.erase(position_);
  listed_ = false;
}

void Pending::close() {
  leave_list();
  file_.reset();
  directory_.reset();
}

}  // namespace holdfast::restore
