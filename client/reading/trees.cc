#include "client/reading/trees.h"

#include <algorithm>

namespace holdfast::reading {

Result<SnapshotTrees> SnapshotTrees::open(restore::Archive& archive,
                                          std::vector<const restore::SnapshotInfo*> snapshots) {
  SnapshotTrees trees(archive, std::move(snapshots));
  for (const restore::SnapshotInfo* const one : trees.snapshots_) {
    HF_TRY(keyring::DomainKeys keys, archive.domain_keys(*one));
    trees.keys_.push_back(std::make_unique<keyring::DomainKeys>(std::move(keys)));
  }
  return trees;
}

manifest::TreeMerge SnapshotTrees::merge(manifest::TreeMerge::Options options) const {
  std::vector<manifest::TreeToRead> trees;
  for (std::size_t i = 0; i < snapshots_.size(); ++i) {
    const snapshot::Core& core = snapshots_[i]->core();
    trees.push_back({&keys_[i]->blob,
                     {core.root.blob, core.root.run},
                     [archive = &archive_, &core](const std::vector<blob::BlobRef>& refs, blob::Type type,
                                                  std::vector<Result<sealing::OpenedBlob>>* out) {
                       return archive->segments(core, refs, type, out);
                     }});
  }
  return manifest::TreeMerge(std::move(trees), std::move(options));
}

Result<bool> SnapshotTrees::hold(const std::string& path) const {
  manifest::TreeMerge found = merge({.skip_common = false, .below = {path}});
  HF_TRY(const std::optional<std::vector<manifest::Version>> first, found.next());
  return first.has_value();
}

bool SnapshotTrees::have_one_domain() const {
  return std::all_of(keys_.begin(), keys_.end(),
                     [&](const auto& one) { return one->fingerprint.equals(keys_.front()->fingerprint); });
}

}  // namespace holdfast::reading
