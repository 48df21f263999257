#pragma once
// Why: extents keep whole blobs alive for the few bytes of them that are still used. This counts, for one snapshot, how
// much of each blob it uses, and decides which blobs the next run must not refer to any more: their live bytes go again
// as new ones. That bounds dead bytes, fragmentation, and what a lost local state costs (DESIGN §4, STORE.md).

#include <boost/unordered/unordered_flat_map.hpp>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/blob/blob.h"

namespace holdfast::dedup {

struct RewriteLimits {
  std::uint64_t max_dead_age_ns = 30ull * 24 * 3600 * 1'000'000'000;  ///< a partly used blob may be this old
  double max_raw_per_used = 2.0;             ///< referenced blob bytes per used byte, whole snapshot
  std::uint64_t region_bytes = 64ull << 20;  ///< of one content …
  std::size_t max_blobs_per_region = 128;    ///< … may stand in at most as many blobs
};

/// What one snapshot uses. Blobs are told apart by 64 bits of id and run: a collision makes the account a little wrong,
/// never a restore. About 32 bytes a blob (1 MiB of data). One thread at a time.
class Usage {
 public:
  struct Blob {
    std::uint32_t raw_bytes = 0;   ///< 0: not known
    std::uint32_t used_bytes = 0;  ///< at most raw_bytes
    std::uint32_t run = 0;         ///< number in runs()
    bool retired = false;          ///< not to be referred to by the next run
  };
  struct Run {
    RunId id;
    std::int64_t committed_ns = 0;  ///< server time of its snapshot's receipt; 0: not committed yet
  };

  /// `bytes` of the blob are used once more. `raw_bytes` as far as known here (0: not), `committed_ns` of its run.
  void add(const blob::BlobRef& ref, std::uint64_t bytes);
  /// Says how long a blob is; a blob of the base snapshot: taken over from there.
  void note(const blob::BlobRef& ref, std::uint32_t raw_bytes, std::int64_t committed_ns);
  const Blob* find(const blob::BlobRef& ref) const;
  bool is_retired(const blob::BlobRef& ref) const;
  void retire(const blob::BlobRef& ref);
  std::int64_t committed_ns(const Blob& blob) const { return runs_[blob.run].committed_ns; }
  /// The snapshot has been committed: so have all runs that no snapshot was known of.
  void commit(std::int64_t now_ns);

  struct Totals {
    std::uint64_t blobs = 0, raw_bytes = 0, used_bytes = 0, retired_blobs = 0, retired_bytes = 0;
  };
  Totals totals() const;

  Bytes encode() const;
  /// Errors: Corrupt.
  static Result<Usage> decode(ByteSpan bytes);

  using Map = boost::unordered_flat_map<std::uint64_t, Blob>;
  Map& blobs() { return blobs_; }

 private:
  std::uint32_t run_number(const RunId& run);
  Map blobs_;
  std::vector<Run> runs_;
};

/// Marks as retired what the next run must write anew: partly used blobs whose time has come (spread over the last third
/// of the age, so that they do not all come at once), then the sparsest until the snapshot's referenced bytes are within
/// bounds, then the smallest until the stored ones are. Pure but for the marks. `now_ns`: server time.
void plan_rewrites(Usage& usage, const RewriteLimits& limits, std::int64_t now_ns);

}  // namespace holdfast::dedup
