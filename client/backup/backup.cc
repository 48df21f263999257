#include "client/backup/backup.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <thread>

#include "client/backup/content_feed.h"
#include "client/backup/entry_stage.h"
#include "client/backup/known_segments.h"
#include "client/backup/noted_files.h"
#include "client/backup/run_key.h"
#include "client/backup/session_check.h"
#include "client/backup/stream_source.h"

namespace holdfast::backup {
namespace {

using manifest::Entry;
using manifest::EntryKind;

/// File systems stamp with coarse clocks (NFS and others: up to 2 s): a file whose times are younger than this when it
/// is opened may change again without its times moving, so its identity is not remembered.
constexpr std::int64_t kClockGrainNs = 2'000'000'000;
constexpr std::size_t kMaxVainQuestions = 4;  ///< for segments of a run that was killed
constexpr int kReadTries = 3;                 ///< a file that changes while it is read is read again, then marked

std::uint8_t size_class(std::uint64_t value) {
  return static_cast<std::uint8_t>(value == std::numeric_limits<std::uint64_t>::max() ? 64 : std::bit_width(value));
}

SourceId source_id(const keyring::DomainKeys& keys, std::string_view name) {
  const crypto::Key key = crypto::derive(keys.domain, "source");
  SourceId id;
  const Digest digest = crypto::keyed_digest(key, as_bytes(name));
  std::memcpy(id.bytes.data(), digest.bytes.data(), id.bytes.size());
  return id;
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

/// Feeds what the walk finds into the pipeline. One thread.
class Feeder final : public sources::Visitor {
 public:
  Feeder(const BackupOptions& options, const Clock& clock, ContentFeed& feed, EntryStage& stage,
         std::optional<state::StateReader>& state, NotedFiles& noted, BackupReport& report)
      : options_(options), clock_(clock), feed_(feed), stage_(stage), state_(state), noted_(noted), report_(report) {}

  Status found(sources::Found found) override {
    const Status taken = take(std::move(found));
    broke_ |= !taken;
    return taken;
  }

  /// The one entry of a command's source. Errors: of the source, unless `broke`.
  Status stream(const sources::CommandOptions& command) {
    backup::Progress* progress = options_.progress;
    HF_TRY(const OpenStream open,
           open_stream(command, clock_, options_.stop, progress == nullptr ? nullptr : &progress->bytes));
    QueuedEntry queued;
    queued.remembered.entry = open.entry;
    Reading reading{open.entry.path, 0, chunking::Class::Stream, {}, nullptr};
    if (state_) {
      const std::optional<state::Remembered> known = state_->find(open.entry.source, open.entry.path);
      if (known && known->entry.kind == EntryKind::Stream) reading.previous = known->list;
    }
    HF_TRY(Content content, feed_.read(*open.content, reading, options_.stop));
    ++report_.streams;
    report_.bytes += content.bytes;
    report_.read_bytes += content.data_bytes;
    report_.matched_bytes += content.known_bytes;
    if (progress != nullptr) progress->new_bytes += content.bytes;
    put(std::move(content), queued);
    const Status added = add(std::move(queued));
    broke_ |= !added;
    return added;
  }

  /// The last error was not a source's: the run cannot go on.
  bool broke() const { return broke_ || feed_.pipeline_failed(); }

  void problem(sources::Problem problem) override {
    ++report_.problems;
    if (options_.on_problem) options_.on_problem(problem);
  }
  void skipped(sources::Skipped skipped) override {
    if (options_.on_skipped) options_.on_skipped(skipped);
  }

 private:
  Status take(sources::Found found) {
    if (options_.stop != nullptr && *options_.stop) return Error{Errc::Canceled, "stopped by a signal"};
    QueuedEntry queued;
    queued.remembered.entry = std::move(found.entry);
    queued.remembered.stat = found.stat;
    if (queued.remembered.entry.kind == EntryKind::File) {
      HF_TRY(const bool keep, fill(queued, found));
      if (!keep) return {};
    }
    return add(std::move(queued));
  }

  Status add(QueuedEntry queued) {
    ++report_.entries;
    if (options_.progress != nullptr) ++options_.progress->entries;
    const std::size_t cost = cost_of(queued.rest);
    HF_TRY_DO(stage_.add(std::move(queued)));
    return feed_.note_entry(cost);
  }

  /// false: the file is left out (and named).
  Result<bool> fill(QueuedEntry& queued, const sources::Found& found) {
    const Entry& entry = queued.remembered.entry;
    Reading reading{entry.path, found.stat.size, std::nullopt, std::nullopt,
                    options_.progress == nullptr ? nullptr : &options_.progress->bytes};
    if (recall(queued, reading)) {
      count(entry.size, true);
      return true;
    }
    HF_TRY(const bool noted, take_noted(queued));
    if (noted) {
      count(entry.size, true);
      return true;
    }
    for (int attempt = 1;; ++attempt) {
      const std::int64_t opened_ns = to_ns(clock_.wall());
      Result<Content> content = read(found, reading);
      if (!content) {
        if (feed_.pipeline_failed() || content.error().code == Errc::Canceled) return content.error();
        problem({entry.path, std::move(content).error()});
        return false;
      }
      if (content->changed_while_read && content->only_grew) {
        // A log: what was read is the file as it stood at some moment. Reading it again would find it longer again.
        content->changed_while_read = false;
        queued.remembered.stat = {};
      }
      if (content->changed_while_read && attempt < kReadTries) {
        if (reading.progress != nullptr) *reading.progress -= content->bytes;
        continue;
      }
      take(queued, std::move(*content), opened_ns);
      return true;
    }
  }

  Result<Content> read(const sources::Found& found, const Reading& reading) {
    HF_TRY(const std::unique_ptr<sources::FileContent> file, found.open());
    return feed_.read(*file, reading, options_.stop);
  }

  void take(QueuedEntry& queued, Content content, std::int64_t opened_ns) {
    state::Remembered& remembered = queued.remembered;
    remembered.entry.changed_while_read = content.changed_while_read;
    const std::int64_t youngest = std::max(remembered.stat.mtime_ns, remembered.stat.ctime_ns);
    const bool proven =
        !content.changed_while_read && remembered.stat.size == content.bytes && youngest < opened_ns - kClockGrainNs;
    if (!proven) remembered.stat = {};  // no file has it: next time it is read, beside its chunks of today
    report_.read_bytes += content.data_bytes;
    report_.matched_bytes += content.known_bytes;
    count(content.bytes, false);
    if (content.changed_while_read) {
      problem({remembered.entry.path,
               Error{Errc::SourceFailed, "changed while it was being read, " + std::to_string(kReadTries) +
                                             " times: stored as read, and marked"}});
    }
    put(std::move(content), queued);
  }

  static void put(Content content, QueuedEntry& queued) {
    queued.remembered.entry.size = content.bytes;
    queued.remembered.entry.chunk_class = content.chunk_class;
    queued.remembered.entry.content_digest = content.digest;
    queued.parted = content.parted;
    queued.rest = std::move(content.rest);
  }

  /// Unchanged since the base snapshot by its stat identity: its content is named again, not read. Otherwise `reading`
  /// learns what its previous version was made of.
  bool recall(QueuedEntry& queued, Reading& reading) {
    if (!state_) return false;
    manifest::Entry& entry = queued.remembered.entry;
    std::optional<state::Remembered> known = state_->find(entry.source, entry.path);
    if (!known || known->entry.kind != EntryKind::File) return false;
    reading.previous = known->list;
    if (known->stat != queued.remembered.stat || uses_retired_blob(*known)) return false;
    entry.extents = std::move(known->entry.extents);
    entry.content_digest = known->entry.content_digest;
    entry.chunk_class = known->entry.chunk_class;
    entry.size = known->entry.size;
    queued.remembered.spill = known->spill;
    queued.remembered.list = known->list;
    queued.remembered.uses = std::move(known->uses);
    queued.remembered.segments = std::move(known->segments);
    queued.recalled = true;
    return true;
  }

  /// Read by a run that was killed, unchanged since, and all there.
  Result<bool> take_noted(QueuedEntry& queued) {
    const Entry& entry = queued.remembered.entry;
    HF_TRY(std::optional<Content> noted, noted_.find(entry.source, entry.path, queued.remembered.stat));
    if (!noted) return false;
    put(*std::move(noted), queued);
    return true;
  }

  /// Such a file is read once more, though it has not changed: its bytes go into new blobs.
  bool uses_retired_blob(const state::Remembered& known) const {
    const dedup::Usage& usage = state_->usage();
    const auto retired = [&](const auto& extent) { return !extent.is_hole() && usage.is_retired(extent.blob); };
    return std::any_of(known.entry.extents.begin(), known.entry.extents.end(), retired) ||
           std::any_of(known.uses.begin(), known.uses.end(),
                       [&](const auto& use) { return usage.is_retired(use.first); });
  }

  void count(std::uint64_t bytes, bool known) {
    ++report_.files;
    report_.bytes += bytes;
    if (known) report_.known_bytes += bytes;
    if (options_.progress == nullptr) return;
    ++options_.progress->files;
    if (known) options_.progress->bytes += bytes;  // what is read counts while it is read
    (known ? options_.progress->known_bytes : options_.progress->new_bytes) += bytes;
  }

  const BackupOptions& options_;
  const Clock& clock_;
  ContentFeed& feed_;
  EntryStage& stage_;
  std::optional<state::StateReader>& state_;
  NotedFiles& noted_;
  BackupReport& report_;
  bool broke_ = false;
};

/// What became of a source.
struct SourceOutcome {
  std::string name;
  std::string_view kind;
  snapshot::SourceResult result;
};

/// One run; its members are what the steps share.
class Run {
 public:
  Run(remote::Remote& remote, const keyring::Keyring& keyring, fs::FileSystem& fs, const Clock& clock, Random& random,
      const BackupOptions& options)
      : remote_(remote),
        keyring_(keyring),
        fs_(fs),
        clock_(clock),
        random_(random),
        options_(options),
        keys_(keyring.domain_key->clone()) {}

  Result<BackupReport> execute() {
    open_state();
    HF_TRY(const RunSecrets secrets, begin_run(keyring_, clock_, random_));
    HF_TRY(opened_, remote_.open_session(secrets.run_record, secrets.slot, base_, std::nullopt));
    HF_TRY_DO(check_server(opened_, keyring_, fs_, options_.state_dir));
    if (!base_.is_zero() && !opened_.base_known) {
      state_.reset();
      base_ = {};
      report_.state_lost = true;
      report_.state_note = "the server does not have the snapshot that the local state belongs to";
    }
    const sealing::Sealer sealer({keyring_.tenant, keyring_.domain, keyring_.domain_epoch}, secrets.run, secrets.key,
                                 random_, options_.zstd_level);
    HF_TRY(manifest::ManifestWriter::Finished tree, upload(secrets, sealer));
    if (options_.progress != nullptr) options_.progress->committing = true;
    HF_TRY_DO(commit(secrets, tree));
    report_.wire_sent = remote_.bytes_sent();
    report_.wire_received = remote_.bytes_received();
    return report_;
  }

 private:
  std::string state_path() const { return fs::join(options_.state_dir, "state"); }
  std::string segments_path() const { return fs::join(options_.state_dir, "segments"); }
  state::Binding binding() const { return {keyring_.client, keyring_.domain, keyring_.domain_epoch}; }

  void open_state() {
    std::optional<state::StateReader> opened =
        state::StateReader::open(fs_, state_path(), keys_.state, binding(), &report_.state_note);
    if (!opened) return;
    list_files_ = opened->list_files();
    if (options_.full) {
      report_.state_note = "--full was given";
      return;
    }
    state_.emplace(std::move(*opened));
    base_ = state_->base();
    segments_ = KnownSegments::load(fs_, segments_path(), keys_.state, keyring_.client, base_);
  }

  Result<manifest::ManifestWriter::Finished> upload(const RunSecrets& secrets, const sealing::Sealer& sealer) {
    const sealing::Space space{keyring_.tenant, keyring_.domain, keyring_.domain_epoch};
    BlobPipeline pipeline(remote_, opened_.session, space, secrets.run, keys_.blob, sealer, options_.seal_threads);
    manifest::ManifestWriter writer(keys_.blob, [&](const std::vector<manifest::Segment>& segments) {
      return place_segments(segments, secrets.run, pipeline);
    });
    HF_TRY(state::StateWriter next,
           state::StateWriter::create(fs_, state_path(), keys_.state, binding(), list_files_, state_.has_value()));
    next_state_.emplace(std::move(next));
    std::optional<state::ListReader> known_lists, copied_lists;  // two: one for each thread
    std::optional<dedup::Matcher> matcher;
    if (state_) {
      known_lists.emplace(fs_, state_path(), keys_.state, binding(), list_files_);
      copied_lists.emplace(fs_, state_path(), keys_.state, binding(), list_files_);
      matcher.emplace(*known_lists, [&](const blob::BlobRef& ref) { return !state_->usage().is_retired(ref); });
    }
    state::Checkpoints left(fs_, state_path(), keys_.state, binding());
    NotedFiles noted(options_.full ? nullptr : &left, state_ ? &state_->usage() : nullptr,
                     [this](const std::vector<BlobId>& ids) { return promised(ids); });
    forgot_segments_ = segments_.empty() && opened_.next_sequence > 1;
    vain_questions_ = left.empty() ? kMaxVainQuestions : 0;
    notes_.emplace(fs_, state_path(), keys_.state, binding(), clock_);
    const chunking::Chunkers chunkers(chunking::make_gear_table(keys_.cut));
    EntryStage stage({[&](std::uint64_t group) { return pipeline.resolve(group); },
                      [&](const BlobId& segment) { carry_segment(segment); }, writer, *next_state_,
                      copied_lists ? &*copied_lists : nullptr, state_ ? &state_->usage() : nullptr, usage_,
                      options_.rewrite, &*notes_});
    ContentFeed feed(pipeline, {keys_.fingerprint, keys_.image}, chunkers, matcher ? &*matcher : nullptr,
                     [&](Part part) { return stage.add(std::move(part)); });
    Feeder feeder(options_, clock_, feed, stage, state_, noted, report_);

    Status walked = take_sources(feeder);
    if (walked) walked = feed.close_group();
    if (!walked) {
      end_early(walked.error(), feed, pipeline, stage);
      return std::move(walked).error();
    }
    HF_TRY_DO(stage.finish());
    HF_TRY_DO(pipeline.drain());
    HF_TRY(const manifest::ManifestWriter::Finished tree, writer.finish());
    const PipelineStats stats = pipeline.stats();
    report_.blobs_sent = stats.blobs_sent;
    report_.blobs_known = stats.blobs_known;
    report_.raw_bytes_sent = stats.raw_bytes_sent;
    report_.sealed_bytes_sent = stats.sealed_bytes_sent;
    return tree;
  }

  /// Where the server has them, for this session: it keeps them until the session ends.
  Result<std::vector<std::optional<RunId>>> promised(const std::vector<BlobId>& ids) {
    HF_TRY(const auto known, remote_.have(opened_.session, keyring_.domain_epoch, ids));
    std::vector<std::optional<RunId>> out;
    for (const std::optional<remote::Known>& one : known) out.push_back(one ? std::optional(one->run) : std::nullopt);
    return out;
  }

  /// All of them, in the order of their names, which is the manifest's.
  Status take_sources(Feeder& feeder) {
    std::map<std::string, const sources::CommandOptions*> by_name;  // null: the files
    for (const sources::CommandOptions& one : options_.commands) by_name.emplace(one.name, &one);
    if (!options_.files.roots.empty() || options_.commands.empty()) by_name.emplace(options_.files.source, nullptr);
    std::optional<Error> first_failure;
    sources::FilesOptions files = options_.files;
    files.read_ahead = !state_;  // nothing is known: everything will be read
    for (const auto& [name, command] : by_name) {
      Status taken = command == nullptr ? sources::walk(files, feeder) : feeder.stream(*command);
      if (!taken && (feeder.broke() || taken.error().code == Errc::Canceled)) return taken;
      snapshot::SourceResult result = snapshot::SourceResult::Complete;
      if (command == nullptr && report_.problems > 0) result = snapshot::SourceResult::Warnings;
      if (!taken) {
        result = snapshot::SourceResult::Failed;
        report_.failed_sources.push_back(name);
        if (by_name.size() > 1 && options_.on_source_failed) options_.on_source_failed(name, taken.error());
        if (!first_failure) first_failure = std::move(taken).error();
      }
      outcomes_.push_back({name, command == nullptr ? snapshot::kFilesKind : snapshot::kCommandKind, result});
    }
    if (report_.failed_sources.size() < by_name.size()) return {};
    return by_name.size() == 1 ? *first_failure
                               : std::move(*first_failure).with_context("every source failed, so there is no snapshot");
  }

  /// Names those again that the server has; stores the others.
  Result<std::vector<blob::BlobRef>> place_segments(const std::vector<manifest::Segment>& segments, const RunId& run,
                                                    BlobPipeline& pipeline) {
    HF_TRY_DO(ask_for_segments(segments));
    std::vector<blob::BlobRef> refs;
    for (const manifest::Segment& one : segments) {
      KnownSegments::Known where;
      if (const KnownSegments::Known* const known = segments_.find(one.id)) {
        where = *known;
      } else {
        HF_TRY(const Digest digest, pipeline.store_segment(one));
        where = {run, digest};
      }
      next_segments_.add(one.id, where);
      refs.push_back({one.id, where.run});
    }
    return refs;
  }

  /// Not in the usual run, which knows its base snapshot's. One round trip for all of them when the client has forgotten
  /// those, in a run that reads everything anyway; or after a run that was killed, as long as that brings anything.
  Status ask_for_segments(const std::vector<manifest::Segment>& segments) {
    if (!forgot_segments_ && vain_questions_ >= kMaxVainQuestions) return {};
    std::vector<BlobId> ids;
    for (const manifest::Segment& one : segments) {
      if (segments_.find(one.id) == nullptr) ids.push_back(one.id);
    }
    if (ids.empty()) return {};
    HF_TRY(const auto answers, remote_.have(opened_.session, keyring_.domain_epoch, ids));
    ++vain_questions_;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (!answers[i]) continue;
      segments_.add(ids[i], {answers[i]->run, answers[i]->record_digest});
      vain_questions_ = 0;
    }
    return {};
  }

  /// An extent list that has not changed is not written, yet its segments stay known.
  void carry_segment(const BlobId& id) {
    if (const KnownSegments::Known* known = segments_.find(id)) next_segments_.add(id, *known);
  }

  /// Notes what stands. After a signal what is under way is finished and acknowledged before that, so that the next run
  /// need not send it again.
  void end_early(const Error& why, ContentFeed& feed, BlobPipeline& pipeline, EntryStage& stage) {
    const bool stopped = why.code == Errc::Canceled;
    const bool all_stands = stopped && feed.close_group() && pipeline.drain() && stage.finish();
    pipeline.abandon(why);  // entries may wait for a group that stays open
    if (!all_stands) (void)stage.finish();
    if (stopped) (void)remote_.flush(opened_.session);
  }

  Status commit(const RunSecrets& secrets, const manifest::ManifestWriter::Finished& tree) {
    HF_TRY_DO(remote_.flush(opened_.session));
    snapshot::Core core;
    core.tenant = keyring_.tenant;
    core.domain = keyring_.domain;
    core.epoch = keyring_.domain_epoch;
    core.client = keyring_.client;
    core.sequence = opened_.next_sequence;
    core.previous = opened_.previous;
    core.root = {tree.root.run, tree.root.blob, next_segments_.find(tree.root.blob)->record_digest};
    core.run = secrets.run;
    core.base = base_;
    for (const SourceOutcome& one : outcomes_) core.sources.push_back({source_id(keys_, one.name), one.result});
    std::sort(core.sources.begin(), core.sources.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    core.entries_class = size_class(report_.entries);
    core.bytes_class = size_class(report_.bytes);
    core.time_ns = to_ns(clock_.wall());
    core.state_lost = report_.state_lost;
    core.certificate = keyring_.certificate;
    core.sealed = seal_private_part(secrets, core);
    const Bytes signed_core = snapshot::encode_signed(core, *keyring_.signing);
    HF_TRY(const Bytes receipt_bytes, remote_.commit(opened_.session, signed_core));
    HF_TRY(const snapshot::Receipt receipt, check_receipt(receipt_bytes, keyring_, core, signed_core, opened_));
    report_.snapshot = receipt.snapshot;
    report_.sequence = receipt.sequence;
    report_.lock_not_before_ns = receipt.lock_not_before_ns;
    report_.plan = receipt.plan;
    return remember(receipt_bytes, receipt.server_ns);
  }

  Bytes seal_private_part(const RunSecrets& secrets, const snapshot::Core& core) {
    snapshot::SealedPart part;
    part.host = host_name();
    for (const SourceOutcome& one : outcomes_)
      part.sources.push_back({source_id(keys_, one.name), one.name, std::string(one.kind)});
    part.domain_keys.push_back({keyring_.domain, keyring_.domain_epoch, to_bytes(keys_.domain.span())});
    part.entries = report_.entries;
    part.bytes = report_.bytes;
    part.files = report_.files;
    part.new_bytes = report_.raw_bytes_sent;
    part.stored_bytes = report_.sealed_bytes_sent;
    part.warnings = report_.problems;
    Bytes plain = snapshot::encode(part);
    Bytes sealed = sealing::seal_part(secrets.key, snapshot::sealed_part_context(core), plain, random_);
    crypto::wipe(plain);
    crypto::wipe(part.domain_keys[0].key);
    return sealed;
  }

  /// The snapshot stands. The receipt first: the state that follows it may be lost, never the other way round.
  Status remember(ByteSpan receipt, std::int64_t committed_ns) {
    HF_TRY_DO(state::write_receipt(fs_, fs::join(options_.state_dir, "receipt"), receipt));
    HF_TRY_DO(next_segments_.save(fs_, segments_path(), keys_.state, keyring_.client, report_.snapshot));
    usage_.commit(committed_ns);
    dedup::plan_rewrites(usage_, options_.rewrite, committed_ns);
    HF_TRY_DO(next_state_->finish(report_.snapshot, usage_));
    notes_.reset();
    state::Checkpoints::remove_all(fs_, state_path());
    return {};
  }

  remote::Remote& remote_;
  const keyring::Keyring& keyring_;
  fs::FileSystem& fs_;
  const Clock& clock_;
  Random& random_;
  const BackupOptions& options_;
  keyring::DomainKeys keys_;
  BackupReport report_;
  std::vector<SourceOutcome> outcomes_;
  std::optional<state::StateReader> state_;
  std::optional<state::StateWriter> next_state_;
  std::optional<state::CheckpointWriter> notes_;  // for the next run, should this one be killed
  std::vector<state::ListFile> list_files_;       // of the state on disk, used or not
  dedup::Usage usage_;                            // of the snapshot being made
  KnownSegments segments_, next_segments_;
  bool forgot_segments_ = false;
  std::size_t vain_questions_ = kMaxVainQuestions;  // one after the other
  SnapshotId base_;
  remote::Opened opened_;
};

/// One run at a time. With `wait` until the other run has ended or a signal comes.
Result<std::unique_ptr<fs::Lock>> take_run_lock(fs::FileSystem& fs, const BackupOptions& options) {
  // The directory may have been lost with all it remembered; the run reads everything and makes it anew.
  HF_TRY_DO(fs::make_directories(fs, options.state_dir, 0700).context("back up: make the state directory"));
  const std::string path = fs::join(options.state_dir, "lock");
  for (;;) {
    Result<std::unique_ptr<fs::Lock>> lock = fs.lock(path);
    if (lock || lock.error().code != Errc::Locked || !options.wait) {
      if (!lock && lock.error().code == Errc::Locked)
        return std::move(lock).context("back up: another run is under way (--wait waits for its end)");
      return std::move(lock).context("back up: take the lock");
    }
    if (options.stop != nullptr && *options.stop) return Error{Errc::Canceled, "stopped by a signal"};
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

}  // namespace

Status check_sources(const BackupOptions& options) {
  std::vector<std::string> names;
  for (const sources::CommandOptions& one : options.commands) {
    HF_TRY_DO(sources::check_stream_name(one.name).context("back up"));
    if (one.command.empty())  // a variable that was not set; the shell would call it a success
      return Error{Errc::Usage, "back up: the command of '" + printable(one.name) + "' is empty"};
    names.push_back(one.name);
  }
  if (!options.files.roots.empty()) names.push_back(options.files.source);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end())
    return Error{Errc::Usage, "back up: two sources have the name '" + printable(*twice) + "'; each needs its own"};
  if (names.size() > snapshot::kMaxSources) {
    return Error{Errc::Usage, "back up: " + std::to_string(names.size()) +
                                  " sources are more than one snapshot holds (" +
                                  std::to_string(snapshot::kMaxSources) + ")"};
  }
  return {};
}

Result<BackupReport> run_backup(remote::Remote& remote, const keyring::Keyring& keyring, fs::FileSystem& fs,
                                const Clock& clock, Random& random, const BackupOptions& options) {
  if (!keyring.signing || !keyring.domain_key) {
    return Error{Errc::Config,
                 "back up: this keyring belongs to an operator, not to a client; enrol this machine as a client"};
  }
  HF_TRY_DO(check_sources(options));
  HF_TRY(const std::unique_ptr<fs::Lock> lock, take_run_lock(fs, options));
  Result<BackupReport> done = Run(remote, keyring, fs, clock, random, options).execute();
  if (done || done.error().code != Errc::Missing || options.full) return done;
  // Something that the base snapshot refers to is damaged or gone at the server. A run that takes nothing for granted
  // finds out what, and sends it again.
  BackupOptions everything = options;
  everything.full = true;
  HF_TRY(done, Run(remote, keyring, fs, clock, random, everything).execute());
  done->state_note = "the server has lost some of what the last snapshot refers to; it was sent again";
  return done;
}

}  // namespace holdfast::backup
