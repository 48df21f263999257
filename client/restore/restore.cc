#include "client/restore/restore.h"

#include <fcntl.h>

#include <memory>

#include "client/restore/content_engine.h"
#include "client/restore/preflight.h"
#include "client/restore/remove_extras.h"
#include "client/restore/snapshot_reading.h"
#include "client/restore/strip.h"

namespace holdfast::restore {
namespace {

using manifest::Entry;
using manifest::EntryKind;

/// What was asked, in one number: a plan that was made for something else is not gone on with.
Digest binding_of(const SnapshotReading& reading, const RestoreOptions& options) {
  ByteWriter out;
  out.id(reading.snapshot().verified.id).u32(reading.core().epoch);
  out.u8(static_cast<std::uint8_t>(options.target.overwrite)).u8(options.target.set_owner ? 1 : 0);
  out.u8(options.remove_extras ? 1 : 0).sized(options.strip);
  for (const std::string& path : reading.paths()) out.sized(path);
  return crypto::digest(out.span());
}

/// Of this start of the machine. Empty: not known, or no machine that says so.
std::string boot_id() {
  const Descriptor file(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  char text[36];
  const ssize_t n = file ? ::read(file.get(), text, sizeof text) : -1;
  return n == sizeof text ? std::string(text, sizeof text) : std::string();
}

/// What is done stays: says so.
Error going_on(Error error) {
  const Errc code = error.code;
  const bool may_go_on =
      code == Errc::Unreachable || code == Errc::Timeout || code == Errc::DiskFull || code == Errc::Canceled;
  if (may_go_on) error.message += "; what is restored stays, and the same command goes on from there";
  return error;
}

/// One restore: plans it, or finds its plan, and carries it out.
class Restoring {
 public:
  Restoring(SnapshotReading& reading, const RestoreOptions& options, TreeWriter& tree, PlanDirectory& directory)
      : reading_(reading),
        options_(options),
        tree_(tree),
        directory_(directory),
        strip_(options.strip),
        key_(crypto::derive(reading.keys().domain, "restore-plan")),
        binding_(binding_of(reading, options)) {}

  /// Errors: those of the snapshot's manifest, then nothing is left behind; DiskFull, Canceled.
  Status find_or_make_plan() {
    plan_ = Plan::load(directory_, "", key_, binding_);
    resumed_ = plan_.has_value();
    if (resumed_) {
      tree_.resume({plan_->facts().tag, plan_->facts().began, plan_->facts().root_is_ours});
      return plan_->facts().damages == 0 ? Status{} : name_damages();
    }
    directory_.clear();
    Result<Plan> made = make_plan();
    if (!made) return abandon(std::move(made).error());
    plan_ = *std::move(made);
    return {};
  }

  /// What is there already, and is there room for the rest? Errors: DiskFull, Denied, Canceled; then nothing is left behind,
  /// unless a run before had begun.
  Status prepare() {
    if (options_.progress != nullptr) options_.progress->total_entries = plan_->facts().entries;
    const std::string boot = boot_id();
    EngineOptions how{options_.threads, options_.stop};
    how.is_resumed = resumed_;
    how.reuses = options_.target.overwrite == Overwrite::Changed;
    how.trusts_files = !boot.empty() && boot == plan_->facts().boot;
    engine_ = make_engine(*plan_, how);
    Status prepared = engine_->survey();
    if (prepared && !resumed_) prepared = check_room();
    if (prepared) return {};
    return resumed_ ? going_on(std::move(prepared).error()) : abandon(std::move(prepared).error());
  }

  Status run() {
    const PlanFacts& facts = plan_->facts();
    const Reused& reused = engine_->reused();
    if (options_.progress != nullptr) options_.progress->total_bytes = facts.data_bytes - reused.bytes;
    reading_.report.streams_skipped = facts.streams_skipped;
    reading_.report.files_right = reused.files;
    reading_.report.bytes_not_fetched = reused.bytes;
    HF_TRY_DO(carry_out(*plan_, *engine_));
    if (!unlinked_.empty()) HF_TRY_DO(give_content_to_links());
    reading_.report.removal_skipped = options_.remove_extras && reading_.report.failed > 0;
    if (options_.remove_extras && reading_.report.failed == 0)
      HF_TRY_DO(remove_extras(reading_, options_, tree_.root()));
    HF_TRY_DO(tree_.finish());
    TargetReport& target = reading_.report.target = tree_.report();
    reading_.report.resumed = resumed_;
    if (resumed_) {
      target.left_in_place += facts.left_in_place;
      target.unchanged += facts.unchanged;
    }
    return {};
  }

 private:
  Error abandon(Error why) {
    directory_.remove();
    tree_.abandon();
    return why;
  }

  /// The plan that is gone on with lacks what could not be read when it was made.
  Status name_damages() {
    HF_TRY(const std::uint64_t named, reading_.visit_readable([](const Entry&) { return Status{}; }));
    if (named < plan_->facts().damages)
      reading_.fail("/", Error{Errc::Corrupt,
                               "parts of the manifest could not be read when this restore began, and can be now: "
                               "restore once more with --overwrite changed"});
    return {};
  }

  Result<Plan> make_plan() {
    HF_TRY(const std::unique_ptr<PlanBuilder> builder, PlanBuilder::begin(directory_, ""));
    PlanFacts facts;
    HF_TRY(facts.damages, reading_.visit_readable([&](Entry entry) -> Status {
      if (entry.kind == EntryKind::Stream) {
        ++facts.streams_skipped;
        return {};
      }
      if (entry.kind == EntryKind::Hardlink) {
        Status resolved = resolve(entry);
        if (!resolved) return reading_.fail_or_end(entry.path, std::move(resolved));
      }
      HF_TRY(const bool has_place, strip_.apply(entry));
      if (!has_place) return {};
      if (entry.kind == EntryKind::File && options_.target.overwrite == Overwrite::Never) {
        const Result<bool> wanted = tree_.wants(entry);
        if (wanted && !*wanted) return {};  // left in place, counted by the tree; an error comes again, and is named
      }
      if (options_.on_entry) options_.on_entry(entry);
      return builder->add(std::move(entry));
    }));
    const TreeIdentity identity = tree_.identity();
    facts.tag = identity.tag;
    facts.began = identity.began;
    facts.root_is_ours = identity.root_is_ours;
    facts.boot = boot_id();
    facts.left_in_place = tree_.report().left_in_place;
    facts.unchanged = tree_.report().unchanged;
    return builder->finish(std::move(facts), key_, binding_);
  }

  /// Files that are right need none.
  Status check_room() {
    Preflight preflight(tree_, options_.target.target);
    HF_TRY_DO(plan_->each_entry([&](const PlannedEntry& planned) -> Status {
      std::optional<std::uint64_t> bytes;
      if (planned.entry.kind == EntryKind::File) {
        HF_TRY(const bool is_to_write, engine_->is_to_write(planned));
        if (is_to_write) {
          HF_TRY(bytes, plan_->data_bytes(planned));
        }
      }
      return preflight.add(planned.entry, bytes);
    }));
    return preflight.check();
  }

  /// The first link may not be among what was asked for: then this one takes its place, content and all.
  Status resolve(Entry& entry) {
    const std::string first = entry.link_target;
    if (const auto moved = stands_in_.find(first); moved != stands_in_.end()) {
      entry.link_target = moved->second;
      return {};
    }
    return reading_.is_asked_for(first) ? Status{} : take_place_of(first, entry);
  }

  Status take_place_of(const std::string& first, Entry& entry) {
    HF_TRY(std::optional<Entry> content, reading_.lookup(first));
    if (!content || content->kind == EntryKind::Hardlink) return {};  // making the link names what is missing
    content->path = entry.path;
    stands_in_[first] = entry.path;
    entry = *std::move(content);
    return {};
  }

  std::unique_ptr<ContentEngine> make_engine(Plan& plan, const EngineOptions& how) {
    FileJobs::Callbacks callbacks;
    callbacks.done = [this](const Entry& entry) { reading_.count(entry); };
    callbacks.failed = [this](const std::string& path, const Error& error) {
      reading_.fail(strip_.whole(path), error);
    };
    callbacks.wrote = [this](std::uint64_t bytes) { reading_.count_bytes(bytes); };
    callbacks.step = options_.between_steps;
    return std::make_unique<ContentEngine>(reading_.archive(), reading_.core(), directory_, plan, tree_,
                                           reading_.content_keys(), how, std::move(callbacks));
  }

  /// Links come last: what they link to must stand.
  Status carry_out(Plan& plan, ContentEngine& engine) {
    bool has_links = false;
    HF_TRY_DO(plan.each_entry([&](const PlannedEntry& planned) -> Status {
      if (planned.entry.kind == EntryKind::File) return {};
      if (planned.entry.kind != EntryKind::Hardlink) return made(planned.entry, tree_.make(planned.entry));
      has_links = true;
      return {};
    }));
    HF_TRY_DO(engine.run());
    reading_.report.blobs_fetched += engine.blobs_fetched();
    if (!has_links) return {};
    return plan.each_entry([&](const PlannedEntry& planned) {
      return planned.entry.kind == EntryKind::Hardlink ? link(planned) : Status{};
    });
  }

  Status link(const PlannedEntry& planned) {
    Status linked = tree_.make(planned.entry);
    const bool may_be_file = !linked && linked.error().code == Errc::NotFound && !is_second_;
    if (!may_be_file) return made(planned.entry, std::move(linked));
    unlinked_.push_back(planned.number);
    return {};
  }

  /// Links whose first link was left in place, is damaged, or may have no other name: the first of them gets the content.
  Status give_content_to_links() {
    HF_TRY(const std::unique_ptr<PlanBuilder> builder, PlanBuilder::begin(directory_, "links-"));
    for (const std::uint64_t number : unlinked_) {
      HF_TRY(PlannedEntry planned, plan_->entry(number));
      Entry& entry = planned.entry;
      entry.path = strip_.whole(entry.path);
      entry.link_target = strip_.whole(entry.link_target);
      const std::string first = entry.link_target;
      const auto moved = stands_in_.find(first);
      if (moved != stands_in_.end() && moved->second != entry.path)
        entry.link_target = moved->second;
      else if (Status taken = take_place_of(first, entry); !taken) {
        HF_TRY_DO(reading_.fail_or_end(entry.path, std::move(taken)));
        continue;
      }
      if (entry.kind == EntryKind::Hardlink && entry.link_target == first) {
        reading_.fail(entry.path, Error{Errc::Corrupt, "it is a hard link to '" + printable(first) +
                                                           "', which the snapshot does not hold"});
        continue;
      }
      HF_TRY(const bool has_place, strip_.apply(entry));
      if (has_place) HF_TRY_DO(builder->add(std::move(entry)));
    }
    is_second_ = true;
    PlanFacts facts;
    HF_TRY(Plan second, builder->finish(std::move(facts), key_, binding_));
    return carry_out(second, *make_engine(second, {options_.threads, options_.stop}));
  }

  Status made(const Entry& entry, Status status) {
    if (status) {
      reading_.count(entry);
      return {};
    }
    if (status.error().code == Errc::DiskFull) return status;
    reading_.fail(strip_.whole(entry.path), status.error());
    return {};
  }

  SnapshotReading& reading_;
  const RestoreOptions& options_;
  TreeWriter& tree_;
  PlanDirectory& directory_;
  const Strip strip_;
  const crypto::Key key_;
  const Digest binding_;
  bool resumed_ = false, is_second_ = false;
  std::map<std::string, std::string> stands_in_;
  std::vector<std::uint64_t> unlinked_;
  std::optional<Plan> plan_;
  std::unique_ptr<ContentEngine> engine_;  ///< on plan_
};

Status only_look(SnapshotReading& reading, const RestoreOptions& options) {
  const Strip strip(options.strip);
  const Result<std::uint64_t> visited = reading.visit_readable([&](const Entry& entry) -> Status {
    if (entry.kind == EntryKind::Stream) {
      ++reading.report.streams_skipped;
      return {};
    }
    HF_TRY(const std::optional<std::string> place, strip.place_of(entry));
    if (!place) return {};
    if (options.on_entry) options.on_entry(entry);
    reading.count(entry);
    return {};
  });
  HF_TRY_DO(visited);
  return {};
}

}  // namespace

Result<RestoreReport> run_restore(Archive& archive, const SnapshotInfo& snapshot, const RestoreOptions& options) {
  HF_TRY_DO(check_removal(snapshot, options));
  HF_TRY(const std::unique_ptr<SnapshotReading> reading,
         SnapshotReading::open(archive, snapshot, options.paths, {options.stop, options.progress, options.on_failure}));
  HF_TRY_DO(Strip(options.strip).check(reading->paths()));
  if (options.dry_run) {
    HF_TRY_DO(only_look(*reading, options));
    if (options.remove_extras && reading->report.failed == 0) HF_TRY_DO(name_extras(*reading, options));
    return reading->report;
  }
  HF_TRY(const std::unique_ptr<TreeWriter> tree, TreeWriter::open(options.target));
  HF_TRY(PlanDirectory directory, PlanDirectory::open(tree->root()));
  Restoring restoring(*reading, options, *tree, directory);
  HF_TRY_DO(restoring.find_or_make_plan());
  HF_TRY_DO(restoring.prepare());
  Status done = restoring.run();
  if (!done) return going_on(std::move(done).error());
  directory.remove();
  return reading->report;
}

}  // namespace holdfast::restore
