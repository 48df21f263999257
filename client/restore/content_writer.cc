#include "client/restore/content_writer.h"

#include <algorithm>

namespace holdfast::restore {
namespace {

constexpr std::size_t kWindowBlobs = 32;    // ≈ 32 MiB opened; 4 MiB each at the very most
constexpr std::size_t kWindowSteps = 2048;  // open temporary files are descriptors

}  // namespace

struct ContentWriter::Job {
  Job(manifest::Entry e, std::unique_ptr<PendingFile> f, const chunking::Chunker& chunker, const crypto::Key& key)
      : entry(std::move(e)), file(std::move(f)), verifier(chunker, key) {}
  manifest::Entry entry;
  std::unique_ptr<PendingFile> file;
  chunking::ContentVerifier verifier;
  std::uint64_t offset = 0;
  std::size_t steps_left = 0;
  std::optional<Error> failure;
};

ContentWriter::ContentWriter(Archive& archive, const snapshot::Core& core, const crypto::Key& fingerprint_key,
                             const chunking::Chunkers& chunkers, std::size_t threads, Callbacks callbacks)
    : archive_(archive),
      core_(core),
      fingerprint_key_(fingerprint_key),
      chunkers_(chunkers),
      threads_(threads),
      callbacks_(std::move(callbacks)) {}

ContentWriter::~ContentWriter() = default;

Status ContentWriter::add(manifest::Entry entry, std::unique_ptr<PendingFile> file) {
  const std::vector<manifest::Extent> extents = std::move(entry.extents);
  entry.extents.clear();
  const chunking::Chunker& chunker = chunkers_.of(entry.chunk_class);
  const auto job = std::make_shared<Job>(std::move(entry), std::move(file), chunker, fingerprint_key_);
  job->steps_left = extents.size();
  if (extents.empty()) return end_file(*job);
  for (const manifest::Extent& extent : extents) {
    const bool fetches = !extent.is_hole() && !(last_ && last_->first == extent.blob) && !wanted_.contains(extent.blob);
    if (steps_.size() >= kWindowSteps || (fetches && refs_.size() >= kWindowBlobs)) HF_TRY_DO(flush());
    if (!extent.is_hole() && !(last_ && last_->first == extent.blob) && !wanted_.contains(extent.blob)) {
      wanted_.emplace(extent.blob, refs_.size());
      refs_.push_back(extent.blob);
    }
    steps_.push_back({job, extent});
  }
  return {};
}

Status ContentWriter::finish() { return flush(); }

Status ContentWriter::fetch_window() {
  opened_.clear();
  if (refs_.empty()) return {};
  blobs_fetched_ += refs_.size();
  return archive_.open_many(core_, refs_, threads_, &opened_);
}

Status ContentWriter::flush() {
  HF_TRY_DO(fetch_window());
  for (Step& step : steps_) {
    Job& job = *step.job;
    if (!job.failure) {
      Status written = write(job, step.extent);
      if (!written && written.error().code == Errc::DiskFull) return written;
      if (!written) {
        job.failure = std::move(written).error();
        job.file.reset();
      }
    }
    if (--job.steps_left == 0) HF_TRY_DO(end_file(job));
    step.job.reset();
  }
  steps_.clear();
  // Small files of a directory share blobs across the border of two windows.
  if (!refs_.empty() && opened_.back()) last_.emplace(refs_.back(), std::move(*opened_.back()));
  opened_.clear();
  refs_.clear();
  wanted_.clear();
  return {};
}

Status ContentWriter::write(Job& job, const manifest::Extent& extent) {
  if (extent.is_hole()) {
    job.offset += extent.length;
    return job.verifier.hole(extent.length);
  }
  const sealing::OpenedBlob* blob = nullptr;
  if (const auto found = wanted_.find(extent.blob); found != wanted_.end()) {
    if (!opened_[found->second]) return opened_[found->second].error();
    blob = &*opened_[found->second];
  } else {
    HF_ASSERT(last_ && last_->first == extent.blob);
    blob = &last_->second;
  }
  const ByteSpan raw(blob->raw);
  if (extent.offset > raw.size() || extent.length > raw.size() - extent.offset) {
    return Error{Errc::Corrupt, "an extent reaches beyond blob " + extent.blob.blob.short_hex()};
  }
  const ByteSpan bytes = raw.subspan(extent.offset, extent.length);
  if (job.file) HF_TRY_DO(job.file->write(job.offset, bytes));
  job.offset += bytes.size();
  return job.verifier.data(bytes);
}

Status ContentWriter::end_file(Job& job) {
  if (!job.failure) {
    HF_TRY(const Digest digest, job.verifier.finish());
    if (digest != job.entry.content_digest || job.offset != job.entry.size) {
      job.failure =
          Error{Errc::Corrupt, "the bytes are not those that were backed up (content digest differs): not written"};
    } else if (job.file) {
      Status committed = job.file->commit();
      if (!committed && committed.error().code == Errc::DiskFull) return committed;
      if (!committed) job.failure = std::move(committed).error();
    }
  }
  job.file.reset();
  if (job.failure)
    callbacks_.failed(job.entry.path, *job.failure);
  else
    callbacks_.done(job.entry);
  return {};
}

}  // namespace holdfast::restore
