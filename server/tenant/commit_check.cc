#include "server/tenant/commit_check.h"

#include <set>
#include <unordered_set>

namespace holdfast::tenant {
namespace {

using RefSet = std::unordered_set<blob::BlobRef, RefHash>;

// References of the base that are remembered, about 80 bytes each. Beyond it the new tree is simply walked down.
constexpr std::size_t kMaxKnown = 1u << 19;

/// Level by level, both trees at once. What the base names is known before the new segments of that level are looked at.
class Walk {
 public:
  explicit Walk(const EntryLookup& lookup) : lookup_(lookup) {}

  Status run(const snapshot::Root& root, const std::optional<blob::BlobRef>& base_root) {
    if (base_root) {
      known_.insert(*base_root);
      base_level_.push_back(*base_root);
    }
    HF_TRY_DO(start(root));
    for (std::size_t level = 0; !level_.empty() && !enough(); ++level) {
      if (level == kMaxTreeLevels)
        return Error{Errc::Limit, "the manifest is deeper than " + std::to_string(kMaxTreeLevels) + " levels"};
      HF_TRY_DO(descend_base());
      HF_TRY_DO(descend());
    }
    return {};
  }

  std::vector<BlobId> missing() const { return {missing_.begin(), missing_.end()}; }

 private:
  bool enough() const { return missing_.size() >= kMaxMissing; }

  Status start(const snapshot::Root& root) {
    const blob::BlobRef ref{root.blob, root.run};
    HF_TRY(const std::optional<pack::Entry> entry, lookup_(ref));
    const bool right = entry && (entry->type == blob::Type::Index || entry->type == blob::Type::Leaf) &&
                       entry->record_digest == root.record_digest;
    if (!right)
      missing_.insert(root.blob);
    else if (!known_.contains(ref))
      enter(ref);
    return {};
  }

  void enter(const blob::BlobRef& ref) {
    if (visited_.insert(ref).second) level_.push_back(ref);
  }

  /// What both trees name need not be opened on either side.
  Status descend_base() {
    std::vector<blob::BlobRef> next;
    for (const blob::BlobRef& ref : base_level_) {
      if (visited_.contains(ref) || shared_.contains(ref) || known_.size() >= kMaxKnown) continue;
      HF_TRY(const std::optional<pack::Entry> entry, lookup_(ref));
      if (!entry || entry->type == blob::Type::Data) continue;
      for (const blob::BlobRef& child : entry->children) {
        if (known_.insert(child).second) next.push_back(child);
      }
    }
    base_level_ = std::move(next);
    return {};
  }

  Status descend() {
    const std::vector<blob::BlobRef> here = std::move(level_);
    level_.clear();
    for (const blob::BlobRef& ref : here) {
      // Looked up once more: a level of whole child lists would not fit a bound.
      HF_TRY(const std::optional<pack::Entry> segment, lookup_(ref));
      if (!segment) {
        missing_.insert(ref.blob);
        continue;
      }
      for (const blob::BlobRef& child : segment->children) {
        HF_TRY_DO(check_child(segment->type, child));
        if (enough()) return {};
      }
    }
    return {};
  }

  Status check_child(blob::Type parent, const blob::BlobRef& child) {
    if (known_.contains(child)) {
      shared_.insert(child);
      return {};
    }
    if (visited_.contains(child)) return {};
    HF_TRY(const std::optional<pack::Entry> entry, lookup_(child));
    if (!entry || !may_contain(parent, entry->type))
      missing_.insert(child.blob);
    else if (entry->type != blob::Type::Data)
      enter(child);
    return {};
  }

  const EntryLookup& lookup_;
  std::vector<blob::BlobRef> level_, base_level_;
  RefSet visited_;  ///< segments of the new tree that the base does not prove
  RefSet known_;    ///< named by the base
  RefSet shared_;   ///< named by both
  std::set<BlobId> missing_;
};

}  // namespace

bool may_contain(blob::Type parent, blob::Type child) {
  switch (parent) {
    case blob::Type::Index:
      return child == blob::Type::Index || child == blob::Type::Leaf;
    case blob::Type::Leaf:
    case blob::Type::Extents:
      return child == blob::Type::Data || child == blob::Type::Extents;
    case blob::Type::Data:
      return false;
  }
  return false;
}

Result<std::vector<BlobId>> find_missing(const snapshot::Root& root, const std::optional<blob::BlobRef>& base_root,
                                         const EntryLookup& lookup) {
  Walk walk(lookup);
  HF_TRY_DO(walk.run(root, base_root));
  return walk.missing();
}

}  // namespace holdfast::tenant
