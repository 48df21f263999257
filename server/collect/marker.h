#pragma once
// Why: what is alive is what a root reaches through the clear child lists of segments. Walks each segment once, however
// many snapshots share it. A segment that cannot be found hides what is below it: then nothing of its space is known to be
// dead, and the walk says so instead of guessing.

#include <functional>
#include <map>
#include <string>
#include <unordered_set>

#include "server/collect/marks.h"
#include "server/index/blob_index.h"

namespace holdfast::collect {

/// One root, and how people call what it belongs to.
struct RootRef {
  Space space;
  blob::BlobRef root;
  std::string label;
};

/// One thread at a time.
class Marker {
 public:
  /// Every live copy of exactly this reference; empty: none.
  using Lookup = std::function<Result<std::vector<index::Location>>(const Space&, const blob::BlobRef&)>;

  /// `segments`: images of all segments there are, of any type, so that data need not be looked up. What a child is says
  /// the child, never its parent: a client may name a root in a leaf. nullptr: everything is looked up.
  Marker(Marks& marks, const Marks* segments, Lookup lookup)
      : marks_(marks), segments_(segments), lookup_(std::move(lookup)) {}

  /// Marks everything below `root`, and itself. Errors: the lookup's.
  Status mark(const RootRef& root);
  /// Spaces in which something could not be found, with a sentence that names it.
  const std::map<Space, std::string>& unproven() const { return unproven_; }
  /// How many references of each space were marked.
  const std::map<Space, std::uint64_t>& marked() const { return marked_; }
  /// Runs of everything that was marked.
  const std::unordered_set<RunId>& runs() const { return runs_; }

 private:
  bool enter(const Space& space, const blob::BlobRef& ref);
  bool is_segment(const Space& space, blob::Type parent, const blob::BlobRef& ref) const;

  Marks& marks_;
  const Marks* const segments_;
  const Lookup lookup_;
  std::vector<blob::BlobRef> stack_;
  std::map<Space, std::string> unproven_;
  std::map<Space, std::uint64_t> marked_;
  std::unordered_set<RunId> runs_;
};

}  // namespace holdfast::collect
