#pragma once
// Why: where a tenant's bytes are, and when those that are on their way out come back: quotas, bills and full disks are
// about this. Every stored byte is counted in exactly one place. The server knows stored bytes only; what they are to the
// client before compression it cannot tell.

#include "server/collect/collect.h"

namespace holdfast::collect {

/// Bytes. stored = live + locked + uploading + dead + copies + overhead + unlisted.
struct Usage {
  std::uint64_t snapshots = 0, locked_snapshots = 0;
  std::uint64_t logical = 0;    ///< of all these snapshots, each counted as if it shared nothing with another
  std::uint64_t stored = 0;     ///< live packs, as files
  std::uint64_t live = 0;       ///< blobs that live snapshots refer to
  std::uint64_t shared = 0;     ///< of these, those of several clients
  std::uint64_t locked = 0;     ///< blobs that only locked snapshots refer to
  std::uint64_t uploading = 0;  ///< blobs that only unfinished sessions have sent
  std::uint64_t dead = 0;       ///< blobs that nothing refers to
  std::uint64_t copies = 0;     ///< second and further copies of blobs
  std::uint64_t overhead = 0;   ///< headers and footers of packs
  std::uint64_t unlisted = 0;   ///< packs that the index does not know, as files: `check` says why
  std::uint64_t trash = 0;      ///< condemned packs, as files; beside `stored`
  std::uint64_t missing = 0;    ///< roots and children that are in no pack: `check` names what suffers

  /// Bytes whose return has a date: the trash, and what only locked snapshots hold, if nothing takes it up again and
  /// no pause or freeze holds them.
  struct Return {
    std::int64_t not_before_ns =
        0;  ///< vault time: all of it, at the earliest; purge and collection have to come by, too
    std::uint64_t trash = 0, locked = 0;
  };
  std::vector<Return> returns;  ///< one for each UTC day, ascending
};

/// Of one moment. Blocks for about as long as the look-around of a pass, and then visits each blob once for every different
/// tree that it is in. Memory: up to 72 bytes for each blob, 4 for each reference, about 150 for each segment. `trash`: how
/// long condemned packs wait. Errors: Locked (a pass runs, which would move bytes meanwhile), Canceled (`stop` was set),
/// Conflict (the index was changed meanwhile: ask again), Corrupt (a core that does not decode; a journal that could be read
/// only in part: then nobody knows what there is), the index's.
Result<Usage> measure_usage(tenant::Tenant& tenant, std::chrono::hours trash, const std::atomic<bool>* stop = nullptr);

}  // namespace holdfast::collect
