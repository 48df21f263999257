// How blobs come in while others are opened and written: the network, the processors and the disk all have work at the same
// time, and what stands between them is bounded.
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <set>
#include <thread>

#include "client/restore/archive.h"

namespace holdfast::restore {
namespace {

constexpr std::size_t kMaxThreads = 8;        ///< each holds a blob that it opens
constexpr std::size_t kMaxBytes = 12u << 20;  ///< of sealed records between the network and the writer …
constexpr std::size_t kMaxBlobs = 16;         ///< … and how many blobs: opened they have up to 4 MiB each

/// One blob on its way.
struct Arrival {
  std::size_t index;
  std::size_t bytes;
  Result<Bytes> record;
  std::optional<Result<sealing::OpenedBlob>> opened;
};

using Open = std::function<Result<sealing::OpenedBlob>(std::size_t index, Result<Bytes> record)>;

/// What the threads share. Thread-safe.
class Flow {
 public:
  /// The network's side: waits for room. Errors: Canceled once the writer has given up.
  Status push(std::size_t index, Result<Bytes> record) {
    const std::size_t bytes = record ? record->size() : 0;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      return ended_ || in_order_.empty() || (bytes_ + bytes <= kMaxBytes && in_order_.size() < kMaxBlobs);
    });
    if (ended_) return Error{Errc::Canceled, "the restore ends"};
    bytes_ += bytes;
    in_order_.push_back(std::make_shared<Arrival>(Arrival{index, bytes, std::move(record), std::nullopt}));
    to_open_.push_back(in_order_.back());
    changed_.notify_all();
    return {};
  }

  /// Nothing more comes. Thread of the network.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  /// The writer has given up, or has everything.
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

  /// An opener's life.
  void open_all(const Open& open) {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return ended_ || closed_ || !to_open_.empty(); });
      if (ended_ || to_open_.empty()) return;
      const std::shared_ptr<Arrival> one = std::move(to_open_.front());
      to_open_.pop_front();
      lock.unlock();
      Result<sealing::OpenedBlob> opened = open(one->index, std::move(one->record));
      lock.lock();
      one->record = Bytes();
      one->opened.emplace(std::move(opened));
      changed_.notify_all();
    }
  }

  /// The writer's side: the next in the order of arrival; nothing: that was all.
  std::shared_ptr<Arrival> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return in_order_.empty() ? closed_ : in_order_.front()->opened.has_value(); });
    if (in_order_.empty()) return nullptr;
    std::shared_ptr<Arrival> one = std::move(in_order_.front());
    in_order_.pop_front();
    bytes_ -= one->bytes;
    changed_.notify_all();
    return one;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Arrival>> in_order_,
      to_open_;  // shared: an opener holds one while the writer waits for it
  std::size_t bytes_ = 0;
  bool closed_ = false, ended_ = false;
};

}  // namespace

Status Archive::open_each(const snapshot::Core& core, const std::vector<blob::BlobRef>& refs, std::size_t threads,
                          const std::function<Status(std::size_t, Result<sealing::OpenedBlob>)>& take) {
  // Keys first: a call must not wait behind the blobs that wait for it.
  std::set<RunId> runs;
  for (const blob::BlobRef& ref : refs) runs.insert(ref.run);
  std::map<RunId, Result<const crypto::Key*>> keys;
  for (const RunId& run : runs) {
    Result<const crypto::Key*> key = run_key(run);
    if (!key && is_connection_error(key.error().code)) return std::move(key).error();
    keys.emplace(run, std::move(key));
  }
  std::vector<remote::WantedBlob> wanted;
  for (const blob::BlobRef& ref : refs) wanted.push_back({ref, core.domain, core.epoch});

  const Open open = [&](std::size_t index, Result<Bytes> record) {
    return open_data(core, refs[index], keys.at(refs[index].run), std::move(record));
  };
  Flow flow;
  Status fetched;
  std::thread network([&] {
    fetched = remote_.fetch(
        subject_, wanted, [&](std::size_t index, Result<Bytes> record) { return flow.push(index, std::move(record)); });
    flow.close();
  });
  std::vector<std::thread> openers;
  for (std::size_t i = 0; i < std::clamp<std::size_t>(threads, 1, kMaxThreads); ++i)
    openers.emplace_back([&] { flow.open_all(open); });
  Status taken;
  while (taken) {
    const std::shared_ptr<Arrival> one = flow.next();
    if (!one) break;
    taken = take(one->index, std::move(*one->opened));
  }
  flow.end();
  network.join();
  for (std::thread& one : openers) one.join();
  if (!taken) return taken;
  return fetched;
}

}  // namespace holdfast::restore
