// `holdfast restore` and `holdfast verify`.
#include "client/restore/restore.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

#include "client/cli/app.h"
#include "client/cli/watch.h"
#include "client/restore/stream.h"
#include "client/sources/exclusions.h"
#include "client/sources/files.h"
#include "common/console/format.h"

namespace holdfast::cli {
namespace {

using console::human_bytes;
using console::human_count;

struct RestoreCommand {
  ReadOptions read;
  std::string snapshot, source, target, stream, overwrite = "never", strip, spool, spool_limit;
  std::vector<std::string> paths;
  bool dry_run = false, remove_extras = false;
};

struct VerifyCommand {
  ReadOptions read;
  std::string snapshot, source;
  bool read_data = false;
};

constexpr std::uint64_t kNamedFailures = 1000;

std::size_t thread_count() { return std::max(1u, std::thread::hardware_concurrency()); }

console::ProgressState state_of(const restore::Progress& progress) {
  console::ProgressState state;
  state.bytes = progress.bytes;
  state.total_bytes = progress.total_bytes;
  state.files = progress.entries;
  state.total_files = progress.total_entries;
  return state;
}

/// Names each entry that failed, up to a bound.
struct FailureList {
  console::Console& out;
  std::uint64_t count = 0;
  void operator()(const std::string& path, const Error& error) {
    if (++count > kNamedFailures) return;
    console::Json one{{"type", "failed"}};
    console::put_path(one, "path", path);
    one["code"] = std::string(errc_name(error.code));
    one["message"] = error.message;
    out.json(one);
    out.error(printable(path) + ": " + error.message);
  }
};

/// "Snapshot 12 (4f1a…) of 2026-11-21T06:00:04Z": which one, and how old.
std::string title(const restore::SnapshotInfo& info) {
  std::int64_t age_ns = 0;  // the time is the server's word: it may be any number
  if (__builtin_sub_overflow(to_ns(system_clock().wall()), info.received_ns, &age_ns))
    age_ns = std::numeric_limits<std::int64_t>::max();
  return "Snapshot " + std::to_string(info.core().sequence) + " (" + info.verified.id.short_hex() + "), received " +
         rfc3339(from_ns(info.received_ns)) + ", " + console::human_duration(std::chrono::nanoseconds(age_ns)) + " ago";
}

int failure_code(const restore::RestoreReport& report) {
  return report.failed == 0 ? console::kDone : console::graver(console::kFailed, console::exit_code(*report.gravest));
}

Status check_stream_use(const RestoreCommand& command) {
  if (!command.target.empty() || !command.paths.empty() || !command.strip.empty() || command.dry_run ||
      command.remove_extras)
    return Error{Errc::Usage, "restore: --stream NAME goes with SNAP alone: the stream is written to standard output"};
  if (::isatty(STDOUT_FILENO) != 0)
    return Error{Errc::Usage,
                 "restore: standard output is a terminal; write the stream to a file or a program: … > FILE"};
  return {};
}

/// --spool names the one directory that it must be; otherwise the state directory or a temporary one, if they can be
/// written to, and a little memory if not.
Result<restore::SpoolOptions> spool_options(const RestoreCommand& command, const Config& config) {
  restore::SpoolOptions options;
  if (!command.spool_limit.empty()) {
    HF_TRY(options.limit_bytes, console::parse_bytes(command.spool_limit).context("--spool-limit"));
  }
  options.memory_will_do = command.spool.empty();
  if (!command.spool.empty()) {
    options.directories = {absolute_path(command.spool)};
    return options;
  }
  const char* temporary = std::getenv("TMPDIR");
  options.directories = {config.state_dir, temporary != nullptr ? temporary : "/var/tmp"};
  return options;
}

/// Blobs come and go by the megabyte on three threads. In malloc's heaps they leave gaps that are never given back: mappings of
/// their own are. (mallopt(3): a threshold that is set does not grow by itself.)
void give_large_buffers_back() { ::mallopt(M_MMAP_THRESHOLD, 256 << 10); }

/// Standard output belongs to the stream: everything else goes to stderr, events of --json too.
int stream_body(const Global& global, const RestoreCommand& command) {
  console::Console out("holdfast", global.output, stderr, stderr);
  if (const Status fits = check_stream_use(command); !fits) return fail(out, fits.error());
  const Result<std::unique_ptr<Reader>> reader = open_reader(global, command.read);
  if (!reader) return fail(out, reader.error());
  const Result<restore::SnapshotInfo> info = find_snapshot(out, *(*reader)->archive, command.snapshot, command.source);
  if (!info) return fail(out, info.error());
  const Result<restore::SpoolOptions> spool = spool_options(command, (*reader)->opened.config);
  if (!spool) return fail(out, spool.error());
  out.note(title(*info));
  give_large_buffers_back();
  restore::Progress progress;
  restore::StreamOptions options;
  options.name = command.stream;
  options.descriptor = STDOUT_FILENO;
  options.threads = thread_count();
  options.stop = &stop_requested();
  options.progress = &progress;
  options.spool = *spool;
  const MonotonicTime started = system_clock().monotonic();
  const Result<restore::StreamReport> done = [&] {
    const Watch watch(global.output, [&] { return state_of(progress); });
    return restore::restore_stream(*(*reader)->archive, *info, options);
  }();
  if (!done) return fail(out, done.error());
  const auto took = system_clock().monotonic() - started;
  out.note("Restored stream '" + printable(command.stream) + "', " + human_bytes(done->bytes) + " in " +
           console::human_duration(took) + "; every byte is right");
  if (done->blobs_fetched_again > 0) {
    out.note(human_count(done->blobs_fetched_again) + " of " + human_count(done->blobs_fetched) +
             " blobs were fetched again, since the spool had no room for them (--spool DIR, --spool-limit SIZE)");
  }
  console::Json result{{"type", "result"},
                       {"ok", true},
                       {"exit_code", console::kDone},
                       {"snapshot", info->verified.id.hex()},
                       {"sequence", info->core().sequence}};
  console::put_path(result, "stream", command.stream);
  result["bytes"] = done->bytes;
  result["blobs_fetched"] = done->blobs_fetched;
  result["blobs_fetched_again"] = done->blobs_fetched_again;
  result["spool_bytes"] = done->spool_bytes;
  result["wire_received_bytes"] = (*reader)->remote->bytes_received();
  result["seconds"] = std::chrono::duration<double>(took).count();
  out.json(result);
  return console::kDone;
}

int restore_body(const Global& global, const RestoreCommand& command) {
  console::Console out("holdfast", global.output);
  if (command.target.empty())
    return fail(out, Error{Errc::Usage, "restore: where to? give --target DIR, or --stream NAME for a stream"});
  const Result<std::unique_ptr<Reader>> reader = open_reader(global, command.read);
  if (!reader) return fail(out, reader.error());
  const Result<restore::SnapshotInfo> info = find_snapshot(out, *(*reader)->archive, command.snapshot, command.source);
  if (!info) return fail(out, info.error());
  out.print(title(*info));

  restore::Progress progress;
  FailureList failures{out};
  restore::RestoreOptions options;
  for (const std::string& path : command.paths) options.paths.push_back(absolute_path(path));
  options.target.target = absolute_path(command.target);
  options.target.overwrite = command.overwrite == "always"    ? restore::Overwrite::Always
                             : command.overwrite == "changed" ? restore::Overwrite::Changed
                                                              : restore::Overwrite::Never;
  options.target.set_owner = ::geteuid() == 0;
  if (!command.strip.empty()) options.strip = absolute_path(command.strip);
  options.remove_extras = command.remove_extras;
  const Config& config = (*reader)->opened.config;
  options.keep = {absolute_path(config.state_dir), absolute_path(config.keyring), absolute_path(global.config_path)};
  const Result<sources::GlobList> excludes = sources::GlobList::compile(config.files.excludes);
  if (!excludes) return fail(out, excludes.error());
  options.left_out = [&](const std::string& path, bool is_directory) { return excludes->excluded(path, is_directory); };
  options.markers = config.files.markers;
  if (config.files.honour_cachedir_tag) options.markers.emplace_back(sources::kCacheTagName);
  options.on_removed = [&](const std::string& path) {
    console::Json one{{"type", command.dry_run ? "would_remove" : "removed"}};
    console::put_path(one, "path", path);
    out.json(one);
    if (command.dry_run)
      out.print("would remove " + printable(path));
    else
      out.detail("removed " + printable(path));
  };
  options.on_not_removed = [&](const std::string& path, const Error& why) {
    out.warning(printable(path) + " is not in the snapshot, and stays: " + why.message);
  };
  options.dry_run = command.dry_run;
  options.threads = thread_count();
  options.stop = &stop_requested();
  options.progress = &progress;
  options.on_failure = [&](const std::string& path, const Error& error) { failures(path, error); };
  if (command.dry_run) {
    options.on_entry = [&](const manifest::Entry& entry) { out.detail(printable(entry.path)); };
  }
  const MonotonicTime started = system_clock().monotonic();
  const Result<restore::RestoreReport> done = [&] {
    const Watch watch(global.output, [&] { return state_of(progress); });
    return restore::run_restore(*(*reader)->archive, *info, options);
  }();
  if (!done) return fail(out, done.error());
  const auto took = system_clock().monotonic() - started;
  const restore::TargetReport& target = done->target;
  int code = failure_code(*done);
  if (command.dry_run) {
    out.print("Would restore " + human_count(done->entries) + " entries, " + human_bytes(done->bytes) +
              ". Nothing was written.");
  } else {
    out.print("Restored " + human_count(done->entries) + " entries, " + human_bytes(done->bytes) + " in " +
              console::human_duration(took) + " to " + printable(options.target.target));
  }
  if (done->files_right > 0)
    out.print(human_count(done->files_right) + " files were right already: " + human_bytes(done->bytes_not_fetched) +
              " were not fetched");
  if (done->resumed) out.print("An earlier run of this command had begun: it was gone on with");
  if (command.remove_extras && !done->removal_skipped)
    out.print(std::string(command.dry_run ? "Would remove " : "Removed ") + human_count(done->removed) +
              " entries that are not in the snapshot" +
              (done->spared == 0
                   ? ""
                   : "; " + human_count(done->spared) + " that backups leave out (excludes, markers) stay"));
  if (done->streams_skipped == 1) out.print("1 stream is restored with --stream NAME");
  if (done->streams_skipped > 1)
    out.print(human_count(done->streams_skipped) + " streams are restored with --stream NAME");
  const auto warn = [&](std::uint64_t count, const std::string& text) {
    if (count == 0) return;
    out.warning(human_count(count) + " " + text);
    code = console::graver(code, console::kWarnings);
  };
  warn(done->not_removed, "entries that are not in the snapshot were left");
  if (done->removal_skipped) out.warning("nothing was removed, since not everything could be restored");
  warn(target.left_in_place,
       "files were there already and were left as they are (--overwrite changed|always replaces them)");
  warn(target.owners_not_set, "entries belong to you, not to their owners: only root can give files away");
  warn(target.attributes_not_set, "attributes could not be set for lack of rights");
  warn(target.devices_not_made, "devices could not be made for lack of rights");
  if (failures.count > 0)
    out.error(human_count(failures.count) + " entries could not be restored; everything else was");
  console::Json result{{"type", "result"},
                       {"ok", code == console::kDone || code == console::kWarnings},
                       {"exit_code", code},
                       {"snapshot", info->verified.id.hex()},
                       {"sequence", info->core().sequence},
                       {"entries", done->entries},
                       {"files", done->files},
                       {"bytes", done->bytes},
                       {"streams_skipped", done->streams_skipped},
                       {"failed", done->failed},
                       {"left_in_place", target.left_in_place},
                       {"owners_not_set", target.owners_not_set},
                       {"attributes_not_set", target.attributes_not_set},
                       {"devices_not_made", target.devices_not_made},
                       {"removed", done->removed},
                       {"not_removed", done->not_removed},
                       {"files_right", done->files_right},
                       {"bytes_not_fetched", done->bytes_not_fetched},
                       {"blobs_fetched", done->blobs_fetched},
                       {"resumed", done->resumed},
                       {"wire_received_bytes", (*reader)->remote->bytes_received()},
                       {"seconds", std::chrono::duration<double>(took).count()}};
  out.json(result);
  return code;
}

int verify_body(const Global& global, const VerifyCommand& command) {
  console::Console out("holdfast", global.output);
  const Result<std::unique_ptr<Reader>> reader = open_reader(global, command.read);
  if (!reader) return fail(out, reader.error());
  const Result<restore::SnapshotInfo> info = find_snapshot(out, *(*reader)->archive, command.snapshot, command.source);
  if (!info) return fail(out, info.error());
  out.print(title(*info));
  restore::Progress progress;
  FailureList failures{out};
  restore::VerifyOptions options;
  options.read_data = command.read_data;
  options.threads = thread_count();
  options.stop = &stop_requested();
  options.progress = &progress;
  options.on_failure = [&](const std::string& path, const Error& error) { failures(path, error); };
  const Result<restore::RestoreReport> done = [&] {
    const Watch watch(global.output, [&] { return state_of(progress); });
    return restore::run_verify(*(*reader)->archive, *info, options);
  }();
  if (!done) return fail(out, done.error());
  const int code = failure_code(*done);
  if (code == console::kDone && command.read_data) {
    const std::string streams = done->streams == 0 ? "" : " and " + human_count(done->streams) + " streams";
    out.print("Every byte of " + human_count(done->files) + " files" + streams + " (" + human_bytes(done->bytes) +
              ") was fetched, opened and is right.");
  } else if (code == console::kDone) {
    out.print("The manifest is whole: " + human_count(done->entries) +
              " entries. File contents were not read; --read-data does that.");
  } else {
    out.error(human_count(failures.count) + " entries are damaged");
  }
  console::Json result{{"type", "result"},
                       {"ok", code == console::kDone},
                       {"exit_code", code},
                       {"snapshot", info->verified.id.hex()},
                       {"sequence", info->core().sequence},
                       {"read_data", command.read_data},
                       {"entries", done->entries},
                       {"files", done->files},
                       {"streams", done->streams},
                       {"bytes", done->bytes},
                       {"failed", done->failed}};
  out.json(result);
  return code;
}

}  // namespace

void add_restore(CLI::App& app, Body* body) {
  CLI::App* command = app.add_subcommand(
      "restore", "Put a snapshot, or part of it, below a directory; or one stream to standard output");
  const auto options = std::make_shared<RestoreCommand>();
  command->add_option("snapshot", options->snapshot, "latest, sequence number, id (at least 6 digits) or @time")
      ->required();
  command->add_option("paths", options->paths, "Only what is at or below these paths");
  command->add_option("--target", options->target, "Directory; PATH is written to DIR/PATH");
  CLI::Option* stream =
      command->add_option("--stream", options->stream, "Write this stream to standard output, and nothing else");
  command
      ->add_option("--spool", options->spool,
                   "Directory for sealed data that a stream needs again later (default: the state directory, $TMPDIR)")
      ->needs(stream);
  command->add_option("--spool-limit", options->spool_limit, "Most that may stand there, such as 512M or 4G")
      ->needs(stream)
      ->default_str("4G");
  command->add_option("--source", options->source, "latest: of this source");
  command->add_option("--overwrite", options->overwrite, "What to do with files that are there")
      ->check(CLI::IsMember({"never", "changed", "always"}))
      ->capture_default_str();
  command->add_option("--strip", options->strip,
                      "Take this path off: PATH/file is written to DIR/file, and nothing else may be asked for");
  command->add_flag("--delete", options->remove_extras,
                    "In the PATHs, remove from DIR what the snapshot does not hold, once all is restored");
  command->add_flag("--dry-run", options->dry_run, "Say what would be restored; write nothing");
  options->read.add_to(*command);
  command->callback([=] {
    *body = [=](const Global& global) {
      return stream->count() > 0 ? stream_body(global, *options) : restore_body(global, *options);
    };
  });
}

void add_verify(CLI::App& app, Body* body) {
  CLI::App* command = app.add_subcommand("verify", "Read a snapshot back and compare digests; writes nothing");
  const auto options = std::make_shared<VerifyCommand>();
  command->add_option("snapshot", options->snapshot, "latest, sequence number, id (at least 6 digits) or @time")
      ->required();
  command->add_option("--source", options->source, "latest: of this source");
  command->add_flag("--read-data", options->read_data, "Read every byte, not the manifest alone");
  options->read.add_to(*command);
  command->callback([=] { *body = [=](const Global& global) { return verify_body(global, *options); }; });
}

}  // namespace holdfast::cli
