#pragma once
// Why: files that a run read before it was killed, put together from its notes (client/state/checkpoint.h) without being
// read. The server's promise of today decides, never what the killed run believed.

#include <optional>

#include "client/backup/content_feed.h"
#include "client/dedup/usage.h"
#include "client/state/checkpoint.h"

namespace holdfast::backup {

/// One thread at a time.
class NotedFiles {
 public:
  /// `notes`: null when every file is to be read. `base`: what the base snapshot uses; null: there is none. Both must
  /// outlive it.
  NotedFiles(state::Checkpoints* notes, const dedup::Usage* base, state::Checkpoints::Ask ask)
      : notes_(notes), base_(base), ask_(std::move(ask)) {}
  /// The content of a file with this identity, if it is noted and all there. Keys in ascending order.
  /// Errors: the connection's.
  Result<std::optional<Content>> find(std::string_view source, std::string_view path,
                                      const manifest::StatIdentity& stat);

 private:
  state::Checkpoints* const notes_;
  const dedup::Usage* const base_;
  const state::Checkpoints::Ask ask_;
};

}  // namespace holdfast::backup
