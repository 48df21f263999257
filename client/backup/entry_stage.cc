#include "client/backup/entry_stage.h"

namespace holdfast::backup {

EntryStage::EntryStage(Resolve resolve, manifest::ManifestWriter& manifest, state::StateWriter& state)
    : resolve_(std::move(resolve)), manifest_(manifest), state_(state), thread_([this] { run(); }) {}

EntryStage::~EntryStage() {
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Status EntryStage::add(QueuedEntry entry) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return failure_ || queue_.size() < kMaxQueued; });
  if (failure_) return *failure_;
  queue_.push_back(std::move(entry));
  if (queue_.size() == 1) changed_.notify_all();
  return {};
}

Status EntryStage::finish() {
  {
    std::unique_lock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return failure_ || done_; });
  }
  thread_.join();
  if (failure_) return *failure_;
  return {};
}

void EntryStage::run() {
  for (;;) {
    QueuedEntry entry;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return abandoned_ || closed_ || !queue_.empty(); });
      if (abandoned_) return;
      if (queue_.empty()) {
        done_ = true;
        changed_.notify_all();
        return;
      }
      entry = std::move(queue_.front());
      queue_.pop_front();
      if (queue_.size() + 1 == kMaxQueued) changed_.notify_all();
    }
    if (Status written = write(std::move(entry)); !written) {
      const std::lock_guard lock(mutex_);
      failure_ = std::move(written).error();
      changed_.notify_all();
      return;
    }
  }
}

Status EntryStage::write(QueuedEntry queued) {
  for (const Piece& piece : queued.pieces) {
    manifest::Extent extent;
    extent.length = piece.length;
    if (!piece.hole) {
      HF_TRY(extent.blob, resolve_(piece.group));
      extent.offset = piece.offset;
    }
    queued.entry.extents.push_back(extent);
  }
  HF_TRY_DO(manifest_.add(queued.entry));
  if (queued.remember) return state_.add(queued.entry, queued.stat);
  return {};
}

}  // namespace holdfast::backup
