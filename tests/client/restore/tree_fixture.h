#pragma once
// A target directory, entries by their kind, and what came of them on the disk.

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "client/restore/tree_writer.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::restore {

using manifest::Entry;
using manifest::EntryKind;

inline constexpr std::int64_t kTime = 1'600'000'000'123'456'789;

inline bool is_root() { return ::geteuid() == 0; }

inline Entry entry(EntryKind kind, std::string path) {
  Entry made;
  made.source = "files";
  made.path = std::move(path);
  made.kind = kind;
  made.mode = kind == EntryKind::Directory ? 0755 : 0644;
  made.uid = ::geteuid();
  made.gid = ::getegid();
  made.mtime_ns = kTime;
  return made;
}
inline Entry directory(std::string path) { return entry(EntryKind::Directory, std::move(path)); }
inline Entry file(std::string path, std::uint64_t size = 0) {
  Entry made = entry(EntryKind::File, std::move(path));
  made.size = size;
  return made;
}
inline Entry link(EntryKind kind, std::string path, std::string target) {
  Entry made = entry(kind, std::move(path));
  made.link_target = std::move(target);
  return made;
}
inline Entry symlink_to(std::string path, std::string target) {
  return link(EntryKind::Symlink, std::move(path), std::move(target));
}
inline Entry hardlink_to(std::string path, std::string first) {
  return link(EntryKind::Hardlink, std::move(path), std::move(first));
}

inline struct stat stat_of(const std::string& path) {
  struct stat st{};
  EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
  return st;
}
inline bool exists(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0;
}
inline std::int64_t ns_of(const struct stat& st) { return st.st_mtim.tv_sec * 1'000'000'000LL + st.st_mtim.tv_nsec; }
inline std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void put(const std::string& path, std::string_view bytes) { std::ofstream(path, std::ios::binary) << bytes; }
inline std::string xattr_of(const std::string& path, const char* name) {
  char value[65536];
  const ssize_t n = ::lgetxattr(path.c_str(), name, value, sizeof value);
  return n < 0 ? "(none)" : std::string(value, static_cast<std::size_t>(n));
}

inline Status restore_file(TreeWriter& tree, Entry what, std::string_view bytes) {
  what.size = bytes.size();
  HF_TRY(std::unique_ptr<PendingFile> pending, tree.begin_file(what));
  if (!pending) return {};
  HF_TRY_DO(pending->write(0, as_bytes(bytes)));
  return pending->commit();
}

class Tree : public ::testing::Test {
 protected:
  std::string at(const std::string& path) const { return target + path; }
  std::unique_ptr<TreeWriter> open(Overwrite overwrite = Overwrite::Never, bool set_owner = true) const {
    Result<std::unique_ptr<TreeWriter>> tree = TreeWriter::open({target, overwrite, set_owner});
    EXPECT_TRUE(tree.has_value()) << (tree ? "" : tree.error().message);
    return tree ? *std::move(tree) : nullptr;
  }
  static void good(const Status& status) { EXPECT_TRUE(status.has_value()) << (status ? "" : status.error().message); }
  static void bad(const Status& status, Errc code) {
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().code, code) << status.error().message;
  }
  std::vector<std::string> temporaries() const {
    std::vector<std::string> found;
    for (const auto& each : std::filesystem::recursive_directory_iterator(target))
      if (each.path().filename().string().starts_with(kTemporaryPrefix)) found.push_back(each.path());
    return found;
  }

  support::TemporaryDirectory tmp;
  const std::string target = tmp / "target";
};

// struct posix_acl_xattr: user::rw-, user:999:r--, group::r--, mask::r--, other::---
inline const std::string kAcl(
    "\x02\0\0\0"
    "\x01\0\x06\0\xff\xff\xff\xff"
    "\x02\0\x04\0\xe7\x03\0\0"
    "\x04\0\x04\0\xff\xff\xff\xff"
    "\x10\0\x04\0\xff\xff\xff\xff"
    "\x20\0\0\0\xff\xff\xff\xff",
    44);
// struct vfs_cap_data, revision 2: CAP_NET_RAW, permitted and effective
inline const std::string kCapability(
    "\x01\0\0\x02"
    "\0\x20\0\0"
    "\0\0\0\0"
    "\0\0\0\0"
    "\0\0\0\0",
    20);

}  // namespace holdfast::restore
