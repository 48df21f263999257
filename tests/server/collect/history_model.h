#pragma once
// What a tenant must be, told by its clients and operators: who sent what, which snapshots there are, what each of them
// reaches, and what has been promised to unfinished uploads. It knows neither packs nor journal nor index; it never looks
// at how the server decides.

#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/server/tenant/tenant_world.h"

namespace holdfast::collect::history {

using Ref = blob::BlobRef;
using Refs = std::set<Ref>;

/// The tenant did what it must not.
struct Divergence {
  std::string what;
};
[[noreturn]] inline void diverge(std::string what) { throw Divergence{std::move(what)}; }

/// A blob that some client has sent, or has tried to.
struct Sent {
  Bytes record;
  std::vector<Ref> children;
  blob::Type type = blob::Type::Data;
  std::size_t machine = 0;
};

enum class Life { Live, Locked, Deleted };

/// A snapshot that was committed.
struct Committed {
  std::size_t machine = 0;
  std::uint64_t sequence = 0;
  SnapshotId id;
  SessionId session;
  Ref root;
  Refs closure;
  Life life = Life::Live;
  std::int64_t lock_ns = 0, delete_ns = 0;
  bool erased = false;
  Bytes core, receipt;
};

/// An upload that has neither been committed nor given up.
struct Work {
  std::size_t machine = 0;
  tenant::TestRun run;
  SnapshotId base;  ///< that it asked for
  bool opened = false, broken = false;
  Refs acked;                         ///< the server said: stored
  Refs had;                           ///< the server said: have (pinned while the process lives)
  std::map<std::uint64_t, Ref> sent;  ///< by tag, not acknowledged yet
  std::set<std::uint64_t> held;       ///< of these, what was published before the request that will be told of it
  std::int64_t held_ns = 0;           ///< vault time of that
  std::vector<Ref> tops;              ///< what its root will name
  std::int64_t recorded_ns = 0;       ///< vault time of something that is surely in the journal
  std::int64_t touched_ns = 0;        ///< vault time of its last use
  std::int64_t used_ns = 0;           ///< monotonic time of its last use in this process; 0: none
};

struct Model {
  std::map<Ref, Sent> library;
  std::map<BlobId, std::vector<Ref>> by_blob;
  std::map<RunId, std::pair<std::size_t, Bytes>> slots;  ///< machine and slot of each run that was opened
  std::vector<Committed> snapshots;
  std::vector<Work> works;
  std::vector<DomainId> domains;  ///< of each machine
  Refs ever_committed;            ///< in some snapshot, once

  void remember(const Ref& ref, Sent sent) {
    if (library.emplace(ref, std::move(sent)).second) by_blob[ref.blob].push_back(ref);
  }
  const Committed* snapshot(const SnapshotId& id) const {
    for (const Committed& s : snapshots)
      if (s.id == id) return &s;
    return nullptr;
  }
  Committed* newest(std::size_t machine) {
    for (auto it = snapshots.rbegin(); it != snapshots.rend(); ++it)
      if (it->machine == machine) return &*it;
    return nullptr;
  }
  bool is_base(const SnapshotId& id) const {
    return std::any_of(works.begin(), works.end(),
                       [&](const Work& w) { return w.opened && w.run.opened.base_known && w.base == id; });
  }
  void add_closure(const Ref& ref, Refs& to) const {
    if (!to.insert(ref).second) return;
    for (const Ref& child : library.at(ref).children) add_closure(child, to);
  }

  /// What every member of the domain may count on: it can be read, and built upon.
  Refs sure(const DomainId& domain) const {
    Refs out;
    for (const Committed& s : snapshots) {
      if (domains[s.machine] == domain && (s.life != Life::Deleted || is_base(s.id)))
        out.insert(s.closure.begin(), s.closure.end());
    }
    return out;
  }
  /// The same for one upload: what it was told beside.
  Refs sure_for(const Work& work) const {
    Refs out = sure(domains[work.machine]);
    out.insert(work.acked.begin(), work.acked.end());
    out.insert(work.had.begin(), work.had.end());
    return out;
  }
  /// The server may know it as something to build on, for all that this client can tell.
  bool may_be_had(const Ref& ref, std::size_t asker) const {
    const Sent& sent = library.at(ref);
    return domains[sent.machine] == domains[asker] &&
           (sent.machine == asker || ever_committed.contains(ref) || committed_runs.contains(ref.run));
  }
  /// What an unfinished session of another client sent is not answered, though a later snapshot of that client needs it
  /// (server/tenant/FORMAT.md, section 2): then it is sent once more.
  bool must_be_had(const Ref& ref, std::size_t asker) const {
    return library.at(ref).machine == asker || committed_runs.contains(ref.run);
  }
  std::set<RunId> committed_runs;
};

}  // namespace holdfast::collect::history
