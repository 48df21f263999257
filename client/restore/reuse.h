#pragma once
// Why: a restore into a tree that is there already fetches only the files that differ. Which do not is found out before
// anything is written: a file of the right size is read, and only the content digest says that it is right; no size, no time
// does. What was found is noted on the disk; what is to be done about it is done later, if the file is still the same.

#include <set>

#include "client/restore/content_digest.h"
#include "client/restore/tree_writer.h"

namespace holdfast::restore {

/// Files that stood in the target with the right bytes.
struct Reused {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;  ///< of them that need not be fetched: without holes
};

/// One thread at a time. Memory: kMaxClaimed inodes.
class Reuse {
 public:
  static constexpr std::size_t kMaxClaimed = 1u << 18;

  /// References must outlive it.
  Reuse(const PlanDirectory& directory, const Plan& plan, TreeWriter& tree, ContentKeys keys)
      : directory_(directory), plan_(plan), tree_(tree), keys_(keys) {}

  /// Reads what stands at the file's place. Nothing: not the file. Fit::Whole asks for nothing more. Changes nothing in the
  /// target. Errors: DiskFull, Io on the restore's own files.
  Result<std::optional<Fit>> look(const PlannedEntry& planned);
  /// Is anything to be done to files that were found?
  bool has_work() const { return static_cast<bool>(notes_); }
  /// A file that is to be dressed or copied, if it is still what was looked at.
  struct Found {
    Fit fit;
    Standing standing;
  };
  Result<std::optional<Found>> find_again(const PlannedEntry& planned);
  /// Of a file that is still open: must its bytes be written, or are attributes all? Errors: Io.
  Result<bool> needs_bytes(std::uint64_t number) const;
  const Reused& sums() const { return sums_; }

 private:
  Result<std::optional<Fit>> judge(const PlannedEntry& planned, const Standing& standing);
  Status note(std::uint64_t number, Fit fit, const struct stat& facts);

  const PlanDirectory& directory_;
  const Plan& plan_;
  TreeWriter& tree_;
  const ContentKeys keys_;
  Descriptor notes_;                           ///< nameless; a record an entry; none: nothing was noted
  std::set<std::pair<dev_t, ino_t>> claimed_;  ///< with several names: stays one file only
  Reused sums_;
};

}  // namespace holdfast::restore
