#include "client/restore/snapshot_reading.h"

#include <algorithm>
#include <set>

namespace holdfast::restore {

using manifest::Entry;
using manifest::EntryKind;
using manifest::ManifestReader;

SnapshotReading::SnapshotReading(Archive& archive, const SnapshotInfo& snapshot, keyring::DomainKeys keys,
                                 std::vector<std::string> paths, Watch watch)
    : archive_(archive),
      snapshot_(snapshot),
      keys_(std::move(keys)),
      paths_(std::move(paths)),
      watch_(std::move(watch)),
      chunkers_(chunking::make_gear_table(keys_.cut)) {}

Result<std::unique_ptr<SnapshotReading>> SnapshotReading::open(Archive& archive, const SnapshotInfo& snapshot,
                                                               std::vector<std::string> paths, Watch watch) {
  HF_TRY(keyring::DomainKeys keys, archive.domain_keys(snapshot));
  std::sort(paths.begin(), paths.end(), [](const auto& a, const auto& b) { return manifest::compare_paths(a, b) < 0; });
  return std::unique_ptr<SnapshotReading>(
      new SnapshotReading(archive, snapshot, std::move(keys), std::move(paths), std::move(watch)));
}

Status SnapshotReading::visit(const Visit& visit_entry) {
  ManifestReader reader = open_manifest(archive_, snapshot_, keys_);
  return visit(reader, visit_entry, 0);
}

Result<std::uint64_t> SnapshotReading::visit_readable(const Visit& visit_entry) {
  ManifestReader reader = open_manifest(archive_, snapshot_, keys_);
  std::uint64_t met = 0;  // on the way to several paths the same one may be met
  std::set<std::string> named;
  reader.pass_by([&](const manifest::Damage& damage) -> Status {
    ++met;
    if (!named.insert(damage.first).second) return {};
    std::string message = damage.error.message;
    if (damage.entries > 1)
      message += "; with it " + std::to_string(damage.entries - 1) + " entries after it" +
                 (damage.end ? ", before '" + printable(*damage.end) + "'," : "") + " are lost";
    fail(damage.first, Error{damage.error.code, std::move(message)});
    return {};
  });
  HF_TRY_DO(visit(reader, visit_entry, met));
  return static_cast<std::uint64_t>(named.size());
}

Status SnapshotReading::visit(ManifestReader& reader, const Visit& visit_entry, const std::uint64_t& damages_met) {
  // The reader takes Canceled for "enough" and calls the walk done: whoever canceled, a walk that was cut short is not.
  Status end;
  const auto visit_or_stop = [&](Entry entry) -> Status {
    const bool stopped = watch_.stop != nullptr && *watch_.stop;
    end = stopped ? Status(Error{Errc::Canceled, "stopped by a signal"}) : visit_entry(std::move(entry));
    return end;
  };
  if (paths_.empty()) {
    HF_TRY_DO(reader.visit_all(visit_or_stop));
    return end;
  }
  visited_parents_.clear();
  for (const std::string& path : paths_) {
    const std::uint64_t met_before = damages_met;
    HF_TRY_DO(visit_parents(reader, path, visit_or_stop));
    bool any = false;
    HF_TRY_DO(reader.visit_below(path, [&](Entry entry) {
      any = true;
      return visit_or_stop(std::move(entry));
    }));
    HF_TRY_DO(end);
    if (!any && damages_met == met_before)
      return Error{Errc::NotFound, "find '" + printable(path) + "' in snapshot " + snapshot_.verified.id.short_hex() +
                                       ": it is not there; `holdfast ls` shows what is"};
  }
  return {};
}

Status SnapshotReading::fail_or_end(const std::string& path, Status status) {
  const bool is_damage = !status && (status.error().code == Errc::Corrupt || status.error().code == Errc::Missing);
  if (!is_damage) return status;
  fail(path, status.error());
  return {};
}

Result<std::optional<Entry>> SnapshotReading::lookup(const std::string& path) {
  ManifestReader reader = open_manifest(archive_, snapshot_, keys_);
  return lookup(reader, path);
}

bool SnapshotReading::is_asked_for(std::string_view path) const {
  return paths_.empty() || std::any_of(paths_.begin(), paths_.end(),
                                       [&](const std::string& one) { return manifest::is_at_or_below(path, one); });
}

void SnapshotReading::fail(const std::string& path, const Error& error) {
  ++report.failed;
  if (!report.gravest || error.code == Errc::Corrupt) report.gravest = error.code;
  if (watch_.on_failure) watch_.on_failure(path, error);
}

void SnapshotReading::count(const Entry& entry) {
  ++report.entries;
  if (watch_.progress != nullptr) ++watch_.progress->entries;
  if (!manifest::has_content(entry.kind)) return;
  ++(entry.kind == EntryKind::Stream ? report.streams : report.files);
  report.bytes += entry.size;
}

Result<std::optional<Entry>> SnapshotReading::lookup(ManifestReader& reader, const std::string& path) {
  std::optional<Entry> found;
  HF_TRY_DO(reader.visit_below(path, [&](Entry entry) -> Status {
    if (entry.kind == EntryKind::Stream) return {};  // another source's; its path is a name, not a place
    if (entry.path == path) found = std::move(entry);
    return Error{Errc::Canceled, "seen"};
  }));
  return found;
}

Status SnapshotReading::visit_parents(ManifestReader& reader, const std::string& path, const Visit& visit_entry) {
  for (std::size_t slash = 0; slash != std::string::npos && slash < path.size(); slash = path.find('/', slash + 1)) {
    const std::string parent = slash == 0 ? "/" : path.substr(0, slash);
    if (parent == path || !visited_parents_.insert({parent, true}).second) continue;
    HF_TRY(std::optional<Entry> entry, lookup(reader, parent));
    if (entry && entry->kind == EntryKind::Directory) HF_TRY_DO(visit_entry(std::move(*entry)));
  }
  return {};
}

}  // namespace holdfast::restore
