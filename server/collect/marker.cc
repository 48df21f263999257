#include "server/collect/marker.h"

namespace holdfast::collect {

bool Marker::enter(const Space& space, const blob::BlobRef& ref) {
  if (!marks_.insert(marks_.image(space, ref))) return false;
  runs_.insert(ref.run);
  ++marked_[space];
  return true;
}

/// Needs to be walked: everything but data. What an index names is looked up in any case, so that what is missing is
/// noticed; without the set of segments only a lookup can tell.
bool Marker::is_segment(const Space& space, blob::Type parent, const blob::BlobRef& ref) const {
  return parent == blob::Type::Index || segments_ == nullptr || segments_->contains(segments_->image(space, ref));
}

Status Marker::mark(const RootRef& root) {
  if (!enter(root.space, root.root)) return {};
  stack_.assign(1, root.root);
  while (!stack_.empty()) {
    const blob::BlobRef ref = stack_.back();
    stack_.pop_back();
    HF_TRY(const std::vector<index::Location> copies, lookup_(root.space, ref));
    if (copies.empty()) {
      unproven_.try_emplace(root.space, "blob " + ref.blob.hex() + " of run " + ref.run.hex() + ", which " +
                                            root.label + " needs, is in no pack");
    }
    // All copies are followed: they should have one child list, and one that lies must not hide the other's.
    for (const index::Location& copy : copies) {
      for (const blob::BlobRef& child : copy.entry.children) {
        if (enter(root.space, child) && is_segment(root.space, copy.entry.type, child)) stack_.push_back(child);
      }
    }
  }
  return {};
}

}  // namespace holdfast::collect
