#include "server/tenant/publisher.h"

#include <algorithm>
#include <set>

#include "common/base/log.h"

namespace holdfast::tenant {
namespace {

// A batch is held in memory while it is written: this bounds it (a core has at most 1 MiB), and it bounds how long the
// first one waits for the last one's checks.
constexpr std::size_t kMaxBatch = 128;
constexpr std::size_t kMaxBatchBytes = 8u << 20;

}  // namespace

Publisher::Publisher(coordinator::Coordinator& coordinator, coordinator::Epoch epoch, std::uint64_t generation,
                     SharedState& state, retention::VaultClock& vault, const Clock& clock, Published published)
    : coordinator_(coordinator),
      epoch_(epoch),
      generation_(generation),
      state_(state),
      vault_(vault),
      clock_(clock),
      published_(std::move(published)) {}

Result<std::vector<journal::Record>> Publisher::publish(std::string subject, Propose propose,
                                                        std::vector<pack::Footer> footers) {
  Waiting self;
  self.subject = std::move(subject);
  self.propose = std::move(propose);
  self.footers = std::move(footers);

  std::unique_lock lock(mutex_);
  queue_.push_back(&self);
  while (!self.done) {
    if (leading_) {
      changed_.wait(lock);
      continue;
    }
    leading_ = true;
    std::vector<Waiting*> batch = take_batch();
    lock.unlock();
    run_batch(batch);
    lock.lock();
    for (Waiting* const w : batch) w->done = true;
    leading_ = false;
    changed_.notify_all();
  }
  return std::move(self.outcome);
}

Status Publisher::quietly(const std::function<Status()>& work) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !leading_; });
  leading_ = true;
  lock.unlock();
  Status outcome;
  try {
    outcome = work();
  } catch (...) {
    lock.lock();
    leading_ = false;
    changed_.notify_all();
    throw;
  }
  lock.lock();
  leading_ = false;
  changed_.notify_all();
  return outcome;
}

void Publisher::stop(Error reason) {
  const std::lock_guard lock(mutex_);
  if (!stopped_) stopped_ = std::move(reason);
}

std::optional<Error> Publisher::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

std::size_t Publisher::waiting() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

/// Oldest first, at most one of each subject; the others keep their order.
std::vector<Publisher::Waiting*> Publisher::take_batch() {
  std::vector<Waiting*> batch;
  std::deque<Waiting*> later;
  std::set<std::string> subjects;
  for (Waiting* const w : queue_) {
    const bool joins = batch.empty() || (w->subject != kAlone && batch.front()->subject != kAlone);
    if (joins && batch.size() < kMaxBatch && subjects.insert(w->subject).second)
      batch.push_back(w);
    else
      later.push_back(w);
  }
  queue_ = std::move(later);
  return batch;
}

void Publisher::run_batch(std::vector<Waiting*>& batch) {
  if (std::optional<Error> reason = stopped()) return fail_all(batch, read_only(*std::move(reason)));
  try {
    const std::vector<coordinator::NewRecord> records = collect_records(batch);
    if (!records.empty()) publish_batch(batch, records);
  } catch (const std::exception& failure) {
    // Out of memory, most likely. Whether the batch became durable is not known here, so nothing may build on it.
    Error error{Errc::Unknown, std::string("publish: ") + failure.what()};
    stop(error);
    fail_all(batch, error);
  }
}

/// A record that replay would refuse must never be written: it would be damage for good.
Status Publisher::check_records(const std::vector<coordinator::NewRecord>& records, const Stamp& stamp) const {
  for (const coordinator::NewRecord& wanted : records) {
    journal::Record record;
    record.number = state_.state.number() + 1;
    record.kind = wanted.kind;
    record.vault_ns = stamp.vault_ns;
    record.payload = wanted.payload;
    const Status sound = state_.state.check(record);
    if (!sound) return Error{Errc::Conflict, sound.error().message};
  }
  return {};
}

/// Asks every proposal; those that no longer fit go back to the front of the queue and leave the batch.
std::vector<coordinator::NewRecord> Publisher::collect_records(std::vector<Waiting*>& batch) {
  const Stamp stamp{vault_.now_ns(), to_ns(clock_.wall())};
  std::vector<coordinator::NewRecord> records;
  std::size_t bytes = 0, taken = 0;
  for (; taken < batch.size() && bytes < kMaxBatchBytes; ++taken) {
    Waiting& w = *batch[taken];
    Result<std::vector<coordinator::NewRecord>> wanted =
        w.propose(state_.state, stamp);  // only a leader writes the state
    if (!wanted) {
      w.outcome = std::move(wanted).error();
      continue;
    }
    if (const Status sound = check_records(*wanted, stamp); !sound) {
      log::error("a proposal contradicts the state", {{"subject", w.subject}, {"why", sound.error().message}});
      w.outcome = sound.error();
      continue;
    }
    w.first = records.size();
    w.count = wanted->size();
    for (coordinator::NewRecord& record : *wanted) {
      record.vault_ns = stamp.vault_ns;
      record.wall_ns = stamp.wall_ns;
      bytes += record.payload.size();
      records.push_back(std::move(record));
    }
  }
  const std::lock_guard lock(mutex_);
  queue_.insert(queue_.begin(), batch.begin() + static_cast<std::ptrdiff_t>(taken), batch.end());
  batch.resize(taken);
  return records;
}

void Publisher::publish_batch(const std::vector<Waiting*>& batch, const std::vector<coordinator::NewRecord>& records) {
  Result<coordinator::Published> published = coordinator_.publish(epoch_, generation_, records);
  if (!published) {
    // A full disk is told before anything happened; after any other failure the outcome or the ownership is in doubt.
    Error error = std::move(published).error();
    if (error.code != Errc::DiskFull) stop(error);
    return fail_all(batch, error);
  }
  generation_ = published->head.generation;
  std::vector<pack::Footer> footers;
  for (Waiting* const w : batch) {
    if (w->count == 0) continue;
    const auto begin = published->records.begin() + static_cast<std::ptrdiff_t>(w->first);
    w->outcome = std::vector<journal::Record>(begin, begin + static_cast<std::ptrdiff_t>(w->count));
    std::move(w->footers.begin(), w->footers.end(), std::back_inserter(footers));
  }
  published_(footers, generation_);
  std::unique_lock lock(state_.mutex);
  for (const journal::Record& record : published->records) {
    const Status applied = state_.state.apply(record);
    if (!applied) {
      log::error("a record contradicts the state", {{"why", applied.error().message}});
      // A bug of ours, and durable. This tenant ends here; the others need not.
      stop(applied.error());
      lock.unlock();
      return fail_all(batch, Error{Errc::Unknown, applied.error().message});
    }
    if (record.kind == journal::Kind::Clock) vault_.follow(*state_.state.anchor());
  }
}

void Publisher::fail_all(const std::vector<Waiting*>& batch, const Error& error) {
  for (Waiting* const w : batch) {
    if (w->outcome.has_value()) w->outcome = error;
  }
}

}  // namespace holdfast::tenant
