#include "client/restore/restore.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "client/restore/content_writer.h"

namespace holdfast::restore {
namespace {

using manifest::Entry;
using manifest::EntryKind;
using manifest::ManifestReader;

bool has_content(const Entry& entry) { return manifest::has_content(entry.kind); }

std::uint64_t data_bytes(const Entry& entry) {
  std::uint64_t sum = 0;
  for (const manifest::Extent& one : entry.extents) sum += one.is_hole() ? 0 : one.length;
  return sum;
}

/// What both restore and verify do with one snapshot.
class Reading {
 public:
  Reading(Archive& archive, const SnapshotInfo& snapshot, keyring::DomainKeys keys, std::vector<std::string> paths,
          const std::atomic<bool>* stop, Progress* progress,
          const std::function<void(const std::string&, const Error&)>& on_failure)
      : archive_(archive),
        snapshot_(snapshot),
        keys_(std::move(keys)),
        paths_(std::move(paths)),
        stop_(stop),
        progress_(progress),
        on_failure_(on_failure),
        chunkers_(chunking::make_gear_table(keys_.cut)) {}

  ManifestReader manifest() { return open_manifest(archive_, snapshot_, keys_); }

  /// Every entry that was asked for, parents of asked paths first. Errors: NotFound naming the path.
  Status visit(const std::function<Status(Entry)>& visit_entry) {
    ManifestReader reader = manifest();
    const auto visit_or_stop = [&](Entry entry) -> Status {
      if (stop_ != nullptr && *stop_) {
        stopped_ = true;
        return Error{Errc::Canceled, "stopped by a signal"};
      }
      return visit_entry(std::move(entry));
    };
    if (paths_.empty()) {
      HF_TRY_DO(reader.visit_all(visit_or_stop));
      return stop_status();
    }
    visited_parents_.clear();
    for (const std::string& path : paths_) {
      HF_TRY_DO(visit_parents(reader, path, visit_or_stop));
      bool any = false;
      HF_TRY_DO(reader.visit_below(path, [&](Entry entry) {
        any = true;
        return visit_or_stop(std::move(entry));
      }));
      HF_TRY_DO(stop_status());
      if (!any)
        return Error{Errc::NotFound, "find '" + printable(path) + "' in snapshot " + snapshot_.verified.id.short_hex() +
                                         ": it is not there; `holdfast ls` shows what is"};
    }
    return {};
  }

  /// The entry at exactly this path, in any source.
  Result<std::optional<Entry>> lookup(const std::string& path) {
    ManifestReader reader = manifest();
    return lookup(reader, path);
  }

  void fail(const std::string& path, const Error& error) {
    ++report.failed;
    if (!report.gravest || error.code == Errc::Corrupt) report.gravest = error.code;
    if (on_failure_) on_failure_(path, error);
  }

  void count(const Entry& entry) {
    ++report.entries;
    if (progress_ != nullptr) ++progress_->entries;
    if (!has_content(entry)) return;
    ++(entry.kind == EntryKind::Stream ? report.streams : report.files);
    report.bytes += entry.size;
    if (progress_ != nullptr) progress_->bytes += entry.size;
  }

  ContentWriter content_writer(std::size_t threads) {
    ContentWriter::Callbacks callbacks;
    callbacks.done = [this](const Entry& entry) { count(entry); };
    callbacks.failed = [this](const std::string& path, const Error& error) { fail(path, error); };
    return ContentWriter(archive_, snapshot_.core(), keys_.fingerprint, chunkers_, threads, std::move(callbacks));
  }

  RestoreReport report;

 private:
  Status stop_status() const {
    if (stopped_) return Error{Errc::Canceled, "stopped by a signal"};
    return {};
  }

  static Result<std::optional<Entry>> lookup(ManifestReader& reader, const std::string& path) {
    std::optional<Entry> found;
    HF_TRY_DO(reader.visit_below(path, [&](Entry entry) -> Status {
      if (entry.kind == EntryKind::Stream) return {};  // another source's; its path is a name, not a place
      if (entry.path == path) found = std::move(entry);
      return Error{Errc::Canceled, "seen"};
    }));
    return found;
  }

  Status visit_parents(ManifestReader& reader, const std::string& path,
                       const std::function<Status(Entry)>& visit_entry) {
    for (std::size_t slash = 0; slash != std::string::npos && slash < path.size(); slash = path.find('/', slash + 1)) {
      const std::string parent = slash == 0 ? "/" : path.substr(0, slash);
      if (parent == path || !visited_parents_.insert({parent, true}).second) continue;
      HF_TRY(std::optional<Entry> entry, lookup(reader, parent));
      if (entry && entry->kind == EntryKind::Directory) HF_TRY_DO(visit_entry(std::move(*entry)));
    }
    return {};
  }

  Archive& archive_;
  const SnapshotInfo& snapshot_;
  const keyring::DomainKeys keys_;
  const std::vector<std::string> paths_;
  const std::atomic<bool>* stop_;
  Progress* progress_;
  const std::function<void(const std::string&, const Error&)>& on_failure_;
  const chunking::Chunkers chunkers_;
  std::map<std::string, bool> visited_parents_;
  bool stopped_ = false;
};

/// Refuses before anything is written when the target cannot hold it.
Status preflight(const std::string& target, std::uint64_t bytes, std::uint64_t entries) {
  struct statvfs space{};
  std::string path = target;
  while (::statvfs(path.c_str(), &space) != 0) {
    if (errno != ENOENT || path == "/" || path.empty())
      return errno_error(errno, "look at the free space of " + printable(target));
    const std::size_t slash = path.rfind('/');
    path = slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
  }
  const std::uint64_t free_bytes = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
  if (bytes > free_bytes) {
    return Error{Errc::DiskFull, "restore to " + printable(target) + ": " + std::to_string(bytes) +
                                     " bytes are needed, " + std::to_string(free_bytes) +
                                     " are free there; nothing was written"};
  }
  if (space.f_files != 0 && entries > space.f_favail) {
    return Error{Errc::DiskFull, "restore to " + printable(target) + ": " + std::to_string(entries) +
                                     " inodes are needed, " + std::to_string(space.f_favail) +
                                     " are free there; nothing was written"};
  }
  return {};
}

/// Restores entries through a TreeWriter.
class Restoring {
 public:
  Restoring(Reading& reading, TreeWriter& tree, ContentWriter& contents)
      : reading_(reading), tree_(tree), contents_(contents) {}

  Status entry(Entry entry) {
    if (entry.kind == EntryKind::Stream) return {};  // a stream has no place in a tree
    if (has_content(entry)) return file(std::move(entry));
    if (entry.kind == EntryKind::Hardlink) return hardlink(std::move(entry));
    return made(entry, tree_.make(entry));
  }

 private:
  Status file(Entry entry) {
    Result<std::unique_ptr<PendingFile>> pending = tree_.begin_file(entry);
    if (!pending) return made(entry, std::move(pending).error());
    if (*pending == nullptr) return {};  // left in place, counted by the tree
    return contents_.add(std::move(entry), std::move(*pending));
  }

  /// The first link may not be among what was asked for: then this one takes its place, content and all.
  Status hardlink(Entry entry) {
    HF_TRY_DO(contents_.finish());  // the first link must stand before it can be linked to
    const auto moved = stands_in_.find(entry.link_target);
    const std::string first = entry.link_target;
    if (moved != stands_in_.end()) entry.link_target = moved->second;
    Status linked = tree_.make(entry);
    if (linked || linked.error().code != Errc::NotFound) return made(entry, std::move(linked));
    HF_TRY(std::optional<Entry> content, reading_.lookup(first));
    if (!content || content->kind == EntryKind::Hardlink) {
      reading_.fail(entry.path, Error{Errc::Corrupt, "it is a hard link to '" + printable(first) +
                                                         "', which the snapshot does not hold"});
      return {};
    }
    content->path = entry.path;
    stands_in_[first] = entry.path;
    if (has_content(*content)) return file(std::move(*content));
    return made(*content, tree_.make(*content));
  }

  Status made(const Entry& entry, Status status) {
    if (status) {
      reading_.count(entry);
      return {};
    }
    if (status.error().code == Errc::DiskFull) return status;
    reading_.fail(entry.path, status.error());
    return {};
  }

  Reading& reading_;
  TreeWriter& tree_;
  ContentWriter& contents_;
  std::map<std::string, std::string> stands_in_;
};

}  // namespace

Result<RestoreReport> run_restore(Archive& archive, const SnapshotInfo& snapshot, const RestoreOptions& options) {
  HF_TRY(keyring::DomainKeys keys, archive.domain_keys(snapshot));
  std::vector<std::string> paths = options.paths;
  std::sort(paths.begin(), paths.end(), [](const auto& a, const auto& b) { return manifest::compare_paths(a, b) < 0; });
  Reading reading(archive, snapshot, std::move(keys), std::move(paths), options.stop, options.progress,
                  options.on_failure);

  Progress local;
  Progress& totals = options.progress != nullptr ? *options.progress : local;
  HF_TRY_DO(reading.visit([&](Entry entry) -> Status {
    if (entry.kind == EntryKind::Stream) {
      ++reading.report.streams_skipped;
      return {};
    }
    ++totals.total_entries;
    totals.total_bytes += data_bytes(entry);
    if (options.on_entry) options.on_entry(entry);
    if (options.dry_run) reading.count(entry);
    return {};
  }));
  if (options.dry_run) return reading.report;
  HF_TRY_DO(preflight(options.target.target, totals.total_bytes, totals.total_entries));

  HF_TRY(const std::unique_ptr<TreeWriter> tree, TreeWriter::open(options.target));
  ContentWriter contents = reading.content_writer(options.threads);
  Restoring restoring(reading, *tree, contents);
  HF_TRY_DO(reading.visit([&](Entry entry) { return restoring.entry(std::move(entry)); }));
  HF_TRY_DO(contents.finish());
  HF_TRY_DO(tree->finish());
  reading.report.target = tree->report();
  reading.report.blobs_fetched = contents.blobs_fetched();
  return reading.report;
}

Result<RestoreReport> run_verify(Archive& archive, const SnapshotInfo& snapshot, const VerifyOptions& options) {
  HF_TRY(keyring::DomainKeys keys, archive.domain_keys(snapshot));
  Reading reading(archive, snapshot, std::move(keys), {}, options.stop, options.progress, options.on_failure);
  if (options.progress != nullptr && snapshot.part) {
    options.progress->total_entries = snapshot.part->entries;
    options.progress->total_bytes = snapshot.part->bytes;
  }
  ContentWriter contents = reading.content_writer(options.threads);
  HF_TRY_DO(reading.visit([&](Entry entry) -> Status {
    if (options.read_data && has_content(entry)) return contents.add(std::move(entry), nullptr);
    reading.count(entry);
    return {};
  }));
  HF_TRY_DO(contents.finish());
  reading.report.blobs_fetched = contents.blobs_fetched();
  return reading.report;
}

}  // namespace holdfast::restore
