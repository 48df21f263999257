#pragma once
// Why: a revoked certificate must be refused in the handshake, from memory, also right after a restart, without opening
// its tenant. The journal (or the operator's file) is the truth; this list is what the handshake asks.

#include <map>
#include <mutex>
#include <string>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/fs/file_system.h"

namespace holdfast::session {

/// Fingerprints of certificates that are refused although they verify. Thread-safe.
class DenyList {
 public:
  /// A damaged file is reported by `health` and replaced at the next `add`: the tenants still refuse who is revoked.
  DenyList(fs::FileSystem& fs, const Clock& clock, std::string path);

  bool contains(const Digest& fingerprint) const;
  /// Blocking. Certificates past `not_after` leave the list by themselves. In memory at once, even when the write fails.
  Status add(const Digest& fingerprint, WallTime not_after);
  /// Re-reads the file: is it what was written? For check.
  Status health() const;

 private:
  Result<std::map<Digest, std::int64_t>> read() const;
  fs::FileSystem& fs_;
  const Clock& clock_;
  const std::string path_;
  mutable std::mutex mutex_;
  std::map<Digest, std::int64_t> until_;  ///< fingerprint → end of the certificate, ns
};

}  // namespace holdfast::session
