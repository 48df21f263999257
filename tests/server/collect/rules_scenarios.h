#pragma once
// Why: the meetings in which backup programs have lost data, and those that the rules were made for. Each is small:
// at most four actors of at most six steps. The crowd at the end puts every four of a catalogue into one store.

#include <bit>

#include "tests/server/collect/rules_model.h"

namespace holdfast::collect::model {

enum BlobName : std::uint8_t { kSegment, kLeft, kRight, kOld, kFresh, kOther };  ///< the segment names left and right

/// A scenario under construction: nothing in the store, and the blobs above.
class Stand {
 public:
  explicit Stand(std::string name) {
    made_.name = std::move(name);
    made_.blob_names = {"segment", "left", "right", "old", "fresh", "other", "-", "-"};
    made_.children[kSegment] = bit(kLeft) | bit(kRight);
  }

  /// A pack of a snapshot's time: committed long ago, or, with Entry::None, an orphan of the epoch before.
  Stand& pack(std::vector<BlobName> blobs, Entry entry = Entry::Live, std::uint8_t epoch = 0) {
    for (const BlobName b : blobs) made_.start.pack[packs_].blobs |= bit(b);
    made_.start.pack[packs_].epoch = epoch;
    made_.start.pack[packs_].file = 1;
    made_.start.now.entry[packs_++] = entry;
    return *this;
  }
  Stand& snapshot(std::vector<BlobName> tops, State state) {
    made_.start.now.snapshot[snapshots_] = state;
    for (const BlobName b : tops) made_.tops[snapshots_] |= bit(b);
    ++snapshots_;
    return *this;
  }
  /// A snapshot that `actor` wants to commit in a session of its own.
  Stand& uploads(std::string name, std::vector<BlobName> tops, std::vector<Step> steps, std::uint8_t base = kNone) {
    Program program{std::move(name), Kind::Uploader, std::move(steps)};
    program.session = sessions_++;
    program.snapshot = snapshots_;
    program.base = base;
    program.writes = packs_++;
    snapshot(std::move(tops), State::None);
    return actor(std::move(program));
  }
  Stand& uploader(std::string name, std::vector<BlobName> tops, std::uint8_t base = kNone) {
    return uploads(std::move(name), std::move(tops),
                   {Step::Open, Step::Have, Step::Write, Step::Publish, Step::Check, Step::Commit}, base);
  }
  /// Names its tree without asking: a client that remembers wrongly, or lies.
  Stand& claimant(std::string name, std::vector<BlobName> tops, std::uint8_t base = kNone) {
    return uploads(std::move(name), std::move(tops), {Step::Open, Step::Check, Step::Commit}, base);
  }
  /// The session of the last uploader is open when the scenario begins.
  Stand& already_open(std::uint8_t base = kNone) {
    const std::uint8_t s = made_.actors.back().session;
    made_.start.now.phase[s] = Phase::Open;
    made_.start.now.base[s] = base;
    made_.actors.back().old_owner = true;
    return *this;
  }
  Stand& collector(std::string name = "collector", bool one_copy = false) {
    Program program{std::move(name), Kind::Collector, {Step::Mark, Step::Condemn, Step::Unlink, Step::Forget}};
    program.one_copy = one_copy;
    return actor(std::move(program));
  }
  Stand& rewriter(std::string name = "rewriter") {
    Program program{
        std::move(name), Kind::Rewriter, {Step::MarkHalf, Step::Copy, Step::Condemn, Step::Unlink, Step::Forget}};
    program.writes = packs_++;
    return actor(std::move(program));
  }
  Stand& sweeper(std::string name = "sweeper") {
    return actor(
        {std::move(name), Kind::Sweeper, {Step::List, Step::Judge, Step::Condemn, Step::Unlink, Step::Forget}});
  }
  Stand& purger(std::uint8_t snapshot, std::vector<Step> steps = {Step::Lock, Step::Delete}) {
    Program program{"purger", Kind::Other, std::move(steps)};
    program.snapshot = snapshot;
    return actor(std::move(program));
  }
  Stand& expiry(std::uint8_t session) {
    Program program{"expiry", Kind::Other, {Step::Expire}};
    program.session = session;
    return actor(std::move(program));
  }
  Stand& restart() { return actor({"restart", Kind::Other, {Step::Acquire}}); }
  /// The last actor belongs to the first owner, even if it begins after that has lost the tenant.
  Stand& of_old_owner() {
    made_.actors.back().old_owner = true;
    return *this;
  }
  /// A task of the old owner that has written its pack and is about to publish it in this session.
  Stand& late_publish(std::uint8_t session, std::vector<BlobName> blobs) {
    const std::uint8_t p = packs_;
    pack(std::move(blobs), Entry::None, 1);
    Actor& begun = made_.start.actor[made_.actors.size()];
    begun.epoch = 1;
    begun.pack = p;
    begun.task = 1;
    Program program{"late task", Kind::Uploader, {Step::Publish}};
    program.session = session;
    return actor(std::move(program));
  }
  Stand& actor(Program program) {
    made_.actors.push_back(std::move(program));
    return *this;
  }
  Scenario made() const { return made_; }

 private:
  Scenario made_;
  std::uint8_t packs_ = 0, snapshots_ = 0, sessions_ = 0;
};

inline const std::vector<Step> kAbortsAfterPublishing{Step::Open, Step::Have, Step::Write, Step::Publish, Step::Abort};
inline const std::vector<Step> kResumes{Step::Resume,  Step::Have,  Step::Write,
                                        Step::Publish, Step::Check, Step::Commit};

/// Scenarios with a name of their own.
inline std::vector<Scenario> scenarios() {
  std::vector<Scenario> out;
  out.push_back(Stand("the base is locked, deleted and collected meanwhile")
                    .pack({kSegment})
                    .pack({kLeft, kRight})
                    .snapshot({kSegment}, State::Live)
                    .uploader("uploader", {kSegment, kFresh}, 0)
                    .purger(0)
                    .expiry(0)
                    .collector()
                    .made());
  out.push_back(Stand("a blob that has just died is wanted again")
                    .pack({kOld})
                    .pack({kOther})
                    .snapshot({kOld}, State::Deleted)
                    .snapshot({kOther}, State::Live)
                    .uploader("uploader A", {kOld, kFresh})
                    .uploader("uploader B", {kOld, kOther}, 1)
                    .collector("collector A")
                    .collector("collector B")
                    .made());
  out.push_back(Stand("a segment is there, what it names is dead")
                    .pack({kSegment, kOther})
                    .pack({kLeft, kRight})
                    .snapshot({kSegment}, State::Deleted)
                    .snapshot({kOther}, State::Live)
                    .uploader("uploader", {kSegment, kFresh}, 1)
                    .claimant("claimant", {kSegment, kOther})
                    .collector()
                    .rewriter()
                    .made());
  out.push_back(Stand("an uploader of a shared blob gives up")
                    .uploads("aborter", {kFresh}, kAbortsAfterPublishing)
                    .uploader("uploader", {kFresh})
                    .claimant("claimant", {kFresh})
                    .collector()
                    .made());
  out.push_back(Stand("a session goes on after a restart, its pins are lost")
                    .pack({kOld})
                    .snapshot({kOld}, State::Deleted)
                    .uploads("uploader", {kOld}, {Step::Have, Step::Resume, Step::Check, Step::Commit})
                    .already_open()
                    .restart()
                    .collector("collector A")
                    .collector("collector B")
                    .made());
  out.push_back(Stand("a session goes on after a restart, its base is purged")
                    .pack({kSegment})
                    .pack({kLeft, kRight})
                    .pack({kOther})
                    .snapshot({kSegment}, State::Live)
                    .uploads("uploader", {kSegment, kFresh}, kResumes, 0)
                    .already_open(0)
                    .purger(0)
                    .restart()
                    .collector()
                    .made());
  out.push_back(Stand("an old task publishes late what the session sends again")
                    .uploads("uploader", {kFresh}, kResumes)
                    .already_open()
                    .late_publish(0, {kFresh})
                    .restart()
                    .sweeper()
                    .made());
  out.push_back(Stand("an upload meets a restart and a sweep")
                    .uploader("uploader", {kFresh})
                    .restart()
                    .sweeper("sweeper A")
                    .sweeper("sweeper B")
                    .made());
  out.push_back(Stand("rewriting meets a restart and a sweep")
                    .pack({kOld, kOther})
                    .snapshot({kOld}, State::Deleted)
                    .snapshot({kOther}, State::Live)
                    .rewriter()
                    .restart()
                    .sweeper()
                    .uploader("uploader", {kOld})
                    .made());
  out.push_back(Stand("rewriting meets the return of what it leaves out")
                    .pack({kOld, kOther})
                    .snapshot({kOld}, State::Deleted)
                    .snapshot({kOther}, State::Live)
                    .rewriter("rewriter A")
                    .rewriter("rewriter B")
                    .uploader("uploader", {kOld}, 1)
                    .purger(1)
                    .made());
  out.push_back(Stand("two owners each keep another copy")
                    .pack({kOld})
                    .pack({kOld, kOther})
                    .snapshot({kOld}, State::Live)
                    .collector("collector A", true)
                    .restart()
                    .collector("collector B", true)
                    .uploader("uploader", {kOld, kFresh}, 0)
                    .made());
  out.push_back(Stand("an orphan holds what is about to be written")
                    .pack({kFresh}, Entry::None)
                    .uploader("uploader A", {kFresh})
                    .uploader("uploader B", {kFresh, kOther})
                    .sweeper("sweeper A")
                    .sweeper("sweeper B")
                    .made());
  out.push_back(Stand("a snapshot is undeleted while it is purged")
                    .pack({kOld})
                    .snapshot({kOld}, State::Live)
                    .purger(0)
                    .purger(0, {Step::Undelete})
                    .collector()
                    .uploader("uploader", {kOld, kFresh}, 0)
                    .made());
  out.push_back(Stand("the old owner collects after it has lost the tenant")
                    .pack({kOld})
                    .pack({kOther})
                    .snapshot({kOld}, State::Deleted)
                    .snapshot({kOther}, State::Locked)
                    .collector()
                    .of_old_owner()
                    .restart()
                    .uploader("uploader", {kOld, kFresh})
                    .purger(1, {Step::Undelete})
                    .made());
  out.push_back(Stand("a base is committed, locked and deleted, all since the mark")
                    .pack({kOld})
                    .snapshot({kOld}, State::Deleted)
                    .claimant("uploader A", {kOld})
                    .claimant("uploader B", {kOld}, 1)
                    .purger(1)
                    .collector()
                    .made());
  return out;
}

/// One store that has some of everything, and every four out of a catalogue of who may act on it.
inline std::vector<Scenario> crowds() {
  constexpr std::uint8_t kRoles = 11;
  const auto store = [](const std::string& name) {
    return Stand(name)
        .pack({kSegment, kOld})
        .pack({kLeft, kRight})
        .pack({kOther, kOld})
        .pack({kFresh}, Entry::None)
        .snapshot({kSegment}, State::Live)
        .snapshot({kSegment, kOther}, State::Deleted);
  };
  const auto add = [](Stand& stand, std::uint8_t role) {
    switch (role) {
      case 0:
        stand.uploader("uploader A", {kSegment, kFresh}, 0);
        break;
      case 1:
        stand.uploader("uploader B", {kSegment, kOther});
        break;
      case 2:
        stand.claimant("claimant", {kSegment, kOld});
        break;
      case 3:
        stand.uploads("aborter", {kFresh}, kAbortsAfterPublishing);
        break;
      case 4:
        stand.collector("collector");
        break;
      case 5:
        stand.collector("collector of spare copies", true);
        break;
      case 6:
        stand.rewriter();
        break;
      case 7:
        stand.sweeper();
        break;
      case 8:
        stand.purger(0);
        break;
      case 9:
        stand.restart();
        break;
      default:
        stand.collector("old owner's collector").of_old_owner();
        break;
    }
  };
  std::vector<Scenario> out;
  for (unsigned set = 0; set < 1u << kRoles; ++set) {
    if (std::popcount(set) != kActors) continue;
    Stand stand = store("a crowd");
    for (std::uint8_t role = 0; role < kRoles; ++role) {
      if ((set >> role & 1u) != 0) add(stand, role);
    }
    out.push_back(stand.made());
  }
  return out;
}

}  // namespace holdfast::collect::model
