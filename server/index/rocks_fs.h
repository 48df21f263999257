#pragma once
// Why: RocksDB must reach the disk through the project's own seam, so that tests can lose, tear and refuse its every
// operation, as they do with packs and journal. Promises: nothing of what RocksDB does in a database of ours passes
// this class by; what it does not need (mmap, links, loggers, random-write files) is refused, not passed on.

#include <rocksdb/file_system.h>

#include <memory>
#include <mutex>
#include <optional>

#include "common/fs/file_system.h"

namespace holdfast::index {

/// What the disk itself said: RocksDB sometimes passes on a file that it could not read as a corrupt one. Thread-safe.
class DiskErrors {
 public:
  /// As RocksDB wants it.
  rocksdb::IOStatus pass_on(const Error& error);
  rocksdb::IOStatus pass_on(const Status& status) { return status ? rocksdb::IOStatus::OK() : pass_on(status.error()); }
  /// The first failure, Io or DiskFull. Names that are missing, there already or locked are none.
  std::optional<Error> first() const {
    const std::lock_guard lock(mutex_);
    return first_;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<Error> first_;
};

/// RocksDB's view of an fs::FileSystem, which must outlive it. Thread-safe.
/// Errors: DiskFull becomes NoSpace, NotFound PathNotFound (NotFound where RocksDB expects it), Locked Busy, the rest
/// IOError; our message is kept. Options of RocksDB on buffering, priority and time are not followed.
class RocksFs : public rocksdb::FileSystemWrapper {
 public:
  explicit RocksFs(fs::FileSystem& fs, std::shared_ptr<DiskErrors> disk = std::make_shared<DiskErrors>());
  static const char* kClassName() { return "HoldfastFileSystem"; }
  const char* Name() const override { return kClassName(); }

  using IOStatus = rocksdb::IOStatus;
  using FileOptions = rocksdb::FileOptions;
  using IOOptions = rocksdb::IOOptions;
  using Debug = rocksdb::IODebugContext;

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* out, Debug*) override;
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* out, Debug*) override;
  /// As POSIX O_CREAT|O_TRUNC: a file of that name is replaced.
  IOStatus NewWritableFile(const std::string& path, const FileOptions&, std::unique_ptr<rocksdb::FSWritableFile>* out,
                           Debug*) override;
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions&,
                              std::unique_ptr<rocksdb::FSWritableFile>* out, Debug*) override;
  IOStatus NewDirectory(const std::string& path, const IOOptions&, std::unique_ptr<rocksdb::FSDirectory>* out,
                        Debug*) override;
  IOStatus FileExists(const std::string& path, const IOOptions&, Debug*) override;
  IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* out, Debug*) override;
  IOStatus GetChildrenFileAttributes(const std::string& path, const IOOptions&,
                                     std::vector<rocksdb::Env::FileAttributes>* out, Debug*) override;
  IOStatus DeleteFile(const std::string& path, const IOOptions&, Debug*) override;
  IOStatus Truncate(const std::string& path, std::size_t length, const IOOptions&, Debug*) override;
  IOStatus CreateDir(const std::string& path, const IOOptions&, Debug*) override;
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions&, Debug*) override;
  IOStatus DeleteDir(const std::string& path, const IOOptions&, Debug*) override;
  IOStatus GetFileSize(const std::string& path, const IOOptions&, std::uint64_t* out, Debug*) override;
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* out, Debug*) override;
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&, Debug*) override;
  IOStatus LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** out, Debug*) override;
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, Debug*) override;
  IOStatus GetFreeSpace(const std::string& path, const IOOptions&, std::uint64_t* out, Debug*) override;
  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* out, Debug*) override;

  // Refused: not used with the options of this folder.
  IOStatus ReuseWritableFile(const std::string& path, const std::string& old_path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSWritableFile>* out, Debug*) override;
  IOStatus NewRandomRWFile(const std::string& path, const FileOptions&, std::unique_ptr<rocksdb::FSRandomRWFile>* out,
                           Debug*) override;
  IOStatus NewMemoryMappedFileBuffer(const std::string& path,
                                     std::unique_ptr<rocksdb::MemoryMappedFileBuffer>* out) override;
  IOStatus GetFileModificationTime(const std::string& path, const IOOptions&, std::uint64_t* out, Debug*) override;
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions&, Debug*) override;
  IOStatus NumFileLinks(const std::string& path, const IOOptions&, std::uint64_t* out, Debug*) override;
  IOStatus AreFilesSame(const std::string& a, const std::string& b, const IOOptions&, bool* out, Debug*) override;
  IOStatus GetTestDirectory(const IOOptions&, std::string* out, Debug*) override;
  IOStatus NewLogger(const std::string& path, const IOOptions&, std::shared_ptr<rocksdb::Logger>* out, Debug*) override;

 private:
  fs::FileSystem& fs_;
  const std::shared_ptr<DiskErrors> disk_;  // shared with its files and with whoever asks
};

}  // namespace holdfast::index
