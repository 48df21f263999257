#include "client/backup/entry_stage.h"

namespace holdfast::backup {

EntryStage::EntryStage(const AssemblyTargets& targets)
    : targets_(targets), content_(targets_), thread_([this] { run(); }) {}

EntryStage::~EntryStage() {
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::size_t EntryStage::cost(const Item& item) {
  if (const Part* const part = std::get_if<Part>(&item)) return cost_of(*part);
  return cost_of(std::get<QueuedEntry>(item).rest);
}

std::uint64_t EntryStage::content_of(const Item& item) {
  const QueuedEntry* const entry = std::get_if<QueuedEntry>(&item);
  return entry == nullptr || entry->recalled ? 0 : entry->remembered.entry.size;
}

bool EntryStage::worth_waking() const {
  return queue_.size() >= kWorthWaking || queued_cost_ >= kCostWorthWaking || queued_content_ >= kContentWorthWaking;
}

Status EntryStage::push(Item item) {
  const std::size_t bytes = cost(item);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return failure_ || (queue_.size() < kMaxQueued && queued_cost_ < kMaxQueuedCost); });
  if (failure_) return *failure_;
  const bool was_worth_waking = worth_waking();
  queued_cost_ += bytes;
  queued_content_ += content_of(item);
  queue_.push_back(std::move(item));
  if (!was_worth_waking && worth_waking()) changed_.notify_all();
  return {};
}

Status EntryStage::finish() {
  {
    std::unique_lock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return failure_ || done_; });
  }
  if (thread_.joinable()) thread_.join();
  if (failure_) return *failure_;
  return {};
}

void EntryStage::run() {
  for (;;) {
    std::deque<Item> batch;
    {
      std::unique_lock lock(mutex_);
      (void)changed_.wait_for(lock, kLongestSleep, [this] { return abandoned_ || closed_ || worth_waking(); });
      if (abandoned_) return;
      if (queue_.empty() && !closed_) continue;
      if (queue_.empty()) {
        done_ = true;
        changed_.notify_all();
        return;
      }
      batch.swap(queue_);
      queued_cost_ = 0;
      queued_content_ = 0;
    }
    changed_.notify_all();
    for (Item& item : batch) {
      Status written = write(std::move(item));
      if (written) continue;
      const std::lock_guard lock(mutex_);
      failure_ = std::move(written).error();
      changed_.notify_all();
      return;
    }
  }
}

Status EntryStage::write(Item item) {
  if (const Part* const part = std::get_if<Part>(&item)) return content_.add(*part);
  return write_entry(std::get<QueuedEntry>(std::move(item)));
}

Status EntryStage::write_entry(QueuedEntry queued) {
  state::Remembered& remembered = queued.remembered;
  const bool has_content = manifest::has_content(remembered.entry.kind);
  if (queued.recalled) {
    HF_TRY_DO(content_.take_over(remembered));
  } else if (has_content) {
    queued.rest.first = !queued.parted;
    HF_TRY_DO(content_.add(queued.rest));
    HF_TRY_DO(content_.finish(remembered));
  }
  HF_TRY_DO(targets_.manifest.add(remembered.entry, remembered.spill));
  if (has_content) return targets_.state.add(remembered);
  return {};
}

}  // namespace holdfast::backup
