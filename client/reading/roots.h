#pragma once
// Why: a snapshot holds what was asked for and the directories above it, and does not say where the one ends and the other
// begins. Who looks for new files must know: everything below a root belongs to it, the neighbours of a root do not.

#include "client/reading/trees.h"

namespace holdfast::reading {

struct Roots {
  std::vector<std::string> paths;   ///< no one below another
  std::vector<std::string> on_way;  ///< directories above them that hold directories only
};

/// Roots of the first tree's entries of `source`. Those of `known` that are in it are roots. Above and beside them a
/// directory that holds only directories, up to 16, may be on the way to roots and is taken for that; the first below it
/// that holds anything else is a root. Errors: those of the tree.
Result<Roots> find_roots(const SnapshotTrees& trees, const std::string& source, const std::vector<std::string>& known);

}  // namespace holdfast::reading
