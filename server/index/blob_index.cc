#include "server/index/blob_index.h"

#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <tuple>
#include <unordered_set>

#include "common/crypto/hash.h"
#include "server/index/layout.h"
#include "server/index/rocks_env.h"
#include "server/index/rocks_fs.h"
#include "server/index/shared.h"

namespace holdfast::index {
namespace {

using rocksdb::Slice;

std::string_view text_of(const Slice& slice) { return {slice.data(), slice.size()}; }

/// One entry on its way in.
struct Row {
  const pack::Footer* footer;
  const pack::Entry* entry;
  auto order() const { return std::tie(entry->domain, entry->epoch, entry->blob, footer->id, entry->offset); }
};

// In key order: RocksDB's memtable takes sorted keys twice as fast as random ones.
void put_rows(rocksdb::WriteBatch& batch, std::vector<Row> rows) {
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.order() < b.order(); });
  std::string key, value;
  for (const Row& row : rows) {
    key.clear();
    value.clear();
    put_blob_key(key, *row.entry, row.footer->id);
    put_blob_value(value, *row.entry, row.footer->store_epoch);
    batch.Put(key, value);
  }
}

/// About what a batch of all these entries takes: growing it step by step would copy it many times.
std::size_t batch_bytes(const std::vector<pack::Footer>& packs) {
  constexpr std::size_t kBlobBytes = kBlobKeyBytes + 64, kPackBytes = 40;
  std::size_t bytes = 0;
  for (const pack::Footer& footer : packs) {
    bytes += kPackBytes + footer.entries.size() * kBlobBytes;
    for (const pack::Entry& entry : footer.entries) bytes += entry.children.size() * blob::kChildBytes;
  }
  return bytes;
}

class RocksIndex final : public BlobIndex {
 public:
  RocksIndex(std::string directory, std::shared_ptr<Shared> shared)
      : directory_(std::move(directory)), shared_(std::move(shared)) {}
  ~RocksIndex() override = default;

  Status open(fs::FileSystem* fs);

  Result<std::uint64_t> generation() override { return get_number(kGenerationKey); }
  Status add_packs(const std::vector<pack::Footer>& packs, std::uint64_t generation) override;
  Status add_packs_in_bulk(const std::vector<pack::Footer>& packs) override;
  Status set_generation(std::uint64_t generation) override;
  Result<std::vector<PackId>> pack_ids() override;
  Status remove_packs(const std::vector<pack::Footer>& packs) override;
  Status remove_packs_by_search(const std::vector<PackId>& packs) override;
  Result<std::vector<Location>> find(const DomainId& domain, std::uint32_t epoch, const BlobId& blob) override;
  Status mark_damaged(const PackId& pack) override;
  Result<std::uint64_t> blob_count() override { return blobs_.load(); }
  Status for_each(const std::function<Status(const Location&)>& visit) override;
  Result<Digest> contents_digest() override;
  Status verify() override;

 private:
  using Visit = std::function<Status(const Slice& key, const Slice& value)>;

  Error error(const rocksdb::Status& status, std::string_view doing) const {
    return rocks_error(status, "index '" + printable(directory_) + "': " + std::string(doing));
  }
  Status open_database();
  Status check_contents();
  Status load_damaged();
  /// The packs' counts must add up to the total: see write().
  Status check_total();
  Result<std::uint64_t> get_number(std::string_view key);
  Result<bool> has_pack(const PackId& pack);
  /// Adds to `batch` what is not in here yet; returns how many blobs that is. Under write_mutex_.
  Result<std::uint64_t> put_packs(rocksdb::WriteBatch& batch, const std::vector<pack::Footer>& packs);
  Status begin_bulk();
  Status end_bulk();
  /// What a batch brings, or takes.
  struct Added {
    std::int64_t blobs = 0, damaged = 0;
  };
  /// Under write_mutex_: the pack's own keys; how many blobs it has. nullopt: not in here.
  Result<std::optional<std::uint64_t>> delete_pack(rocksdb::WriteBatch& batch, const PackId& pack, Added& added);
  Status write_removed(rocksdb::WriteBatch& batch, const Added& added, const std::vector<PackId>& packs);
  /// `batch` with the new totals. Under write_mutex_.
  Status write(rocksdb::WriteBatch& batch, const Added& added, const rocksdb::WriteOptions& options);
  Status write_logged(rocksdb::WriteBatch& batch, const Added& added);
  Error rebuild_needed(std::string why) const {
    return {Errc::Corrupt, "index '" + printable(directory_) + "': " + std::move(why) + ": it must be rebuilt"};
  }
  Status for_prefix(char prefix, const Visit& visit);
  bool is_damaged(const PackId& pack) const;

  const std::string directory_;
  const std::shared_ptr<Shared> shared_;  // with every other open index
  std::unique_ptr<rocksdb::Env> env_;
  std::unique_ptr<rocksdb::DB> db_;

  std::mutex write_mutex_;
  bool in_bulk_ = false;  // under write_mutex_: the memtable may hold what the log does not

  std::atomic<std::uint64_t> blobs_ = 0;  // written under write_mutex_

  mutable std::shared_mutex damaged_mutex_;
  std::unordered_set<PackId> damaged_;  // written under both mutexes, read under either
};

// RocksDB says "corrupt" of a table that it could not read. The disk knows better, and a failure of the disk may pass:
// it is no reason to throw a good index away.
Status RocksIndex::open(fs::FileSystem* fs) {
  const auto disk = std::make_shared<DiskErrors>();
  env_ = make_env(fs, disk);
  Status opened = open_database();
  if (opened || opened.error().code != Errc::Corrupt) return opened;
  const std::optional<Error> said = disk->first();
  if (!said) return opened;
  return Error{said->code, opened.error().message + "; the disk said: " + said->message};
}

Status RocksIndex::open_database() {
  // RocksDB would make it too, after complaining that it is not there.
  const rocksdb::Status made = env_->CreateDirIfMissing(directory_);
  if (!made.ok()) return error(made, "make directory");
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(shared_->options(env_.get()), directory_, &db);
  if (!opened.ok()) return error(opened, "open");
  db_.reset(db);
  return check_contents();
}

Status RocksIndex::check_contents() {
  HF_TRY(const std::uint64_t layout, get_number(kLayoutKey));
  if (layout != kLayoutVersion && layout != 0) {
    return rebuild_needed("layout " + std::to_string(layout) + ", this program uses " + std::to_string(kLayoutVersion));
  }
  HF_TRY_DO(check_total());
  HF_TRY_DO(load_damaged());
  if (layout == kLayoutVersion) return {};
  rocksdb::WriteBatch batch;  // a new index
  batch.Put(Slice(kLayoutKey), number_value(kLayoutVersion));
  return write_logged(batch, {});
}

Status RocksIndex::check_total() {
  std::uint64_t sum = 0;
  HF_TRY_DO(for_prefix(kPackPrefix, [&sum](const Slice&, const Slice& value) -> Status {
    HF_TRY(const std::uint64_t blobs, decode_number(text_of(value)));
    sum += blobs;
    return {};
  }));
  HF_TRY(const std::uint64_t total, get_number(kBlobCountKey));
  blobs_ = total;
  if (sum == total) return {};
  return rebuild_needed("its packs have " + std::to_string(sum) + " blobs, not " + std::to_string(total));
}

Status RocksIndex::load_damaged() {
  HF_TRY_DO(for_prefix(kDamagedPrefix, [this](const Slice& key, const Slice&) -> Status {
    HF_TRY(const PackId pack, decode_pack_key(text_of(key)));
    damaged_.insert(pack);
    return {};
  }));
  HF_TRY(const std::uint64_t total, get_number(kDamagedCountKey));
  if (damaged_.size() == total) return {};
  return rebuild_needed("it marks " + std::to_string(damaged_.size()) + " packs as damaged, not " +
                        std::to_string(total));
}

Result<std::uint64_t> RocksIndex::get_number(std::string_view key) {
  std::string value;
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), Slice(key), &value);
  if (status.IsNotFound()) return std::uint64_t{0};
  if (!status.ok()) return error(status, "read '" + std::string(key) + "'");
  return decode_number(value);
}

Result<bool> RocksIndex::has_pack(const PackId& pack) {
  std::string value;
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), pack_key(kPackPrefix, pack), &value);
  if (status.ok()) return true;
  if (status.IsNotFound()) return false;
  return error(status, "look for pack " + pack.hex());
}

Result<std::uint64_t> RocksIndex::put_packs(rocksdb::WriteBatch& batch, const std::vector<pack::Footer>& packs) {
  std::unordered_set<PackId> added;
  std::vector<Row> rows;
  for (const pack::Footer& footer : packs) {
    HF_TRY(const bool known, has_pack(footer.id));
    if (known || !added.insert(footer.id).second) continue;
    for (const pack::Entry& entry : footer.entries) rows.push_back({&footer, &entry});
    batch.Put(pack_key(kPackPrefix, footer.id), number_value(footer.entries.size()));
  }
  const std::uint64_t count = rows.size();
  put_rows(batch, std::move(rows));
  return count;
}

Status RocksIndex::begin_bulk() {
  if (in_bulk_) return {};
  const rocksdb::Status set = db_->SetOptions(bulk_options());
  if (!set.ok()) return error(set, "prepare for a rebuild");
  in_bulk_ = true;
  return {};
}

// Recovery replays the log over the tables: what is older than the log must be in a table first, or a crash would leave
// a hole behind a newer generation.
Status RocksIndex::end_bulk() {
  if (!in_bulk_) return {};
  const rocksdb::Status flushed = db_->Flush(rocksdb::FlushOptions());
  if (!flushed.ok()) return error(flushed, "flush");
  const rocksdb::Status set = db_->SetOptions(usual_options());
  if (!set.ok()) return error(set, "end a rebuild");
  in_bulk_ = false;
  return {};
}

// Every batch states the totals. RocksDB takes a cut-off manifest for an older one, forgets the tables that it does not
// name, and replays the log on top: a hole below a new generation. The totals in the log then say so (check_total).
Status RocksIndex::write(rocksdb::WriteBatch& batch, const Added& added, const rocksdb::WriteOptions& options) {
  const std::uint64_t blobs = blobs_ + static_cast<std::uint64_t>(added.blobs);
  batch.Put(Slice(kBlobCountKey), number_value(blobs));
  batch.Put(Slice(kDamagedCountKey), number_value(damaged_.size() + static_cast<std::uint64_t>(added.damaged)));
  const rocksdb::Status written = db_->Write(options, &batch);
  if (!written.ok()) return error(written, "write");
  blobs_ = blobs;
  return {};
}

Status RocksIndex::write_logged(rocksdb::WriteBatch& batch, const Added& added) {
  HF_TRY_DO(end_bulk());
  return write(batch, added, rocksdb::WriteOptions());
}

Status RocksIndex::add_packs(const std::vector<pack::Footer>& packs, std::uint64_t generation) {
  const std::lock_guard lock(write_mutex_);
  rocksdb::WriteBatch batch;
  HF_TRY(const std::uint64_t added, put_packs(batch, packs));
  batch.Put(Slice(kGenerationKey), number_value(generation));
  return write_logged(batch, {.blobs = static_cast<std::int64_t>(added)});
}

Status RocksIndex::add_packs_in_bulk(const std::vector<pack::Footer>& packs) {
  const std::lock_guard lock(write_mutex_);
  rocksdb::WriteBatch batch(batch_bytes(packs));
  HF_TRY(const std::uint64_t added, put_packs(batch, packs));
  HF_TRY_DO(begin_bulk());
  rocksdb::WriteOptions unlogged;
  unlogged.disableWAL = true;
  return write(batch, {.blobs = static_cast<std::int64_t>(added)}, unlogged);
}

Status RocksIndex::set_generation(std::uint64_t generation) {
  const std::lock_guard lock(write_mutex_);
  rocksdb::WriteBatch batch;
  batch.Put(Slice(kGenerationKey), number_value(generation));
  return write_logged(batch, {});
}

Result<std::vector<PackId>> RocksIndex::pack_ids() {
  std::vector<PackId> packs;
  HF_TRY_DO(for_prefix(kPackPrefix, [&packs](const Slice& key, const Slice&) -> Status {
    HF_TRY(const PackId pack, decode_pack_key(text_of(key)));
    packs.push_back(pack);
    return {};
  }));
  return packs;
}

Result<std::optional<std::uint64_t>> RocksIndex::delete_pack(rocksdb::WriteBatch& batch, const PackId& pack,
                                                             Added& added) {
  std::string value;
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), pack_key(kPackPrefix, pack), &value);
  if (status.IsNotFound()) return std::optional<std::uint64_t>();
  if (!status.ok()) return error(status, "look for pack " + pack.hex());
  HF_TRY(const std::uint64_t blobs, decode_number(value));
  batch.Delete(pack_key(kPackPrefix, pack));
  added.blobs -= static_cast<std::int64_t>(blobs);
  if (is_damaged(pack)) {
    batch.Delete(pack_key(kDamagedPrefix, pack));
    added.damaged -= 1;
  }
  return std::optional(blobs);
}

Status RocksIndex::write_removed(rocksdb::WriteBatch& batch, const Added& added, const std::vector<PackId>& packs) {
  HF_TRY_DO(write_logged(batch, added));
  const std::unique_lock damaged_lock(damaged_mutex_);
  for (const PackId& pack : packs) damaged_.erase(pack);
  return {};
}

Status RocksIndex::remove_packs(const std::vector<pack::Footer>& packs) {
  const std::lock_guard lock(write_mutex_);
  rocksdb::WriteBatch batch;
  Added added;
  std::vector<PackId> removed;
  std::unordered_set<PackId> seen;
  for (const pack::Footer& footer : packs) {
    if (!seen.insert(footer.id).second) continue;
    HF_TRY(const std::optional<std::uint64_t> blobs, delete_pack(batch, footer.id, added));
    if (!blobs) continue;
    if (*blobs != footer.entries.size())
      return rebuild_needed("it has " + std::to_string(*blobs) + " blobs of pack " + footer.id.hex() +
                            ", which holds " + std::to_string(footer.entries.size()));
    removed.push_back(footer.id);
    std::string key;
    for (const pack::Entry& entry : footer.entries) {
      key.clear();
      put_blob_key(key, entry, footer.id);
      batch.Delete(key);
    }
  }
  return removed.empty() ? Status{} : write_removed(batch, added, removed);
}

Status RocksIndex::remove_packs_by_search(const std::vector<PackId>& packs) {
  const std::lock_guard lock(write_mutex_);
  rocksdb::WriteBatch batch;
  Added added;
  std::vector<PackId> removed;
  std::unordered_set<PackId> seen;
  std::uint64_t expected = 0, found = 0;
  for (const PackId& pack : packs) {
    if (!seen.insert(pack).second) continue;
    HF_TRY(const std::optional<std::uint64_t> blobs, delete_pack(batch, pack, added));
    if (!blobs) continue;
    expected += *blobs;
    removed.push_back(pack);
  }
  if (removed.empty()) return {};
  HF_TRY_DO(for_prefix(kBlobPrefix, [&](const Slice& key, const Slice&) -> Status {
    HF_TRY(const PackId pack, pack_of_blob_key(text_of(key)));
    if (!seen.contains(pack)) return {};
    ++found;
    batch.Delete(key);
    return {};
  }));
  if (found != expected)
    return rebuild_needed("it lists " + std::to_string(found) + " blobs of packs that had " + std::to_string(expected));
  return write_removed(batch, added, removed);
}

Status RocksIndex::mark_damaged(const PackId& pack) {
  const std::lock_guard lock(write_mutex_);
  if (is_damaged(pack)) return {};
  rocksdb::WriteBatch batch;
  batch.Put(pack_key(kDamagedPrefix, pack), Slice());
  HF_TRY_DO(write_logged(batch, {.damaged = 1}));
  const std::unique_lock damaged_lock(damaged_mutex_);
  damaged_.insert(pack);
  return {};
}

bool RocksIndex::is_damaged(const PackId& pack) const {
  const std::shared_lock lock(damaged_mutex_);
  return damaged_.contains(pack);
}

Result<std::vector<Location>> RocksIndex::find(const DomainId& domain, std::uint32_t epoch, const BlobId& blob) {
  std::string prefix;
  put_blob_prefix(prefix, domain, epoch, blob);
  rocksdb::ReadOptions options;
  options.prefix_same_as_start = true;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
  std::vector<Location> copies;
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    HF_TRY(const PackId pack, pack_of_blob_key(text_of(it->key())));
    if (is_damaged(pack)) continue;
    HF_TRY(Location copy, decode_blob(text_of(it->key()), text_of(it->value())));
    copies.push_back(std::move(copy));
  }
  if (!it->status().ok()) return error(it->status(), "find blob " + blob.hex());
  return copies;
}

Status RocksIndex::for_prefix(char prefix, const Visit& visit) {
  const std::string first(1, prefix), end(1, static_cast<char>(prefix + 1));
  const Slice upper(end);
  rocksdb::ReadOptions options;
  options.total_order_seek = true;
  options.iterate_upper_bound = &upper;
  options.fill_cache = false;  // one pass over everything would push out what the tenants need
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
  for (it->Seek(first); it->Valid(); it->Next()) HF_TRY_DO(visit(it->key(), it->value()));
  if (!it->status().ok()) return error(it->status(), "read all entries");
  return {};
}

Status RocksIndex::for_each(const std::function<Status(const Location&)>& visit) {
  return for_prefix(kBlobPrefix, [&visit](const Slice& key, const Slice& value) -> Status {
    HF_TRY(const Location location, decode_blob(text_of(key), text_of(value)));
    return visit(location);
  });
}

Result<Digest> RocksIndex::contents_digest() {
  crypto::Hasher hasher;
  const auto add = [&hasher](const Slice& part) {
    ByteWriter length;
    length.u32(static_cast<std::uint32_t>(part.size()));
    hasher.update(length.span()).update(as_bytes(text_of(part)));
  };
  const auto visit = [&add](const Slice& key, const Slice& value) -> Status {
    add(key);
    add(value);
    return {};
  };
  HF_TRY_DO(for_prefix(kBlobPrefix, visit));
  HF_TRY_DO(for_prefix(kPackPrefix, visit));
  return hasher.finish();
}

Status RocksIndex::verify() {
  const std::lock_guard lock(write_mutex_);  // the total must stand still
  const rocksdb::Status verified = db_->VerifyChecksum();
  if (!verified.ok()) return error(verified, "verify");
  HF_TRY_DO(check_total());
  std::uint64_t seen = 0;
  HF_TRY_DO(for_prefix(kBlobPrefix, [&seen](const Slice&, const Slice&) -> Status {
    ++seen;
    return {};
  }));
  if (seen == blobs_) return {};
  return rebuild_needed("it lists " + std::to_string(seen) + " blobs, not " + std::to_string(blobs_));
}

}  // namespace

Result<std::unique_ptr<BlobIndex>> BlobIndex::open(const std::string& directory, std::shared_ptr<Shared> shared,
                                                   fs::FileSystem* fs) {
  auto index = std::make_unique<RocksIndex>(directory, std::move(shared));
  HF_TRY_DO(index->open(fs));
  return std::unique_ptr<BlobIndex>(std::move(index));
}

}  // namespace holdfast::index
