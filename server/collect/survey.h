#pragma once
// Why: what a pass knows of a tenant: a state of a moment, what is alive in it, and what each live pack holds. And it can
// catch up: whatever was committed since is marked too, so that a judgement holds at the moment in which it is published.

#include <atomic>
#include <unordered_map>
#include <unordered_set>

#include "server/collect/marker.h"
#include "server/collect/plan.h"
#include "server/collect/remains.h"
#include "server/tenant/parts.h"

namespace holdfast::collect {

/// A live pack that no open session owns, as the index sees it.
struct SurveyedPack {
  tenant::Pack pack;
  PackFacts facts;
  std::vector<Space> spaces;  ///< of its blobs
  std::vector<RunId> runs;    ///< of its blobs; of the session that sent it, if the index does not know them
};

/// A deleted snapshot of which something may be left.
struct Departed {
  SnapshotId id;
  RootRef root;
  bool released = false;
  std::set<PackId> remains;
};

/// One thread at a time.
class Survey {
 public:
  /// `stop`, if given: once true every method ends with Canceled.
  explicit Survey(tenant::Parts& parts, const std::atomic<bool>* stop = nullptr) : parts_(parts), stop_(stop) {}

  /// Errors: Canceled, once `stop` is set.
  Status go_on() const;
  /// Called again it forgets what it saw before. Errors: the index's; Corrupt (a core that does not decode).
  Status take();
  const std::unordered_map<PackId, SurveyedPack>& packs() const { return packs_; }
  const std::vector<Departed>& departed() const { return departed_; }
  std::vector<PackFacts> facts() const;
  std::uint64_t roots() const { return roots_.size(); }
  std::uint64_t blobs() const { return blobs_; }
  std::uint64_t live_bytes() const { return live_bytes_; }
  std::uint64_t dead_bytes() const { return dead_bytes_; }
  /// Spaces in which something that is needed is in no pack that the index knows: nothing of them is judged.
  const std::map<Space, std::string>& unproven() const { return unproven_; }
  /// References that are alive and stand in no pack that the index knows.
  std::uint64_t missing() const { return missing_; }

  bool is_live(const pack::Entry& entry) const {
    return marks_->contains(marks_->image({entry.domain, entry.epoch}, entry.ref()));
  }
  /// Alive, and in no live pack that is not known to be damaged. Errors: the index's.
  Result<bool> lacks(const pack::Entry& entry);
  /// Lacking, and none of its copies in damaged packs reads well. Errors: the index's.
  Result<bool> is_lost(const pack::Entry& entry);
  /// Is anything lacking? Looks through the index once, if a pack is damaged. Errors: the index's.
  Result<bool> lacks_anything();
  /// Of everything that is alive, wherever it is.
  const std::unordered_set<RunId>& live_runs() const { return marker_->runs(); }
  /// Of a departed snapshot that is not released yet. Errors: the index's.
  Result<Remains> remains_of(const Departed& snapshot);
  /// Nobody asks for remains any more: gives back the memory.
  void forget_remains() { dead_.reset(); }

  /// Marks what was committed since `take` or the last call. Errors: the index's; Missing: something cannot be found, so
  /// nothing may be judged any more.
  Status catch_up();
  /// The same for a proposal, under the publish lock.
  Status catch_up(const tenant::State& state);
  /// Has anything been committed that is not marked yet?
  bool is_behind(const tenant::State& state) const { return !commits_after(state).empty(); }

 private:
  struct Core {
    std::string label;
    Bytes bytes;
  };
  void forget();
  void remember_state();
  std::vector<Core> commits_after(const tenant::State& state) const;
  Status mark_since(const std::vector<Core>& cores, const Marker::Lookup& lookup);
  Status find_segments();
  Status mark_roots();
  Status look_through_index();
  void find_shortages(const std::map<Space, std::uint64_t>& seen);
  void judge_unlisted();
  void spare_unproven();
  Result<RootRef> root_of(const Core& core) const;
  Result<std::vector<index::Location>> live_copies(const Space& space, const blob::BlobRef& ref);

  tenant::Parts& parts_;
  const std::atomic<bool>* const stop_;
  std::uint64_t number_ = 0;  ///< of the last journal record that is accounted for
  std::int64_t vault_ns_ = 0;
  std::vector<Core> roots_;
  std::vector<std::pair<Core, Departed>> departed_cores_;
  std::vector<Departed> departed_;
  std::unordered_map<PackId, SurveyedPack> packs_;
  std::unique_ptr<Marks> marks_, segments_;
  std::optional<DeadBlobs> dead_;  ///< while a departed snapshot is not released
  std::map<Space, std::string> unproven_;
  std::unique_ptr<Marker> marker_;
  std::size_t listed_ = 0;  ///< entries of the index when the pass began
  std::uint64_t blobs_ = 0, live_bytes_ = 0, dead_bytes_ = 0, missing_ = 0;
};

}  // namespace holdfast::collect
