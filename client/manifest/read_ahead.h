#pragma once
// Why: a walk that asks for one segment after another waits one round trip for each. Here the next children of a segment
// are fetched together, a few ahead of the walk. Private to client/manifest.

#include <map>
#include <vector>

#include "client/manifest/manifest.h"

namespace holdfast::manifest {

/// Opens segments and holds them to their ids. Immutable.
class SegmentOpener {
 public:
  SegmentOpener(const crypto::Key& blob_key, BatchOpener open) : blob_key_(blob_key.clone()), open_(std::move(open)) {}
  /// out[i] belongs to refs[i]; a segment that is not what its reference says is Corrupt there. Errors: the connection's.
  Status open_many(const std::vector<blob::BlobRef>& refs, blob::Type type,
                   std::vector<Result<sealing::OpenedBlob>>* out) const;
  Result<sealing::OpenedBlob> open(const blob::BlobRef& ref, blob::Type type) const;

 private:
  Result<sealing::OpenedBlob> check(const blob::BlobRef& ref, blob::Type type,
                                    Result<sealing::OpenedBlob> opened) const;

  crypto::Key blob_key_;
  BatchOpener open_;
};

/// How many segments of one kind are fetched together: grows as the walk goes on, so that who looks at one entry fetches
/// one leaf, and who reads all of them waits seldom.
struct Pace {
  std::size_t now, most;
  std::size_t take();
};
inline constexpr std::size_t kIndexesAhead = 4;
inline constexpr std::size_t kLeavesAhead = 48;   ///< a whole index; 8 KiB each as a rule, 1 MiB with large attributes
inline constexpr std::size_t kExtentsAhead = 16;  ///< 60 KiB each as a rule, 0.5 MiB at most as written here

/// The children of one segment in their order. One thread at a time.
class ReadAhead {
 public:
  /// `opener` and `pace` must outlive it.
  ReadAhead(const SegmentOpener& opener, blob::Type type, std::vector<blob::BlobRef> refs, Pace& pace)
      : opener_(opener), type_(type), refs_(std::move(refs)), pace_(pace) {}
  /// Makes sure that the next child is here, or its own error. Errors: the connection's.
  Status fetch() { return at_ == filled_ ? fill() : Status{}; }
  /// The next child (HF_ASSERT: there is one). Its own error only when it is its turn.
  Result<sealing::OpenedBlob> next();

 private:
  Status fill();

  const SegmentOpener& opener_;
  const blob::Type type_;
  const std::vector<blob::BlobRef> refs_;
  Pace& pace_;
  std::size_t at_ = 0, filled_ = 0;                              // refs_[at_ … filled_) are fetched
  std::map<blob::BlobRef, Result<sealing::OpenedBlob>> opened_;  // the same child may stand in several lines
};

}  // namespace holdfast::manifest
