#pragma once
// Why: what a tenant's directory says after whatever happened to it. Reading only: which head holds, whether the
// journal up to it is whole, and what lies beyond. LocalCoordinator carries out what follows from it. FORMAT.md,
// section 4.

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "server/coordinator/head_slot.h"
#include "server/coordinator/segments.h"

namespace holdfast::coordinator {

inline constexpr char kHeadName[] = "head";
inline constexpr char kLockName[] = "lock";
inline constexpr char kJournalName[] = "journal";

/// The head file: at least one slot is good.
struct HeadFile {
  HeadSlot newest;
  std::size_t newest_slot = 0;    ///< 0 or 1
  std::optional<HeadSlot> other;  ///< nullopt: that slot is damaged
  std::string other_damage;       ///< why
};

/// nullopt: there is no head file. Errors: Corrupt (no slot is good, wrong length, slots that cannot both be ours),
/// TooNew, Io.
Result<std::optional<HeadFile>> read_head_file(fs::FileSystem& fs, const std::string& directory);

/// A segment up to the head, verified.
struct Segment {
  std::uint64_t first = 0;
  journal::Record last;  ///< its last record, without the payload
};

struct Recovered {
  HeadSlot slot;                  ///< holds; with the head moved forward if that was due
  std::size_t newest_slot = 0;    ///< the good one that must be overwritten last
  std::vector<Segment> segments;  ///< up to the head
  bool rolled_forward = false;
  bool has_tail = false;           ///< bytes beyond the head, to be set aside
  std::vector<std::string> notes;  ///< what was found damaged and can be repaired, naming the file
};

/// nullopt: a new tenant, nothing was ever published. Errors: Corrupt naming file and record, TooNew, Io.
Result<std::optional<Recovered>> recover(fs::FileSystem& fs, const std::string& directory);

/// Follows the journal from its first record to `head` and hands every record out. Errors: Corrupt naming file and
/// record, after the good ones before it; what the visitor returns.
/// `segments`: where given, the verified ones, from which number `from` is found without reading all before it.
Status read_journal(fs::FileSystem& fs, const std::string& directory, const Head& head,
                    const std::vector<Segment>& segments, std::uint64_t from,
                    const std::function<Status(const journal::Record&)>& visit);

}  // namespace holdfast::coordinator
