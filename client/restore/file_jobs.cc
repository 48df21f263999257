#include "client/restore/file_jobs.h"

namespace holdfast::restore {

struct FileJobs::Job {
  Job(PlannedEntry what, std::unique_ptr<PendingFile> where, FileState how_far, const ContentKeys& keys)
      : planned(std::move(what)), file(std::move(where)), state(how_far) {
    if (!file->is_continued()) verifier.emplace(keys.chunkers.of(planned.entry.chunk_class), keys.fingerprint);
  }

  /// Bytes that come in order are digested as they come.
  Status digest(const Use& use, ByteSpan bytes) {
    if (!verifier) return {};
    if (use.offset - use.hole_before != digested) {
      verifier.reset();
      return {};
    }
    if (use.hole_before > 0) HF_TRY_DO(verifier->hole(use.hole_before));
    digested = use.offset + bytes.size();
    return verifier->data(bytes);
  }

  PlannedEntry planned;
  std::unique_ptr<PendingFile> file;
  FileState state;
  std::optional<chunking::ContentVerifier> verifier;  ///< none: the file is read once it is complete
  std::uint64_t digested = 0;
};

FileJobs::FileJobs(Plan& plan, TreeWriter& tree, ContentKeys keys, Callbacks callbacks)
    : plan_(plan),
      tree_(tree),
      keys_(keys),
      callbacks_(std::move(callbacks)),
      statuses_(static_cast<std::size_t>(plan.facts().entries), Status_::Open) {}

FileJobs::~FileJobs() {
  for (const std::unique_ptr<Job>& job : open_) job->file->keep();
}

Status FileJobs::write(const Use& use, ByteSpan bytes) {
  HF_TRY(Job* const job, job_of(use.file));
  if (job == nullptr) return {};
  Status written = job->file->write(use.offset, bytes);
  if (written) written = job->digest(use, bytes);
  if (!written) return settle(*job, std::move(written));
  callbacks_.wrote(bytes.size());
  step();
  return ++job->state.written == job->planned.uses ? end(*job) : Status{};
}

Status FileJobs::complete(const PlannedEntry& planned) {
  HF_TRY(Job* const job, job_of(planned.number));
  return job == nullptr ? Status{} : end(*job);
}

Status FileJobs::fail(std::uint64_t file, const Error& error) {
  if (!is_open(file)) return {};
  HF_TRY(const PlannedEntry planned, plan_.entry(file));
  statuses_[file] = Status_::Failed;
  if (!by_number_.contains(file)) {  // a draft that is parked must not stay
    HF_TRY(const FileState state, plan_.state(file));
    if (state.inode != 0) (void)tree_.begin_file(planned.entry, Draft{file, state.inode}, true);
  }
  drop(file);
  HF_TRY_DO(plan_.set_state(file, {}));
  callbacks_.failed(planned.entry.path, error);
  return {};
}

Status FileJobs::copy(const PlannedEntry& planned, int fd) {
  HF_TRY(Job* const job, job_of(planned.number));
  if (job == nullptr) return {};
  const Result<std::optional<Digest>> digest =
      digest_of_file(fd, planned, plan_, keys_, [&](std::uint64_t offset, ByteSpan bytes) {
        step();
        return job->file->write(offset, bytes);
      });
  if (digest && *digest == planned.entry.content_digest) return settle(*job, job->file->commit());
  if (!digest && digest.error().code == Errc::DiskFull) return digest.error();
  drop(planned.number);
  return plan_.set_state(planned.number, {});
}

void FileJobs::set_done(const PlannedEntry& planned) {
  statuses_[planned.number] = Status_::Done;
  callbacks_.done(planned.entry);
}

Result<std::uint64_t> FileJobs::begin_again() {
  may_begin_again_ = false;
  for (Status_& one : statuses_)
    if (one == Status_::Anew) one = Status_::Open;
  return std::exchange(anew_, 0);
}

/// nullptr: the file has failed, was left in place, or is to be done anew.
Result<FileJobs::Job*> FileJobs::job_of(std::uint64_t file) {
  if (!is_open(file)) return nullptr;
  const auto found = by_number_.find(file);
  if (found != by_number_.end()) {
    open_.splice(open_.begin(), open_, found->second);
    return found->second->get();
  }
  HF_TRY(PlannedEntry planned, plan_.entry(file));
  return open(std::move(planned));
}

Result<FileJobs::Job*> FileJobs::open(PlannedEntry planned) {
  const std::uint64_t number = planned.number;
  HF_TRY(FileState state, plan_.state(number));
  Result<std::unique_ptr<PendingFile>> file = tree_.begin_file(planned.entry, Draft{number, state.inode}, true);
  if (!file && file.error().code == Errc::DiskFull) return std::move(file).error();
  if (!file) {
    HF_TRY_DO(fail(number, file.error()));
    return nullptr;
  }
  if (*file == nullptr) {  // left in place, counted by the tree
    statuses_[number] = Status_::Done;
    return nullptr;
  }
  if (state.inode != 0 && !(*file)->is_continued() && planned.uses > 0) {  // what was written to it is gone
    if (!may_begin_again_) {
      HF_TRY_DO(fail(number, Error{Errc::Denied, "another process has taken its temporary file away"}));
      return nullptr;
    }
    statuses_[number] = Status_::Anew;
    ++anew_;
    HF_TRY_DO(plan_.set_state(number, {}));
    return nullptr;
  }
  if (open_.size() >= kMaxOpen) HF_TRY_DO(park(*open_.back()));
  step();
  const bool is_new = !(*file)->is_continued();
  state.inode = (*file)->inode();
  open_.push_front(std::make_unique<Job>(std::move(planned), *std::move(file), state, keys_));
  by_number_[number] = open_.begin();
  if (is_new) HF_TRY_DO(plan_.set_state(number, state));
  step();
  return open_.front().get();
}

Status FileJobs::park(Job& job) {
  const std::uint64_t number = job.planned.number;
  HF_TRY_DO(plan_.set_state(number, job.state));
  job.file->keep();
  drop(number);
  return {};
}

void FileJobs::drop(std::uint64_t file) {
  const auto found = by_number_.find(file);
  if (found == by_number_.end()) return;
  open_.erase(found->second);
  by_number_.erase(found);
}

Result<bool> FileJobs::is_right(Job& job) {
  const manifest::Entry& entry = job.planned.entry;
  if (job.verifier) {
    if (entry.size > job.digested) HF_TRY_DO(job.verifier->hole(entry.size - job.digested));
    HF_TRY(const Digest digest, job.verifier->finish());
    return digest == entry.content_digest;
  }
  HF_TRY(const int fd, job.file->descriptor());
  HF_TRY(const std::optional<Digest> digest, digest_of_file(fd, job.planned, plan_, keys_));
  return digest == entry.content_digest;
}

Status FileJobs::end(Job& job) {
  const bool may_be_stale = !job.verifier;
  Result<bool> right = is_right(job);
  if (!right) return settle(job, std::move(right).error());
  if (*right) {
    step();
    return settle(job, job.file->commit());
  }
  if (!may_be_stale || !may_begin_again_) {
    return settle(
        job, Error{Errc::Corrupt, "the bytes are not those that were backed up (content digest differs): not written"});
  }
  const std::uint64_t number = job.planned.number;
  statuses_[number] = Status_::Anew;
  ++anew_;
  drop(number);
  return plan_.set_state(number, {});
}

/// The file is done, or has failed.
Status FileJobs::settle(Job& job, Status result) {
  if (!result && result.error().code == Errc::DiskFull) return result;
  const std::uint64_t number = job.planned.number;
  if (!result) return fail(number, result.error());
  statuses_[number] = Status_::Done;
  callbacks_.done(job.planned.entry);
  step();
  drop(number);
  return {};
}

}  // namespace holdfast::restore
