#pragma once
// Why: a secret that other users of the machine can read is no secret. Private to client/keyring.

#include <string>

#include "common/fs/file_system.h"

namespace holdfast::keyring {

/// Refuses files that group or others may touch. Asks the kernel, because fs::FileSystem knows no modes: only paths of
/// the machine's own file system are looked at. Errors: Denied, saying what to do; NotFound; Io.
Status check_private(const fs::FileSystem& fs, const std::string& path);

}  // namespace holdfast::keyring
