#include "common/fs/file_system.h"

#include <algorithm>

namespace holdfast::fs {
namespace {

/// The file under its temporary name, complete and synced. A file of that name was left by a crash.
Status write_temporary(FileSystem& fs, const std::string& path, ByteSpan bytes, unsigned mode) {
  Result<std::unique_ptr<File>> file = fs.create(path, mode);
  if (!file && file.error().code == Errc::Exists) {
    HF_TRY_DO(fs.unlink(path));
    file = fs.create(path, mode);
  }
  if (!file) return std::move(file).error();
  HF_TRY_DO((*file)->append(bytes));
  return (*file)->sync();
}

/// `rename` moves the temporary file to its name. Before it nothing has happened to `path`; after it only the
/// directory's sync is open, and when that fails nobody can say which bytes a crash would leave.
template <class Rename>
Status write_through_temporary(FileSystem& fs, const std::string& path, ByteSpan bytes, unsigned mode, Rename rename) {
  const std::string temporary = path + ".tmp";
  Status done = write_temporary(fs, temporary, bytes, mode);
  if (done) done = rename(temporary);
  if (!done) {
    (void)fs.unlink(temporary);  // best effort: the next write of this path removes it too
    return done;
  }
  if (Status synced = fs.sync_directory(parent(path)); !synced) {
    return Error{Errc::Unknown, "the new '" + printable(path) + "' may not survive a crash: " + synced.error().message};
  }
  return {};
}

/// Denied is no failure here: where we may not even open the directory we have not made anything in it.
Status sync_if_ours(FileSystem& fs, const std::string& directory) {
  Status synced = fs.sync_directory(directory);
  if (!synced && synced.error().code == Errc::Denied) return {};
  return synced;
}

}  // namespace

std::string join(std::string_view directory, std::string_view name) {
  std::string out(directory);
  if (out.empty() || out.back() != '/') out += '/';
  return out += name;
}

std::string parent(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(path.substr(0, std::max<std::size_t>(slash, 1)));
}

Result<Bytes> read_file(FileSystem& fs, const std::string& path, std::uint64_t limit) {
  HF_TRY(const std::unique_ptr<File> file, fs.open_read(path));
  HF_TRY(const std::uint64_t size, file->size());
  if (size > limit) {
    return Error{Errc::Limit, "'" + printable(path) + "' has " + std::to_string(size) + " bytes; at most " +
                                  std::to_string(limit) + " are read"};
  }
  Bytes out(static_cast<std::size_t>(size));
  HF_TRY(const std::size_t n, file->read_at(0, out));
  out.resize(n);  // it may have been cut while we read
  return out;
}

Status replace_file(FileSystem& fs, const std::string& path, ByteSpan bytes, unsigned mode) {
  return write_through_temporary(fs, path, bytes, mode,
                                 [&](const std::string& temporary) { return fs.rename(temporary, path); });
}

Status create_file(FileSystem& fs, const std::string& path, ByteSpan bytes, unsigned mode) {
  return write_through_temporary(fs, path, bytes, mode,
                                 [&](const std::string& temporary) { return fs.rename_new(temporary, path); });
}

Status make_directories(FileSystem& fs, const std::string& path, unsigned mode) {
  const Result<DirectoryEntry> there = fs.stat(path);
  const std::string above = parent(path);
  if (there) {
    if (there->kind != FileKind::Directory) {
      return Error{Errc::Exists, "'" + printable(path) + "' is there and is not a directory"};
    }
    // A process that died between mkdir and sync leaves a directory that only looks durable. It can only be the
    // deepest one, because each is synced before the next is made.
    return above == path ? Status{} : sync_if_ours(fs, above);
  }
  if (there.error().code != Errc::NotFound || above == path) return there.error();
  HF_TRY_DO(make_directories(fs, above, mode));
  if (Status made = fs.make_directory(path, mode); !made && made.error().code != Errc::Exists) return made;
  Status synced = fs.sync_directory(above);
  if (!synced) (void)fs.remove_directory(path);  // a failed sync is not repeated: the next call makes it anew
  return synced;
}

}  // namespace holdfast::fs
