#pragma once
// Why: what operators are told about the lives of snapshots, and the words for it: plain values, so that administration
// needs nothing else of a tenant's inside. All times are nanoseconds since 1970; `_ns` without a word is the vault clock.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/journal/journal.h"
#include "server/retention/purge.h"

namespace holdfast::tenant {

/// live → locked → deleted → erased (FORMAT.md, section 4).
enum class Life : std::uint8_t { Live, Locked, Deleted, Erased };
std::string_view life_name(Life life);

/// A snapshot as people name it.
struct SnapshotName {
  std::string client;
  std::uint64_t sequence = 0;
  SnapshotId id;
};

/// What one purge did, or would do.
struct PurgeReport {
  struct Row {
    SnapshotName name;
    std::int64_t date_ns = 0;
  };
  std::int64_t now_ns = 0, wall_ns = 0;
  std::vector<Row> deleted;  ///< with the moment of their lock
  std::vector<Row> locked;   ///< with the earliest date of their end
  std::vector<Row> paused;   ///< due, but the newest good of a registered source; with the date that has passed
  std::uint64_t lock_cap = 0;
  std::uint64_t held_by_cap = 0;        ///< due for a lock, left for the next pass
  std::uint64_t held_by_clock = 0;      ///< due by the wall clock, not yet by the vault clock, which is behind it
  std::optional<std::int64_t> next_ns;  ///< the next date at which there is something to do; none: never
};

/// Everything that can be said about one snapshot. A date that does not apply is zero.
struct SnapshotStory {
  SnapshotName name;
  Life life = Life::Live;
  std::string plan;
  std::int64_t now_ns = 0;
  std::int64_t committed_ns = 0, received_wall_ns = 0;
  std::int64_t promised_lock_ns = 0;  ///< as in the receipt
  std::int64_t lock_not_before_ns = 0;
  std::int64_t locked_ns = 0, deleted_ns = 0, erased_ns = 0;
  bool locked_by_operator = false;
  std::string locked_by;
  std::int64_t delete_not_before_ns = 0;    ///< of a live one: if the first purge that may lock it does
  std::optional<retention::Rule> rule;      ///< live and locked ones: what holds them
  std::vector<std::string> newest_good_of;  ///< sources for which it is paused: it is their newest good snapshot
  bool gone_by = false;                     ///< its plan promises a date of deletion, which no pause holds up
  bool released = false;                    ///< deleted: what remains of it is known
  std::uint64_t remains = 0;                ///< packs that hold bytes which nothing else refers to
  std::string frozen;                       ///< why nothing of this tenant is destroyed; empty: it is
};

/// A source as operators see it.
struct SourceStory {
  std::string client;
  SourceId source;          ///< zero: the client as a whole
  bool registered = false;  ///< expiry never takes its newest good snapshot
  bool listed = false;      ///< an operator said so; else it is the rule's default, or was only seen in snapshots
  std::string label;
  std::optional<SnapshotName> newest_good;
  std::int64_t newest_good_wall_ns = 0;
};

}  // namespace holdfast::tenant
