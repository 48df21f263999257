#pragma once
// Why: the manifest is a B-tree of segment blobs by (source, path): leaves with entries, index segments above them,
// extent segments under entries whose extent lists are long. Segments end where a keyed hash of the entry's key says
// so, hence an insertion changes one leaf and the path above it. FORMAT.md beside this file.
// Each segment's child list stands in clear; a segment's id covers child list and plaintext, so equal ids mean equal
// subtrees.

#include <functional>
#include <memory>
#include <optional>

#include "client/manifest/entry_codec.h"
#include "client/sealing/sealing.h"
#include "common/snapshot/records.h"

namespace holdfast::manifest {

inline constexpr std::size_t kSegmentTargetBytes = 6u << 10;  ///< of a leaf: plaintext and clear list
inline constexpr std::size_t kSegmentMaxBytes = 1u << 20;
inline constexpr std::size_t kMaxDepth = 12;
inline constexpr std::size_t kSpillExtents = 256;  ///< longer extent lists go into extent segments

/// A segment ready to be stored.
struct Segment {
  blob::Type type;
  BlobId id;
  std::vector<blob::BlobRef> children;
  Bytes plaintext;
};
/// Stores segments of which none refers to another; answers where each stands (its own run, or an earlier run if the server
/// has it). The leaves below one index come together, so that whatever must be asked is asked once for all of them.
using SegmentSink = std::function<Result<std::vector<blob::BlobRef>>(std::vector<Segment> segments)>;

/// Writes one long extent list, segment by segment, before its entry is known. Destroyed before `finish`: its segments are
/// never referred to. One thread at a time, and the same as the writer's, which must outlive it.
class ExtentListWriter {
 public:
  explicit ExtentListWriter(std::unique_ptr<class ExtentTree> tree);
  ExtentListWriter(ExtentListWriter&&) noexcept;
  ~ExtentListWriter();
  Status add(const Extent& extent);
  Result<Spill> finish();
  /// All segments written so far.
  const std::vector<BlobId>& segments() const;

 private:
  std::unique_ptr<class ExtentTree> tree_;
};

/// Builds the tree. One thread at a time.
class ManifestWriter {
 public:
  ManifestWriter(const crypto::Key& blob_key, SegmentSink sink);
  ~ManifestWriter();
  ExtentListWriter begin_extents();
  /// In strictly ascending order (HF_ASSERT). Extents are complete, or they stand under `spill` (written here, or known
  /// from the base snapshot) and not in the entry. Errors: the sink's; Limit.
  Status add(const Entry& entry, const std::optional<Spill>& spill = std::nullopt);
  struct Finished {
    blob::BlobRef root;
    std::uint64_t entries, segments, plaintext_bytes;
  };
  /// An empty manifest has a root too.
  Result<Finished> finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Fetches and opens one blob. Must return the blob whose id and type were asked for.
using BlobOpener = std::function<Result<sealing::OpenedBlob>(const blob::BlobRef& ref, blob::Type type)>;
/// The same for several blobs of one type, no two equal, with one request: out[i] belongs to refs[i], errors of single
/// blobs as well. Errors: the connection's.
using BatchOpener = std::function<Status(const std::vector<blob::BlobRef>& refs, blob::Type type,
                                         std::vector<Result<sealing::OpenedBlob>>* out)>;

/// A part of a tree that cannot be read: its segment is damaged or missing.
struct Damage {
  std::string first;               ///< path of the first entry that is lost
  std::optional<std::string> end;  ///< path of the next that is not; nullopt: none in that source
  std::uint64_t entries = 1;       ///< that are lost
  Error error;
};
using OnDamage = std::function<Status(const Damage& damage)>;

/// Reads a tree of untrusted segments: strictly descending levels, key ranges, references equal to the clear list,
/// ids recomputed. A walk that goes on fetches the next segments together (read_ahead.h). One thread at a time.
class ManifestReader {
 public:
  ManifestReader(const crypto::Key& blob_key, blob::BlobRef root, BatchOpener open);
  /// One request for each segment.
  ManifestReader(const crypto::Key& blob_key, blob::BlobRef root, const BlobOpener& open);
  ~ManifestReader();
  /// Segments below the root that are not what was stored are told, and passed by; an entry whose extents are such is left
  /// out. Without it, and for what breaks a rule though it is authentic, the first error ends the walk.
  void pass_by(OnDamage on_damage);
  /// Every entry in order. `visit` may return Canceled to stop early (then visit_all succeeds).
  Status visit_all(const std::function<Status(Entry)>& visit);
  /// Entries at or below `path` in every source, fetching only what is on the way.
  Status visit_below(std::string_view path, const std::function<Status(Entry)>& visit);
  /// The same ("/": all) without reading extents that stand in segments of their own: such an entry comes without
  /// extents and with the place where they are, for `visit_extents`. Memory is bounded whatever the entries' sizes are.
  Status visit_entries(std::string_view path,
                       const std::function<Status(Entry, const std::optional<Spill>& spill)>& visit);
  /// The extents of such an entry in content order. Only at the end is it certain that they are as many and as long as
  /// was promised: until then a visitor has seen no more than that. Errors: Corrupt; the visitor's.
  Status visit_extents(const Entry& entry, const Spill& spill, const std::function<Status(const Extent&)>& visit);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::manifest
