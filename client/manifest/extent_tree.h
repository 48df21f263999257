#pragma once
// Why: a long extent list stands in segments of its own (FORMAT.md, section 6), so that one changed row rewrites one of
// them and not the whole list. Private to client/manifest.

#include "client/manifest/manifest.h"
#include "client/manifest/read_ahead.h"
#include "client/manifest/segment.h"

namespace holdfast::manifest {

/// A segment that is complete but has no name yet.
struct Draft {
  blob::Type type = blob::Type::Leaf;
  std::vector<blob::BlobRef> children;
  Bytes plaintext;
};

/// Names finished segments and hands them to the sink; counts. One thread at a time.
class SegmentEmitter {
 public:
  SegmentEmitter(const crypto::Key& blob_key, SegmentSink sink) : blob_key_(blob_key.clone()), sink_(std::move(sink)) {}
  /// Of which none refers to another; answers where each stands.
  Result<std::vector<blob::BlobRef>> emit(std::vector<Draft> drafts);
  Result<blob::BlobRef> emit(Draft draft);
  std::uint64_t segments() const { return segments_; }
  std::uint64_t plaintext_bytes() const { return plaintext_bytes_; }

 private:
  crypto::Key blob_key_;
  SegmentSink sink_;
  std::uint64_t segments_ = 0;
  std::uint64_t plaintext_bytes_ = 0;
};

/// Writes the segments of one extent list as the extents come. One thread at a time.
class ExtentTree {
 public:
  /// Both must outlive it.
  ExtentTree(const CutRule& cuts, SegmentEmitter& emitter);
  /// Errors: the sink's; Limit.
  Status add(const Extent& extent);
  /// The root: the one segment of the first level that has only one.
  Result<Spill> finish();
  const std::vector<BlobId>& segments() const { return segments_; }

 private:
  struct Level {
    ExtentSegment segment;      // being filled
    std::uint64_t extents = 0;  // in it, all levels below counted
    std::uint64_t bytes = 0;
    Extent last;  // the last extent below it: decides about the cut
    std::size_t closed = 0;
  };
  bool chosen(unsigned level, const Extent& last, std::uint64_t odds) const;
  Status close(unsigned number);
  Status add_item(unsigned number, const ExtentItem& item, const Extent& last);

  const CutRule& cuts_;
  SegmentEmitter& emitter_;
  std::vector<Level> levels_;
  std::vector<BlobId> segments_;
  std::uint64_t count_ = 0;
};

/// Hands the whole list on, extent by extent in content order, each checked by itself. `bytes`: what the extents must add
/// up to; whoever visits has seen no more than was promised, and it is certain at the end that it was all.
/// Errors: Corrupt; those of `opener` and `visit`.
Status visit_extent_tree(const Spill& spill, std::uint64_t bytes, const SegmentOpener& opener,
                         const std::function<Status(const Extent&)>& visit);

}  // namespace holdfast::manifest
