#include "client/reading/roots.h"

#include <algorithm>

namespace holdfast::reading {
namespace {

using manifest::Entry;
using manifest::EntryKind;

constexpr std::size_t kMaxBranches = 16;  ///< more directories in one are somebody's data, not a list of roots

/// What a directory holds directly, or nothing when that shows that it is a root.
Result<std::optional<std::vector<std::string>>> branches(const SnapshotTrees& trees, const std::string& source,
                                                         const std::string& directory) {
  using Found = std::optional<std::vector<std::string>>;
  std::vector<std::string> out;
  manifest::TreeMerge merge = trees.merge({.skip_common = false, .below = {directory}});
  for (;;) {
    HF_TRY(const std::optional<std::vector<manifest::Version>> versions, merge.next());
    if (!versions) break;
    const Entry& entry = versions->front().entry;
    if (entry.source != source || entry.path == directory) continue;
    if (entry.kind != EntryKind::Directory || out.size() == kMaxBranches) return Found();
    out.push_back(entry.path);
    merge.leave(entry.path);
  }
  return out.empty() ? Found() : Found(std::move(out));
}

struct Finder {
  const SnapshotTrees& trees;
  const std::string& source;
  const std::vector<std::string>& known;
  Roots roots;

  // As deep as directories hold nothing but directories.
  Status look_at(const std::string& path) {
    if (std::find(known.begin(), known.end(), path) != known.end()) {
      roots.paths.push_back(path);
      return {};
    }
    HF_TRY(const std::optional<std::vector<std::string>> below, branches(trees, source, path));
    if (!below) {
      roots.paths.push_back(path);
      return {};
    }
    roots.on_way.push_back(path);
    for (const std::string& one : *below) HF_TRY_DO(look_at(one));
    return {};
  }
};

}  // namespace

Result<Roots> find_roots(const SnapshotTrees& trees, const std::string& source, const std::vector<std::string>& known) {
  Finder finder{trees, source, known, {}};
  HF_TRY_DO(finder.look_at("/"));
  return std::move(finder.roots);
}

}  // namespace holdfast::reading
