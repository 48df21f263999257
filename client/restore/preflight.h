#pragma once
// Why: a restore that cannot fit is refused before the first file is written.

#include "client/restore/plan.h"

namespace holdfast::restore {

/// `bytes` and `inodes`: what is to be written. `target_fd`: the directory, `target` its name for the message. Errors: DiskFull with figures; Io.
Status check_room(int target_fd, const std::string& target, std::uint64_t bytes, std::uint64_t inodes);

}  // namespace holdfast::restore
