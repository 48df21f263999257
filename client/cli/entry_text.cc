#include "client/cli/entry_text.h"

#include "common/base/clock.h"
#include "common/console/format.h"

namespace holdfast::cli {
namespace {

using reading::Difference;

console::Json json_of(const manifest::Entry& entry) {
  console::Json one{{"kind", kind_name(entry.kind)}, {"mode", entry.mode}, {"uid", entry.uid}, {"gid", entry.gid}};
  if (manifest::has_content(entry.kind)) one["size"] = entry.size;
  one["mtime"] = rfc3339(from_ns(entry.mtime_ns));
  one["mtime_ns"] = entry.mtime_ns;
  if (!entry.link_target.empty()) console::put_path(one, "target", entry.link_target);
  return one;
}

console::Json json_of(const Difference& difference) {
  console::Json one{{"type", "difference"},
                    {"change", difference.added()     ? "added"
                               : difference.removed() ? "removed"
                                                      : "changed"}};
  console::put_path(one, "path", difference.entry().path);
  console::put_path(one, "source", difference.entry().source);
  if (difference.changes != 0) one["what"] = reading::names_of(difference.changes);
  if (difference.before) one["before"] = json_of(*difference.before);
  if (difference.after) one["after"] = json_of(*difference.after);
  return one;
}

}  // namespace

const char* kind_name(manifest::EntryKind kind) {
  static constexpr const char* kNames[] = {"",     "file",        "directory",    "symlink", "hardlink",
                                           "fifo", "char-device", "block-device", "socket",  "stream"};
  return kNames[static_cast<int>(kind)];
}

void show(console::Console& out, const Difference& difference) {
  if (out.options().json) return out.json(json_of(difference));
  std::string text = std::string(1, difference.letter()) + " " + printable(difference.entry().path);
  std::string what;
  for (const std::string& name : reading::names_of(difference.changes)) what += (what.empty() ? "" : ", ") + name;
  out.print(what.empty() ? text : text + " (" + what + ")");
}

std::string text_of(const reading::DifferenceCount& count) {
  using console::human_bytes;
  using console::human_count;
  return human_count(count.added) + " added (" + human_bytes(count.added_bytes) + "), " + human_count(count.removed) +
         " removed (" + human_bytes(count.removed_bytes) + "), " + human_count(count.changed) + " changed (" +
         human_bytes(count.changed_bytes) + ")";
}

void put_counts(console::Json& result, const reading::DifferenceCount& count) {
  result["added"] = count.added;
  result["removed"] = count.removed;
  result["changed"] = count.changed;
  result["added_bytes"] = count.added_bytes;
  result["removed_bytes"] = count.removed_bytes;
  result["changed_bytes"] = count.changed_bytes;
}

}  // namespace holdfast::cli
