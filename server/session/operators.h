#pragma once
// Why: operators belong to no tenant, so no tenant's journal knows them. One small file each, replaced atomically
// (FORMAT.md §2). Few people, rare changes.

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/fs/file_system.h"
#include "common/journal/journal.h"

namespace holdfast::session {

/// Thread-safe; blocking where it writes.
class Operators {
 public:
  /// Damaged files are logged and named by `health`; such an operator is refused until invited anew.
  Operators(fs::FileSystem& fs, const Clock& clock, Random& random, std::string directory);

  /// A new token for a new or known name; a known one's certificate stays good until the token is used.
  /// Errors: Usage (name), Io.
  Status invite(const std::string& name, const Digest& token_digest, std::int64_t expires_ns);
  /// Errors: NotFound.
  Result<journal::ClientPayload> find(const std::string& name) const;
  /// Uses the token; the same request again gets the same certificate. Errors: Denied (token wrong, used, expired).
  Result<journal::ClientPayload> enrol(const std::string& name, const Digest& token_digest,
                                       const Digest& request_digest,
                                       const std::function<Result<std::string>()>& issue_certificate);
  /// Errors: NotFound.
  Result<journal::ClientPayload> revoke(const std::string& name);

  struct Damage {
    std::string file, what;
  };
  std::vector<Damage> health() const;

 private:
  std::string path_of(const std::string& name) const;
  Status store(const journal::ClientPayload& payload);
  Result<journal::ClientPayload> read(const std::string& name) const;

  fs::FileSystem& fs_;
  const Clock& clock_;
  Random& random_;
  const std::string directory_;
  mutable std::mutex mutex_;
  std::map<std::string, journal::ClientPayload> known_;
};

}  // namespace holdfast::session
