// `holdfast compare`: the files of this machine against a snapshot of it.
#include "client/reading/compare.h"

#include "client/cli/app.h"
#include "client/cli/entry_text.h"
#include "client/cli/watch.h"
#include "common/console/format.h"

namespace holdfast::cli {
namespace {

using console::human_bytes;
using console::human_count;

struct CompareCommand {
  ReadOptions read;
  std::string snapshot, source;
  std::vector<std::string> paths, excludes;
  bool read_data = false;
};

constexpr std::uint64_t kNamedProblems = 100;  ///< the rest is counted
constexpr std::size_t kNamedDirectories = 5;

/// The walk of a backup with this configuration.
Result<reading::CompareOptions> options_of(const CompareCommand& command, const Config& config) {
  reading::CompareOptions options;
  for (const std::string& path : command.paths) options.paths.push_back(absolute_path(path));
  for (const std::string& path : config.files.paths) options.known_roots.push_back(absolute_path(path));
  std::vector<std::string> patterns = config.files.excludes;
  patterns.insert(patterns.end(), command.excludes.begin(), command.excludes.end());
  HF_TRY(options.files.excludes, sources::GlobList::compile(patterns));
  options.files.one_file_system = config.files.one_file_system;
  options.files.markers = config.files.markers;
  options.files.honour_cachedir_tag = config.files.honour_cachedir_tag;
  options.files.skip_paths = {absolute_path(config.state_dir), absolute_path(config.keyring)};
  options.read_data = command.read_data;
  options.stop = &stop_requested();
  return options;
}

void say_what_was_not_compared(console::Console& out, const reading::CompareReport& report) {
  if (report.problems > kNamedProblems)
    out.warning("and " + std::to_string(report.problems - kNamedProblems) + " more");
  if (report.not_compared > 0)
    out.warning(human_count(report.not_compared) + " entries of the snapshot lie behind them and were not compared");
  if (report.left_out > 0)
    out.note(human_count(report.left_out) + " entries of the snapshot are left out by today's excludes");
  if (report.not_searched.empty()) return;
  std::vector<std::string> names;
  for (const std::string& path : report.not_searched) names.push_back(printable(path));
  out.note("new entries were not looked for directly in " +
           console::listed(names.data(), names.size(), kNamedDirectories) + "; give PATH to have all of it compared");
}

int compare_body(const Global& global, const CompareCommand& command) {
  console::Console out("holdfast", global.output);
  const Result<std::unique_ptr<Reader>> reader = open_reader(global, command.read);
  if (!reader) return fail(out, reader.error());
  const Result<restore::SnapshotInfo> info = find_snapshot(out, *(*reader)->archive, command.snapshot, command.source);
  if (!info) return fail(out, info.error());
  Result<reading::CompareOptions> options = options_of(command, (*reader)->opened.config);
  if (!options) return fail(out, options.error());
  reading::CompareProgress progress;
  options->progress = &progress;
  options->on_difference = [&](const reading::Difference& difference) { show(out, difference); };
  std::uint64_t problems = 0;
  options->on_problem = [&](const sources::Problem& problem) {
    if (++problems <= kNamedProblems) out.warning(printable(problem.path) + ": " + problem.error.message);
  };
  options->on_skipped = [&](const sources::Skipped& skipped) {
    out.detail("left out: " + printable(skipped.path) + " (" + skipped.why + ")");
  };
  const Result<reading::CompareReport> done = [&] {
    const Watch watch(global.output, [&] {
      console::ProgressState state;
      state.files = progress.entries;
      state.bytes = progress.bytes;
      return state;
    });
    return reading::compare(*(*reader)->archive, *info, *options);
  }();
  if (!done) return fail(out, done.error());
  say_what_was_not_compared(out, *done);
  int code = done->problems > 0 ? console::kWarnings : console::kDone;
  if (done->count.any()) code = console::graver(code, console::kFailed);
  out.note("snapshot " + std::to_string(info->core().sequence) + " and this machine: " +
           (done->count.any() ? text_of(done->count) : human_count(done->entries) + " entries, no difference") +
           (command.read_data ? ", " + human_bytes(done->read_bytes) + " read" : ""));
  console::Json result{{"type", "result"},
                       {"ok", code == console::kDone || code == console::kWarnings},
                       {"exit_code", code},
                       {"snapshot", info->verified.id.hex()},
                       {"sequence", info->core().sequence},
                       {"equal", !done->count.any()},
                       {"read_data", command.read_data},
                       {"entries", done->entries},
                       {"read_bytes", done->read_bytes}};
  put_counts(result, done->count);
  result["problems"] = done->problems;
  result["not_compared"] = done->not_compared;
  result["left_out"] = done->left_out;
  result["not_searched"] = console::Json::array();
  for (const std::string& path : done->not_searched) result["not_searched"].push_back(printable(path));
  out.json(result);
  return code;
}

}  // namespace

void add_compare(CLI::App& app, Body* body) {
  CLI::App* command = app.add_subcommand(
      "compare", "Compare the files of this machine with a snapshot; exit 0: equal, 1: different, 3: not all readable");
  const auto options = std::make_shared<CompareCommand>();
  command->add_option("snapshot", options->snapshot, "latest, sequence number, id (at least 6 digits) or @time")
      ->required();
  command->add_option("paths", options->paths, "Only what is at or below these paths, there and here");
  command->add_option("--source", options->source, "latest: of this source");
  command->add_option("--exclude", options->excludes, "Leave out what matches this pattern, as the backup did")
      ->allow_extra_args(false);
  command->add_flag("--read-data", options->read_data,
                    "Read the files and compare contents too, not size and time alone");
  options->read.add_to(*command);
  command->callback([=] { *body = [=](const Global& global) { return compare_body(global, *options); }; });
}

}  // namespace holdfast::cli
