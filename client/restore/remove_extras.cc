#include "client/restore/remove_extras.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "client/restore/extras.h"
#include "client/restore/tree_target.h"

namespace holdfast::restore {
namespace {

using manifest::Entry;
using manifest::EntryKind;

TreeRemoval::Options removal_options(SnapshotReading& reading, const RestoreOptions& options) {
  const std::string& target = options.target.target;
  const std::string prefix = target.substr(0, target.find_last_not_of('/') + 1);
  TreeRemoval::Options made;
  made.dry_run = options.dry_run;
  made.keep = options.keep;
  made.stop = options.stop;
  made.markers = options.markers;
  if (options.left_out) {
    made.left_out = [&options, strip = Strip(options.strip)](const std::string& place, bool is_directory) {
      return options.left_out(strip.whole(place), is_directory);
    };
  }
  made.spared = [&reading](const std::string&) { ++reading.report.spared; };
  made.removed = [&reading, &options, prefix](const std::string& path) {
    ++reading.report.removed;
    if (options.on_removed) options.on_removed(prefix + path);
  };
  made.left = [&reading, &options, prefix](const std::string& path, const Error& why) {
    ++reading.report.not_removed;
    if (options.on_not_removed) options.on_not_removed(prefix + path, why);
  };
  return made;
}

}  // namespace

Status check_removal(const SnapshotInfo& snapshot, const RestoreOptions& options) {
  if (!options.remove_extras) return {};
  if (options.paths.empty())
    return Error{Errc::Usage, "restore: --delete needs the PATHs in which things may be removed"};
  if (!snapshot.complete)
    return Error{Errc::SourceFailed, "restore: --delete after snapshot " + std::to_string(snapshot.core().sequence) +
                                         ": it is incomplete, and what it does not hold may only not have been read"};
  const auto& sources = snapshot.core().sources;
  const bool met_problems = std::any_of(sources.begin(), sources.end(), [](const snapshot::SourceNote& one) {
    return one.result != snapshot::SourceResult::Complete;
  });
  if (met_problems)
    return Error{Errc::SourceFailed,
                 "restore: --delete after snapshot " + std::to_string(snapshot.core().sequence) +
                     ": its run could not read some files, or not as they stood, and those that it does "
                     "not hold would go; take a snapshot without warnings, or do without --delete"};
  const Descriptor target(::open(options.target.target.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!target || !is_root_directory(target.get())) return {};
  const bool is_all = std::any_of(options.paths.begin(), options.paths.end(),
                                  [&](const std::string& path) { return path == "/" || path == options.strip; });
  if (!is_all) return {};
  return Error{Errc::Usage,
               "restore: --delete in all of '/' is refused: name the directories in which things may be removed"};
}

Status remove_extras(SnapshotReading& reading, const RestoreOptions& options, TreeDirectories::Handle target) {
  const Strip strip(options.strip);
  TreeRemoval removal(removal_options(reading, options));
  Extras extras(std::move(target), removal);
  std::optional<std::string> source;
  HF_TRY_DO(reading.visit([&](const Entry& entry) -> Status {
    if (entry.kind == EntryKind::Stream || !reading.is_asked_for(entry.path)) return {};
    if (!source) source = entry.source;
    if (entry.source != *source)
      return Error{Errc::Usage, "restore: --delete cannot tell what is missing of several sources of files"};
    HF_TRY(const std::optional<std::string> place, strip.place_of(entry));
    return place ? extras.add(*place, entry.kind == EntryKind::Directory) : Status{};
  }));
  extras.finish();
  if (options.stop != nullptr && *options.stop) return Error{Errc::Canceled, "stopped by a signal"};
  return {};
}

Status name_extras(SnapshotReading& reading, const RestoreOptions& options) {
  auto target =
      std::make_shared<const Descriptor>(::open(options.target.target.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!*target && errno == ENOENT) return {};
  if (!*target) return errno_error(errno, "open the target " + printable(options.target.target));
  return remove_extras(reading, options, std::move(target));
}

}  // namespace holdfast::restore
