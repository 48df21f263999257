#pragma once
// Why: one entry of a snapshot as the client knows it, and its order. FORMAT.md beside this file.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/chunking/chunker.h"
#include "common/blob/blob.h"

namespace holdfast::manifest {

inline constexpr std::size_t kMaxPathBytes = 65535;
inline constexpr std::size_t kMaxXattrBytes = 1u << 20;   ///< of one entry, names and values

/// Frozen numbers.
enum class EntryKind : std::uint8_t {
  File = 1, Directory = 2, Symlink = 3, Hardlink = 4, Fifo = 5, CharDevice = 6, BlockDevice = 7, Socket = 8, Stream = 9,
};

/// A run of bytes of an entry's content: inside a blob, or a hole. In content order, without gaps.
struct Extent {
  blob::BlobRef blob;            ///< zero blob id: a hole
  std::uint32_t offset = 0;      ///< in the blob's raw bytes
  std::uint64_t length = 0;
  bool is_hole() const { return blob.blob.is_zero(); }
  bool operator==(const Extent&) const = default;
};

struct Xattr { std::string name; std::string value; bool operator==(const Xattr&) const = default; };  ///< ACLs and capabilities as the kernel's xattrs

/// What stat says, kept locally to recognise unchanged files; never part of the manifest.
struct StatIdentity {
  std::uint64_t size = 0; std::int64_t mtime_ns = 0, ctime_ns = 0; std::uint64_t inode = 0, device = 0;
  bool operator==(const StatIdentity&) const = default;
};

struct Entry {
  std::string source;            ///< name of the source it came from
  std::string path;              ///< absolute, bytes, no trailing slash, no "." or ".."; "/" for the root
  EntryKind kind = EntryKind::File;
  std::uint32_t mode = 0;        ///< permission bits with setuid, setgid, sticky (07777)
  std::uint32_t uid = 0, gid = 0;
  std::string owner, group;      ///< names at backup time; may be empty
  std::int64_t mtime_ns = 0;
  std::uint64_t size = 0;        ///< files and streams
  std::uint64_t rdev = 0;        ///< devices
  std::string link_target;       ///< symlinks: target; hardlinks: path of the first link in this source
  std::vector<Xattr> xattrs;     ///< sorted by name
  std::vector<Extent> extents;
  chunking::Class chunk_class = chunking::Class::Files;
  Digest content_digest;         ///< files and streams
  bool changed_while_read = false;
  bool operator==(const Entry&) const = default;
};

/// Bytes, component by component: '/' sorts before every other byte. First the source, then the path.
std::strong_ordering compare_paths(std::string_view a, std::string_view b);
std::strong_ordering compare_keys(const Entry& a, const Entry& b);

}  // namespace holdfast::manifest
