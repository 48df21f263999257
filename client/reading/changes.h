#pragma once
// Why: in what two entries of one path differ, for diff (two snapshots) and compare (a snapshot and the live file).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/manifest/entry.h"

namespace holdfast::reading {

/// Bits of Changes.
enum Change : unsigned {
  kKind = 1,      ///< file, directory, …; nothing else is compared then
  kContent = 2,   ///< of files and streams
  kTarget = 4,    ///< of a symbolic link
  kDevice = 8,    ///< of a device
  kLinks = 16,    ///< another set of hard links
  kMode = 32,     ///< permission bits
  kOwner = 64,    ///< owner or group, by number or name
  kTime = 128,    ///< of modification
  kXattrs = 256,  ///< ACLs and capabilities among them
};
using Changes = unsigned;
/// What an entry is, not what is noted about it.
inline constexpr Changes kEssence = kContent | kTarget | kDevice | kLinks;

/// How contents are compared.
enum class Contents {
  ByDigest,  ///< both digests were made under one key
  BySize,    ///< one of them is not known, or stands under another key
};
Changes changes_between(const manifest::Entry& before, const manifest::Entry& after, Contents contents);
/// "content", "mode", …: words of the JSON events.
std::vector<std::string> names_of(Changes changes);

/// One path that is not the same on both sides. At least one of them is set.
struct Difference {
  std::optional<manifest::Entry> before, after;
  Changes changes = 0;  ///< when both are set
  bool added() const { return !before; }
  bool removed() const { return !after; }
  const manifest::Entry& entry() const { return after ? *after : *before; }
  /// '+' added, '-' removed, 'T' another kind, 'M' essence, 'U' attributes only.
  char letter() const;
};

/// Counts of a comparison.
struct DifferenceCount {
  std::uint64_t added = 0, removed = 0, changed = 0;
  std::uint64_t added_bytes = 0, removed_bytes = 0;  ///< sizes of those files and streams
  std::uint64_t changed_bytes = 0;                   ///< sizes, as they are after, of those whose content changed
  void add(const Difference& difference);
  bool any() const { return added + removed + changed > 0; }
};

}  // namespace holdfast::reading
