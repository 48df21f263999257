#pragma once
// Why: writes entries below a target directory and nowhere else, whatever the manifest or a racing process says:
// openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, temporary names, rename after the content digest is right,
// owners, modes, xattrs and times last (directories when everything below them is done).

#include <sys/stat.h>

#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "client/manifest/entry.h"
#include "client/restore/tree_descriptor.h"

namespace holdfast::restore {

/// Never: whatever is no directory stays. Changed: files that differ in size or mtime, or are said to differ (begin_file),
/// other kinds that differ in type, target, number or mtime, are replaced. Always: all are. Directories are never removed, nor is anything put in their
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

/// Temporary names: this and 32 hex digits. Those of a killed restore are removed when their directory is met again, unless
/// it is gone on with.
inline constexpr std::string_view kTemporaryPrefix = ".holdfast-tmp-";

/// What a restore must remember of itself so that, once killed, it can go on.
struct TreeIdentity {
  std::string tag;   ///< 16 hex digits in the names of its drafts
  timespec began{};  ///< of the target's clock, later than every change made before
  bool root_is_ours = false;
};

/// Names a temporary file that a later run can find again.
struct Draft {
  std::uint64_t number = 0;  ///< of the file within its restore
  std::uint64_t inode = 0;   ///< what it was; 0: it was never begun
};

/// Where an entry will stand.
struct Place {
  TreeDirectories::Handle nearest;  ///< the deepest directory above it that is there
  bool is_taken = false;            ///< something stands there
};

/// A regular file that stands where one is to be restored, as it was when it was opened.
struct Standing {
  Descriptor file;  ///< for reading
  struct stat facts{};
};

/// What may be made of such a file when its bytes are right.
enum class Fit : std::uint8_t {
  Whole = 1,       ///< nothing is to be done
  Attributes = 2,  ///< its attributes are to be set
  Bytes =
      3,  ///< its bytes may be copied: the file itself was somebody else's, or has other names, and must not be changed
};

/// A file being written under a temporary name. Dropped without `commit`: unlinked. Any number may be pending: the
/// descriptors behind them are bounded.
class PendingFile {
 public:
  virtual ~PendingFile() = default;
  /// Errors: Corrupt beyond the entry's size; DiskFull, Io.
  virtual Status write(std::uint64_t offset, ByteSpan bytes) = 0;
  /// Sets the length (holes stay holes), attributes and times, then renames. Call only when the digest was right.
  virtual Status commit() = 0;
  /// For reading what was written; valid until the next call of any pending file.
  virtual Result<int> descriptor() = 0;
  virtual std::uint64_t inode() const = 0;
  virtual bool is_continued() const = 0;  ///< a draft that was there: it holds what was written to it before
  /// Leaves the draft where it is. Nothing may follow.
  virtual void keep() = 0;
};

/// One thread at a time; entries in manifest order.
class TreeWriter {
 public:
  static Result<std::unique_ptr<TreeWriter>> open(TargetOptions options);
  virtual ~TreeWriter() = default;
  virtual TreeIdentity identity() const = 0;
  /// Goes on with the restore that had this identity. Before anything else.
  virtual void resume(TreeIdentity earlier) = 0;
  virtual TreeDirectories::Handle root() const = 0;
  /// Nothing was restored: removes the target, and what is above it, as far as this writer made it and it is empty.
  virtual void abandon() = 0;
  /// Would `begin_file` put it there? False: it is left in place by the overwrite mode (counted). Makes nothing.
  /// Errors: Corrupt, Exists, Denied, Io.
  virtual Result<bool> wants(const manifest::Entry& entry) = 0;
  /// Did this restore, in this run or before, put the file there? Its size and times say so, and its time of change, which
  /// nobody can set back. Errors: Corrupt, Io.
  virtual Result<bool> is_restored(const manifest::Entry& entry) = 0;
  /// Anything but a regular file: made at once (directories' attributes wait for `finish`).
  /// A hard link needs its first link restored by this writer, or found equal under Changed.
  /// Errors: Io, Denied, DiskFull, Corrupt (a path that would escape), Exists (a directory stands where something else
  /// belongs, or the reverse), NotFound (a hard link's first link is absent or was left in place; named).
  virtual Status make(const manifest::Entry& entry) = 0;
  /// The regular file at an entry's place, for reading. Errors: NotFound, Denied (something else stands there), Io.
  virtual Result<Descriptor> open_file(const manifest::Entry& entry) = 0;
  /// Makes nothing. Errors: Corrupt, Exists, Denied, Io.
  virtual Result<Place> place(const manifest::Entry& entry) = 0;
  /// The regular file of the right size at an entry's place. Nothing: there is none. Errors: as open_file; Exists, Corrupt.
  virtual Result<std::optional<Standing>> standing(const manifest::Entry& entry) = 0;
  /// What can be made of a file whose bytes were read from `standing` and are right. Changes nothing; an owner that differs
  /// and that we do not set is counted. Nothing: it was changed, moved or replaced since it was opened. Errors: Io.
  virtual Result<std::optional<Fit>> fit(const manifest::Entry& entry, const Standing& standing) = 0;
  /// Fit::Attributes: sets them. False: the file was moved or replaced meanwhile. Errors: as apply_attributes.
  virtual Result<bool> dress(const manifest::Entry& entry, const Standing& standing) = 0;
  /// nullptr: left in place by the overwrite mode (counted). Without a draft the temporary name is drawn. `differs`: what
  /// stands there is known not to be the file, though size and mtime may be equal.
  virtual Result<std::unique_ptr<PendingFile>> begin_file(const manifest::Entry& entry,
                                                          const std::optional<Draft>& draft = std::nullopt,
                                                          bool differs = false) = 0;
  /// Directory attributes, deepest first; then everything is flushed to the disk. Pending files must be gone.
  virtual Status finish() = 0;
  virtual const TargetReport& report() const = 0;
};

}  // namespace holdfast::restore
