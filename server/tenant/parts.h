#pragma once
// Why: what the parts of an open tenant share, so that each of them (clients, sessions, commits, reading, check) can be
// read and tested alone. Built once by LocalTenant, in this order; lives as long as it.

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "server/tenant/damage.h"
#include "server/tenant/live_index.h"
#include "server/tenant/publisher.h"
#include "server/tenant/state.h"
#include "server/tenant/tenant.h"
#include "server/tenant/vault_clock.h"

namespace holdfast::tenant {

/// `slots/<run hex>.slot`
std::string slot_name(const RunId& run);
/// As findings and messages name a snapshot: `CLIENT/SEQUENCE ID`.
std::string snapshot_label(const State& state, const Snapshot& snapshot);

/// One stored copy of a blob, in a pack that the journal names.
struct Copy {
  index::Location location;
  journal::PackNote note;
  SessionId session;
  std::uint64_t order = 0;  ///< of the pack
  bool visible = false;     ///< State::visible for the client that asked
  bool damaged = false;     ///< the pack, or the key slot of the run
};

/// Names of packs that are being written or published: not orphans. Thread-safe.
class InFlight {
 public:
  void add(const PackId& id) {
    const std::lock_guard lock(mutex_);
    ids_.insert(id);
  }
  void remove(const PackId& id) {
    const std::lock_guard lock(mutex_);
    ids_.erase(id);
  }
  bool contains(const PackId& id) const {
    const std::lock_guard lock(mutex_);
    return ids_.contains(id);
  }

 private:
  mutable std::mutex mutex_;
  std::set<PackId> ids_;
};

/// Thread-safe, as each member is.
struct Parts {
  Parts(const Environment& environment, std::string path) : env(environment), directory(std::move(path)) {}

  const Environment env;
  const std::string directory;
  std::unique_ptr<coordinator::Coordinator> coordinator;
  std::unique_ptr<store::ObjectStore> store;
  coordinator::Epoch epoch;
  SharedState state;
  DamageRegister damage;
  InFlight in_flight;
  std::unique_ptr<LiveIndex> index;
  std::unique_ptr<VaultClock> vault;
  std::unique_ptr<Publisher> publisher;
  /// Held shared by whoever walks trees for long (check): nothing is condemned meanwhile.
  std::shared_mutex condemning;

  /// Errors: why the tenant is read-only.
  Status writable() const;
  /// Copies of this blob in packs of the journal, any run, in pack order. Errors: the index's.
  Result<std::vector<Copy>> copies(const ClientId& client, const DomainId& domain, std::uint32_t epoch,
                                   const BlobId& blob);
  /// From now on nothing new is built on this pack; journalled where possible.
  void report_damage(const PackId& pack, const std::string& what);
  /// It was read back and is whole.
  void report_whole(const PackId& pack);
  /// The client, enrolled and not revoked. Errors: Denied.
  Status check_enrolled(const State& s, const ClientId& client) const;
};

}  // namespace holdfast::tenant
