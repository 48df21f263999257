#pragma once
// Why: everything about an entry that is not its content: type, owner and group by number and name, times, xattrs
// (POSIX ACLs and capabilities are xattrs to the kernel: system.posix_acl_*, security.capability).

#include <sys/stat.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "client/manifest/entry.h"

namespace holdfast::sources {

inline constexpr std::string_view kVanished = "vanished while being read";

/// statx(2) of `name` below `directory_fd`, never following a link and never mounting; an empty name: the descriptor itself.
Result<struct statx> stat_at(int directory_fd, const char* name);

manifest::StatIdentity identity_of(const struct statx& st);
bool same_inode(const struct statx& a, const struct statx& b);

/// Errors: NotFound for a type the kernel may have but a manifest has not.
Result<manifest::EntryKind> kind_of(const struct statx& st);

/// Names of users and groups, each asked for once: the answer may come from a directory service. One thread at a time.
class OwnerNames {
 public:
  const std::string& user(std::uint32_t uid);  ///< empty when nobody knows it
  const std::string& group(std::uint32_t gid);

 private:
  std::unordered_map<std::uint32_t, std::string> users_, groups_;
};

/// Fills mode, owner, group, names, times, size (files), device number.
void fill_metadata(const struct statx& st, OwnerNames& names, manifest::Entry& entry);

/// Extended attributes of `name` below `directory_fd` (empty name: of the descriptor itself), sorted by name. Goes
/// through /proc/self/fd, since Linux before 6.13 has no xattr call relative to a directory that leaves links alone.
/// What could be read is in `out` even after an error. Errors: Denied, NotFound, Limit (kMaxXattrBytes), Io.
Status read_xattrs(int directory_fd, const char* name, std::vector<manifest::Xattr>& out);

}  // namespace holdfast::sources
