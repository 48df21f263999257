#pragma once
// Why: writes entries below a target directory and nowhere else, whatever the manifest or a racing process says:
// openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, temporary names, rename after the content digest is right,
// owners, modes, xattrs and times last (directories when everything below them is done).

#include <functional>
#include <memory>
#include <string>

#include "client/manifest/entry.h"

namespace holdfast::restore {

/// Never: whatever is no directory stays. Changed: files that differ in size or mtime, other kinds that differ in type,
/// target, number or mtime, are replaced. Always: all are. Directories are never removed, nor is anything put in their
/// place; those that were there keep their attributes under Never.
enum class Overwrite { Never, Changed, Always };

struct TargetOptions {
  /// Directory; made (0700) if missing. One that was there keeps its own attributes, unless it was empty or is "/" and
  /// the overwrite mode is not Never.
  std::string target;
  Overwrite overwrite = Overwrite::Never;
  bool set_owner = true;  ///< false when unprivileged: one summary warning
};

/// What could not be set for lack of rights, by attribute, and what was left in place.
struct TargetReport {
  std::uint64_t left_in_place = 0, owners_not_set = 0, attributes_not_set = 0, devices_not_made = 0;
  std::uint64_t unchanged = 0;         ///< Overwrite::Changed found them equal: nothing to warn of
  std::uint64_t files = 0, bytes = 0;  ///< committed; bytes written, without holes
};

/// Temporary names: this and 32 hex digits. Those of a killed restore are removed when their directory is met again.
inline constexpr std::string_view kTemporaryPrefix = ".holdfast-tmp-";

/// A file being written under a temporary name. Dropped without `commit`: unlinked. Any number may be pending: the
/// descriptors behind them are bounded.
class PendingFile {
 public:
  virtual ~PendingFile() = default;
  /// Errors: Corrupt beyond the entry's size; DiskFull, Io.
  virtual Status write(std::uint64_t offset, ByteSpan bytes) = 0;
  /// Sets the length (holes stay holes), attributes and times, then renames. Call only when the digest was right.
  virtual Status commit() = 0;
};

/// One thread at a time; entries in manifest order.
class TreeWriter {
 public:
  static Result<std::unique_ptr<TreeWriter>> open(TargetOptions options);
  virtual ~TreeWriter() = default;
  /// Anything but a regular file: made at once (directories' attributes wait for `finish`).
  /// A hard link needs its first link restored by this writer, or found equal under Changed.
  /// Errors: Io, Denied, DiskFull, Corrupt (a path that would escape), Exists (a directory stands where something else
  /// belongs, or the reverse), NotFound (a hard link's first link is absent or was left in place; named).
  virtual Status make(const manifest::Entry& entry) = 0;
  /// nullptr: left in place by the overwrite mode (counted).
  virtual Result<std::unique_ptr<PendingFile>> begin_file(const manifest::Entry& entry) = 0;
  /// Directory attributes, deepest first; then everything is flushed to the disk. Pending files must be gone.
  virtual Status finish() = 0;
  virtual const TargetReport& report() const = 0;
};

}  // namespace holdfast::restore
