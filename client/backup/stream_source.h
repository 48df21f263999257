#pragma once
// Why: a command's output becomes one entry of a snapshot: a stream, alone in a source that bears its name.

#include <memory>

#include "client/manifest/entry.h"
#include "client/sources/command.h"
#include "common/base/clock.h"

namespace holdfast::backup {

/// A stream whose command runs. `entry` has everything but size, extents and digest.
struct OpenStream {
  manifest::Entry entry;
  std::unique_ptr<sources::FileContent> content;  ///< its end comes only when the command ended well
};

/// Starts the command. The entry belongs to who runs this program, mode 0600, its time is that of the start. `stop` and
/// `bytes` (counts up while it is read) may be null and must outlive it. Errors: Usage (the name), SourceFailed.
Result<OpenStream> open_stream(const sources::CommandOptions& options, const Clock& clock,
                               const std::atomic<bool>* stop, std::atomic<std::uint64_t>* bytes = nullptr);

}  // namespace holdfast::backup
