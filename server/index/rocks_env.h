#pragma once
// Why: what RocksDB sees of the machine: our files (RocksFs), its own thread pools, shared by the whole process, and a
// clock that does not hold us up.

#include <rocksdb/env.h>

#include <memory>

#include "common/fs/file_system.h"

namespace holdfast::index {

class DiskErrors;

/// `fs` outlives the environment, which outlives the database; nullptr: RocksDB's own access to the disk, whose errors
/// `disk` does not hear of.
std::unique_ptr<rocksdb::Env> make_env(fs::FileSystem* fs, std::shared_ptr<DiskErrors> disk);

}  // namespace holdfast::index
