#pragma once
// Why: what a session has sent and nobody has acknowledged yet: a little in memory, the rest in at most two packs that
// are being written (data and segments apart; a small increment shares one).
// Leaves to others: checking records, publishing the packs that it closes, quotas.

#include <functional>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/journal/journal.h"
#include "common/pack/pack.h"
#include "server/store/object_store.h"

namespace holdfast::tenant {

/// Up to this much is held in memory, so that data and segments of a small increment can go into one Mixed pack.
inline constexpr std::size_t kSmallIncrementBytes = 1u << 20;
/// A pack is closed early when its child lists would make a long footer: footers of open packs are held in memory.
inline constexpr std::size_t kMaxFooterChildBytes = 8u << 20;

/// A pack that is durable in the store and not yet published.
struct ClosedPack {
  journal::PackNote note;
  pack::Footer footer;
  std::vector<std::uint64_t> tags;  ///< to be acknowledged once it is published
  std::uint64_t record_bytes = 0;
};

/// One pack being written. Destroyed before `close`: nothing of it remains.
class OpenPack {
 public:
  OpenPack(PackId id, std::uint64_t store_epoch, pack::Kind kind, std::unique_ptr<store::ObjectWriter> object);
  /// Errors: what the store says; the pack must then be thrown away.
  Status add(ByteSpan record, const blob::RecordView& view, const Digest& digest,
             const std::vector<std::uint64_t>& tags);
  /// True, and the tag is taken, when the blob is in here already.
  bool take_duplicate(const BlobId& blob, std::uint64_t tag);
  bool full() const;
  /// Durable when this succeeds.
  Result<ClosedPack> close();

 private:
  const PackId id_;
  const std::uint64_t store_epoch_;
  std::unique_ptr<store::ObjectWriter> object_;
  pack::PackWriter writer_;
  std::unordered_set<BlobId> blobs_;
  std::vector<std::uint64_t> tags_;
  std::uint64_t record_bytes_ = 0;
  std::size_t child_bytes_ = 0;
};

/// One thread at a time. After an error it must be thrown away: what it held was never acknowledged.
class Upload {
 public:
  using NewPack = std::function<Result<std::unique_ptr<OpenPack>>(pack::Kind)>;
  explicit Upload(NewPack new_pack) : new_pack_(std::move(new_pack)) {}

  /// True when a blob of this id waits in here: the tag will come with it.
  bool take_duplicate(const BlobId& blob, std::uint64_t tag);
  /// `view` is of `record`. A pack that is full now is closed and returned, to be published.
  Result<std::vector<ClosedPack>> add(ByteSpan record, const blob::RecordView& view, const Digest& digest,
                                      std::uint64_t tag);
  /// Closes what is open.
  Result<std::vector<ClosedPack>> close_all();
  bool empty() const { return held_.empty() && !data_ && !segments_; }
  /// Temporary files are open.
  bool writing() const { return data_ || segments_; }

 private:
  struct Held {
    Bytes record;
    Digest digest;
    bool segment = false;
    std::vector<std::uint64_t> tags;
  };
  std::unique_ptr<OpenPack>& lane(bool segment) { return segment ? segments_ : data_; }
  Status add_to_lane(ByteSpan record, const blob::RecordView& view, const Digest& digest,
                     const std::vector<std::uint64_t>& tags);
  Status spill();
  Result<ClosedPack> close_held();

  void forget_held();

  const NewPack new_pack_;
  std::vector<Held> held_;
  std::unordered_map<BlobId, std::size_t> held_at_;
  std::size_t held_bytes_ = 0;
  std::unique_ptr<OpenPack> data_, segments_;
};

}  // namespace holdfast::tenant
