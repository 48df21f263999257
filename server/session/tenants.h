#pragma once
// Why: which tenants there are, by name, and who has which open. A tenant is opened when somebody needs it; a damaged one
// fails its own users, never the daemon nor another tenant.
// DATA/tenants/<tenant id hex>/ is the tenant's own; DATA/names/<tenant id hex> says whose it is, so that a start needs
// no journal. The journal is the truth: a lost or damaged name file is made anew from it (FORMAT.md §3).

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "server/tenant/tenant.h"

namespace holdfast::session {

/// Thread-safe; blocking (disk pool), except `open_now` and `knows`.
class Tenants {
 public:
  /// Scans the data directory. `max_open`: tenants that stay open while nobody uses them. Errors: Io.
  static Result<std::unique_ptr<Tenants>> open(const tenant::Environment& env, const std::string& data_dir,
                                               std::size_t max_open);

  /// Errors: Usage (name, plan), Exists.
  Result<TenantId> create(const std::string& name, const std::string& plan, std::uint64_t quota_bytes);
  /// Opens it when needed; the same object for everybody while it is open. Errors: NotFound; what Tenant::open says.
  Result<std::shared_ptr<tenant::Tenant>> find(const std::string& name);
  /// The tenant when it is open already, else nullptr. Never blocks on a disk.
  std::shared_ptr<tenant::Tenant> open_now(const std::string& name) const;
  bool knows(const std::string& name) const;
  std::vector<std::string> names() const;  ///< sorted

  struct Damage {
    std::string file, what;
  };
  /// Name files that are not what was written, directories that are nobody's.
  std::vector<Damage> health() const;

 private:
  struct Slot {
    std::string directory;
    std::mutex opening;                      ///< held while the tenant opens or closes: never two of one directory
    std::shared_ptr<tenant::Tenant> tenant;  ///< guarded by Tenants::mutex_
    std::uint64_t used = 0;                  ///< guarded by Tenants::mutex_
  };
  Tenants(const tenant::Environment& env, const std::string& data_dir, std::size_t max_open);
  Status scan();
  Result<std::string> name_of(const std::string& id_hex);
  Status adopt(const std::string& id_hex, const std::string& name);
  std::shared_ptr<Slot> slot_of(const std::string& name) const;
  void close_idle();

  const tenant::Environment env_;
  const std::string directory_;  ///< of the tenants
  const std::string names_;      ///< of the name files
  const std::size_t max_open_;
  std::mutex creating_;
  mutable std::mutex mutex_;  ///< what follows; never held while a tenant opens or closes
  std::map<std::string, std::shared_ptr<Slot>> slots_;
  std::uint64_t clock_ = 0;  ///< counts uses: the least recently used goes first
};

}  // namespace holdfast::session
