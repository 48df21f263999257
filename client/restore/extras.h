#pragma once
// Why: restore --delete: what stands below a restored directory and is not in the snapshot goes. The snapshot's entries, in
// their order, are held beside the sorted names of each directory of the target; a name goes once the snapshot has passed
// it, so a walk that breaks off has removed nothing that might still have come. Memory: the names of the directories on the way down.

#include <memory>

#include "client/restore/tree_removal.h"

namespace holdfast::restore {

/// One thread at a time.
class Extras {
 public:
  /// `target`: O_PATH. References must outlive it.
  Extras(TreeDirectories::Handle target, TreeRemoval& removal) : directories_(std::move(target)), removal_(removal) {}
  /// The next entry at or below a directory whose extras are to go. `path`: in the target. Entries come in the manifest's
  /// order; one that is above or beside all before begins another tree. Errors: Corrupt.
  Status add(const std::string& path, bool is_directory);
  /// The snapshot has nothing more.
  void finish();

 private:
  struct Level {
    std::string path;
    Descriptor directory;  ///< readable; none: nothing there to remove
    std::vector<std::string> names;
    std::size_t next = 0;
  };
  void pass(Level& level, const std::string& name);
  void leave_level();
  Status enter(const std::string& path);

  TreeDirectories directories_;
  TreeRemoval& removal_;
  std::vector<Level> levels_;
};

}  // namespace holdfast::restore
