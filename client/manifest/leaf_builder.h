#pragma once
// Why: collects entries until it is certain where the leaf ends that they stand in. Private to client/manifest.

#include "client/manifest/extent_tree.h"

namespace holdfast::manifest {

/// One thread at a time.
class LeafBuilder {
 public:
  /// `cuts` must outlive it.
  explicit LeafBuilder(const CutRule& cuts) : cuts_(cuts) {}

  /// A leaf and what its parent's line says of it.
  struct Leaf {
    Draft draft;
    std::uint64_t entries = 0;
    EntryKey first, last;  ///< empty in the leaf of an empty manifest
  };
  /// Returns the leaves that end before it, none as a rule, seldom two: none may grow beyond its bound.
  std::vector<Leaf> add(LeafItem item);
  bool empty() const { return items_.empty(); }
  /// All that still wait.
  Leaf end() { return take(items_.size()); }

 private:
  struct Cost {
    std::size_t first = 0;  ///< what it adds to a leaf that it is the first of
    std::size_t next = 0;   ///< behind its predecessor
  };
  Cost cost_of(const LeafItem& item, const std::vector<blob::BlobRef>& refs) const;
  bool is_full_for(const Cost& cost) const;
  Leaf take(std::size_t count);
  void grow(const Cost& cost);

  const CutRule& cuts_;
  std::vector<LeafItem> items_;
  std::vector<Cost> costs_;
  std::vector<std::size_t> sizes_;        ///< of the leaf, if it ended behind each item
  std::vector<blob::BlobRef> last_refs_;  ///< of the newest item
};

}  // namespace holdfast::manifest
