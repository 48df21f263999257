#pragma once
// Why: the one place where live packs become condemned ones. A judgement is repeated under the publish lock: what was
// committed since the survey is marked, pins are looked at, and every entry of the pack's own footer is held against the
// marks once more. Three times the marking is done before the lock is taken, then within it.

#include "server/collect/collect.h"
#include "server/collect/survey.h"

namespace holdfast::collect {

inline constexpr int kTriesOutsideTheLock = 3;

/// A live pack on its way to the trash. Without a footer it cannot be read, and the survey knows its run as dead.
struct Candidate {
  tenant::Pack pack;
  std::optional<pack::Footer> footer;
};

/// Reads the footer; nullopt in it: damaged. Errors: the disk's.
Result<Candidate> read_candidate(tenant::Parts& parts, const tenant::Pack& pack);

/// What goes with the condemnation.
struct Condemnation {
  std::vector<Candidate> packs;
  journal::CondemnPayload::Why why = journal::CondemnPayload::Why::Unreferenced;
  /// Rewritten: the packs that hold what lives of `packs`, durable and in flight, and images of what was copied.
  std::vector<journal::PackNote> copies;
  std::vector<pack::Footer> copy_footers;
  std::function<bool(const pack::Entry&)> copied;
  /// So often what was committed meanwhile is marked before the publish lock is taken, then once within it.
  int tries_outside_the_lock = kTriesOutsideTheLock;
};

/// Publishes as much of it as still holds, with copies all or nothing; returns the packs that are condemned now, none when
/// nothing was published.
/// Errors: Conflict (`check` is running), Missing (Survey::catch_up), the publisher's.
Result<std::vector<PackId>> condemn(tenant::Parts& parts, Survey& survey, Condemnation work);

/// Runs `propose` with a survey that knows every commit. Errors: as condemn.
Result<std::vector<journal::Record>> publish_judgement(tenant::Parts& parts, Survey& survey,
                                                       const tenant::Publisher::Propose& propose,
                                                       std::vector<pack::Footer> added = {},
                                                       int tries_outside_the_lock = kTriesOutsideTheLock);

}  // namespace holdfast::collect
