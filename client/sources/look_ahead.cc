#include "client/sources/look_ahead.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "client/sources/content.h"

namespace holdfast::sources {

/// Its fields but `looks` and `times` belong to the pool's mutex; those to the thread that looks, then to the walk.
struct LookAhead::Batch {
  enum class State { Waiting, Looking, Done, Dropped };
  std::shared_ptr<const Descriptor> directory;
  std::shared_ptr<const NameList> names;
  std::size_t begin = 0, end = 0;
  State state = State::Waiting;
  std::vector<std::optional<Look>> looks;
  std::vector<MonotonicTime> times;
};

LookAhead::LookAhead(std::size_t threads, bool read_contents, const Clock& clock)
    : read_contents_(read_contents), clock_(clock) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

LookAhead::~LookAhead() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  wanted_.notify_all();
  for (std::thread& one : threads_) one.join();
}

void LookAhead::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wanted_.wait(lock, [&] { return ended_ || !waiting_.empty(); });
    if (ended_) return;
    const std::shared_ptr<Batch> batch = std::move(waiting_.front());
    waiting_.pop_front();
    batch->state = Batch::State::Looking;
    lock.unlock();
    look_at(*batch);
    lock.lock();
    batch->state = Batch::State::Done;
    answered_.notify_all();
  }
}

void LookAhead::look_at(Batch& batch) {
  const int fd = batch.directory->get();
  for (std::size_t i = batch.begin; i < batch.end; ++i) {
    const char* const name = (*batch.names)[i];
    batch.times.push_back(clock_.monotonic());  // before the question: the answer is at most so old
    batch.looks.emplace_back();
    const Result<struct statx> st = stat_at(fd, name);
    if (!st) continue;  // the walk asks again, and names what is wrong
    Look look;
    look.st = *st;
    if (!S_ISDIR(st->stx_mode)) look.xattr_status = read_xattrs(fd, name, look.xattrs);
    if (read_contents_ && S_ISREG(st->stx_mode)) read_ahead(fd, name, st->stx_size);
    batch.looks.back() = std::move(look);
  }
}

void LookAhead::read_ahead(int directory_fd, const char* name, std::uint64_t bytes) const {
  if (bytes == 0) return;
  const Descriptor file(open_unfollowed(directory_fd, name, 0));
  if (!file) return;
  const Result<struct statx> st = stat_at(file.get(), "");
  if (st && S_ISREG(st->stx_mode))
    (void)::posix_fadvise(file.get(), 0, static_cast<off_t>(std::min(bytes, kReadAhead)), POSIX_FADV_WILLNEED);
}

NamesAhead::NamesAhead(LookAhead& ahead, std::shared_ptr<const Descriptor> directory,
                       std::shared_ptr<const NameList> names)
    : ahead_(ahead), directory_(std::move(directory)), names_(std::move(names)) {
  ask_on(0);
}

/// Keeps kBatchesAhead batches under way behind name `from`.
void NamesAhead::ask_on(std::size_t from) {
  if (ahead_.threads_.empty()) return;
  asked_to_ = std::max(asked_to_, from);
  while (batches_.size() < kBatchesAhead && names_->size() - asked_to_ >= kMinNamesAhead) {
    auto batch = std::make_shared<LookAhead::Batch>();
    batch->directory = directory_;
    batch->names = names_;
    batch->begin = asked_to_;
    batch->end = asked_to_ = std::min(names_->size(), asked_to_ + kNamesAtOnce);
    batches_.push_back(batch);
    {
      const std::lock_guard lock(ahead_.mutex_);
      ahead_.waiting_.push_back(std::move(batch));
    }
    ahead_.wanted_.notify_one();
  }
}

std::optional<Look> NamesAhead::take(std::size_t i) {
  using State = LookAhead::Batch::State;
  while (!batches_.empty() && batches_.front()->end <= i) batches_.pop_front();
  ask_on(i);
  if (batches_.empty() || i < batches_.front()->begin) return std::nullopt;
  LookAhead::Batch& batch = *batches_.front();
  {
    std::unique_lock lock(ahead_.mutex_);
    if (batch.state == State::Waiting) {  // nobody has come to it: whoever is here asks at once
      batch.state = State::Dropped;
      std::erase_if(ahead_.waiting_, [&](const auto& one) { return one.get() == &batch; });
    }
    if (batch.state == State::Dropped) return std::nullopt;
    ahead_.answered_.wait(lock, [&] { return batch.state == State::Done; });
  }
  const std::size_t at = i - batch.begin;
  if (ahead_.clock_.monotonic() - batch.times[at] >= kFreshFor) {
    drop();  // those behind it are hardly younger
    ask_on(i + 1);
    return std::nullopt;
  }
  return std::exchange(batch.looks[at], std::nullopt);
}

void NamesAhead::drop() {
  if (batches_.empty()) return;
  {
    const std::lock_guard lock(ahead_.mutex_);
    std::erase_if(ahead_.waiting_,
                  [&](const auto& one) { return std::find(batches_.begin(), batches_.end(), one) != batches_.end(); });
  }
  asked_to_ = batches_.front()->begin;
  batches_.clear();
}

}  // namespace holdfast::sources
