#include "server/index/rocks_fs.h"

namespace holdfast::index {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

constexpr unsigned kFileMode = 0600;
constexpr unsigned kDirectoryMode = 0700;

MutableByteSpan scratch_span(char* scratch, std::size_t n) { return {reinterpret_cast<std::uint8_t*>(scratch), n}; }
ByteSpan bytes_of(const rocksdb::Slice& slice) { return as_bytes(std::string_view(slice.data(), slice.size())); }

IOStatus io_status(const Error& error) {
  switch (error.code) {
    case Errc::NotFound:
      return IOStatus::PathNotFound(error.message);
    case Errc::DiskFull:
      return IOStatus::NoSpace(error.message);
    case Errc::Locked:
      return IOStatus::Busy(error.message);
    default:
      return IOStatus::IOError(error.message);
  }
}

IOStatus refused(const char* what) { return IOStatus::NotSupported(what); }

class SequentialFile : public rocksdb::FSSequentialFile {
 public:
  SequentialFile(std::unique_ptr<fs::File> file, std::shared_ptr<DiskErrors> disk)
      : file_(std::move(file)), disk_(std::move(disk)) {}
  IOStatus Read(std::size_t n, const IOOptions&, rocksdb::Slice* result, char* scratch, IODebugContext*) override {
    *result = {};
    const auto got = file_->read_at(position_, scratch_span(scratch, n));
    if (!got) return disk_->pass_on(got.error());
    position_ += *got;
    *result = {scratch, *got};
    return IOStatus::OK();
  }
  IOStatus Skip(std::uint64_t n) override {
    position_ += n;
    return IOStatus::OK();
  }

 private:
  std::unique_ptr<fs::File> file_;
  const std::shared_ptr<DiskErrors> disk_;  // shared with the file system
  std::uint64_t position_ = 0;
};

class RandomAccessFile : public rocksdb::FSRandomAccessFile {
 public:
  RandomAccessFile(std::unique_ptr<fs::File> file, std::shared_ptr<DiskErrors> disk)
      : file_(std::move(file)), disk_(std::move(disk)) {}
  IOStatus Read(std::uint64_t offset, std::size_t n, const IOOptions&, rocksdb::Slice* result, char* scratch,
                IODebugContext*) const override {
    *result = {};
    const auto got = file_->read_at(offset, scratch_span(scratch, n));
    if (!got) return disk_->pass_on(got.error());
    *result = {scratch, *got};
    return IOStatus::OK();
  }

 private:
  std::unique_ptr<fs::File> file_;
  const std::shared_ptr<DiskErrors> disk_;  // shared with the file system
};

// Writes at its own position: a file that was opened again goes on where it ended.
class WritableFile : public rocksdb::FSWritableFile {
 public:
  WritableFile(std::unique_ptr<fs::File> file, std::uint64_t size, std::shared_ptr<DiskErrors> disk)
      : file_(std::move(file)), size_(size), disk_(std::move(disk)) {}
  using FSWritableFile::Append;
  IOStatus Append(const rocksdb::Slice& data, const IOOptions&, IODebugContext*) override {
    if (!file_) return IOStatus::IOError("written after close");
    const Status written = file_->write_at(size_, bytes_of(data));
    if (written) size_ += data.size();
    return disk_->pass_on(written);
  }
  IOStatus Truncate(std::uint64_t size, const IOOptions&, IODebugContext*) override {
    if (!file_) return IOStatus::IOError("truncated after close");
    const Status truncated = file_->truncate(size);
    if (truncated) size_ = size;
    return disk_->pass_on(truncated);
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override {
    file_.reset();
    return IOStatus::OK();
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }  // nothing is held back here
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    if (!file_) return IOStatus::IOError("synced after close");
    return disk_->pass_on(file_->sync());
  }
  std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }

 private:
  std::unique_ptr<fs::File> file_;
  std::uint64_t size_;
  const std::shared_ptr<DiskErrors> disk_;  // shared with the file system
};

class Directory : public rocksdb::FSDirectory {
 public:
  Directory(fs::FileSystem& fs, std::string path, std::shared_ptr<DiskErrors> disk)
      : fs_(fs), path_(std::move(path)), disk_(std::move(disk)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return disk_->pass_on(fs_.sync_directory(path_)); }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  fs::FileSystem& fs_;
  std::string path_;
  const std::shared_ptr<DiskErrors> disk_;  // shared with the file system
};

class HeldLock : public rocksdb::FileLock {
 public:
  explicit HeldLock(std::unique_ptr<fs::Lock> lock) : lock_(std::move(lock)) {}

 private:
  std::unique_ptr<fs::Lock> lock_;
};

// RocksDB names directories with and without a slash at the end.
std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

IOStatus DiskErrors::pass_on(const Error& error) {
  // Answers, not failures: RocksDB looks for files that need not be there.
  if (error.code != Errc::NotFound && error.code != Errc::Exists && error.code != Errc::Locked) {
    const std::lock_guard lock(mutex_);
    if (!first_) first_ = Error{error.code == Errc::DiskFull ? Errc::DiskFull : Errc::Io, error.message};
  }
  return io_status(error);
}

RocksFs::RocksFs(fs::FileSystem& fs, std::shared_ptr<DiskErrors> disk)
    : FileSystemWrapper(rocksdb::FileSystem::Default()), fs_(fs), disk_(std::move(disk)) {}

IOStatus RocksFs::NewSequentialFile(const std::string& path, const FileOptions&,
                                    std::unique_ptr<rocksdb::FSSequentialFile>* out, Debug*) {
  auto file = fs_.open_read(path);
  if (!file) return disk_->pass_on(file.error());
  *out = std::make_unique<SequentialFile>(*std::move(file), disk_);
  return IOStatus::OK();
}

IOStatus RocksFs::NewRandomAccessFile(const std::string& path, const FileOptions&,
                                      std::unique_ptr<rocksdb::FSRandomAccessFile>* out, Debug*) {
  auto file = fs_.open_read(path);
  if (!file) return disk_->pass_on(file.error());
  *out = std::make_unique<RandomAccessFile>(*std::move(file), disk_);
  return IOStatus::OK();
}

IOStatus RocksFs::NewWritableFile(const std::string& path, const FileOptions&,
                                  std::unique_ptr<rocksdb::FSWritableFile>* out, Debug*) {
  auto file = fs_.create(path, kFileMode);
  if (!file && file.error().code == Errc::Exists) {
    const Status removed = fs_.unlink(path);
    if (!removed) return disk_->pass_on(removed.error());
    file = fs_.create(path, kFileMode);
  }
  if (!file) return disk_->pass_on(file.error());
  *out = std::make_unique<WritableFile>(*std::move(file), 0, disk_);
  return IOStatus::OK();
}

IOStatus RocksFs::ReopenWritableFile(const std::string& path, const FileOptions& options,
                                     std::unique_ptr<rocksdb::FSWritableFile>* out, Debug* debug) {
  auto file = fs_.open_write(path);
  if (!file && file.error().code == Errc::NotFound) return NewWritableFile(path, options, out, debug);
  if (!file) return disk_->pass_on(file.error());
  const auto size = (*file)->size();
  if (!size) return disk_->pass_on(size.error());
  *out = std::make_unique<WritableFile>(*std::move(file), *size, disk_);
  return IOStatus::OK();
}

IOStatus RocksFs::NewDirectory(const std::string& path, const IOOptions&, std::unique_ptr<rocksdb::FSDirectory>* out,
                               Debug*) {
  const auto entry = fs_.stat(without_slash(path));
  if (!entry) return disk_->pass_on(entry.error());
  if (entry->kind != fs::FileKind::Directory) return IOStatus::IOError(path + ": not a directory");
  *out = std::make_unique<Directory>(fs_, without_slash(path), disk_);
  return IOStatus::OK();
}

IOStatus RocksFs::FileExists(const std::string& path, const IOOptions&, Debug*) {
  const auto entry = fs_.stat(without_slash(path));
  if (entry) return IOStatus::OK();
  if (entry.error().code == Errc::NotFound) return IOStatus::NotFound(path);
  return disk_->pass_on(entry.error());
}

IOStatus RocksFs::GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* out, Debug*) {
  out->clear();
  const auto entries = fs_.list(without_slash(path));
  if (!entries && entries.error().code == Errc::NotFound) return IOStatus::NotFound(path);
  if (!entries) return disk_->pass_on(entries.error());
  for (const fs::DirectoryEntry& entry : *entries) out->push_back(entry.name);
  return IOStatus::OK();
}

IOStatus RocksFs::GetChildrenFileAttributes(const std::string& path, const IOOptions&,
                                            std::vector<rocksdb::Env::FileAttributes>* out, Debug*) {
  out->clear();
  const auto entries = fs_.list(without_slash(path));
  if (!entries && entries.error().code == Errc::NotFound) return IOStatus::NotFound(path);
  if (!entries) return disk_->pass_on(entries.error());
  for (const fs::DirectoryEntry& entry : *entries) out->push_back({entry.name, entry.size});
  return IOStatus::OK();
}

IOStatus RocksFs::DeleteFile(const std::string& path, const IOOptions&, Debug*) {
  return disk_->pass_on(fs_.unlink(path));
}

IOStatus RocksFs::Truncate(const std::string& path, std::size_t length, const IOOptions&, Debug*) {
  const auto file = fs_.open_write(path);
  if (!file) return disk_->pass_on(file.error());
  return disk_->pass_on((*file)->truncate(length));
}

IOStatus RocksFs::CreateDir(const std::string& path, const IOOptions&, Debug*) {
  return disk_->pass_on(fs_.make_directory(without_slash(path), kDirectoryMode));
}

IOStatus RocksFs::CreateDirIfMissing(const std::string& path, const IOOptions&, Debug*) {
  const Status made = fs_.make_directory(without_slash(path), kDirectoryMode);
  if (!made && made.error().code == Errc::Exists) return IOStatus::OK();
  return disk_->pass_on(made);
}

IOStatus RocksFs::DeleteDir(const std::string& path, const IOOptions&, Debug*) {
  return disk_->pass_on(fs_.remove_directory(without_slash(path)));
}

IOStatus RocksFs::GetFileSize(const std::string& path, const IOOptions&, std::uint64_t* out, Debug*) {
  const auto entry = fs_.stat(path);
  if (!entry) return disk_->pass_on(entry.error());
  *out = entry->size;
  return IOStatus::OK();
}

IOStatus RocksFs::GetAbsolutePath(const std::string& path, const IOOptions&, std::string* out, Debug*) {
  *out = path;  // the seam knows absolute paths only
  return IOStatus::OK();
}

IOStatus RocksFs::RenameFile(const std::string& from, const std::string& to, const IOOptions&, Debug*) {
  return disk_->pass_on(fs_.rename(from, to));
}

IOStatus RocksFs::LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** out, Debug*) {
  *out = nullptr;
  auto lock = fs_.lock(path);
  if (!lock) return disk_->pass_on(lock.error());
  *out = new HeldLock(*std::move(lock));  // RocksDB gives it back to UnlockFile
  return IOStatus::OK();
}

IOStatus RocksFs::UnlockFile(rocksdb::FileLock* lock, const IOOptions&, Debug*) {
  delete static_cast<HeldLock*>(lock);
  return IOStatus::OK();
}

IOStatus RocksFs::GetFreeSpace(const std::string& path, const IOOptions&, std::uint64_t* out, Debug*) {
  const auto bytes = fs_.available_bytes(without_slash(path));
  if (!bytes) return disk_->pass_on(bytes.error());
  *out = *bytes;
  return IOStatus::OK();
}

IOStatus RocksFs::IsDirectory(const std::string& path, const IOOptions&, bool* out, Debug*) {
  const auto entry = fs_.stat(without_slash(path));
  if (!entry) return disk_->pass_on(entry.error());
  *out = entry->kind == fs::FileKind::Directory;
  return IOStatus::OK();
}

IOStatus RocksFs::ReuseWritableFile(const std::string&, const std::string&, const FileOptions&,
                                    std::unique_ptr<rocksdb::FSWritableFile>*, Debug*) {
  return refused("recycled log files");
}
IOStatus RocksFs::NewRandomRWFile(const std::string&, const FileOptions&, std::unique_ptr<rocksdb::FSRandomRWFile>*,
                                  Debug*) {
  return refused("random-write files");
}
IOStatus RocksFs::NewMemoryMappedFileBuffer(const std::string&, std::unique_ptr<rocksdb::MemoryMappedFileBuffer>*) {
  return refused("mapped files");
}
IOStatus RocksFs::GetFileModificationTime(const std::string&, const IOOptions&, std::uint64_t*, Debug*) {
  return refused("modification times");
}
IOStatus RocksFs::LinkFile(const std::string&, const std::string&, const IOOptions&, Debug*) {
  return refused("hard links");
}
IOStatus RocksFs::NumFileLinks(const std::string&, const IOOptions&, std::uint64_t*, Debug*) {
  return refused("hard links");
}
IOStatus RocksFs::AreFilesSame(const std::string&, const std::string&, const IOOptions&, bool*, Debug*) {
  return refused("comparing files");
}
IOStatus RocksFs::GetTestDirectory(const IOOptions&, std::string*, Debug*) { return refused("a test directory"); }
IOStatus RocksFs::NewLogger(const std::string&, const IOOptions&, std::shared_ptr<rocksdb::Logger>*, Debug*) {
  return refused("log files");
}

}  // namespace holdfast::index
