#include "client/backup/blob_pipeline.h"

namespace holdfast::backup {
namespace {

constexpr std::size_t kMaxRemembered = 65536;  // ids of this run: 2 MiB; a repeat beyond it is sent again, harmlessly

}  // namespace

BlobPipeline::BlobPipeline(remote::Remote& remote, SessionId session, sealing::Space space, RunId run,
                           const crypto::Key& blob_key, const sealing::Sealer& sealer, std::size_t seal_threads)
    : remote_(remote), session_(session), space_(space), run_(run), blob_key_(blob_key), sealer_(sealer) {
  threads_.emplace_back([this] { ask_all(); });
  for (std::size_t i = 0; i < seal_threads; ++i) threads_.emplace_back([this] { seal_all(); });
}

BlobPipeline::~BlobPipeline() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Result<std::uint64_t> BlobPipeline::submit(Group group) {
  Job job;
  job.id = chunking::group_id(blob_key_, group.fingerprints);
  job.group = std::move(group);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return failure_ || to_ask_.size() < kMaxWaiting; });
  if (failure_) return *failure_;
  job.ordinal = next_ordinal_++;
  standing_.emplace_back();
  const std::uint64_t ordinal = job.ordinal;
  to_ask_.push_back(std::move(job));
  changed_.notify_all();
  return ordinal;
}

Result<Standing> BlobPipeline::resolve(std::uint64_t ordinal) {
  std::unique_lock lock(mutex_);
  HF_ASSERT(ordinal >= first_kept_);
  const auto stands = [&] {  // the group may still be open, not submitted yet
    return ordinal - first_kept_ < standing_.size() && standing_[ordinal - first_kept_].has_value();
  };
  changed_.wait(lock, [&] { return failure_ || stands(); });
  if (!stands()) return *failure_;  // what stands, stands: it is worth a note, though the run has failed
  const Standing found = *standing_[ordinal - first_kept_];
  while (first_kept_ + kMaxGoBack < ordinal && standing_.front()) {
    standing_.pop_front();
    ++first_kept_;
  }
  return found;
}

Result<Digest> BlobPipeline::store_segment(const manifest::Segment& segment) {
  const std::vector<std::uint32_t> whole{static_cast<std::uint32_t>(segment.plaintext.size())};
  HF_TRY(Bytes record, sealer_.seal(segment.type, segment.id, segment.children, segment.plaintext, whole));
  {
    const std::lock_guard lock(mutex_);
    if (failure_) return *failure_;
    stats_.sealed_bytes_sent += record.size();
  }
  const Digest digest = blob::record_digest(record);
  HF_TRY_DO(remote_.put(session_, std::move(record)));
  return digest;
}

Status BlobPipeline::drain() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock,
                [this] { return failure_ || (to_ask_.empty() && to_seal_.empty() && asking_ == 0 && sealing_ == 0); });
  if (failure_) return *failure_;
  return {};
}

PipelineStats BlobPipeline::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void BlobPipeline::ask_all() {
  for (;;) {
    std::vector<Job> batch;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock,
                    [this] { return stopping_ || failure_ || (!to_ask_.empty() && to_seal_.size() < kMaxWaiting); });
      if (stopping_ || failure_) return;
      while (!to_ask_.empty()) {
        batch.push_back(std::move(to_ask_.front()));
        to_ask_.pop_front();
      }
      asking_ = batch.size();
    }
    changed_.notify_all();
    if (Status asked = ask(std::move(batch)); !asked) fail(std::move(asked).error());
  }
}

Status BlobPipeline::ask(std::vector<Job> batch) {
  std::vector<BlobId> ids;
  ids.reserve(batch.size());
  for (const Job& job : batch) ids.push_back(job.id);
  HF_TRY(const auto known, remote_.have(session_, space_.epoch, ids));
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const bool sent_by_us = sent_.contains(batch[i].id);
      if (known[i] || sent_by_us) {
        ++stats_.blobs_known;
        const auto raw_bytes = static_cast<std::uint32_t>(batch[i].group.raw.size());
        stand(batch[i].ordinal, {{batch[i].id, sent_by_us ? run_ : known[i]->run}, raw_bytes});
        continue;
      }
      if (sent_.size() >= kMaxRemembered) sent_.clear();
      sent_.insert(batch[i].id);
      to_seal_.push_back(std::move(batch[i]));
    }
    asking_ = 0;
  }
  changed_.notify_all();
  return {};
}

void BlobPipeline::seal_all() {
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || failure_ || !to_seal_.empty(); });
      if (stopping_ || failure_) return;
      job = std::move(to_seal_.front());
      to_seal_.pop_front();
      ++sealing_;
    }
    changed_.notify_all();
    if (Status sealed = seal(std::move(job)); !sealed) fail(std::move(sealed).error());
  }
}

Status BlobPipeline::seal(Job job) {
  HF_TRY(Bytes record, sealer_.seal(blob::Type::Data, job.id, {}, job.group.raw, job.group.chunk_bytes));
  const std::size_t record_bytes = record.size();
  HF_TRY_DO(remote_.put(session_, std::move(record)));
  {
    const std::lock_guard lock(mutex_);
    ++stats_.blobs_sent;
    stats_.raw_bytes_sent += job.group.raw.size();
    stats_.sealed_bytes_sent += record_bytes;
    stand(job.ordinal, {{job.id, run_}, static_cast<std::uint32_t>(job.group.raw.size())});
    --sealing_;
  }
  changed_.notify_all();
  return {};
}

void BlobPipeline::stand(std::uint64_t ordinal, const Standing& standing) {
  HF_ASSERT(ordinal >= first_kept_ && ordinal - first_kept_ < standing_.size());
  standing_[ordinal - first_kept_] = standing;
}

void BlobPipeline::fail(Error error) {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(error);
  }
  changed_.notify_all();
}

}  // namespace holdfast::backup
