#pragma once
// Why: what the parts of an open tenant share, so that each of them (clients, sessions, commits, reading, check) can be
// read and tested alone. Built once by LocalTenant, in this order; lives as long as it.

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "server/retention/vault_clock.h"
#include "server/tenant/damage.h"
#include "server/tenant/live_index.h"
#include "server/tenant/publisher.h"
#include "server/tenant/state.h"
#include "server/tenant/tenant.h"

namespace holdfast::tenant {

/// `slots/<run hex>.slot`
std::string slot_name(const RunId& run);
/// The run in such a name; nullopt for every other name.
std::optional<RunId> run_of_slot(std::string_view name);
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
    if (remembers_) written_.insert(id);
  }
  void remove(const PackId& id) {
    const std::lock_guard lock(mutex_);
    ids_.erase(id);
  }
  bool contains(const PackId& id) const {
    const std::lock_guard lock(mutex_);
    return ids_.contains(id);
  }
  /// From now on, until it is switched off, `was_here` knows every name that is added.
  void remember(bool on) {
    const std::lock_guard lock(mutex_);
    remembers_ = on;
    if (!on) written_.clear();
  }
  bool was_here(const PackId& id) const {
    const std::lock_guard lock(mutex_);
    return written_.contains(id);
  }

 private:
  mutable std::mutex mutex_;
  std::set<PackId> ids_;
  bool remembers_ = false;
  std::unordered_set<PackId> written_;
};

/// Packs in which a session was told "have": they are not condemned while it goes on. Kept in memory only: what a restart
/// forgets, the commit check notices. Thread-safe.
class Pins {
 public:
  void add(const SessionId& session, const PackId& pack) {
    const std::lock_guard lock(mutex_);
    if (by_session_[session].insert(pack).second) ++counts_[pack];
  }
  void drop(const SessionId& session) {
    const std::lock_guard lock(mutex_);
    const auto found = by_session_.find(session);
    if (found == by_session_.end()) return;
    for (const PackId& pack : found->second) {
      if (--counts_[pack] == 0) counts_.erase(pack);
    }
    by_session_.erase(found);
  }
  bool contains(const PackId& pack) const {
    const std::lock_guard lock(mutex_);
    return counts_.contains(pack);
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<SessionId, std::unordered_set<PackId>> by_session_;
  std::unordered_map<PackId, std::size_t> counts_;
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
  std::optional<Error> journal_damage;  ///< of journal or head, found at the start: the state ends where it stands
  DamageRegister damage;
  InFlight in_flight;
  Pins pins;
  std::unique_ptr<LiveIndex> index;
  std::unique_ptr<retention::VaultClock> vault;
  std::unique_ptr<Publisher> publisher;
  /// Held shared by whoever walks trees for long (check): nothing is condemned meanwhile.
  std::shared_mutex condemning;
  /// Held shared by a commit that was overtaken by condemnations again and again: they wait for it.
  std::shared_mutex committing;
  std::mutex collecting;  ///< held by a pass of collection

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
