#pragma once
// Why: symbolic links, fifos, devices and sockets: made whole under a temporary name, then renamed. Private to this folder.

#include "client/restore/tree_context.h"

namespace holdfast::restore {

/// See TreeWriter::make. A device that we have no right to make is counted.
Status make_special(TreeContext& context, const manifest::Entry& entry, const Components& path);

}  // namespace holdfast::restore
