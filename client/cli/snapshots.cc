// `holdfast snapshots` and `holdfast ls`: what there is.
#include <nlohmann/json.hpp>

#include "client/cli/app.h"
#include "client/cli/entry_text.h"
#include "common/console/format.h"

namespace holdfast::cli {
namespace {

using console::Table;
using manifest::Entry;
using manifest::EntryKind;

console::Json json_of(const restore::SnapshotInfo& info) {
  const snapshot::Core& core = info.core();
  console::Json one{{"type", "snapshot"},
                    {"sequence", core.sequence},
                    {"id", info.verified.id.hex()},
                    {"time", rfc3339(from_ns(core.time_ns))},
                    {"received", rfc3339(from_ns(info.received_ns))},
                    {"lock_not_before", rfc3339(from_ns(info.lock_not_before_ns))},
                    {"state", info.state},
                    {"complete", info.complete}};
  if (!info.part) return one;
  one["host"] = printable(info.part->host);
  one["entries"] = info.part->entries;
  one["files"] = info.part->files;
  one["bytes"] = info.part->bytes;
  one["stored_bytes"] = info.part->stored_bytes;
  one["warnings"] = info.part->warnings;
  for (const auto& source : info.part->sources)
    one["sources"].push_back(console::Json{
        {"name", printable(source.name)}, {"kind", source.kind}, {"complete", info.is_complete(source.name)}});
  return one;
}

/// For people. Whoever looks as an operator also sees what was locked by age.
std::string state_text(const restore::SnapshotInfo& info, const ReadOptions& options) {
  std::string state = info.locked() && options.tenant.empty() ? "locked by the operator" : info.state;
  return info.complete ? state : state + ", incomplete";
}

int list(const Global& global, const ReadOptions& options) {
  console::Console out("holdfast", global.output);
  const Result<std::unique_ptr<Reader>> reader = open_reader(global, options);
  if (!reader) return fail(out, reader.error());
  const Result<std::vector<restore::SnapshotInfo>> found = (*reader)->archive->snapshots();
  if (!found) return fail(out, found.error());
  int code = console::kDone;
  Table table({{"SEQ", Table::Align::Right},
               {"ID"},
               {"RECEIVED"},
               {"FILES", Table::Align::Right},
               {"SIZE", Table::Align::Right},
               {"STORED", Table::Align::Right},
               {"SOURCES"},
               {"STATE"}});
  for (const restore::SnapshotInfo& info : *found) {
    out.json(json_of(info));
    std::string names;
    if (info.part) {
      for (const auto& source : info.part->sources) {
        names += (names.empty() ? "" : " ") + source.name;
        if (!info.is_complete(source.name)) names += " (failed)";
      }
    } else {
      out.warning("snapshot " + std::to_string(info.core().sequence) + ": " + info.why_closed->message);
      code = console::graver(code, console::exit_code(info.why_closed->code));
    }
    table.row({std::to_string(info.core().sequence), info.verified.id.short_hex(), rfc3339(from_ns(info.received_ns)),
               info.part ? console::human_count(info.part->files) : "?",
               info.part ? console::human_bytes(info.part->bytes) : "?",
               info.part ? console::human_bytes(info.part->stored_bytes) : "?", names, state_text(info, options)});
  }
  if (table.empty())
    out.print("No snapshots yet.");
  else
    out.print(table);
  console::Json result{{"type", "result"}, {"ok", true}, {"snapshots", found->size()}};
  out.json(result);
  return code;
}

std::string mode_text(const Entry& entry) {
  static constexpr char kKinds[] = "?-dlhpcbs.";
  std::string out(1, kKinds[static_cast<int>(entry.kind)]);
  for (int shift = 6; shift >= 0; shift -= 3) {
    const unsigned bits = entry.mode >> shift;
    out += (bits & 4) != 0 ? 'r' : '-';
    out += (bits & 2) != 0 ? 'w' : '-';
    out += (bits & 1) != 0 ? 'x' : '-';
  }
  if ((entry.mode & 04000) != 0) out[3] = out[3] == 'x' ? 's' : 'S';
  if ((entry.mode & 02000) != 0) out[6] = out[6] == 'x' ? 's' : 'S';
  if ((entry.mode & 01000) != 0) out[9] = out[9] == 'x' ? 't' : 'T';
  return out;
}

void show(console::Console& out, const Entry& entry) {
  console::Json one{{"type", "entry"}};
  console::put_path(one, "path", entry.path);
  one["kind"] = kind_name(entry.kind);
  one["mode"] = entry.mode;
  one["uid"] = entry.uid;
  one["gid"] = entry.gid;
  one["mtime_ns"] = entry.mtime_ns;
  if (manifest::has_content(entry.kind)) one["size"] = entry.size;
  if (!entry.link_target.empty()) console::put_path(one, "target", entry.link_target);
  out.json(one);
  char line[128];
  std::snprintf(line, sizeof line, "%s %6u %6u %14llu %s  ", mode_text(entry).c_str(), entry.uid, entry.gid,
                static_cast<unsigned long long>(entry.size), rfc3339(from_ns(entry.mtime_ns)).c_str());
  std::string text = line + printable(entry.path);
  if (!entry.link_target.empty())
    text += (entry.kind == EntryKind::Symlink ? " -> " : " == ") + printable(entry.link_target);
  out.print(text);
}

struct LsOptions {
  ReadOptions read;
  std::string snapshot, source;
  std::vector<std::string> paths;
};

int ls(const Global& global, const LsOptions& options) {
  console::Console out("holdfast", global.output);
  const Result<std::unique_ptr<Reader>> reader = open_reader(global, options.read);
  if (!reader) return fail(out, reader.error());
  const Result<restore::SnapshotInfo> info = find_snapshot(out, *(*reader)->archive, options.snapshot, options.source);
  if (!info) return fail(out, info.error());
  const Result<keyring::DomainKeys> keys = (*reader)->archive->domain_keys(*info);
  if (!keys) return fail(out, keys.error());
  manifest::ManifestReader manifest = restore::open_manifest(*(*reader)->archive, *info, *keys);
  std::uint64_t entries = 0;
  const auto visit = [&](const Entry& entry, const std::optional<manifest::Spill>&) -> Status {
    if (stop_requested()) return Error{Errc::Canceled, "stopped by a signal"};
    ++entries;
    show(out, entry);
    return {};
  };
  for (const std::string& path : options.paths) {
    const std::uint64_t before = entries;
    if (Status read = manifest.visit_entries(absolute_path(path), visit); !read) return fail(out, read.error());
    if (entries == before && !stop_requested()) {
      return fail(out, Error{Errc::NotFound, "list '" + printable(path) + "' of snapshot " +
                                                 info->verified.id.short_hex() + ": it is not there"});
    }
  }
  if (options.paths.empty()) {
    if (Status read = manifest.visit_entries("/", visit); !read) return fail(out, read.error());
  }
  if (stop_requested()) return signal_exit_code();
  console::Json result{{"type", "result"}, {"ok", true}, {"entries", entries}};
  out.json(result);
  return console::kDone;
}

}  // namespace

void add_snapshots(CLI::App& app, Body* body) {
  CLI::App* command = app.add_subcommand("snapshots", "List this machine's snapshots");
  const auto options = std::make_shared<ReadOptions>();
  options->add_to(*command);
  command->callback([=] { *body = [=](const Global& global) { return list(global, *options); }; });
}

void add_ls(CLI::App& app, Body* body) {
  CLI::App* command = app.add_subcommand("ls", "List what a snapshot holds");
  const auto options = std::make_shared<LsOptions>();
  command->add_option("snapshot", options->snapshot, "latest, sequence number, id (at least 6 digits) or @time")
      ->required();
  command->add_option("paths", options->paths, "Only what is at or below these paths");
  command->add_option("--source", options->source, "latest: of this source");
  options->read.add_to(*command);
  command->callback([=] { *body = [=](const Global& global) { return ls(global, *options); }; });
}

}  // namespace holdfast::cli
