#pragma once
// Why: a manifest segment that has not changed since the last snapshot is named again, not sent again, without asking:
// the client remembers which segments its last snapshot had and under which run. Disposable: any doubt = empty.
// File: magic "HFKS1\0\0\0" ‖ base snapshot id 32 ‖ u32 count ‖ count × (blob id 32 ‖ run id 16 ‖ record digest 32) ‖
// MAC 32 (BLAKE2b-256 keyed with derive(K_state, "segments", client id) over all before it). Written whole, by rename.

#include <map>
#include <string>

#include "common/blob/blob.h"
#include "common/crypto/hash.h"
#include "common/fs/file_system.h"

namespace holdfast::backup {

/// One thread at a time.
class KnownSegments {
 public:
  /// Empty unless the file is whole, ours, and belongs to `base`.
  static KnownSegments load(fs::FileSystem& fs, const std::string& path, const crypto::Key& state_key,
                            const ClientId& client, const SnapshotId& base);
  struct Known {
    RunId run;
    Digest record_digest;
  };
  bool empty() const { return segments_.empty(); }
  const Known* find(const BlobId& id) const;
  void add(const BlobId& id, const Known& known) { segments_[id] = known; }
  Status save(fs::FileSystem& fs, const std::string& path, const crypto::Key& state_key, const ClientId& client,
              const SnapshotId& base) const;

 private:
  std::map<BlobId, Known> segments_;
};

}  // namespace holdfast::backup
