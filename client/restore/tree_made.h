#pragma once
// Why: directories get their attributes when everything is restored, deepest first, and a tree may have millions of
// them: what is to be set waits on a stack that goes to a nameless file in the target when it grows.

#include <optional>

#include "client/manifest/entry.h"
#include "client/restore/tree_descriptor.h"

namespace holdfast::restore {

/// A file without a name in a directory (O_TMPFILE, or unlinked at once). -1 and errno on failure.
int open_nameless(int directory_fd);

/// A directory to finish, and the inode it was when it was made or met.
struct MadeDirectory {
  manifest::Entry entry;  ///< path, mode, owner numbers, mtime, xattrs; nothing else
  std::uint64_t device = 0, inode = 0;
};

/// Last in, first out. One thread at a time; memory: about kBlockBytes.
class MadeDirectories {
 public:
  static constexpr std::size_t kBlockBytes = 1u << 20;

  /// `root`: the target; the nameless file is made in it when it is needed.
  explicit MadeDirectories(TreeDirectories::Handle root) : root_(std::move(root)) {}
  /// Errors: DiskFull, Io.
  Status push(const manifest::Entry& entry, std::uint64_t device, std::uint64_t inode);
  /// Nothing: the stack is empty. Errors: Io.
  Result<std::optional<MadeDirectory>> pop();

 private:
  Status spill();
  Status load();

  TreeDirectories::Handle root_;
  Descriptor file_;
  std::vector<std::uint64_t> blocks_;  ///< where each block in the file begins; every block holds whole records
  std::uint64_t file_bytes_ = 0;
  Bytes buffer_;  ///< records, each followed by its length
};

}  // namespace holdfast::restore
