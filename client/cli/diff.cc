// `holdfast diff`: what two snapshots do not have in common.
#include "client/reading/diff.h"

#include "client/cli/app.h"
#include "client/cli/entry_text.h"

namespace holdfast::cli {
namespace {

struct DiffCommand {
  ReadOptions read;
  std::string before, after, source;
  std::vector<std::string> paths;
  bool exit_code = false;
};

int diff_body(const Global& global, const DiffCommand& command) {
  console::Console out("holdfast", global.output);
  const Result<std::unique_ptr<Reader>> reader = open_reader(global, command.read);
  if (!reader) return fail(out, reader.error());
  restore::Archive& archive = *(*reader)->archive;
  const Result<restore::SnapshotInfo> before = find_snapshot(out, archive, command.before, command.source);
  if (!before) return fail(out, before.error());
  const Result<restore::SnapshotInfo> after = find_snapshot(out, archive, command.after, command.source);
  if (!after) return fail(out, after.error());
  reading::DiffOptions options;
  for (const std::string& path : command.paths) options.paths.push_back(absolute_path(path));
  options.stop = &stop_requested();
  options.on_difference = [&](const reading::Difference& difference) { show(out, difference); };
  const Result<reading::DiffReport> done = reading::diff(archive, *before, *after, options);
  if (!done) return fail(out, done.error());
  int code = console::kDone;
  if (done->by_size) {
    out.warning("the keys changed between the two snapshots: contents were compared by size alone");
    code = console::kWarnings;
  }
  if (command.exit_code && done->count.any()) code = console::graver(code, console::kFailed);
  const std::string names =
      "snapshots " + std::to_string(before->core().sequence) + " and " + std::to_string(after->core().sequence);
  out.note(done->count.any() ? names + ": " + text_of(done->count) : names + " hold the same");
  console::Json result{{"type", "result"},
                       {"ok", true},
                       {"exit_code", code},
                       {"before", before->verified.id.hex()},
                       {"before_sequence", before->core().sequence},
                       {"after", after->verified.id.hex()},
                       {"after_sequence", after->core().sequence},
                       {"equal", !done->count.any()}};
  put_counts(result, done->count);
  out.json(result);
  return code;
}

}  // namespace

void add_diff(CLI::App& app, Body* body) {
  CLI::App* command = app.add_subcommand(
      "diff",
      "Show what was added (+), removed (-) and changed between two snapshots: M content, T kind, U attributes only");
  const auto options = std::make_shared<DiffCommand>();
  command->add_option("before", options->before, "latest, sequence number, id (at least 6 digits) or @time")
      ->required();
  command->add_option("after", options->after, "The other snapshot")->required();
  command->add_option("paths", options->paths, "Only what is at or below these paths");
  command->add_option("--source", options->source, "latest: of this source");
  command->add_flag("--exit-code", options->exit_code, "End with 1 when they differ, as diff(1) does");
  options->read.add_to(*command);
  command->callback([=] { *body = [=](const Global& global) { return diff_body(global, *options); }; });
}

}  // namespace holdfast::cli
