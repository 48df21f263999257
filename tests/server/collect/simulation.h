#pragma once
// Row 47: server core, clients, virtual disk, network and clock on one thread, driven by one seed: the same seed gives the same
// trace. Clients back up on their own schedule over a network that loses requests and answers; the server crashes amid
// anything and starts again; purge and collection run by virtual time. An oracle outside, which knows receipts only, says
// which snapshots must be there, in which state, and every byte of them is read back.

#include <map>
#include <optional>
#include <queue>
#include <sstream>

#include "tests/server/collect/collect_world.h"

namespace holdfast::collect {

struct SimulationOptions {
  std::uint64_t seed = 1;
  std::size_t clients = 3;
  std::chrono::hours length{24 * 36};
  std::chrono::hours backup_every{48};
  std::chrono::hours purge_every{24};
  std::chrono::hours collect_every{30};
  std::chrono::hours verify_every{24 * 9};
  std::uint32_t lost_in_1000 = 30;     ///< requests, and as many answers
  std::uint32_t crash_in_1000 = 8;     ///< a crash is armed before that many events of 1,000
  std::uint32_t abandon_in_1000 = 30;  ///< backups that are never finished
  std::size_t slots = 12;              ///< contents of a client; four a leaf
  std::uint32_t contents = 40;         ///< different contents there are: few, so that clients share
  std::string plan = "1d";
};

struct SimulationResult {
  std::uint64_t events = 0, backups = 0, commits = 0, refused = 0, lost = 0, crashes = 0, restarts = 0;
  std::uint64_t locked = 0, deleted = 0, erased = 0, condemned = 0, rewritten = 0, removed = 0, verified_blobs = 0;
  Digest trace;         ///< over everything that happened
  std::string problem;  ///< empty: none; else what, when
  std::string last;     ///< the newest lines of the trace, for people
};

/// Runs one. Whatever is wrong goes into `problem`, with the seed that replays it.
SimulationResult simulate(const SimulationOptions& options);

}  // namespace holdfast::collect
