#include "client/restore/strip.h"

namespace holdfast::restore {

using manifest::Entry;
using manifest::EntryKind;
using manifest::is_at_or_below;

Status Strip::check(const std::vector<std::string>& paths) const {
  if (prefix_.empty()) return {};
  for (const std::string& path : paths)
    if (!is_at_or_below(path, prefix_)) return outside(path);
  return {};
}

Result<std::optional<std::string>> Strip::place_of(const Entry& entry) const {
  if (prefix_.empty()) return std::optional<std::string>(entry.path);
  const bool is_directory = entry.kind == EntryKind::Directory;
  if (is_at_or_below(entry.path, prefix_)) {
    if (entry.path == prefix_ && !is_directory)
      return Error{Errc::Usage, "--strip " + printable(prefix_) + " would leave nothing of the path of '" +
                                    printable(entry.path) + "': strip the directory that holds it"};
    return std::optional<std::string>(without(entry.path));
  }
  if (is_directory && is_at_or_below(prefix_, entry.path)) return std::optional<std::string>{};
  return outside(entry.path);
}

Result<bool> Strip::apply(Entry& entry) const {
  HF_TRY(std::optional<std::string> place, place_of(entry));
  if (!place) return false;
  if (!prefix_.empty() && entry.kind == EntryKind::Hardlink) {
    if (entry.link_target == prefix_ || !is_at_or_below(entry.link_target, prefix_)) return outside(entry.link_target);
    entry.link_target = without(entry.link_target);
  }
  entry.path = *std::move(place);
  return true;
}

std::string Strip::whole(const std::string& place) const {
  if (prefix_.empty()) return place;
  return place == "/" ? prefix_ : prefix_ + place;
}

std::string Strip::without(const std::string& path) const {
  return path.size() == prefix_.size() ? "/" : path.substr(prefix_.size());
}

Error Strip::outside(const std::string& path) const {
  return {Errc::Usage,
          "--strip " + printable(prefix_) + ": '" + printable(path) + "' is not below it; nothing was written"};
}

}  // namespace holdfast::restore
