#pragma once
// Why: bytes beyond the head never happened, but nobody should have to take our word for it: they are moved out of the
// journal into files that people can look at.

#include <string>
#include <vector>

#include "common/fs/file_system.h"
#include "server/coordinator/coordinator.h"

namespace holdfast::coordinator {

/// Moves everything beyond `head` to `set-aside-<n>` in the journal's directory; afterwards the journal ends, durably,
/// where the head says. On a full disk the bytes are dropped instead: they were never acknowledged. Keeps the newest
/// kMaxSetAsideFiles. What was done goes to `notes`. Errors: Io; then the journal is as before, or ends at the head.
Status set_tail_aside(fs::FileSystem& fs, const std::string& journal_directory, const Head& head,
                      std::vector<std::string>& notes);

}  // namespace holdfast::coordinator
