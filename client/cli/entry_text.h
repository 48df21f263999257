#pragma once
// Why: entries and their differences look the same in every command that shows them.

#include <nlohmann/json.hpp>

#include "client/manifest/entry.h"
#include "client/reading/changes.h"
#include "common/console/console.h"

namespace holdfast::cli {

/// "file", "directory", …: words of the JSON events.
const char* kind_name(manifest::EntryKind kind);
/// "M /etc/fstab (content, mtime)" and the event of type "difference".
void show(console::Console& out, const reading::Difference& difference);
/// "3 added (1.2 MiB), 1 removed (7 B), 2 changed (12 KiB)".
std::string text_of(const reading::DifferenceCount& count);
void put_counts(console::Json& result, const reading::DifferenceCount& count);

}  // namespace holdfast::cli
