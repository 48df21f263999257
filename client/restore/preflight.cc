#include "client/restore/preflight.h"

#include <sys/stat.h>

#include <cerrno>

namespace holdfast::restore {

Status Preflight::add(const manifest::Entry& entry, std::optional<std::uint64_t> bytes) {
  const Result<Place> place = tree_.place(entry);
  if (!place) return {};  // what is in its way is named when it is made
  const bool needs_inode = bytes || !place->is_taken;
  if (!needs_inode) return {};
  struct stat st{};
  if (::fstat(place->nearest->get(), &st) != 0) return errno_error(errno, "stat a directory of the target");
  const auto [found, is_new] = rooms_.try_emplace(st.st_dev);
  Room& room = found->second;
  if (is_new) {
    room.at = target_ == "/" ? entry.path : target_ + entry.path;
    if (::fstatvfs(place->nearest->get(), &room.facts) != 0)
      return errno_error(errno, "look at the free space of " + printable(room.at));
  }
  room.bytes += bytes.value_or(0);
  ++room.inodes;
  return {};
}

Status Preflight::check() const {
  for (const auto& [device, room] : rooms_) HF_TRY_DO(check(room));
  return {};
}

Status Preflight::check(const Room& room) const {
  const std::string what = "restore to " + printable(rooms_.size() == 1 ? target_ : room.at) + ": ";
  if ((room.facts.f_flag & ST_RDONLY) != 0)
    return Error{Errc::Denied, what + "the file system is mounted read-only; nothing was written"};
  const auto refuse = [&](const std::string& of, std::uint64_t needed, std::uint64_t free) {
    return Error{Errc::DiskFull, what + std::to_string(needed) + " " + of + " are needed, " + std::to_string(free) +
                                     " are free there; nothing was written"};
  };
  const std::uint64_t free_bytes = static_cast<std::uint64_t>(room.facts.f_bavail) * room.facts.f_frsize;
  if (room.bytes > free_bytes) return refuse("bytes", room.bytes, free_bytes);
  const bool counts_inodes = room.facts.f_files != 0;
  if (counts_inodes && room.inodes > room.facts.f_favail) return refuse("inodes", room.inodes, room.facts.f_favail);
  return {};
}

}  // namespace holdfast::restore
