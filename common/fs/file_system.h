#pragma once
// Why: every durable byte goes through this seam, so that tests can lose, tear and refuse any single operation.
// Promises: errors name the path; DiskFull is told apart from Io. What was not synced may be gone after a crash:
// file bytes until File::sync, names (create, rename, unlink) until sync_directory of the directory that holds them.
// Leaves to others: the customer's tree (client/sources, client/restore), which is read and written descriptor-relative.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"

namespace holdfast::fs {

/// An open file. One thread at a time for writes; read_at is thread-safe. Closed by the destructor.
class File {
 public:
  virtual ~File() = default;
  virtual Status append(ByteSpan bytes) = 0;
  virtual Status write_at(std::uint64_t offset, ByteSpan bytes) = 0;
  /// Reads up to out.size() bytes; fewer only at the end of the file.
  virtual Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) const = 0;
  virtual Result<std::uint64_t> size() const = 0;
  virtual Status truncate(std::uint64_t length) = 0;
  virtual Status sync() = 0;  ///< fdatasync. After a failure the descriptor must not be trusted again.
};

enum class FileKind { File, Directory, Other };
struct DirectoryEntry {
  std::string name;
  FileKind kind;
  std::uint64_t size;  ///< bytes; 0 for directories
};

/// Held until destroyed; released by the kernel when the process dies.
class Lock {
 public:
  virtual ~Lock() = default;
};

/// Thread-safe. Paths are absolute, '/'-separated.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<File>> create(const std::string& path, unsigned mode) = 0;  ///< O_EXCL. Errors: Exists
  virtual Result<std::unique_ptr<File>> open_read(const std::string& path) = 0;              ///< Errors: NotFound
  virtual Result<std::unique_ptr<File>> open_write(const std::string& path) = 0;  ///< existing file, read and write
  virtual Status rename(const std::string& from, const std::string& to) = 0;      ///< replaces `to`
  virtual Status rename_new(const std::string& from,
                            const std::string& to) = 0;  ///< Errors: Exists, then nothing has changed
  virtual Status unlink(const std::string& path) = 0;
  virtual Status remove_directory(const std::string& path) = 0;               ///< must be empty
  virtual Status make_directory(const std::string& path, unsigned mode) = 0;  ///< Errors: Exists
  virtual Status sync_directory(const std::string& path) = 0;
  virtual Result<std::vector<DirectoryEntry>> list(
      const std::string& path) = 0;                                  ///< sorted by name; symbolic links are Other
  virtual Result<DirectoryEntry> stat(const std::string& path) = 0;  ///< follows links. Errors: NotFound
  virtual Result<std::uint64_t> available_bytes(const std::string& path) = 0;
  virtual Result<std::unique_ptr<Lock>> lock(
      const std::string& path) = 0;  ///< exclusive flock, creates the file (0600). Errors: Locked
};

/// The machine's file system (POSIX).
FileSystem& real();

/// Whole file, at most `limit` bytes. Errors: NotFound, Limit, Io.
Result<Bytes> read_file(FileSystem& fs, const std::string& path, std::uint64_t limit);
/// Temporary file beside `path` (`<path>.tmp`; one left by a crash is removed), write, sync, rename, sync directory:
/// after a crash the old bytes or the new, never a mixture. The caller keeps two writers of one path apart.
/// Errors: DiskFull, Io, … with the old bytes in place; Unknown when only the last directory sync failed.
Status replace_file(FileSystem& fs, const std::string& path, ByteSpan bytes, unsigned mode);
/// As replace_file, but the file must not exist. Errors: Exists.
Status create_file(FileSystem& fs, const std::string& path, ByteSpan bytes, unsigned mode);
/// mkdir -p, durable: also what an interrupted call made before is synced. `mode` goes to every directory it makes.
Status make_directories(FileSystem& fs, const std::string& path, unsigned mode);
std::string join(std::string_view directory, std::string_view name);
std::string parent(std::string_view path);

}  // namespace holdfast::fs
