#pragma once
// Why: the index is derived and disposable. This class keeps it in step with the journal: brings it up to date at open,
// adds what is published, and rebuilds it from the footers of the journal's packs whenever it cannot be trusted.
// Leaves to others: which copies may be used (State, DamageRegister).

#include <atomic>
#include <functional>
#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

#include "common/fs/file_system.h"
#include "server/index/blob_index.h"
#include "server/store/object_store.h"
#include "server/tenant/damage.h"
#include "server/tenant/state.h"

namespace holdfast::tenant {

/// Footer of a published pack, as the journal wants it. Errors: NotFound, Corrupt (also when it is not the pack that the
/// journal named), Io.
Result<pack::Footer> read_pack_footer(store::ObjectStore& store, const journal::PackNote& note);
/// Reads ranges of one stored pack. The store must outlive it.
pack::RangeReader pack_ranges(store::ObjectStore& store, const journal::PackNote& note);

/// Thread-safe.
class LiveIndex {
 public:
  struct Rebuilt {
    std::uint64_t packs = 0, blobs = 0;
  };
  /// Runs its argument while nothing is published.
  using Quietly = std::function<Status(const std::function<Status()>&)>;

  LiveIndex(fs::FileSystem& fs, std::string directory, std::shared_ptr<index::Shared> shared, store::ObjectStore& store,
            const SharedState& state, DamageRegister& damage);

  /// Opens and brings it up to the state's generation. It is rebuilt when it is corrupt, or when it has applied
  /// generations that the journal does not have; the latter not when `state_is_whole` is false (a damaged journal).
  /// Errors: Locked; Io, DiskFull: nothing is thrown away; when it cannot be rebuilt, what stood in the way. Lookups will
  /// try again.
  Status open(bool state_is_whole);
  /// Opened, and brought up to date, if it is not. Errors: those of open.
  Status bring_up();
  /// Has it followed every publish so far? Errors: Io, when it has not.
  Status is_current() const;
  /// From here on a lookup that meets a damaged index rebuilds it and tries again, once.
  void heal_with(Quietly quietly) { quietly_ = std::move(quietly); }

  /// Every copy that is listed. Not to be called by a proposal. Errors: as index::BlobIndex::find.
  Result<std::vector<index::Location>> find(const DomainId& domain, std::uint32_t epoch, const BlobId& blob);
  /// As find, but a damaged or missing index is an error: for a proposal.
  Result<std::vector<index::Location>> find_as_it_is(const DomainId& domain, std::uint32_t epoch, const BlobId& blob);
  /// After these packs have been condemned. `unreadable`: those without a footer. A failure is remembered and healed at the
  /// next lookup; until then the entries are there, and nobody uses them.
  void condemned(const std::vector<pack::Footer>& packs, const std::vector<PackId>& unreadable);
  /// After a publish, before the state moves, in the leader's thread: who has seen a pack in the state finds its blobs.
  /// A failure is remembered and healed at the next lookup.
  void published(const std::vector<pack::Footer>& footers, std::uint64_t generation);
  Result<Rebuilt> rebuild();
  Result<Digest> digest();
  /// Reads every table back. Errors: Corrupt, naming the file.
  Status verify();
  /// Every entry, in key order, while nothing is added.
  Status for_each(const std::function<Status(const index::Location&)>& visit);

 private:
  Status open_and_replay();
  Status compare_packs();
  void failed(const Status& outcome, std::string_view doing);
  Status heal();
  Status rebuild_locked(Rebuilt& out);
  Status add_packs(const std::vector<Pack>& packs, bool in_bulk, Rebuilt& out);
  template <class F>
  auto healed(F look) -> decltype(look());

  fs::FileSystem& fs_;
  const std::string directory_;
  const std::shared_ptr<index::Shared> shared_;  // shared by all tenants
  store::ObjectStore& store_;
  const SharedState& state_;
  DamageRegister& damage_;
  Quietly quietly_;

  std::shared_mutex mutex_;  ///< exclusive while index_ itself is replaced
  std::unique_ptr<index::BlobIndex> index_;
  bool state_is_whole_ = true;
  std::atomic<bool> stale_ = true;     ///< not open, or lacks a published pack
  std::atomic<bool> damaged_ = false;  ///< a lookup met bytes that are not what was written
};

}  // namespace holdfast::tenant
