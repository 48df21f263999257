#pragma once
// Why: restore --delete as a whole: when it is refused, and the walk that says what stays. Private to this folder.

#include "client/restore/snapshot_reading.h"
#include "client/restore/strip.h"
#include "client/restore/tree_descriptor.h"

namespace holdfast::restore {

/// Before anything else. Errors: Usage, SourceFailed.
Status check_removal(const SnapshotInfo& snapshot, const RestoreOptions& options);
/// Walks the snapshot once more. What is removed, and what could not be, goes to the callbacks and the report.
/// Errors: those of the manifest, Canceled: then something may be left that is not in the snapshot.
Status remove_extras(SnapshotReading& reading, const RestoreOptions& options, TreeDirectories::Handle target);
/// The same with nothing but words, in a target that may be missing.
Status name_extras(SnapshotReading& reading, const RestoreOptions& options);

}  // namespace holdfast::restore
