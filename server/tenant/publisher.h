#pragma once
// Why: group commit. Whoever wants to change the tenant hands in a proposal; one of the waiting threads leads, lets
// every proposal look at the state as it is now, publishes what they all want as one batch (one fsync of journal and
// head), replays it into the state and tells the index. A proposal decides under the publish lock, so nothing can
// change between its check and its record.
// Promises: proposals of one subject never share a batch (the second sees what the first has done). A record that moves the
// vault clock has moved it before the next batch is stamped.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/pack/pack.h"
#include "server/coordinator/coordinator.h"
#include "server/retention/vault_clock.h"
#include "server/tenant/state.h"

namespace holdfast::tenant {

struct Stamp {
  std::int64_t vault_ns = 0, wall_ns = 0;
};  ///< what the records of a batch will carry

inline coordinator::NewRecord new_record(journal::Kind kind, Bytes payload) {
  coordinator::NewRecord record;
  record.kind = kind;
  record.payload = std::move(payload);
  return record;
}

/// Thread-safe.
class Publisher {
 public:
  /// Subject of a proposal that shares its batch with nobody. Whatever condemns packs, removes them or speaks of them is
  /// alone: every proposal of a batch is judged by the state before it, and a commit must see a condemnation, and a
  /// condemnation a commit.
  static constexpr const char* kAlone = "";
  /// Called in the leader's thread; must be quick and must not publish. No records: there is nothing to do.
  using Propose = std::function<Result<std::vector<coordinator::NewRecord>>(const State&, const Stamp&)>;
  /// Called once per batch, when it is durable, before the state moves and anybody is answered.
  using Published = std::function<void(const std::vector<pack::Footer>& footers, std::uint64_t generation)>;

  Publisher(coordinator::Coordinator& coordinator, coordinator::Epoch epoch, std::uint64_t generation,
            SharedState& state, retention::VaultClock& vault, const Clock& clock, Published published);

  /// Blocks until the proposal's records are durable, and returns them as stored. `footers` of the packs that they name
  /// go to the index with them. Errors: the proposal's; DiskFull (nothing happened); whatever else the coordinator says,
  /// and then every later call fails with it: the tenant is read-only until it is opened again.
  Result<std::vector<journal::Record>> publish(std::string subject, Propose propose,
                                               std::vector<pack::Footer> footers = {});

  /// Runs `work` while nobody publishes.
  Status quietly(const std::function<Status()>& work);

  /// Publishes nothing any more. The first reason stays.
  void stop(Error reason);
  std::optional<Error> stopped() const;
  /// What a caller is told who wants to write after that.
  static Error read_only(Error reason) { return std::move(reason).with_context("the tenant is read-only"); }
  /// Proposals that wait for a leader.
  std::size_t waiting() const;

 private:
  struct Waiting {
    std::string subject;
    Propose propose;
    std::vector<pack::Footer> footers;
    Result<std::vector<journal::Record>> outcome = std::vector<journal::Record>{};
    std::size_t first = 0, count = 0;  ///< its records within the batch
    bool done = false;
  };
  std::vector<Waiting*> take_batch();
  void run_batch(std::vector<Waiting*>& batch);
  Status check_records(const std::vector<coordinator::NewRecord>& records, const Stamp& stamp) const;
  std::vector<coordinator::NewRecord> collect_records(std::vector<Waiting*>& batch);
  void publish_batch(const std::vector<Waiting*>& batch, const std::vector<coordinator::NewRecord>& records);
  void fail_all(const std::vector<Waiting*>& batch, const Error& error);

  coordinator::Coordinator& coordinator_;
  const coordinator::Epoch epoch_;
  std::uint64_t generation_;  ///< leader only
  SharedState& state_;
  retention::VaultClock& vault_;
  const Clock& clock_;
  const Published published_;

  mutable std::mutex mutex_;  ///< guards what follows; never held while publishing
  std::condition_variable changed_;
  std::deque<Waiting*> queue_;
  bool leading_ = false;
  std::optional<Error> stopped_;
};

}  // namespace holdfast::tenant
