#pragma once
// Why: hard links to what this restore has put there, or has found right; never to anything else. Private to this folder.

#include "client/restore/tree_context.h"

namespace holdfast::restore {

/// One thread at a time.
class HardLinks {
 public:
  /// `context` must outlive it.
  explicit HardLinks(TreeContext& context) : context_(context), first_links_(context.root) {}
  /// See TreeWriter::make.
  Status make(const manifest::Entry& entry, const Components& path);

 private:
  Result<TreeDirectories::Handle> first_directory_of(const Components& first, const manifest::Entry& entry);
  bool is_first_link(const struct stat& st, const manifest::Entry& entry) const;

  TreeContext& context_;
  TreeDirectories first_links_;  ///< a way down of its own, so that the main one stays open
};

}  // namespace holdfast::restore
