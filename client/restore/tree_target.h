#pragma once
// Why: what a restore finds out about its target, and makes of it, before the first entry: private to this folder.

#include <dirent.h>
#include <sys/stat.h>

#include <ctime>
#include <memory>
#include <string>

#include "common/base/result.h"

namespace holdfast::restore {

/// mkdir -p. The topmost directory that it made; empty: all were there. Errors: Denied, DiskFull, Io.
Result<std::string> make_target(const std::string& path);

struct CloseDirectory {
  void operator()(DIR* stream) const { ::closedir(stream); }
};
using DirectoryStream = std::unique_ptr<DIR, CloseDirectory>;
/// nullptr and errno: it cannot be read.
DirectoryStream open_stream(int directory_fd);

/// Nothing in it but what a restore, or the making of a file system, puts there.
bool is_empty(int directory_fd);
bool is_root_directory(int fd);

/// A time of the target's file system that is later than every change made before. Its clock ticks coarsely: waits for
/// the next tick, 50 ms at the most. Errors: Denied, DiskFull, Io: nothing can be made in the target.
Result<timespec> begin_after_all_changes(int root_fd);

bool same_inode(const struct stat& a, const struct stat& b);
bool is_before(const timespec& a, const timespec& b);

}  // namespace holdfast::restore
