#pragma once
// Why: what the walk leaves out by itself, without being told: kernel file systems, swap files, caches.

#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "client/sources/directory.h"

namespace holdfast::sources {

/// Directories that only ever hold what the running kernel shows: /proc /sys /dev /run.
bool is_kernel_directory(std::string_view path);

/// A file system without files of its own (proc, sysfs, cgroup, …), by the magic number of statfs(2).
bool is_pseudo_file_system(int directory_fd);

/// Does the directory hold a valid CACHEDIR.TAG (https://bford.info/cachedir/: the signature opens the file)?
bool has_cache_tag(int directory_fd, const NameList& names);
inline constexpr const char* kCacheTagName = "CACHEDIR.TAG";

/// Files the kernel swaps to now, as (device, inode); from /proc/swaps, empty when there is none.
std::set<std::pair<std::uint64_t, std::uint64_t>> swap_files();

}  // namespace holdfast::sources
