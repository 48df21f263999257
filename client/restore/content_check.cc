#include "client/restore/content_check.h"

#include <algorithm>

namespace holdfast::restore {
namespace {

constexpr std::size_t kWindowBlobs = 32;  // ≈ 32 MiB opened; 4 MiB each at the very most
constexpr std::size_t kWindowSteps = 2048;

}  // namespace

struct ContentCheck::Job {
  Job(manifest::Entry e, const ContentKeys& keys)
      : entry(std::move(e)), verifier(keys.chunkers.of(entry.chunk_class), keys.fingerprint) {}
  manifest::Entry entry;
  chunking::ContentVerifier verifier;
  std::uint64_t offset = 0;
  std::size_t steps_left = 0;
  std::optional<Error> failure;
};

ContentCheck::ContentCheck(Archive& archive, const snapshot::Core& core, ContentKeys keys, std::size_t threads,
                           Callbacks callbacks)
    : archive_(archive), core_(core), keys_(keys), threads_(threads), callbacks_(std::move(callbacks)) {}

ContentCheck::~ContentCheck() = default;

Status ContentCheck::add(manifest::Entry entry) {
  const std::vector<manifest::Extent> extents = std::move(entry.extents);
  entry.extents.clear();
  const auto job = std::make_shared<Job>(std::move(entry), keys_);
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

Status ContentCheck::finish() { return flush(); }

Status ContentCheck::fetch_window() {
  opened_.clear();
  if (refs_.empty()) return {};
  blobs_fetched_ += refs_.size();
  return archive_.open_many(core_, refs_, threads_, &opened_);
}

Status ContentCheck::flush() {
  HF_TRY_DO(fetch_window());
  for (Step& step : steps_) {
    Job& job = *step.job;
    if (!job.failure) {
      Status digested = digest(job, step.extent);
      if (!digested) job.failure = std::move(digested).error();
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

Status ContentCheck::digest(Job& job, const manifest::Extent& extent) {
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
  job.offset += bytes.size();
  return job.verifier.data(bytes);
}

Status ContentCheck::end_file(Job& job) {
  if (!job.failure) {
    HF_TRY(const Digest digest, job.verifier.finish());
    if (digest != job.entry.content_digest || job.offset != job.entry.size)
      job.failure = Error{Errc::Corrupt, "the bytes are not those that were backed up (content digest differs)"};
  }
  if (job.failure)
    callbacks_.failed(job.entry.path, *job.failure);
  else
    callbacks_.done(job.entry);
  return {};
}

}  // namespace holdfast::restore
