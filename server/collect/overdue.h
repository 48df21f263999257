#pragma once
// Why: a plan may promise that what only a deleted snapshot held is soon taken out of its packs. What no budget can take
// out is counted with its reason, so that a session that goes on for ever, or damage, breaks no promise unsaid.
// Leaves to others: what a pass could have taken out sooner (CollectPlan::late).

#include "server/collect/survey.h"

namespace holdfast::collect {

/// Beyond what their plans allow.
struct Overdue {
  std::uint64_t packs_in_use = 0;      ///< an open session has sent them, or was told "have" of what they hold
  std::uint64_t packs_damaged = 0;     ///< themselves, or something of their domain is in no readable pack
  std::uint64_t snapshots_in_use = 0;  ///< deleted, and alive as the base of an open session
  std::uint64_t snapshots_hidden = 0;  ///< deleted, and which packs are theirs cannot be seen for damage
};
Overdue find_overdue(const tenant::Parts& parts, const Survey& survey);

/// Sentences for people: what, why, what to do.
std::vector<std::string> describe(const Overdue& overdue);

}  // namespace holdfast::collect
