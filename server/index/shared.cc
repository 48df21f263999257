#include "server/index/shared.h"

#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/rate_limiter.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include <cstdarg>
#include <cstdio>

#include "common/base/log.h"
#include "server/index/layout.h"

namespace holdfast::index {
namespace {

// A memtable of 4 MiB holds some 20,000 blobs (20 GB of backup); with the 64 KiB arena an idle index costs next to
// nothing.
constexpr std::size_t kWriteBufferBytes = 4u << 20;
constexpr std::size_t kBulkWriteBufferBytes = 32u << 20;
// Merging starts late in a rebuild, which writes everything once. The other two bounds are far off, so that the index
// takes writes at full speed while it is still being merged; beyond them RocksDB slows and stops writers.
constexpr int kMergeTablesFrom = 4;
constexpr int kBulkMergeTablesFrom = 16;
constexpr int kSlowFromTables = 64;
constexpr int kStopAtTables = 128;
constexpr std::size_t kArenaBlockBytes = 64u << 10;
constexpr std::uint64_t kTableBytes = 16u << 20;
constexpr std::size_t kBlockBytes = 8u << 10;
constexpr double kFilterBits = 10;  // per blob: one "have?" in a hundred reads a block for nothing
constexpr int kOpenFiles = 64;      // per index; 64 open indexes stay below 4,096 descriptors
constexpr std::int64_t kBackgroundBytesPerSecond =
    128 << 20;  // flushes and compactions of all tenants: leaves the disk to backups
constexpr std::size_t kLogLineBytes = 512;

/// RocksDB's errors go to our log; it writes no log files of its own (thousands of directories). Thread-safe.
class ErrorLog : public rocksdb::Logger {
 public:
  ErrorLog() : Logger(rocksdb::InfoLogLevel::ERROR_LEVEL) {}
  using Logger::Logv;
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    // HEADER_LEVEL sorts above FATAL_LEVEL and tells nothing but options.
    if (level != rocksdb::InfoLogLevel::ERROR_LEVEL && level != rocksdb::InfoLogLevel::FATAL_LEVEL) return;
    char line[kLogLineBytes];
    std::vsnprintf(line, sizeof line, format, arguments);
    std::string_view text(line);
    while (text.ends_with('\n')) text.remove_suffix(1);
    log::warning("index database", {{"says", printable(text)}});
  }
  void LogHeader(const char*, va_list) override {}

 protected:
  rocksdb::Status CloseImpl() override { return rocksdb::Status::OK(); }
};

rocksdb::BlockBasedTableOptions table_options(std::shared_ptr<rocksdb::Cache> cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = std::move(cache);
  table.block_size = kBlockBytes;
  table.format_version = 5;
  // Most questions of an upload are about unknown blobs: the filter answers them. It works on the part of the key that
  // all copies of a blob share (the whole key, for packs).
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kFilterBits));
  table.whole_key_filtering = false;
  // Indexes and filters count against the shared cache, so memory is bounded whatever is open.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  return table;
}

void limit_resources(rocksdb::Options& options) {
  options.write_buffer_size = kWriteBufferBytes;
  options.arena_block_size = kArenaBlockBytes;
  options.max_write_buffer_number = 2;
  options.target_file_size_base = kTableBytes;
  options.max_bytes_for_level_base = 4 * kTableBytes;
  options.level0_file_num_compaction_trigger = kMergeTablesFrom;
  options.level0_slowdown_writes_trigger = kSlowFromTables;
  options.level0_stop_writes_trigger = kStopAtTables;
  options.max_open_files = kOpenFiles;
  options.max_background_jobs = 2;  // threads are the process's, not the index's
  options.max_file_opening_threads = 1;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.compression = rocksdb::kNoCompression;  // ids and digests are random
}

void choose_failure_handling(rocksdb::Options& options) {
  // The log is not synced: after a crash its last consistent part counts, and the journal's newer records are replayed.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // Opening and closing cost no table: tenants come and go.
  options.avoid_flush_during_recovery = true;
  options.avoid_flush_during_shutdown = true;
  // A failed write fails the index until it is opened again; nothing retries behind our back.
  options.max_bgerror_resume_count = 0;
  options.paranoid_checks = true;
}

}  // namespace

Shared::Shared(std::size_t cache_bytes, std::size_t write_buffer_bytes)
    : cache_(rocksdb::NewLRUCache(cache_bytes)),
      write_buffers_(std::make_shared<rocksdb::WriteBufferManager>(write_buffer_bytes)),
      rate_limiter_(rocksdb::NewGenericRateLimiter(kBackgroundBytesPerSecond)) {}

rocksdb::Options Shared::options(rocksdb::Env* env) const {
  rocksdb::Options options;
  options.env = env;
  options.create_if_missing = true;
  options.info_log = std::make_shared<ErrorLog>();
  options.write_buffer_manager = write_buffers_;
  options.rate_limiter = rate_limiter_;
  options.prefix_extractor.reset(rocksdb::NewCappedPrefixTransform(kBlobPrefixBytes));
  // Batches are sorted (blob_index.cc): the memtable looks for a key's place from where the last one went.
  options.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(1));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_options(cache_)));
  limit_resources(options);
  choose_failure_handling(options);
  return options;
}

std::shared_ptr<Shared> make_shared_resources(std::size_t cache_bytes, std::size_t write_buffer_bytes) {
  return std::make_shared<Shared>(cache_bytes, write_buffer_bytes);
}

std::unordered_map<std::string, std::string> bulk_options() {
  return {{"write_buffer_size", std::to_string(kBulkWriteBufferBytes)},
          {"level0_file_num_compaction_trigger", std::to_string(kBulkMergeTablesFrom)}};
}

std::unordered_map<std::string, std::string> usual_options() {
  return {{"write_buffer_size", std::to_string(kWriteBufferBytes)},
          {"level0_file_num_compaction_trigger", std::to_string(kMergeTablesFrom)}};
}

Error rocks_error(const rocksdb::Status& status, std::string_view doing) {
  Errc code = Errc::Io;
  if (status.IsNoSpace())
    code = Errc::DiskFull;
  else if (status.IsBusy())
    code = Errc::Locked;
  else if (status.IsCorruption() || status.IsPathNotFound() || status.IsInvalidArgument() || status.IsNotFound() ||
           status.IsNotSupported()) {
    code = Errc::Corrupt;
  }
  return {code, std::string(doing) + ": " + printable(status.ToString())};
}

}  // namespace holdfast::index
