#include "client/reading/diff.h"

#include "client/reading/trees.h"

namespace holdfast::reading {
namespace {

/// What the versions of one path say, or nothing when both sides are the same.
std::optional<Difference> difference_of(std::vector<manifest::Version> versions, Contents contents) {
  Difference out;
  for (manifest::Version& version : versions) {
    if (version.trees.size() > 1) return std::nullopt;
    (version.trees.front() == 0 ? out.before : out.after) = std::move(version.entry);
  }
  if (out.added() || out.removed()) return out;
  out.changes = changes_between(*out.before, *out.after, contents);
  if (out.changes == 0) return std::nullopt;
  return out;
}

}  // namespace

Result<DiffReport> diff(restore::Archive& archive, const restore::SnapshotInfo& before,
                        const restore::SnapshotInfo& after, const DiffOptions& options) {
  HF_TRY(const SnapshotTrees trees, SnapshotTrees::open(archive, {&before, &after}));
  for (const std::string& path : options.paths) {
    HF_TRY(const bool is_there, trees.hold(path));
    if (!is_there) return Error{Errc::NotFound, "'" + printable(path) + "' is in neither snapshot"};
  }
  DiffReport report;
  report.by_size = !trees.have_one_domain();
  manifest::TreeMerge merge = trees.merge({.skip_common = true, .below = options.paths});
  for (;;) {
    if (options.stop != nullptr && *options.stop) return Error{Errc::Canceled, "stopped by a signal"};
    HF_TRY(std::optional<std::vector<manifest::Version>> versions, merge.next());
    if (!versions) return report;
    const std::optional<Difference> found =
        difference_of(*std::move(versions), report.by_size ? Contents::BySize : Contents::ByDigest);
    if (!found) continue;
    report.count.add(*found);
    if (options.on_difference) options.on_difference(*found);
  }
}

}  // namespace holdfast::reading
