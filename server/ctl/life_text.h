#pragma once
// Why: the life of a snapshot in sentences that a person can act on, and as JSON for scripts. Pure: no daemon is asked.
// Times are the server's vault clock and say so: retention counts it, and nobody can push it forward.

#include <string>
#include <vector>

#include "common/console/console.h"
#include "proto/holdfast/v1/admin.pb.h"

namespace holdfast::ctl {

namespace v1 = ::holdfast::v1;

/// Why it is kept, when it is locked, when it ends, what is left of it; names are escaped.
std::vector<std::string> sentences_of(const v1::SnapshotStory& story);
console::Json to_json(const v1::SnapshotStory& story);

/// What one tenant's purge did (would do), what is held and why, and what comes next.
std::vector<std::string> sentences_of(const v1::PurgeReport& report);
console::Json to_json(const v1::PurgeReport& report);
/// The cap or the clock held something: exit 3.
bool is_held(const v1::PurgeReport& report);

console::Json to_json(const v1::SourceInfo& source);
void show_sources(console::Console& out, const std::vector<v1::SourceInfo>& sources);

}  // namespace holdfast::ctl
