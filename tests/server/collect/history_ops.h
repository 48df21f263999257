#pragma once
// What may happen to a tenant, as data: drawn from a seed, made smaller when it shows a divergence, printed to be run again.

#include <rapidcheck/Gen.h>
#include <rapidcheck/Shrinkable.h>
#include <rapidcheck/gen/Arbitrary.h>
#include <rapidcheck/gen/Container.h>
#include <rapidcheck/gen/Numeric.h>
#include <rapidcheck/gen/Transform.h>
#include <rapidcheck/gen/Tuple.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace holdfast::collect::history {

/// Drawn by weight: a kind that stands here twice comes twice as often. Rest is what others shrink to.
enum class Kind : std::uint8_t {
  Rest,
  Advance,
  Backup,
  Collect,
  Purge,
  Begin,
  Grow,
  Keep,
  SendAgain,
  Commit,
  Repeat,
  Abandon,
  Resume,
  Lock,
  Undelete,
  Rebuild,
  Reopen,
  Check,
  SetWall,
  Outlive
};
inline constexpr std::array kWeighted = {
    Kind::Rest,    Kind::Advance, Kind::Advance,  Kind::Advance, Kind::Backup,    Kind::Backup,
    Kind::Backup,  Kind::Collect, Kind::Collect,  Kind::Collect, Kind::Collect,   Kind::Purge,
    Kind::Purge,   Kind::Purge,   Kind::Begin,    Kind::Begin,   Kind::Grow,      Kind::Grow,
    Kind::Grow,    Kind::Keep,    Kind::Keep,     Kind::Keep,    Kind::SendAgain, Kind::Commit,
    Kind::Commit,  Kind::Repeat,  Kind::Lock,     Kind::Lock,    Kind::Abandon,   Kind::Resume,
    Kind::Rebuild, Kind::Reopen,  Kind::Undelete, Kind::Check,   Kind::SetWall,   Kind::Outlive};
inline const char* name(Kind kind) {
  constexpr const char* kNames[] = {"rest",     "advance",   "backup", "collect", "purge",   "begin",  "grow",
                                    "keep",     "sendagain", "commit", "repeat",  "abandon", "resume", "lock",
                                    "undelete", "rebuild",   "reopen", "check",   "setwall", "outlive"};
  return kNames[static_cast<std::size_t>(kind)];
}

/// What strikes while it is carried out, after `at` operations of the disk.
enum class Fault : std::uint8_t { None, Crash, CrashTwice, Kill, DiskFull, WriteError };
inline const char* name(Fault fault) {
  constexpr const char* kNames[] = {"", "crash", "crash twice", "kill", "disk full", "write error"};
  return kNames[static_cast<std::size_t>(fault)];
}

struct Op {
  Kind kind = Kind::Rest;
  std::array<std::uint32_t, 3> with{};  ///< choices, each taken modulo what there is
  Fault fault = Fault::None;
  std::uint32_t at = 0, mode = 0;
  Kind amid =
      Kind::Rest;  ///< carried out in the middle of a collection; a collection, in the middle of what clients do
};
using History = std::vector<Op>;

inline std::string show(const Op& op) {
  std::string out = name(op.kind);
  for (const std::uint32_t w : op.with) out += " " + std::to_string(w);
  if (op.fault != Fault::None)
    out +=
        std::string(" [") + name(op.fault) + " at " + std::to_string(op.at) + ", mode " + std::to_string(op.mode) + "]";
  if (op.amid == Kind::Collect || (op.kind == Kind::Collect && op.amid != Kind::Rest))
    out += std::string(" {amid: ") + name(op.amid) + " at " + std::to_string(op.at) + "}";
  return out;
}

/// One operation in ten meets a fault.
inline rc::Gen<Op> any_op() {
  const auto below = [](std::uint32_t bound) { return rc::gen::inRange<std::uint32_t>(0, bound); };
  const auto build = [](const std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t,
                                         std::uint32_t, std::uint32_t, std::uint32_t>& drawn) {
    const auto [kind, a, b, c, fault, at, mode, amid] = drawn;
    Op op;
    op.kind = kWeighted[kind];
    op.with = {a, b, c};
    op.fault = fault >= 45 ? static_cast<Fault>(fault - 44) : Fault::None;
    op.at = at;
    op.mode = mode;
    op.amid = kWeighted[amid];
    return op;
  };
  return rc::gen::map(rc::gen::tuple(below(kWeighted.size()), below(60), below(60), below(60), below(50), below(48),
                                     below(2400), below(kWeighted.size())),
                      build);
}

/// The history of this seed, with the smaller ones that it may be made into.
inline rc::Shrinkable<History> history(std::uint64_t seed, std::size_t ops) {
  return rc::gen::container<History>(ops, any_op())(rc::Random(seed), rc::kNominalSize);
}

}  // namespace holdfast::collect::history
