#pragma once
// Why: walks the customer's trees in manifest order, descriptor-relative (openat, O_NOFOLLOW), so that nothing that
// changes under our feet leads us out of the tree. Reads metadata (statx, xattrs, names) and content with its holes.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/manifest/entry.h"

namespace holdfast::sources {

inline constexpr std::size_t kMaxPatternBytes = 4096;

/// Directories kept open on the way down; deeper chains are closed above and opened again on the way back.
inline constexpr std::size_t kMaxOpenDirectories = 128;

/// .gitignore patterns (CLI.md): bytes, `**`, leading '/' anchors to the root of the file system, trailing '/'
/// directories only, `!` re-includes, last match wins. As there, a '/' in the middle anchors too, and what lies below an
/// excluded directory cannot be re-included: the walk does not look inside. Unlike lines of a .gitignore file, patterns
/// come one by one, so '#' and trailing spaces are ordinary bytes. Matching takes at most path × pattern steps.
/// Immutable, thread-safe.
class GlobList {
 public:
  /// Errors: Usage naming the pattern (empty, unclosed '[', trailing '\\', "." or ".." as a component, too long).
  static Result<GlobList> compile(const std::vector<std::string>& patterns);
  /// `path`: absolute. Looks at this path alone, not at the directories above it.
  bool excluded(std::string_view path, bool is_directory) const;

 private:
  struct Pattern {
    std::vector<std::string> parts;  ///< components; "**" stands for any number of them
    bool anchored, directories_only, negated;
  };
  std::vector<Pattern> patterns_;
};

struct FilesOptions {
  std::string source = "files";
  /// Absolute, "." and ".." resolved by text, unique, none below another. A root itself may be of any kind; a symbolic
  /// link above it is an error (Usage), for whoever may change that link would choose what is read.
  std::vector<std::string> roots;
  GlobList excludes;
  std::vector<std::string> skip_paths;  ///< own state and data directories
  bool one_file_system = true;
  std::vector<std::string> markers = {".nobackup"};  ///< a directory holding one is kept, its contents are not
  bool honour_cachedir_tag = true;
  std::size_t threads = 4;  ///< that ask ahead of the walk, mostly waiting for disks; 0: none
  bool read_ahead = false;  ///< most files will be read: the kernel is asked to fetch them before
};

/// Content of one regular file, open. Reads data and holes in order.
class FileContent {
 public:
  virtual ~FileContent() = default;
  struct Piece {
    bool hole = false;
    std::uint64_t bytes = 0;
  };  ///< data: bytes were put at the front of `out`
  /// Next piece: up to out.size() bytes of data, or a whole hole. bytes == 0: the end. Errors: Io.
  virtual Result<Piece> read(MutableByteSpan out) = 0;
  /// After the end: did size, mtime or ctime move while reading? The first opening is judged against Found::stat, a
  /// repeated one against the file as that opening found it (`opened`).
  virtual Result<bool> changed() = 0;
  /// The file when it was opened, for entries whose metadata should follow a repeated reading.
  virtual std::optional<manifest::StatIdentity> opened() const { return std::nullopt; }
};

/// Something the walk found. `entry` has everything but extents and digest.
struct Found {
  manifest::Entry entry;
  manifest::StatIdentity stat;
  /// Regular files only: opens the content. May be called more than once, after the visitor returned and on another
  /// thread; it holds a descriptor of the directory until it is destroyed. Errors: Denied, NotFound (vanished or
  /// replaced by something that is not a regular file), Io.
  std::function<Result<std::unique_ptr<FileContent>>()> open;
};

/// What was left out, and why: unreadable, vanished, other file system, excluded by a marker.
struct Problem {
  std::string path;
  Error error;
};
struct Skipped {
  std::string path;
  std::string why;
};

class Visitor {
 public:
  virtual ~Visitor() = default;
  virtual Status found(Found found) = 0;      ///< an error ends the walk
  virtual void problem(Problem problem) = 0;  ///< the walk goes on; the run ends with exit code 3
  virtual void skipped(Skipped skipped) = 0;  ///< named in --dry-run and -v
};

/// Walks every root in order. Parents of roots (from "/") are visited as directories, so that a restore can make them.
/// Roots and their parents are taken even if a pattern matches them. Memory: the names of the directories on the way down, plus a path per inode that
/// has links not met yet; at most kMaxOpenDirectories descriptors at any depth, and a few more for what is asked ahead
/// (look_ahead.h; what an entry says is at most 100 ms older than its visit).
/// Errors: Usage, NotFound, Denied for a root itself; what the visitor returns.
Status walk(const FilesOptions& options, Visitor& visitor);

}  // namespace holdfast::sources
