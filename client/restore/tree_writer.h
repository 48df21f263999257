#pragma once
// Why: writes entries below a target directory and nowhere else, whatever the manifest or a racing process says:
// openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, temporary names, rename after the content digest is right,
// owners, modes, xattrs and times last (directories when everything below them is done).

#include <functional>
#include <memory>
#include <string>

#include "client/manifest/entry.h"

namespace holdfast::restore {

enum class Overwrite { Never, Changed, Always };

struct TargetOptions {
  std::string target;                 ///< directory; made if missing
  Overwrite overwrite = Overwrite::Never;
  bool set_owner = true;              ///< false when unprivileged: one summary warning
};

/// What could not be set for lack of rights, by attribute, and what was left in place.
struct TargetReport {
  std::uint64_t left_in_place = 0, owners_not_set = 0, attributes_not_set = 0, devices_not_made = 0;
  std::uint64_t files = 0, bytes = 0;
};

/// A file being written under a temporary name. Dropped without `commit`: unlinked.
class PendingFile {
 public:
  virtual ~PendingFile() = default;
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
  /// Errors: Io, Denied, DiskFull, Corrupt (a path that would escape).
  virtual Status make(const manifest::Entry& entry) = 0;
  /// nullptr: left in place by the overwrite mode (counted).
  virtual Result<std::unique_ptr<PendingFile>> begin_file(const manifest::Entry& entry) = 0;
  /// Directory attributes, deepest first.
  virtual Status finish() = 0;
  virtual const TargetReport& report() const = 0;
};

}  // namespace holdfast::restore
