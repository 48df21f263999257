// `holdfast find`: which snapshots hold a file.
#include "client/reading/find.h"

#include <algorithm>

#include "client/cli/app.h"
#include "client/cli/entry_text.h"
#include "common/console/format.h"

namespace holdfast::cli {
namespace {

using restore::SnapshotInfo;

struct FindCommand {
  ReadOptions read;
  std::string pattern, source;
  std::vector<std::string> snapshots;
  bool all = false;
};

/// All that this key opens, those that it does not are named; or the ones that were asked for, oldest first, each once.
Result<std::vector<SnapshotInfo>> chosen(restore::Archive& archive, const FindCommand& command, console::Console& out,
                                         int* code) {
  std::vector<SnapshotInfo> found;
  if (command.all) {
    HF_TRY(std::vector<SnapshotInfo> all, archive.snapshots());
    for (SnapshotInfo& one : all) {
      if (const Status open = archive.may_open(one); !open) {
        out.warning("snapshot " + std::to_string(one.core().sequence) + " is not searched: " + open.error().message);
        *code = console::graver(*code, console::kWarnings);
        continue;
      }
      if (one.part) {
        found.push_back(std::move(one));
        continue;
      }
      out.warning("snapshot " + std::to_string(one.core().sequence) + " is not searched: " + one.why_closed->message);
      *code = console::graver(*code, console::exit_code(one.why_closed->code));
    }
    return found;
  }
  const std::vector<std::string> latest{"latest"};
  for (const std::string& spec : command.snapshots.empty() ? latest : command.snapshots) {
    HF_TRY(SnapshotInfo one, find_snapshot(out, archive, spec, command.source));
    found.push_back(std::move(one));
  }
  const auto number = [](const SnapshotInfo& one) { return one.core().sequence; };
  std::ranges::sort(found, {}, number);
  found.erase(std::ranges::unique(found, {}, number).begin(), found.end());
  return found;
}

/// "7" or "3-7".
std::string range_of(const SnapshotInfo& first, const SnapshotInfo& last) {
  const std::string from = std::to_string(first.core().sequence);
  return &first == &last ? from : from + "-" + std::to_string(last.core().sequence);
}

void show_finding(console::Console& out, const std::vector<SnapshotInfo>& snapshots, const reading::Finding& finding) {
  const manifest::Entry& entry = finding.entry;
  const SnapshotInfo &first = snapshots[finding.first], &last = snapshots[finding.last];
  if (!out.options().json) {
    char line[160];
    std::snprintf(line, sizeof line, "%9s  %-12s %14llu %s  ", range_of(first, last).c_str(), kind_name(entry.kind),
                  static_cast<unsigned long long>(entry.size), rfc3339(from_ns(entry.mtime_ns)).c_str());
    return out.print(line + printable(entry.path));
  }
  console::Json one{{"type", "finding"},
                    {"first", first.core().sequence},
                    {"last", last.core().sequence},
                    {"first_id", first.verified.id.hex()},
                    {"last_id", last.verified.id.hex()},
                    {"snapshots", finding.last - finding.first + 1},
                    {"kind", kind_name(entry.kind)}};
  if (manifest::has_content(entry.kind)) one["size"] = entry.size;
  one["mtime"] = rfc3339(from_ns(entry.mtime_ns));
  one["mtime_ns"] = entry.mtime_ns;
  console::put_path(one, "path", entry.path);
  console::put_path(one, "source", entry.source);
  if (!entry.link_target.empty()) console::put_path(one, "target", entry.link_target);
  out.json(one);
}

int find_body(const Global& global, const FindCommand& command) {
  console::Console out("holdfast", global.output);
  if (command.all && !(command.snapshots.empty() && command.source.empty()))
    return fail(out, Error{Errc::Usage, "find: --all searches every snapshot; --snapshot and --source choose some"});
  const Result<std::unique_ptr<Reader>> reader = open_reader(global, command.read);
  if (!reader) return fail(out, reader.error());
  int code = console::kDone;
  const Result<std::vector<SnapshotInfo>> snapshots = chosen(*(*reader)->archive, command, out, &code);
  if (!snapshots) return fail(out, snapshots.error());
  reading::FindOptions options;
  options.pattern = command.pattern;
  options.stop = &stop_requested();
  options.on_finding = [&](const reading::Finding& finding) { show_finding(out, *snapshots, finding); };
  const Result<std::uint64_t> count = reading::find(*(*reader)->archive, *snapshots, options);
  if (!count) return fail(out, count.error());
  if (*count == 0) {
    const bool anchored = command.pattern.find('/') != std::string::npos && !command.pattern.starts_with("**/");
    out.note(
        "nothing matches in " + console::counted(snapshots->size(), "snapshot") +
        (anchored ? "; a pattern with a slash is held against the whole path: **/NAME looks in every directory" : ""));
  }
  console::Json result{{"type", "result"},
                       {"ok", code == console::kDone},
                       {"exit_code", code},
                       {"snapshots", snapshots->size()},
                       {"findings", *count}};
  out.json(result);
  return code;
}

}  // namespace

void add_find(CLI::App& app, Body* body) {
  CLI::App* command = app.add_subcommand("find", "Find files by a pattern in one, some or all snapshots");
  const auto options = std::make_shared<FindCommand>();
  command->add_option("pattern", options->pattern, "As in .gitignore: *.conf, /etc/**/*.conf, name/ for directories")
      ->required();
  command
      ->add_option("--snapshot", options->snapshots,
                   "latest (default), sequence number, id (at least 6 digits) or @time; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--source", options->source, "latest: of this source");
  command->add_flag("--all", options->all, "Search every snapshot; what stays the same is shown once with its range");
  options->read.add_to(*command);
  command->callback([=] { *body = [=](const Global& global) { return find_body(global, *options); }; });
}

}  // namespace holdfast::cli
