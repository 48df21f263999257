#pragma once
// Why: walks the customer's trees in manifest order, descriptor-relative (openat, O_NOFOLLOW), so that nothing that
// changes under our feet leads us out of the tree. Reads metadata (statx, xattrs, names) and content with its holes.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/manifest/entry.h"

namespace holdfast::sources {

/// .gitignore patterns (CLI.md): bytes, `**`, leading '/' anchors to the root of the file system, trailing '/'
/// directories only, `!` re-includes, last match wins.
class GlobList {
 public:
  static Result<GlobList> compile(const std::vector<std::string>& patterns);   ///< Errors: Usage naming the pattern
  bool excluded(std::string_view path, bool is_directory) const;

 private:
  struct Pattern { std::string glob; bool anchored, directories_only, negated; };
  std::vector<Pattern> patterns_;
};

struct FilesOptions {
  std::string source = "files";
  std::vector<std::string> roots;        ///< absolute, "." and ".." resolved by text, unique, none below another
  GlobList excludes;
  std::vector<std::string> skip_paths;   ///< own state and data directories
  bool one_file_system = true;
  std::vector<std::string> markers = {".nobackup"};   ///< a directory holding one is kept, its contents are not
  bool honour_cachedir_tag = true;
};

/// Content of one regular file, open. Reads data and holes in order.
class FileContent {
 public:
  virtual ~FileContent() = default;
  struct Piece { bool hole = false; std::uint64_t bytes = 0; };   ///< data: bytes were put at the front of `out`
  /// Next piece: up to out.size() bytes of data, or a whole hole. bytes == 0: the end. Errors: Io.
  virtual Result<Piece> read(MutableByteSpan out) = 0;
  /// After the end: did size, mtime or ctime move while reading?
  virtual Result<bool> changed() = 0;
};

/// Something the walk found. `entry` has everything but extents and digest.
struct Found {
  manifest::Entry entry;
  manifest::StatIdentity stat;
  /// Regular files: opens the content. Errors: Denied, NotFound (vanished), Io.
  std::function<Result<std::unique_ptr<FileContent>>()> open;
};

/// What was left out, and why: unreadable, vanished, other file system, excluded by a marker.
struct Problem { std::string path; Error error; };
struct Skipped { std::string path; std::string why; };

class Visitor {
 public:
  virtual ~Visitor() = default;
  virtual Status found(Found found) = 0;            ///< an error ends the walk
  virtual void problem(Problem problem) = 0;        ///< the walk goes on; the run ends with exit code 3
  virtual void skipped(Skipped skipped) = 0;        ///< named in --dry-run and -v
};

/// Walks every root in order. Parents of roots (from "/") are visited as directories, so that a restore can make them.
/// Errors: NotFound, Denied for a root itself; what the visitor returns.
Status walk(const FilesOptions& options, Visitor& visitor);

}  // namespace holdfast::sources
