#pragma once
// Why: questions about several snapshots (what differs, since when has this file stood so) are answered by walking their
// trees side by side. Equal segment ids mean equal subtrees, and where segments end depends on nothing but the keys in
// them, so what trees share is met by all of them at the same step: it is read once for all, or not at all when only
// differences are asked for. Leaves to others: what a difference means (client/reading).

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/manifest/manifest.h"

namespace holdfast::manifest {

/// One tree. Key and what `open` refers to must outlive the merge.
struct TreeToRead {
  const crypto::Key* blob_key = nullptr;
  blob::BlobRef root;
  BatchOpener open;
};

/// One entry as it stands in these trees (numbers as they were given, ascending): they share the segment. Two versions of
/// one key may be equal all the same. Extents that stand in segments of their own are not read.
struct Version {
  Entry entry;
  std::optional<Spill> spill;
  std::vector<std::size_t> trees;
};

/// Reads trees of untrusted segments in key order, with the checks of ManifestReader. Every segment that is equal in
/// several trees is opened once; the next ones are fetched ahead, together. At most kMaxDepth segments a tree are in memory,
/// and what was fetched ahead. One thread at a time.
class TreeMerge {
 public:
  struct Options {
    /// What all trees share is neither opened nor delivered. Entries of segments that differ are, equal or not.
    bool skip_common = false;
    /// Only entries at or below one of these paths, in every source; empty: everything.
    std::vector<std::string> below;
  };
  TreeMerge(std::vector<TreeToRead> trees, Options options);
  ~TreeMerge();
  TreeMerge(TreeMerge&&) noexcept;

  /// Everything that stands under the next key: at least one version, each tree in one at most. nullopt: the end. Errors:
  /// Corrupt, TooNew, those of the openers.
  Result<std::optional<std::vector<Version>>> next();
  /// From now on nothing beneath `path` is delivered, nor opened where all of a segment is beneath it.
  void leave(std::string path);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::manifest
