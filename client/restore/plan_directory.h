#pragma once
// Why: a restore keeps its plan in a directory of its own in the target, so that the same command goes on after a kill. One
// restore at a time: the directory is locked. It belongs to our user and to nobody else, or it is not used.

#include "client/restore/spill_file.h"

namespace holdfast::restore {

/// Nothing of a snapshot may have this path, or stand below it.
inline constexpr std::string_view kPlanDirectory = ".holdfast-restore";

/// Locked while it lives. One thread at a time.
class PlanDirectory {
 public:
  /// Makes it if it is missing. Errors: Locked (another restore runs), Denied (somebody else's, or no directory), DiskFull, Io.
  static Result<PlanDirectory> open(TreeDirectories::Handle target);

  /// Existing file, read and write. Errors: NotFound, Denied, Io.
  Result<Descriptor> open_file(const std::string& name) const;
  /// New and empty, instead of one that was there. Errors: DiskFull, Denied, Io.
  Result<Descriptor> make_file(const std::string& name) const;
  /// Without a name. Errors: as make_file.
  Result<Descriptor> make_nameless() const;
  /// Errors: DiskFull, Io.
  Status rename(const std::string& from, const std::string& to) const;
  /// Removes every file in it.
  void clear() const;
  /// Removes it.
  void remove() const;

 private:
  PlanDirectory(TreeDirectories::Handle target, Descriptor directory)
      : target_(std::move(target)), directory_(std::move(directory)) {}

  TreeDirectories::Handle target_;
  Descriptor directory_;  ///< readable; holds the lock
};

}  // namespace holdfast::restore
