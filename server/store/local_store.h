#pragma once
// Why: objects as files of one directory. An object named `packs/9f/9f3c…` is the file of that path below it; what is
// being written stands in `tmp/` and gets its name when it is complete and synced. Nothing else may write there.

#include <memory>
#include <string>

#include "common/fs/file_system.h"
#include "server/store/object_store.h"

namespace holdfast::store {

inline constexpr std::size_t kMaxNameBytes = 255;
inline constexpr std::size_t kMaxNameParts = 8;

/// `kind/…`: at least two parts of [a-z0-9.-], none empty or starting with a dot, the first not "tmp"; at most
/// kMaxNameBytes and kMaxNameParts.
bool is_object_name(std::string_view name);

/// Makes `directory` (0700) where it is missing and removes what writers left in `tmp/`: open it once at a time, under
/// the tenant's lock. `fs` must outlive the store and its writers. Every call blocks. Errors: Io, DiskFull, Denied.
Result<std::unique_ptr<ObjectStore>> open_local_store(fs::FileSystem& fs, std::string directory);

}  // namespace holdfast::store
