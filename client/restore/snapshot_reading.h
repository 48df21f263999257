#pragma once
// Why: what restore and verify share: the entries that were asked for, in the manifest's order, and the account of what
// became of them.

#include <map>

#include "client/restore/content_digest.h"
#include "client/restore/restore.h"

namespace holdfast::restore {

/// One thread at a time.
class SnapshotReading {
 public:
  struct Watch {
    const std::atomic<bool>* stop = nullptr;
    Progress* progress = nullptr;
    std::function<void(const std::string& path, const Error& error)> on_failure;
  };
  using Visit = std::function<Status(manifest::Entry)>;

  /// References must outlive it. `paths`: absolute; empty: everything. Errors: WrongKey, Corrupt.
  static Result<std::unique_ptr<SnapshotReading>> open(Archive& archive, const SnapshotInfo& snapshot,
                                                       std::vector<std::string> paths, Watch watch);

  /// Every entry that was asked for, parents of asked paths first. Errors: NotFound naming the path; Canceled; Corrupt.
  Status visit(const Visit& visit_entry);
  /// The same; parts of the manifest that cannot be read are failures with their first path, and the rest is visited. How many.
  Result<std::uint64_t> visit_readable(const Visit& visit_entry);
  /// The entry at exactly this path, in any source of files.
  Result<std::optional<manifest::Entry>> lookup(const std::string& path);
  bool is_asked_for(std::string_view path) const;
  const std::vector<std::string>& paths() const { return paths_; }  ///< in manifest order

  void fail(const std::string& path, const Error& error);
  void count(const manifest::Entry& entry);
  void count_bytes(std::uint64_t bytes) {
    if (watch_.progress != nullptr) watch_.progress->bytes += bytes;
  }

  Archive& archive() { return archive_; }
  const SnapshotInfo& snapshot() const { return snapshot_; }
  const snapshot::Core& core() const { return snapshot_.core(); }
  const keyring::DomainKeys& keys() const { return keys_; }
  ContentKeys content_keys() const { return {keys_.fingerprint, chunkers_}; }

  RestoreReport report;

  /// The one entry is damaged, not more: goes on. Errors: all others.
  Status fail_or_end(const std::string& path, Status status);

 private:
  Status visit(manifest::ManifestReader& reader, const Visit& visit_entry, const std::uint64_t& damages_met);
  SnapshotReading(Archive& archive, const SnapshotInfo& snapshot, keyring::DomainKeys keys,
                  std::vector<std::string> paths, Watch watch);
  static Result<std::optional<manifest::Entry>> lookup(manifest::ManifestReader& reader, const std::string& path);
  Status visit_parents(manifest::ManifestReader& reader, const std::string& path, const Visit& visit_entry);

  Archive& archive_;
  const SnapshotInfo& snapshot_;
  const keyring::DomainKeys keys_;
  const std::vector<std::string> paths_;
  const Watch watch_;
  const chunking::Chunkers chunkers_;
  std::map<std::string, bool> visited_parents_;
};

}  // namespace holdfast::restore
