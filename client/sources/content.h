#pragma once
// Why: one regular file as data and holes, opened without following anything and judged afterwards: did it move?

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "client/sources/descriptor.h"
#include "client/sources/files.h"

namespace holdfast::sources {

/// First paths of inodes with several links, each until its last link was met. Thread-safe: contents are opened late.
class LinkTable {
 public:
  using Inode = std::pair<std::uint64_t, std::uint64_t>;  ///< device, inode

  /// The first path of this inode, or nothing: `path` is the first.
  std::optional<std::string> first_path(Inode inode, std::uint64_t links, const std::string& path);
  /// `path` could not be read: the next link of the inode becomes its first.
  void forget(Inode inode, const std::string& path);

 private:
  struct First {
    std::string path;
    std::uint64_t links_left;
  };
  std::mutex mutex_;
  std::map<Inode, First> firsts_;
};

/// Where a file stood when the walk met it, and how often it was opened since.
struct FoundFile {
  std::shared_ptr<const Descriptor> directory;
  std::string name, path;
  manifest::StatIdentity seen;
  std::shared_ptr<LinkTable> links;  ///< shared with the walk; null when it has no other link
  std::atomic<unsigned> openings = 0;
};

/// Errors: see Found::open.
Result<std::unique_ptr<FileContent>> open_content(FoundFile& file);

/// openat, read only, no link followed, no waiting for a fifo's writer, no terminal, access time kept where we may.
/// errno as the kernel's. -1 on failure.
int open_unfollowed(int directory_fd, const char* name, int extra_flags);

}  // namespace holdfast::sources
