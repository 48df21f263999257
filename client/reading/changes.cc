#include "client/reading/changes.h"

namespace holdfast::reading {
namespace {

using manifest::Entry;
using manifest::EntryKind;

/// Names may be missing because nobody could be asked for them: only two different ones say something.
bool same_name(const std::string& a, const std::string& b) { return a.empty() || b.empty() || a == b; }

bool same_owner(const Entry& a, const Entry& b) {
  return a.uid == b.uid && a.gid == b.gid && same_name(a.owner, b.owner) && same_name(a.group, b.group);
}

bool same_content(const Entry& a, const Entry& b, Contents contents) {
  if (!manifest::has_content(a.kind)) return true;
  if (a.size != b.size) return false;
  return contents == Contents::BySize || (a.chunk_class == b.chunk_class && a.content_digest == b.content_digest);
}

}  // namespace

Changes changes_between(const Entry& before, const Entry& after, Contents contents) {
  if (before.kind != after.kind) return kKind;
  Changes out = 0;
  const bool is_link = before.kind == EntryKind::Hardlink;
  if (!same_content(before, after, contents)) out |= kContent;
  if (before.link_target != after.link_target) out |= is_link ? kLinks : kTarget;
  if (before.rdev != after.rdev) out |= kDevice;
  if (is_link) return out;  // attributes stand at the first link
  if (before.mode != after.mode) out |= kMode;
  if (!same_owner(before, after)) out |= kOwner;
  if (before.mtime_ns != after.mtime_ns) out |= kTime;
  if (before.xattrs != after.xattrs) out |= kXattrs;
  return out;
}

std::vector<std::string> names_of(Changes changes) {
  static constexpr const char* kNames[] = {"kind", "content", "target", "device", "links",
                                           "mode", "owner",   "mtime",  "xattrs"};
  std::vector<std::string> out;
  for (unsigned bit = 0; bit < std::size(kNames); ++bit) {
    if ((changes & (1u << bit)) != 0) out.emplace_back(kNames[bit]);
  }
  return out;
}

char Difference::letter() const {
  if (added()) return '+';
  if (removed()) return '-';
  if ((changes & kKind) != 0) return 'T';
  return (changes & kEssence) != 0 ? 'M' : 'U';
}

void DifferenceCount::add(const Difference& difference) {
  if (difference.added()) {
    ++added;
    added_bytes += difference.after->size;
  } else if (difference.removed()) {
    ++removed;
    removed_bytes += difference.before->size;
  } else {
    ++changed;
    if ((difference.changes & kContent) != 0) changed_bytes += difference.after->size;
  }
}

}  // namespace holdfast::reading
