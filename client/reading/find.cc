#include "client/reading/find.h"

#include <algorithm>

#include "client/reading/trees.h"
#include "client/sources/files.h"

namespace holdfast::reading {
namespace {

using manifest::Entry;
using manifest::EntryKind;
using manifest::Version;

Result<sources::GlobList> compile(const std::string& pattern) {
  if (pattern.starts_with('!'))
    return Error{Errc::Usage, "pattern '" + printable(pattern) +
                                  "': '!' re-includes, which finds nothing; write '\\!' for the byte itself"};
  return sources::GlobList::compile({pattern});
}

/// Hands on each run of equal versions among the snapshots.
std::uint64_t report_runs(const std::vector<const Entry*>& by_snapshot,
                          const std::function<void(const Finding&)>& on_finding) {
  std::uint64_t runs = 0;
  for (std::size_t i = 0; i < by_snapshot.size();) {
    std::size_t end = i + 1;
    if (by_snapshot[i] == nullptr) {
      i = end;
      continue;
    }
    while (end < by_snapshot.size() && by_snapshot[end] != nullptr &&
           is_same_version(*by_snapshot[i], *by_snapshot[end]))
      ++end;
    ++runs;
    if (on_finding) on_finding({*by_snapshot[i], i, end - 1});
    i = end;
  }
  return runs;
}

}  // namespace

std::string anchor_of(std::string_view pattern) {
  while (pattern.ends_with('/')) pattern.remove_suffix(1);
  const bool is_anchored = pattern.find('/') != pattern.npos && !pattern.starts_with('!');
  std::string path;
  for (std::size_t at = 0; is_anchored && at < pattern.size();) {
    const std::size_t slash = std::min(pattern.find('/', at), pattern.size());
    const std::string_view part = pattern.substr(at, slash - at);
    if (part.find_first_of("*?[\\") != part.npos) break;
    if (!part.empty()) path.append("/").append(part);
    at = slash + 1;
  }
  return path.empty() ? "/" : path;
}

bool is_same_version(const Entry& a, const Entry& b) {
  if (&a == &b) return true;
  return a.kind == b.kind && a.size == b.size && a.mtime_ns == b.mtime_ns && a.chunk_class == b.chunk_class &&
         a.content_digest == b.content_digest && a.link_target == b.link_target && a.rdev == b.rdev;
}

Result<std::uint64_t> find(restore::Archive& archive, const std::vector<restore::SnapshotInfo>& snapshots,
                           const FindOptions& options) {
  HF_TRY(const sources::GlobList pattern, compile(options.pattern));
  std::vector<const restore::SnapshotInfo*> opened;
  for (const restore::SnapshotInfo& one : snapshots) opened.push_back(&one);
  HF_TRY(const SnapshotTrees trees, SnapshotTrees::open(archive, std::move(opened)));
  const std::string anchor = anchor_of(options.pattern);
  manifest::TreeMerge merge =
      trees.merge({.skip_common = false, .below = anchor == "/" ? std::vector<std::string>{} : std::vector{anchor}});
  std::uint64_t count = 0;
  for (;;) {
    if (options.stop != nullptr && *options.stop) return Error{Errc::Canceled, "stopped by a signal"};
    HF_TRY(const std::optional<std::vector<Version>> versions, merge.next());
    if (!versions) return count;
    std::vector<const Entry*> by_snapshot;
    for (const Version& version : *versions) {
      if (!pattern.excluded(version.entry.path, version.entry.kind == EntryKind::Directory)) continue;
      by_snapshot.resize(snapshots.size(), nullptr);
      for (const std::size_t tree : version.trees) by_snapshot[tree] = &version.entry;
    }
    count += report_runs(by_snapshot, options.on_finding);
  }
}

}  // namespace holdfast::reading
