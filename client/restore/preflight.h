#pragma once
// Why: a restore that cannot fit, or meets a file system that takes nothing, is refused before the first file is written.
// Below a target several file systems may be mounted: each is held to what goes there.

#include <sys/statvfs.h>

#include <map>

#include "client/restore/tree_writer.h"

namespace holdfast::restore {

/// One thread at a time.
class Preflight {
 public:
  /// `target`: its name for messages. `tree` must outlive it.
  Preflight(TreeWriter& tree, std::string target) : tree_(tree), target_(std::move(target)) {}
  /// An entry that is to be made, or looked at. A file whose `bytes` are to be written, if there is no hole in it, needs an inode
  /// beside the file that it replaces. Errors: Io.
  Status add(const manifest::Entry& entry, std::optional<std::uint64_t> bytes);
  /// Errors: DiskFull with figures, Denied for a file system that is mounted read-only.
  Status check() const;

 private:
  struct Room {
    std::string at;  ///< an entry that goes there
    struct statvfs facts{};
    std::uint64_t bytes = 0, inodes = 0;
  };
  Status check(const Room& room) const;

  TreeWriter& tree_;
  const std::string target_;
  std::map<dev_t, Room> rooms_;
};

}  // namespace holdfast::restore
