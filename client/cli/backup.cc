// `holdfast backup`: files of this machine and the output of commands into a new snapshot.
#include "client/backup/backup.h"

#include <malloc.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "client/cli/app.h"
#include "client/cli/watch.h"
#include "common/console/format.h"

namespace holdfast::cli {
namespace {

using console::human_bytes;
using console::human_count;

struct BackupCommand {
  std::vector<std::string> paths, excludes, commands, names;
  std::string source;
  bool dry_run = false, full = false, wait = false;
};

constexpr std::size_t kNamedProblems = 100;           ///< the rest is counted
constexpr std::uint64_t kWorthAWord = 1024u * 1024u;  ///< sent before a run failed: more than its questions

/// --command and --name, in pairs as they were given.
Result<std::vector<sources::CommandOptions>> given_commands(const BackupCommand& command) {
  if (command.commands.size() != command.names.size()) {
    return Error{Errc::Usage, "back up: every --command needs one --name, in the same order: " +
                                  std::to_string(command.commands.size()) + " and " +
                                  std::to_string(command.names.size()) + " were given"};
  }
  std::vector<sources::CommandOptions> out;
  for (std::size_t i = 0; i < command.names.size(); ++i) out.push_back({command.names[i], command.commands[i]});
  return out;
}

Result<backup::BackupOptions> options_of(const BackupCommand& command, const Opened& opened, const Global& global) {
  const SourceConfig& configured = opened.config.files;
  std::vector<std::string> patterns = configured.excludes;
  patterns.insert(patterns.end(), command.excludes.begin(), command.excludes.end());
  backup::BackupOptions options;
  options.files.source = command.source.empty() ? configured.name : command.source;
  HF_TRY(options.commands, given_commands(command));
  const bool as_configured = command.paths.empty() && options.commands.empty();
  if (as_configured) options.commands = opened.config.commands;
  for (const std::string& path : as_configured ? configured.paths : command.paths)
    options.files.roots.push_back(absolute_path(path));
  if (options.files.roots.empty() && options.commands.empty()) {
    return Error{Errc::Usage,
                 "back up: no PATH was given, no --command, and 'files.paths' in " + global.config_path + " is empty"};
  }
  if (options.files.roots.empty() && !command.source.empty())
    return Error{Errc::Usage, "back up: --source names the source of files, and none are taken; streams have --name"};
  HF_TRY_DO(backup::check_sources(options));
  HF_TRY(options.files.excludes, sources::GlobList::compile(patterns));
  options.files.one_file_system = configured.one_file_system;
  options.files.markers = configured.markers;
  options.files.honour_cachedir_tag = configured.honour_cachedir_tag;
  options.files.skip_paths = {absolute_path(opened.config.state_dir), absolute_path(opened.config.keyring)};
  options.state_dir = opened.config.state_dir;
  options.full = command.full;
  options.wait = command.wait;
  options.zstd_level = opened.config.compression_level;
  options.seal_threads = std::max(1u, std::thread::hardware_concurrency());
  options.stop = &stop_requested();
  return options;
}

/// What --dry-run prints: what would be taken, what is left out and why. Reads no contents, dials nobody.
class Lister final : public sources::Visitor {
 public:
  explicit Lister(console::Console& out) : out_(out) {}
  Status found(sources::Found found) override {
    if (stop_requested()) return Error{Errc::Canceled, "stopped by a signal"};
    ++entries;
    bytes += found.entry.kind == manifest::EntryKind::File ? found.stat.size : 0;
    out_.detail(printable(found.entry.path));
    return {};
  }
  void problem(sources::Problem problem) override {
    ++problems;
    out_.warning(printable(problem.path) + ": " + problem.error.message);
  }
  void skipped(sources::Skipped skipped) override {
    out_.note("left out: " + printable(skipped.path) + " (" + skipped.why + ")");
  }
  std::uint64_t entries = 0, bytes = 0, problems = 0;

 private:
  console::Console& out_;
};

int dry_run(console::Console& out, const backup::BackupOptions& options, const BackupCommand& command) {
  Lister lister(out);
  for (const std::string& path : options.files.skip_paths)
    out.note("always left out: " + printable(path) + " (Holdfast's own)");
  out.note("always left out: /proc /sys /dev /run and other pseudo file systems, swap files");
  for (const std::string& pattern : command.excludes) out.note("left out by --exclude: " + printable(pattern));
  for (const sources::CommandOptions& one : options.commands)
    out.note("the command of stream '" + printable(one.name) + "' would run");
  if (!options.files.roots.empty()) {
    if (Status walked = sources::walk(options.files, lister); !walked) return fail(out, walked.error());
  }
  console::Json result{{"type", "result"},
                       {"ok", true},
                       {"dry_run", true},
                       {"entries", lister.entries},
                       {"bytes", lister.bytes},
                       {"problems", lister.problems},
                       {"streams", options.commands.size()}};
  out.json(result);
  out.print(
      "Would take " + human_count(lister.entries) + " entries, " + human_bytes(lister.bytes) +
      (options.commands.empty() ? "" : " and the output of " + human_count(options.commands.size()) + " commands") +
      ". Nothing was sent.");
  return lister.problems > 0 ? console::kWarnings : console::kDone;
}

int code_of(const backup::BackupReport& report) {
  if (!report.failed_sources.empty()) return console::kFailed;
  return report.problems > 0 ? console::kWarnings : console::kDone;
}

void report(console::Console& out, const backup::BackupReport& r, std::chrono::nanoseconds took) {
  const double seconds = std::chrono::duration<double>(took).count();
  console::Json result{{"type", "result"},
                       {"ok", r.failed_sources.empty()},
                       {"exit_code", code_of(r)},
                       {"snapshot", r.snapshot.hex()},
                       {"sequence", r.sequence},
                       {"entries", r.entries},
                       {"files", r.files},
                       {"streams", r.streams},
                       {"bytes", r.bytes},
                       {"known_bytes", r.known_bytes},
                       {"read_bytes", r.read_bytes},
                       {"blobs_sent", r.blobs_sent},
                       {"blobs_known", r.blobs_known},
                       {"new_bytes", r.raw_bytes_sent},
                       {"stored_bytes", r.sealed_bytes_sent},
                       {"wire_sent_bytes", r.wire_sent},
                       {"wire_received_bytes", r.wire_received},
                       {"warnings", r.problems},
                       {"complete", r.failed_sources.empty()},
                       {"failed_sources", r.failed_sources},
                       {"plan", r.plan},
                       {"lock_not_before", rfc3339(from_ns(r.lock_not_before_ns))},
                       {"state_lost", r.state_lost},
                       {"seconds", seconds}};
  if (out.options().quiet) return out.json(result);
  out.json(result);
  out.print("Snapshot " + std::to_string(r.sequence) + " (" + r.snapshot.short_hex() + ") is durable on the server" +
            (r.failed_sources.empty() ? "." : ", but incomplete: it does not stand for the sources that failed."));
  console::Table table({{"", console::Table::Align::Left}, {"", console::Table::Align::Right}});
  table.row({"entries", human_count(r.entries)});
  table.row({"files", human_count(r.files)});
  if (r.streams > 0) table.row({"streams", human_count(r.streams)});
  if (!r.failed_sources.empty()) table.row({"sources that failed", human_count(r.failed_sources.size())});
  table.row({"size", human_bytes(r.bytes)});
  table.row({"unchanged", human_bytes(r.known_bytes)});
  table.row({"read", human_bytes(r.read_bytes)});
  table.row({"new", human_bytes(r.raw_bytes_sent) + " in " + human_count(r.blobs_sent) + " blobs"});
  table.row({"sent", human_bytes(r.wire_sent)});
  table.row({"time", console::human_duration(took)});
  table.row({"kept until at least", rfc3339(from_ns(r.lock_not_before_ns)) + " (plan " + r.plan + ")"});
  out.print(table);
}

int body_of(const Global& global, const BackupCommand& command) {
  console::Console out("holdfast", global.output);
  const Result<Opened> opened = open_config(global);
  if (!opened) return fail(out, opened.error());
  Result<backup::BackupOptions> options = options_of(command, *opened, global);
  if (!options) return fail(out, options.error());
  if (command.dry_run) return dry_run(out, *options, command);

  backup::Progress progress;
  options->progress = &progress;
  std::uint64_t problems = 0;
  options->on_problem = [&](const sources::Problem& problem) {
    if (++problems <= kNamedProblems) out.warning(printable(problem.path) + ": " + problem.error.message);
  };
  options->on_skipped = [&](const sources::Skipped& skipped) {
    out.detail("left out: " + printable(skipped.path) + " (" + skipped.why + ")");
  };
  options->on_source_failed = [&](const std::string& source, const Error& error) {
    console::Json one{{"type", "source_failed"}};
    console::put_path(one, "source", source);
    one["code"] = std::string(errc_name(error.code));
    one["message"] = error.message;
    out.json(one);
    out.error("source '" + printable(source) + "' failed: " + error.message);
  };
  Result<std::unique_ptr<remote::Remote>> remote = connect(*opened, global);
  if (!remote) return fail(out, remote.error());
  report_skew(out, **remote);
  const MonotonicTime started = system_clock().monotonic();
  Result<backup::BackupReport> done = [&] {
    const Watch watch(global.output, [&] {
      console::ProgressState state;
      state.bytes = progress.bytes;
      state.files = progress.files;
      state.new_bytes = progress.new_bytes;
      state.known_bytes = progress.known_bytes;
      return state;
    });
    // Groups and blobs come and go by the megabyte on many threads: mappings of their own leave no gaps in malloc's heaps.
    ::mallopt(M_MMAP_THRESHOLD, 256 << 10);
    return backup::run_backup(**remote, opened->keyring, fs::real(), system_clock(), system_random(), *options);
  }();
  if (problems > kNamedProblems) out.warning("and " + std::to_string(problems - kNamedProblems) + " more");
  if (!done && (*remote)->bytes_sent() > kWorthAWord)
    out.note("what the server has acknowledged stays there; the next run goes on from it");
  if (!done) return fail(out, done.error());
  if (!done->state_note.empty()) out.detail("every file was read: " + done->state_note);
  report(out, *done, system_clock().monotonic() - started);
  return code_of(*done);
}

}  // namespace

void add_backup(CLI::App& app, Body* body) {
  CLI::App* command =
      app.add_subcommand("backup", "Back up files of this machine and the output of commands into a new snapshot");
  const auto options = std::make_shared<BackupCommand>();
  command->add_option("paths", options->paths,
                      "Files and directories; without PATH and --command: what the configuration says");
  command->add_option("--source", options->source, "Name of the source (default: 'files.name' of the configuration)");
  command
      ->add_option("--command", options->commands,
                   "Keep what this shell command writes as a stream; a status but 0 fails it")
      ->allow_extra_args(false);
  command->add_option("--name", options->names, "Name of the stream of the --command before it")
      ->allow_extra_args(false);
  command->add_option("--exclude", options->excludes, "Leave out what matches this pattern (as in .gitignore)")
      ->allow_extra_args(false);
  command->add_flag("--dry-run", options->dry_run, "Say what would be taken and what is left out; send nothing");
  command->add_flag("--full", options->full, "Read every file, whatever the local state says");
  command->add_flag("--wait", options->wait, "Wait for a run that is under way instead of ending with exit code 7");
  command->callback([=] { *body = [=](const Global& global) { return body_of(global, *options); }; });
}

}  // namespace holdfast::cli
