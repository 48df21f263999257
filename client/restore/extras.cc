#include "client/restore/extras.h"

#include <fcntl.h>

#include <cerrno>

#include "client/manifest/entry.h"

namespace holdfast::restore {
namespace {

std::string below(const std::string& directory, const std::string& name) {
  return (directory == "/" ? std::string() : directory) + "/" + name;
}

}  // namespace

Status Extras::add(const std::string& path, bool is_directory) {
  while (!levels_.empty() && (!manifest::is_at_or_below(path, levels_.back().path) || path == levels_.back().path))
    leave_level();
  if (!levels_.empty()) {
    Level& above = levels_.back();
    const std::size_t begin = above.path == "/" ? 1 : above.path.size() + 1;
    const std::size_t end = path.find('/', begin);
    pass(above, path.substr(begin, end - begin));
    if (end != path.npos) return {};  // the directory between has no entry: it stays with all that it holds
  }
  return is_directory ? enter(path) : Status{};
}

void Extras::finish() {
  while (!levels_.empty()) leave_level();
}

/// Names before this one are not in the snapshot.
void Extras::pass(Level& level, const std::string& name) {
  for (; level.next < level.names.size() && level.names[level.next] < name; ++level.next) {
    const std::string& extra = level.names[level.next];
    removal_.remove(level.directory.get(), extra, below(level.path, extra));
  }
  if (level.next < level.names.size() && level.names[level.next] == name) ++level.next;
}

void Extras::leave_level() {
  Level& level = levels_.back();
  for (; level.next < level.names.size(); ++level.next) {
    const std::string& extra = level.names[level.next];
    removal_.remove(level.directory.get(), extra, below(level.path, extra));
  }
  levels_.pop_back();
}

/// A directory that cannot be looked into loses nothing.
Status Extras::enter(const std::string& path) {
  Level level;
  level.path = path;
  if (levels_.empty()) {
    HF_TRY(const Components components, split_path(path));
    const auto handle = directories_.open(components, components.size(), false);
    if (handle) level.directory = Descriptor(open_beneath((*handle)->get(), ".", O_RDONLY | O_DIRECTORY));
  } else if (levels_.back().directory) {
    const std::string name = path.substr(path.rfind('/') + 1);
    level.directory = Descriptor(open_on_mount(levels_.back().directory.get(), name.c_str()));
    if (!level.directory && errno == EXDEV)
      removal_.leave(path, Error{Errc::Denied, "another file system is mounted there: nothing in it is removed"});
  }
  if (level.directory) {
    Result<std::vector<std::string>> names = names_in(level.directory.get());
    if (!names)
      removal_.leave(path, names.error());
    else if (!removal_.spares(*names, path))
      level.names = *std::move(names);
  }
  levels_.push_back(std::move(level));
  return {};
}

}  // namespace holdfast::restore
