#include "client/restore/content_engine.h"

namespace holdfast::restore {
namespace {

constexpr std::size_t kSliceBlobs =
    1024;  ///< named to the connection at a time, which asks for a few of them at a time

}  // namespace

ContentEngine::ContentEngine(Archive& archive, const snapshot::Core& core, const PlanDirectory& directory, Plan& plan,
                             TreeWriter& tree, ContentKeys keys, EngineOptions options, FileJobs::Callbacks callbacks)
    : archive_(archive),
      core_(core),
      plan_(plan),
      tree_(tree),
      keys_(keys),
      options_(options),
      jobs_(plan, tree, keys, std::move(callbacks)),
      reuse_(directory, plan, tree, keys) {}

Status ContentEngine::run() {
  if (reuse_.has_work()) HF_TRY_DO(take_over());
  if (options_.is_resumed) HF_TRY_DO(recount());
  HF_TRY_DO(complete_ready());
  HF_TRY_DO(fetch_all());
  HF_TRY(const std::uint64_t anew, jobs_.begin_again());
  if (anew == 0) return {};
  HF_TRY_DO(recount());
  HF_TRY_DO(complete_ready());
  return fetch_all();
}

Status ContentEngine::survey() {
  if (!options_.is_resumed && !options_.reuses) return {};
  return plan_.each_entry([&](const PlannedEntry& planned) -> Status {
    HF_TRY_DO(check_stop());
    return planned.entry.kind == manifest::EntryKind::File ? survey(planned) : Status{};
  });
}

/// Has a run before this one completed it, or was it right before? A file that was begun was not.
Status ContentEngine::survey(const PlannedEntry& planned) {
  if (options_.is_resumed) {
    HF_TRY(const bool is_done, stands(planned));
    if (is_done) jobs_.set_done(planned);
    HF_TRY(const FileState state, plan_.state(planned.number));
    if (is_done || state.inode != 0) return {};
  }
  if (!options_.reuses) return {};
  HF_TRY(const std::optional<Fit> fit, reuse_.look(planned));
  if (fit == Fit::Whole) jobs_.set_done(planned);
  return {};
}

Result<bool> ContentEngine::is_to_write(const PlannedEntry& file) const {
  if (!jobs_.is_open(file.number)) return false;
  return reuse_.needs_bytes(file.number);
}

/// Files whose bytes are right, but not all else.
Status ContentEngine::take_over() {
  return plan_.each_entry([&](const PlannedEntry& planned) -> Status {
    HF_TRY_DO(check_stop());
    const bool is_open = planned.entry.kind == manifest::EntryKind::File && jobs_.is_open(planned.number);
    return is_open ? take_over(planned) : Status{};
  });
}

Status ContentEngine::take_over(const PlannedEntry& planned) {
  HF_TRY(const std::optional<Reuse::Found> found, reuse_.find_again(planned));
  if (!found) return {};
  if (found->fit == Fit::Bytes) return jobs_.copy(planned, found->standing.file.get());
  const Result<bool> dressed = tree_.dress(planned.entry, found->standing);
  if (dressed && *dressed) jobs_.set_done(planned);  // else it is fetched
  jobs_.step();
  return {};
}

Result<bool> ContentEngine::stands(const PlannedEntry& planned) {
  const Result<bool> restored = tree_.is_restored(planned.entry);
  if (!restored || !*restored) return false;  // what is in its way is named when it is begun
  if (options_.trusts_files) return true;
  const Result<Descriptor> file = tree_.open_file(planned.entry);
  if (!file) return false;
  HF_TRY(const std::optional<Digest> digest, digest_of_file(file->get(), planned, plan_, keys_));
  return digest == planned.entry.content_digest;
}

/// Counts what is written of each open file. A blob that a file without a draft needs is not written, whatever the plan
/// says: then none of its uses is.
Status ContentEngine::recount() {
  for (std::uint64_t number = 0; number < plan_.facts().entries; ++number) {
    if (!jobs_.is_open(number)) continue;
    HF_TRY(const FileState state, plan_.state(number));
    if (state.written != 0) HF_TRY_DO(plan_.set_state(number, {state.inode, 0}));
  }
  for (std::uint64_t blob = 0; blob < plan_.facts().blobs; ++blob) {
    if (!plan_.is_written(blob)) continue;
    bool is_lost = false;
    HF_TRY_DO(plan_.each_use(blob, [&](const Use& use) -> Status {
      if (!jobs_.is_open(use.file)) return {};
      HF_TRY(const FileState state, plan_.state(use.file));
      is_lost = is_lost || state.inode == 0;
      return {};
    }));
    if (is_lost) {
      HF_TRY_DO(plan_.set_written(blob, false));
      continue;
    }
    HF_TRY_DO(plan_.each_use(blob, [&](const Use& use) -> Status {
      if (!jobs_.is_open(use.file)) return {};
      HF_TRY(const FileState state, plan_.state(use.file));
      return plan_.set_state(use.file, {state.inode, state.written + 1});
    }));
  }
  return {};
}

/// Files that need no blob any more, or never did.
Status ContentEngine::complete_ready() {
  return plan_.each_entry([&](const PlannedEntry& planned) -> Status {
    HF_TRY_DO(check_stop());
    if (planned.entry.kind != manifest::EntryKind::File || !jobs_.is_open(planned.number)) return {};
    HF_TRY(const FileState state, plan_.state(planned.number));
    return state.written == planned.uses ? jobs_.complete(planned) : Status{};
  });
}

Status ContentEngine::fetch_all() {
  std::vector<std::uint64_t> slice;
  for (std::uint64_t blob = 0; blob < plan_.facts().blobs; ++blob) {
    HF_TRY(const bool wanted, is_wanted(blob));
    if (wanted) slice.push_back(blob);
    if (slice.size() < kSliceBlobs) continue;
    HF_TRY_DO(fetch(slice));
    slice.clear();
  }
  return slice.empty() ? Status{} : fetch(slice);
}

Result<bool> ContentEngine::is_wanted(std::uint64_t blob) const {
  if (plan_.is_written(blob)) return false;
  bool wanted = false;
  HF_TRY_DO(plan_.each_use(blob, [&](const Use& use) -> Status {
    wanted = wanted || jobs_.is_open(use.file);
    return {};
  }));
  return wanted;
}

Status ContentEngine::fetch(const std::vector<std::uint64_t>& blobs) {
  HF_TRY_DO(check_stop());
  std::vector<blob::BlobRef> refs;
  for (const std::uint64_t one : blobs) {
    HF_TRY(const blob::BlobRef ref, plan_.blob(one));
    refs.push_back(ref);
  }
  blobs_fetched_ += refs.size();
  return archive_.open_each(core_, refs, options_.threads,
                            [&](std::size_t index, Result<sealing::OpenedBlob> opened) -> Status {
                              HF_TRY_DO(check_stop());
                              return arrived(blobs[index], std::move(opened));
                            });
}

Status ContentEngine::arrived(std::uint64_t blob, Result<sealing::OpenedBlob> opened) {
  HF_TRY_DO(plan_.each_use(blob, [&](const Use& use) -> Status {
    if (!opened) return jobs_.fail(use.file, opened.error());
    const ByteSpan raw(opened->raw);
    if (use.blob_offset > raw.size() || use.length > raw.size() - use.blob_offset) {
      HF_TRY(const blob::BlobRef ref, plan_.blob(blob));
      return jobs_.fail(use.file, Error{Errc::Corrupt, "an extent reaches beyond blob " + ref.blob.short_hex()});
    }
    return jobs_.write(use, raw.subspan(use.blob_offset, use.length));
  }));
  if (!opened) return {};
  jobs_.step();
  HF_TRY_DO(plan_.set_written(blob, true));
  jobs_.step();
  return {};
}

Status ContentEngine::check_stop() const {
  if (options_.stop != nullptr && *options_.stop) return Error{Errc::Canceled, "stopped by a signal"};
  return {};
}

}  // namespace holdfast::restore
