#pragma once
// Why: where every blob's copies are, derived from the footers of the packs that the journal says are live. RocksDB;
// may be deleted and rebuilt at any time. Stores the generation that it has applied in the same batch, not fsynced.
// Key: domain ‖ epoch (big-endian) ‖ blob ‖ pack ‖ offset, so every copy is listed. FORMAT.md beside this file is the
// specification. RocksDB reaches the disk through fs::FileSystem (RocksFs), so that tests can fail it.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/fs/file_system.h"
#include "common/journal/journal.h"
#include "common/pack/pack.h"

namespace holdfast::index {

struct Location {
  PackId pack;
  std::uint64_t store_epoch = 0;
  pack::Entry entry;
};

/// What RocksDB shares over all tenants: block cache, write-buffer manager, rate limiter. Thread-safe.
class Shared;
/// `cache_bytes`: blocks, indexes and filters of all tables; `write_buffer_bytes`: memtables of all tenants together.
std::shared_ptr<Shared> make_shared_resources(std::size_t cache_bytes, std::size_t write_buffer_bytes);

/// Thread-safe. Errors of all methods: Corrupt (delete the directory and rebuild), Io, DiskFull. After a failed write
/// every later write fails too: open the index again.
class BlobIndex {
 public:
  /// Opens or creates `directory`, whose parent exists; a database that does not open although the disk answers is
  /// Corrupt (the caller deletes the directory and rebuilds). `fs` outlives the index; nullptr: RocksDB's own access to
  /// the disk, and then RocksDB's word is taken for what is corrupt.
  /// Errors: Corrupt, Locked (open elsewhere), Io, DiskFull.
  static Result<std::unique_ptr<BlobIndex>> open(const std::string& directory, std::shared_ptr<Shared> shared,
                                                 fs::FileSystem* fs = nullptr);
  virtual ~BlobIndex() = default;

  /// The newest generation that has been set; 0 in a new index.
  virtual Result<std::uint64_t> generation() = 0;
  /// Adds a pack's entries and moves the generation, in one batch. A pack that is in here already changes nothing.
  virtual Status add_packs(const std::vector<pack::Footer>& packs, std::uint64_t generation) = 0;
  /// As add_packs, for a rebuild: several times faster, not logged, the generation stays. What was added so becomes
  /// durable with the next set_generation; after a crash before it the index may hold some of the packs, each whole.
  /// Hand over some thousands of packs at a time: their keys are sorted together.
  virtual Status add_packs_in_bulk(const std::vector<pack::Footer>& packs) = 0;
  virtual Status set_generation(std::uint64_t generation) = 0;
  /// Every pack that is in here, ascending.
  virtual Result<std::vector<PackId>> pack_ids() = 0;
  /// Takes out these packs with all their entries, in one batch; a pack that is not in here changes nothing. The
  /// generation stays.
  virtual Status remove_packs(const std::vector<pack::Footer>& packs) = 0;
  /// The same for packs whose footers cannot be read: looks at every entry.
  virtual Status remove_packs_by_search(const std::vector<PackId>& packs) = 0;
  /// Every copy, any run, in order of pack and offset. Empty: unknown.
  virtual Result<std::vector<Location>> find(const DomainId& domain, std::uint32_t epoch, const BlobId& blob) = 0;
  /// Marks all copies in this pack as damaged: `find` leaves them out. Not part of `contents_digest`.
  virtual Status mark_damaged(const PackId& pack) = 0;
  /// Copies, not distinct blobs.
  virtual Result<std::uint64_t> blob_count() = 0;
  /// Every entry in key order, those of damaged packs too. `visit` must not write to this index.
  virtual Status for_each(const std::function<Status(const Location&)>& visit) = 0;
  /// Digest over all keys and values in key order: equal indexes have equal digests. Generation and marks of damage are
  /// left out.
  virtual Result<Digest> contents_digest() = 0;
  /// Reads every table back, compares its checksums, and counts. Writers wait. Errors: Corrupt, naming the file.
  virtual Status verify() = 0;
};

}  // namespace holdfast::index
