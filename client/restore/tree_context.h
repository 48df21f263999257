#pragma once
// Why: what the writer and the files it has begun share, and the one way in which anything gets its final name.

#include <sys/stat.h>

#include <list>
#include <optional>

#include "client/restore/tree_descriptor.h"
#include "client/restore/tree_writer.h"

namespace holdfast::restore {

class Pending;

/// Shared by a TreeWriter and its pending files, which may outlive it. One thread at a time.
struct TreeContext {
  TreeContext(TargetOptions target_options, TreeDirectories::Handle root_handle);

  const TargetOptions options;
  const TreeDirectories::Handle root;
  TargetReport report;
  TreeDirectories directories;
  const std::string run;           ///< 16 hex digits in every temporary name that is drawn
  std::string tag;                 ///< 16 hex digits in the names of drafts
  timespec began{};                ///< of the target's clock: later than every change made before
  bool resumed = false;            ///< a run before has made some of it
  std::list<Pending*> open_files;  ///< latest used first; at most kMaxOpenFiles

  /// Two descriptors each; with those of TreeDirectories below the usual limit of 1024.
  static constexpr std::size_t kMaxOpenFiles = 256;

  /// A fresh temporary name.
  std::string temporary_name() const;
  std::string draft_name(std::uint64_t number) const;
  /// Looks like a temporary name, and not like one of this run.
  bool is_leftover(std::string_view name) const;

  /// The directory of an entry's place, made if it is missing. Errors: Corrupt for the target itself; as TreeDirectories::open.
  Result<TreeDirectories::Handle> directory_of(const Components& path);
  /// A run that was killed has made it.
  bool was_made(const struct stat& st) const;
  /// What stands at a name now; nothing: it is free. Errors: Exists for a directory, which is never replaced; Io, Denied.
  Result<std::optional<struct stat>> occupant(int directory_fd, const std::string& name) const;
  /// Does the overwrite mode let us replace an occupant? False: it stays, counted. `same`: it equals the entry.
  bool may_replace(bool same);
  /// Renames. False: something took the name meanwhile and stays, counted; `temporary` is still there.
  /// Errors: Exists (a directory), DiskFull, Io.
  Result<bool> put_in_place(int directory_fd, const std::string& temporary, const std::string& name);
};

/// Errors: Denied for the plan's directory and what is below it.
Status check_not_own(const Components& path);

/// Unlinks a temporary name unless that has got its final one.
class TemporaryName {
 public:
  TemporaryName(TreeDirectories::Handle directory, std::string name)
      : directory_(std::move(directory)), name_(std::move(name)) {}
  TemporaryName(const TemporaryName&) = delete;
  TemporaryName& operator=(const TemporaryName&) = delete;
  ~TemporaryName() {
    if (!name_.empty()) ::unlinkat(directory_->get(), name_.c_str(), 0);
  }
  void forget() { name_.clear(); }
  const std::string& name() const { return name_; }

 private:
  TreeDirectories::Handle directory_;
  std::string name_;
};

}  // namespace holdfast::restore
