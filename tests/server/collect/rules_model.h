#pragma once
// Why: collection is safe by six rules (STORE.md, "Collect"), not by waiting. This is a store that consists of nothing
// but these rules, so that every order in which actors can meet can be tried, and each rule left out to see what it is for.
// Promises: pure, deterministic, no clock: what the real store lets pass days for (trash, expiry) may happen at any step.
// Leaves out: damage, quota, readers, bytes. A snapshot is the set of blobs that stand at the top of its tree.

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

namespace holdfast::collect::model {

using Mask = std::uint8_t;  ///< a set: of blobs, of packs or of snapshots
inline constexpr std::uint8_t kBlobs = 8, kPacks = 8, kSnapshots = 6, kSessions = 4, kActors = 4, kNone = 0xff;

constexpr Mask bit(std::uint8_t i) { return static_cast<Mask>(1u << i); }
constexpr Mask without(Mask a, Mask b) { return static_cast<Mask>(a & ~b); }
constexpr bool has(Mask set, std::uint8_t i) { return (set & bit(i)) != 0; }

/// What holds. All of it is STORE.md's; a test drops one at a time.
struct Rules {
  bool epoch = true;        ///< 1: who has lost the tenant publishes nothing
  bool generation = true;   ///< 2: a judgement older than the state is repaired or made again before it is published
  bool recheck = true;      ///< 3: a commit looks its references up again
  bool closure = true;      ///< 3: … down to the blobs: a segment that is there does not prove what it names
  bool base_kept = true;    ///< 3: no session takes a deleted snapshot for its base
  bool base_pinned = true;  ///< 3: what the base of an open session reaches is kept
  bool condemn_recorded = true;  ///< 4: no unlink before the condemnation is published
  bool condemn_final = true;     ///< 4: what is condemned counts for no have and no commit, and stays condemned
  bool orphans_of_old = true;    ///< 5: only orphans that nobody can publish any more are condemned
  bool no_adoption = true;       ///< 6: a packs record names only what its own task has written
  bool pins = true;              ///< not a rule of safety: what was answered to "have?" is kept
  bool delta_by_record = true;   ///< 2: in a repair commits count whatever has become of their snapshots
  bool redo = false;             ///< 2: repair by judging anew instead of by what was published since
};

enum class Entry : std::uint8_t { None, Live, Trash };             ///< what the journal says of a pack
enum class State : std::uint8_t { None, Live, Locked, Deleted };   ///< of a snapshot
enum class Phase : std::uint8_t { None, Open, Committed, Ended };  ///< of a session

/// What is published. One owner at a time has the current one; who was owner before has a copy that stands still.
struct Journal {
  std::uint8_t epoch = 1, generation = 0;
  std::array<Entry, kPacks> entry{};
  std::array<State, kSnapshots> snapshot{};
  std::array<Phase, kSessions> phase{};
  std::array<std::uint8_t, kSessions> base{kNone, kNone, kNone, kNone};
  std::array<Mask, kSessions> own{};  ///< packs that a session has published
};

struct Pack {
  Mask blobs = 0;
  std::uint8_t epoch = 0;  ///< of its writer: stands in its name
  std::uint8_t file = 0;   ///< 1: it is there
};

/// Where an actor is, and what it remembers from its earlier steps.
struct Actor {
  std::uint8_t next = 0;        ///< step
  std::uint8_t epoch = 0;       ///< of the owner that it runs in; 0 before its first step
  std::uint8_t generation = 0;  ///< of the state that it judged by
  std::uint8_t pack = kNone;    ///< which it writes or has adopted
  std::uint8_t task = 0;        ///< 1: its pack is written and may still be published
  Mask write = 0;               ///< blobs to write
  Mask packs = 0;               ///< listed, judged, condemned
  Mask seen = 0;                ///< snapshots that existed when it marked
};

/// Bytes only, so that equal states are equal memory.
struct World {
  Journal now, before;  ///< `before`: what the old owner knows once there is a new one
  std::array<Pack, kPacks> pack{};
  std::array<std::array<Mask, kSessions>, 2> pins{};  ///< by owner: they live in its memory
  std::array<Actor, kActors> actor{};

  bool operator==(const World& other) const { return std::memcmp(this, &other, sizeof(World)) == 0; }
};
static_assert(std::has_unique_object_representations_v<World>);

struct WorldHash {
  std::size_t operator()(const World& world) const noexcept {
    std::array<std::uint64_t, (sizeof(World) + 7) / 8> words{};
    std::memcpy(words.data(), &world, sizeof(World));
    std::uint64_t h = 0x9e3779b97f4a7c15u;
    for (const std::uint64_t word : words) {
      h = (h ^ word) * 0xff51afd7ed558ccdu;
      h ^= h >> 32;
    }
    return h;
  }
};

enum class Step : std::uint8_t {
  // an uploader
  Open,     ///< publishes the session, with its base if that is not deleted
  Have,     ///< asks for what the base does not have; what is there is pinned and named, the rest is to be written
  Write,    ///< the pack file is durable under its name
  Publish,  ///< the packs record: the acknowledgement
  Check,    ///< the commit check, by the state of this moment
  Commit,   ///< publishes the snapshot
  Abort,    ///< gives the session up
  Resume,   ///< goes on at the new owner, who knows nothing of pins or unpublished packs
  // a collector; the last three end a rewriter and a sweeper as well
  Mark,     ///< judges which packs nobody needs
  Condemn,  ///< publishes it; a rewriter publishes its new pack with it
  Unlink,   ///< what it has condemned, and what else is in the trash
  Forget,   ///< publishes the removal
  // a rewriter
  MarkHalf,  ///< finds a pack that is needed in part
  Copy,      ///< writes the part into a new one
  // a sweeper of orphans
  List,   ///< the files of the directory
  Judge,  ///< which of them are orphans that nobody can publish
  // others
  Lock,
  Delete,
  Undelete,
  Expire,   ///< the session
  Acquire,  ///< a new owner takes the next epoch; what ran goes on, as a zombie
};

enum class Kind : std::uint8_t { Uploader, Collector, Rewriter, Sweeper, Other };

struct Program {
  std::string name;
  Kind kind = Kind::Other;
  std::vector<Step> steps;
  std::uint8_t session = kNone, snapshot = kNone, base = kNone;  ///< of an uploader; `snapshot` of a purger, too
  bool old_owner = false;       ///< runs in the first owner, whoever owns the tenant when it begins
  bool one_copy = false;        ///< a collector that condemns spare copies, too
  std::uint8_t writes = kNone;  ///< the pack that it writes, or has written when it begins
};

/// A start, and who acts.
struct Scenario {
  std::string name;
  std::vector<std::string> blob_names;
  std::array<Mask, kBlobs> children{};  ///< a segment's; a data blob has none
  std::array<Mask, kSnapshots> tops{};
  World start;
  std::vector<Program> actors;
};

/// Everything below a set of blobs, itself included.
inline Mask closure(const Scenario& scenario, Mask tops) {
  Mask reached = tops;
  for (Mask before = 0; before != reached;) {
    before = reached;
    for (std::uint8_t b = 0; b < kBlobs; ++b) {
      if (has(before, b)) reached |= scenario.children[b];
    }
  }
  return reached;
}

/// What snapshots that can be restored, or undeleted, reach.
inline Mask promised(const Scenario& scenario, const Journal& journal) {
  Mask tops = 0;
  for (std::uint8_t n = 0; n < kSnapshots; ++n) {
    if (journal.snapshot[n] == State::Live || journal.snapshot[n] == State::Locked) tops |= scenario.tops[n];
  }
  return closure(scenario, tops);
}

/// Blobs that are promised and stand in no file.
inline Mask lost(const Scenario& scenario, const World& world) {
  Mask there = 0;
  for (const Pack& pack : world.pack) there |= pack.file != 0 ? pack.blobs : Mask{0};
  return without(promised(scenario, world.now), there);
}

/// Blobs that are promised and stand in no pack that a reader is sent to.
inline Mask unreadable(const Scenario& scenario, const World& world) {
  Mask there = 0;
  for (std::uint8_t p = 0; p < kPacks; ++p) {
    if (world.pack[p].file != 0 && world.now.entry[p] == Entry::Live) there |= world.pack[p].blobs;
  }
  return without(promised(scenario, world.now), there);
}

}  // namespace holdfast::collect::model
