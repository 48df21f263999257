#include "client/reading/compare.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <unordered_set>

#include "client/reading/content_check.h"
#include "client/reading/roots.h"

namespace holdfast::reading {
namespace {

using manifest::Entry;
using manifest::EntryKind;
using manifest::Version;

/// Paths that the walk could not or would not look behind, until the manifest has passed them. One thread at a time.
class ClosedPaths {
 public:
  void add(const std::string& path) { paths_.insert(path); }
  bool names(const std::string& path) const { return paths_.contains(path); }
  /// The path or a directory above it.
  bool cover(std::string path) const {
    while (!paths_.empty()) {
      if (paths_.contains(path)) return true;
      const std::size_t slash = path.rfind('/');
      if (slash == std::string::npos || path == "/") return false;
      path.resize(std::max<std::size_t>(slash, 1));
    }
    return false;
  }
  /// Everything before `path` is over.
  void pass(const std::string& path) {
    std::erase_if(paths_, [&](const std::string& one) { return !manifest::is_at_or_below(path, one); });
  }

 private:
  std::unordered_set<std::string> paths_;
};

bool is_at_or_below_any(std::string_view path, const std::vector<std::string>& roots) {
  return std::any_of(roots.begin(), roots.end(),
                     [&](const std::string& root) { return manifest::is_at_or_below(path, root); });
}

/// The manifest on one side, the walk on the other, both in the order of paths.
class Comparing final : public sources::Visitor {
 public:
  Comparing(const SnapshotTrees& trees, restore::Archive& archive, const restore::SnapshotInfo& snapshot,
            std::string source, std::vector<std::string> roots, const CompareOptions& options)
      : trees_(trees),
        archive_(archive),
        snapshot_(snapshot),
        source_(std::move(source)),
        roots_(std::move(roots)),
        options_(options),
        chunkers_(chunking::make_gear_table(trees.keys(0).cut)),
        merge_(trees.merge({.skip_common = false, .below = roots_})) {}

  Status begin() { return pull(); }

  Status found(sources::Found live) override {
    if (stopped()) return Error{Errc::Canceled, "stopped by a signal"};
    if (!is_at_or_below_any(live.entry.path, roots_)) return {};  // on the way to a root
    HF_TRY_DO(pass_until(live.entry.path));
    live.entry.source = source_;
    if (kept_ && kept_->path == live.entry.path) {
      HF_TRY_DO(both(*kept_, live));
      HF_TRY_DO(pull());
    } else {
      live.entry.size = live.entry.kind == EntryKind::File ? live.stat.size : 0;
      tell({std::nullopt, live.entry, 0});
    }
    return {};
  }

  void problem(sources::Problem problem) override {
    const bool gone = problem.error.code == Errc::NotFound;
    if (gone || !is_at_or_below_any(problem.path, roots_)) return;
    ++report.problems;
    unread_.add(problem.path);
    if (options_.on_problem) options_.on_problem(problem);
  }

  void skipped(sources::Skipped skipped) override {
    left_out_.add(skipped.path);
    if (options_.on_skipped) options_.on_skipped(skipped);
  }

  Status end() {
    while (kept_) {
      gone(*kept_);
      HF_TRY_DO(pull());
    }
    return {};
  }

  CompareReport report;

 private:
  bool stopped() const { return options_.stop != nullptr && *options_.stop; }

  /// The next entry of the snapshot.
  Status pull() {
    do {
      if (stopped()) return Error{Errc::Canceled, "stopped by a signal"};
      HF_TRY(std::optional<std::vector<Version>> versions, merge_.next());
      kept_.reset();
      if (!versions) return {};
      kept_ = std::move(versions->front().entry);
      kept_spills_ = versions->front().spill.has_value();
    } while (kept_->source != source_);
    return {};
  }

  Status pass_until(const std::string& path) {
    while (kept_ && manifest::compare_paths(kept_->path, path) == std::strong_ordering::less) {
      gone(*kept_);
      HF_TRY_DO(pull());
    }
    unread_.pass(path);
    left_out_.pass(path);
    return {};
  }

  void gone(const Entry& entry) {
    if (unread_.cover(entry.path))
      ++report.not_compared;
    else if (left_out_.cover(entry.path))
      ++report.left_out;
    else
      tell({entry, std::nullopt, 0});
  }

  void tell(const Difference& difference) {
    report.count.add(difference);
    if (options_.on_difference) options_.on_difference(difference);
  }

  Status both(Entry& kept, sources::Found& live) {
    ++report.entries;
    if (options_.progress != nullptr) ++options_.progress->entries;
    const bool same_link = kept.kind == EntryKind::Hardlink && live.entry.kind == EntryKind::Hardlink &&
                           kept.link_target == live.entry.link_target;
    if (same_link) return {};  // judged where its first link stands
    Changes changes = 0;
    HF_TRY_DO(follow_links(kept, live, &changes));
    changes |= changes_between(kept, live.entry, Contents::BySize);
    if (unread_.names(kept.path)) changes &= ~static_cast<Changes>(kXattrs);  // they could not all be read
    const bool is_readable = kept.kind == EntryKind::File && (changes & (kKind | kContent)) == 0;
    if (options_.read_data && is_readable) {
      HF_TRY(const bool same, same_content(kept, live));
      if (!same) changes |= kContent;
    }
    if (changes != 0) tell({kept, live.entry, changes});
    return {};
  }

  /// Which of several names of a file is its first depends on where a walk begins: what both stand for is compared.
  Status follow_links(Entry& kept, sources::Found& live, Changes* changes) {
    const bool was_link = kept.kind == EntryKind::Hardlink, is_link = live.entry.kind == EntryKind::Hardlink;
    if (!was_link && !is_link) return {};
    const bool may_judge = !was_link || is_at_or_below_any(kept.link_target, roots_);
    if (may_judge) *changes |= kLinks;
    if (was_link) {
      const std::string path = kept.path;
      HF_TRY(std::optional<Entry> first, lookup(kept.link_target));
      if (!first) return Error{Errc::Corrupt, "'" + printable(path) + "' is a hard link to nothing in the snapshot"};
      kept = *std::move(first);
      kept.path = path;
      kept_spills_ = false;  // it came with all its extents
    }
    if (is_link) {
      live.entry.kind = kept.kind;  // special files have links too, without a size
      live.entry.link_target = kept.link_target;
      live.entry.rdev = kept.rdev;
      live.entry.xattrs = kept.xattrs;  // they were compared at the first link
      if (kept.kind == EntryKind::File) live.entry.size = live.stat.size;
    }
    return {};
  }

  /// The whole entry at this path, its extents with it.
  Result<std::optional<Entry>> lookup(const std::string& path) {
    std::optional<Entry> out;
    manifest::ManifestReader reader = restore::open_manifest(archive_, snapshot_, trees_.keys(0));
    HF_TRY_DO(reader.visit_below(path, [&](Entry entry) -> Status {
      if (entry.source == source_ && entry.path == path) out = std::move(entry);
      return out ? Status{Error{Errc::Canceled, "seen"}} : Status{};
    }));
    return out;
  }

  /// Reads the live file. What cannot be read is a problem, not a difference.
  Result<bool> same_content(Entry& kept, const sources::Found& live) {
    if (!live.open) return true;
    if (kept_spills_) {
      HF_TRY(std::optional<Entry> whole, lookup(kept.path));
      if (whole && whole->kind == EntryKind::File) kept.extents = std::move(whole->extents);
    }
    const Result<bool> same = [&]() -> Result<bool> {
      HF_TRY(const std::unique_ptr<sources::FileContent> content, live.open());
      const Result<bool> read = has_content_of(kept, *content, chunkers_.of(kept.chunk_class),
                                               trees_.keys(0).fingerprint, [this](std::uint64_t bytes) {
                                                 report.read_bytes += bytes;
                                                 if (options_.progress != nullptr) options_.progress->bytes += bytes;
                                                 return !stopped();
                                               });
      if (!read) return read;
      HF_TRY(const bool moved, content->changed());
      if (moved) return Error{Errc::Io, "it changed while it was read"};
      return read;
    }();
    if (same || same.error().code == Errc::Canceled) return same;
    ++report.problems;
    if (options_.on_problem) options_.on_problem({kept.path, same.error()});
    return true;
  }

  const SnapshotTrees& trees_;
  restore::Archive& archive_;
  const restore::SnapshotInfo& snapshot_;
  const std::string source_;
  const std::vector<std::string> roots_;
  const CompareOptions& options_;
  const chunking::Chunkers chunkers_;
  manifest::TreeMerge merge_;
  std::optional<Entry> kept_;  ///< the snapshot's next entry
  bool kept_spills_ = false;   ///< its extents stand in segments of their own
  ClosedPaths unread_, left_out_;
};

Result<std::string> files_source(const restore::SnapshotInfo& snapshot) {
  const std::string name = "snapshot " + snapshot.verified.id.short_hex();
  if (!snapshot.part) return Error(*snapshot.why_closed).with_context("open " + name);
  for (const snapshot::SealedPart::Source& one : snapshot.part->sources) {
    if (one.kind != "files") continue;
    if (snapshot.is_complete(one.name)) return one.name;
    return Error{Errc::NotFound, name + ": its source '" + printable(one.name) + "' failed in that run"};
  }
  return Error{Errc::NotFound, name + " holds no files, only streams"};
}

Result<bool> is_there(const std::string& path) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return errno_error(errno, "look at " + printable(path));
}

Result<Roots> choose_roots(const SnapshotTrees& trees, const std::string& source, const CompareOptions& options) {
  if (options.paths.empty()) return find_roots(trees, source, options.known_roots);
  for (const std::string& path : options.paths) {
    HF_TRY(const bool held, trees.hold(path));
    HF_TRY(const bool live, is_there(path));
    if (!held && !live) return Error{Errc::NotFound, "'" + printable(path) + "' is neither here nor in the snapshot"};
  }
  return Roots{options.paths, {}};
}

}  // namespace

Result<CompareReport> compare(restore::Archive& archive, const restore::SnapshotInfo& snapshot,
                              const CompareOptions& options) {
  HF_TRY(const SnapshotTrees trees, SnapshotTrees::open(archive, {&snapshot}));
  HF_TRY(const std::string source, files_source(snapshot));
  HF_TRY(Roots roots, choose_roots(trees, source, options));
  sources::FilesOptions files = options.files;
  files.source = source;
  files.roots.clear();
  for (const std::string& root : roots.paths) {
    HF_TRY(const bool live, is_there(root));
    if (live) files.roots.push_back(root);
  }
  Comparing comparing(trees, archive, snapshot, source, std::move(roots.paths), options);
  HF_TRY_DO(comparing.begin());
  HF_TRY_DO(sources::walk(files, comparing));
  HF_TRY_DO(comparing.end());
  comparing.report.not_searched = std::move(roots.on_way);
  return std::move(comparing.report);
}

}  // namespace holdfast::reading
