#pragma once
// Why: owner, extended attributes, mode and times in the only order that keeps all of them: a change of owner clears
// setuid bits and capabilities, an ACL changes the mode, everything changes the times.

#include <sys/stat.h>

#include "client/restore/tree_writer.h"

namespace holdfast::restore {

/// What attributes are set on. Path-only descriptors (O_PATH: links, fifos, devices, directories that we may not read)
/// are reached through /proc/self/fd where the kernel has no call on the descriptor itself.
struct AttributeTarget {
  int fd;
  bool path_only;
};

/// Sets everything that `entry` says; extended attributes, ACLs and capabilities that it does not name are removed.
/// What rights or the file system forbid is counted in `report`; without its owner a file gets no setuid or setgid bit.
/// Errors: Io, DiskFull, Corrupt (an attribute's name that no kernel would take).
Status apply_attributes(AttributeTarget target, const manifest::Entry& entry, bool set_owner, TargetReport& report);

/// Would `apply_attributes` find nothing to do on a regular file, but for its owner? `st`: of `fd`.
bool has_attributes(int fd, const struct stat& st, const manifest::Entry& entry);

timespec to_timespec(std::int64_t ns);
std::int64_t mtime_ns(const struct stat& st);  ///< held at the ends of the type

}  // namespace holdfast::restore
