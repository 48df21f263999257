#pragma once
// Why: expiry never takes the newest good snapshot of a registered source (STORE.md, Retention, *pause*). Which one that
// is follows from the order of commits and from the operators' list of sources, never from a client's times or names.

#include <cstdint>
#include <optional>
#include <vector>

#include "server/retention/purge.h"

namespace holdfast::retention {

/// A source that is not on the operators' list.
inline constexpr std::uint32_t kNoSource = 0xffff'ffff;

/// One source in one snapshot.
struct SourceRow {
  std::uint32_t source = kNoSource;  ///< the caller's number; registered ones are 0 … registered − 1
  std::uint32_t position = 0;        ///< of the snapshot, see SnapshotDates
  bool good = false;                 ///< the source is whole in it, and nothing is known to be damaged
  SnapshotState state = SnapshotState::Live;
};

/// Finds the newest good snapshot of each registered source: the newest live one, or where none is live the newest locked
/// one, so that taking back its lock is still possible. Rows come in any order. One thread at a time.
class NewestGood {
 public:
  /// `registered`: how many sources the operators' list has. Rows of other sources neither pause nor displace anything.
  explicit NewestGood(std::uint32_t registered) : live_(registered), locked_(registered) {}

  void add(const SourceRow& row);
  /// Positions, ascending, each once: what plan_purge wants.
  std::vector<std::uint32_t> positions() const;
  /// Of one registered source; none: it is in no good snapshot.
  std::optional<std::uint32_t> position_of(std::uint32_t source) const;

 private:
  std::vector<std::uint64_t> live_, locked_;  ///< by source: position + 1, 0 = none
};

}  // namespace holdfast::retention
