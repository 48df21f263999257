#pragma once
// Why: one entry of a snapshot as the client knows it, and its order. FORMAT.md beside this file.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/chunking/chunker.h"
#include "common/blob/blob.h"

namespace holdfast::manifest {

inline constexpr std::size_t kMaxPathBytes = 65535;
inline constexpr std::size_t kMaxXattrBytes = 1u << 20;  ///< of one entry, names and values
inline constexpr std::size_t kMaxSourceBytes = 128;      ///< a source's name, as in the core's sealed part
inline constexpr std::size_t kMaxNameBytes = 255;        ///< owner, group, an xattr's name
/// Extents of one entry: what a reader must be ready to hold in memory (64 bytes each). 1 TB in pieces of 64 KiB.
inline constexpr std::size_t kMaxEntryExtents = 1u << 24;

/// Frozen numbers.
enum class EntryKind : std::uint8_t {
  File = 1,
  Directory = 2,
  Symlink = 3,
  Hardlink = 4,
  Fifo = 5,
  CharDevice = 6,
  BlockDevice = 7,
  Socket = 8,
  Stream = 9,
};

/// A run of bytes of an entry's content: inside a blob, or a hole. In content order, without gaps.
struct Extent {
  blob::BlobRef blob;        ///< zero blob id: a hole
  std::uint32_t offset = 0;  ///< in the blob's raw bytes
  std::uint64_t length = 0;
  bool is_hole() const { return blob.blob.is_zero(); }
  bool operator==(const Extent&) const = default;
};

struct Xattr {
  std::string name;
  std::string value;
  bool operator==(const Xattr&) const = default;
};  ///< ACLs and capabilities as the kernel's xattrs

/// What stat says, kept locally to recognise unchanged files; never part of the manifest.
struct StatIdentity {
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0, ctime_ns = 0;
  std::uint64_t inode = 0, device = 0;
  bool operator==(const StatIdentity&) const = default;
};

struct Entry {
  std::string source;  ///< name of the source it came from
  std::string path;    ///< absolute, bytes, no trailing slash, no "." or ".."; "/" for the root
  EntryKind kind = EntryKind::File;
  std::uint32_t mode = 0;  ///< permission bits with setuid, setgid, sticky (07777)
  std::uint32_t uid = 0, gid = 0;
  std::string owner, group;  ///< names at backup time; may be empty
  std::int64_t mtime_ns = 0;
  std::uint64_t size = 0;     ///< files and streams
  std::uint64_t rdev = 0;     ///< devices
  std::string link_target;    ///< symlinks: target; hardlinks: path of the first link in this source
  std::vector<Xattr> xattrs;  ///< sorted by name
  std::vector<Extent> extents;
  chunking::Class chunk_class = chunking::Class::Files;
  Digest content_digest;  ///< files and streams
  bool changed_while_read = false;
  bool operator==(const Entry&) const = default;
};

/// Bytes, component by component: '/' sorts before every other byte. First the source, then the path.
std::strong_ordering compare_paths(std::string_view a, std::string_view b);
std::strong_ordering compare_keys(const Entry& a, const Entry& b);
/// `path` itself or something beneath it; everything is beneath "/".
bool is_at_or_below(std::string_view candidate, std::string_view path);
/// Only files and streams have size, chunk class, content digest and extents.
bool has_content(EntryKind kind);

/// The rules of FORMAT.md, section 2: an absolute, normalised path without NUL, known kind, bounded names, sorted
/// xattrs, extents that lie inside blobs and add up to the size. Fields that the kind does not have are not looked at,
/// except that extents must be absent. With `extents_elsewhere` they must be absent from any entry and do not add up.
/// Errors: Corrupt, naming the rule; Limit; TooNew for an unknown kind or chunk class.
Status check_entry(const Entry& entry, bool extents_elsewhere = false);
/// The rules for one extent alone.
Status check_extent(const Extent& extent);
/// The path rule alone.
Status check_path(std::string_view path);

}  // namespace holdfast::manifest
