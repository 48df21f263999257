#pragma once
// Why: one place for every option of RocksDB and the reason for it. A node has thousands of tenants and keeps dozens of
// indexes open, so each must be small, and what can be shared is.

#include <rocksdb/options.h>

#include <string>
#include <unordered_map>

#include "server/index/blob_index.h"

namespace holdfast::index {

/// Thread-safe: RocksDB's own objects are.
class Shared {
 public:
  Shared(std::size_t cache_bytes, std::size_t write_buffer_bytes);
  /// `env` outlives the database.
  rocksdb::Options options(rocksdb::Env* env) const;

 private:
  std::shared_ptr<rocksdb::Cache> cache_;
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffers_;
  std::shared_ptr<rocksdb::RateLimiter> rate_limiter_;
};

/// For DB::SetOptions: during a rebuild, and afterwards.
std::unordered_map<std::string, std::string> bulk_options();
std::unordered_map<std::string, std::string> usual_options();

/// Our error for one of RocksDB's, its words kept. A file that is missing or not what it should be is Corrupt: the
/// index must be rebuilt.
Error rocks_error(const rocksdb::Status& status, std::string_view doing);

}  // namespace holdfast::index
