#pragma once
// Why: with --strip a part of a snapshot is restored without the directories above it: a leading path is taken off every
// path, also off those that hard links name.

#include <optional>

#include "client/manifest/entry.h"
#include "common/base/result.h"

namespace holdfast::restore {

/// Paths of the snapshot, and the same in the target. Immutable.
class Strip {
 public:
  /// `prefix`: absolute; empty or "/": nothing is taken off.
  explicit Strip(std::string prefix) : prefix_(prefix == "/" ? std::string() : std::move(prefix)) {}
  /// Errors: Usage when one of `paths` is not at or below the prefix.
  Status check(const std::vector<std::string>& paths) const;
  /// Where an entry belongs. Nothing: nowhere, it is a directory above the prefix. Errors: Usage when it is outside, or no
  /// directory and all of its path would be taken off.
  Result<std::optional<std::string>> place_of(const manifest::Entry& entry) const;
  /// Gives the entry its paths in the target. False: as place_of. Errors: as place_of, also for a hard link's first link.
  Result<bool> apply(manifest::Entry& entry) const;
  /// The path in the snapshot.
  std::string whole(const std::string& place) const;
  const std::string& prefix() const { return prefix_; }

 private:
  std::string without(const std::string& path) const;
  Error outside(const std::string& path) const;

  const std::string prefix_;  ///< without a slash at its end; empty: none
};

}  // namespace holdfast::restore
