#pragma once
// Why: where every blob's copies are, derived from the footers of the packs that the journal says are live. RocksDB;
// may be deleted and rebuilt at any time. Stores the generation that it has applied in the same batch, not fsynced.
// Key: domain ‖ epoch (big-endian) ‖ blob ‖ pack, so every copy is listed. RocksDB reaches the disk through
// fs::FileSystem (RocksFs), so that tests can fail it.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/fs/file_system.h"
#include "common/journal/journal.h"
#include "common/pack/pack.h"

namespace holdfast::index {

struct Location {
  PackId pack; std::uint64_t store_epoch = 0;
  pack::Entry entry;
};

/// What RocksDB shares over all tenants: block cache, write-buffer manager, rate limiter. Thread-safe.
class Shared;
std::shared_ptr<Shared> make_shared_resources(std::size_t cache_bytes, std::size_t write_buffer_bytes);

/// Thread-safe.
class BlobIndex {
 public:
  /// Opens or creates; a database that does not open is Corrupt (the caller deletes the directory and rebuilds).
  static Result<std::unique_ptr<BlobIndex>> open(const std::string& directory, std::shared_ptr<Shared> shared);
  virtual ~BlobIndex() = default;

  /// The generation whose packs are all in here.
  virtual Result<std::uint64_t> generation() = 0;
  /// Adds a pack's entries and moves the generation, in one batch.
  virtual Status add_packs(const std::vector<pack::Footer>& packs, std::uint64_t generation) = 0;
  virtual Status set_generation(std::uint64_t generation) = 0;
  /// Every copy, any run. Empty: unknown.
  virtual Result<std::vector<Location>> find(const DomainId& domain, std::uint32_t epoch, const BlobId& blob) = 0;
  /// Marks all copies in this pack as damaged: `find` leaves them out. Not part of `contents_digest`.
  virtual Status mark_damaged(const PackId& pack) = 0;
  virtual Result<std::uint64_t> blob_count() = 0;
  /// Every entry in key order.
  virtual Status for_each(const std::function<Status(const Location&)>& visit) = 0;
  /// Digest over all keys and values in key order: equal indexes have equal digests.
  virtual Result<Digest> contents_digest() = 0;
};

}  // namespace holdfast::index
