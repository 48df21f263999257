#pragma once
// Why: a damaged file matters by the snapshots that cannot be restored in full. Walks every snapshot's tree once,
// remembers what is below each segment, and says which files are to blame. Pure over a lookup.

#include <functional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "server/tenant/commit_check.h"
#include "server/tenant/findings.h"

namespace holdfast::tenant {

/// What became of one reference.
struct Resolved {
  std::optional<pack::Entry> entry;     ///< a copy to walk on from, damaged or not
  std::vector<Findings::FileId> blame;  ///< empty: it can be read
};

/// Of one (domain, epoch): references mean different things in different ones. One thread at a time.
class TreeDamage {
 public:
  using Resolve = std::function<Result<Resolved>(const blob::BlobRef&)>;
  explicit TreeDamage(Resolve resolve) : resolve_(std::move(resolve)) {}

  /// Files because of which something below `root`, or itself, cannot be read. Errors: the lookup's.
  Result<std::set<Findings::FileId>> below(const blob::BlobRef& root);

 private:
  using Blame = std::set<Findings::FileId>;
  struct Frame {
    blob::BlobRef ref;
    std::vector<blob::BlobRef> children;
    std::size_t next = 0;
    Blame blame;
  };
  Result<bool> enter(const blob::BlobRef& ref, Blame& blame);
  void leave();

  const Resolve resolve_;
  std::vector<Frame> stack_;
  std::unordered_set<blob::BlobRef, RefHash> clean_, on_stack_;
  std::unordered_map<blob::BlobRef, Blame, RefHash> damaged_;
};

}  // namespace holdfast::tenant
