#pragma once
// Why: snapshots of one client opened side by side, each with the keys of its own domain.

#include <memory>
#include <vector>

#include "client/manifest/tree_merge.h"
#include "client/restore/archive.h"

namespace holdfast::reading {

/// Keys and roots of some snapshots. One thread at a time.
class SnapshotTrees {
 public:
  /// Both must outlive it. Errors: WrongKey or Corrupt when one of them cannot be opened.
  static Result<SnapshotTrees> open(restore::Archive& archive, std::vector<const restore::SnapshotInfo*> snapshots);

  /// Tree i is snapshot i. This object must outlive the merge, and stay where it is.
  manifest::TreeMerge merge(manifest::TreeMerge::Options options) const;
  /// Is something at or below `path` in any of them?
  Result<bool> hold(const std::string& path) const;
  const keyring::DomainKeys& keys(std::size_t i) const { return *keys_[i]; }
  /// Content digests of two snapshots can be compared only under one key.
  bool have_one_domain() const;

 private:
  SnapshotTrees(restore::Archive& archive, std::vector<const restore::SnapshotInfo*> snapshots)
      : archive_(archive), snapshots_(std::move(snapshots)) {}
  restore::Archive& archive_;
  std::vector<const restore::SnapshotInfo*> snapshots_;
  std::vector<std::unique_ptr<keyring::DomainKeys>> keys_;
};

}  // namespace holdfast::reading
