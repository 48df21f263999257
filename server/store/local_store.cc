#include "server/store/local_store.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>

namespace holdfast::store {
namespace {

constexpr unsigned kFileMode = 0600;
constexpr unsigned kDirectoryMode = 0700;
constexpr std::string_view kTemporary = "tmp";

Error bad_name(const std::string& name) {
  return Error{Errc::Usage, "'" + printable(name) + "' is not an object's name"};
}

bool is_name_part(std::string_view part) {
  if (part.empty() || part.front() == '.') return false;
  return std::all_of(part.begin(), part.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-'; });
}

/// What writers and the store share. Thread-safe.
class Directory {
 public:
  Directory(fs::FileSystem& file_system, std::string path) : fs_(file_system), path_(std::move(path)) {}

  fs::FileSystem& fs() const { return fs_; }
  const std::string& path() const { return path_; }
  std::string path_of(std::string_view name) const { return fs::join(path_, name); }
  std::string temporary() const { return path_of(kTemporary); }
  std::string next_temporary() { return fs::join(temporary(), std::to_string(next_.fetch_add(1))); }

  /// The object's directory exists and is durable. Remembered, so that a pack costs no sync of what has long been
  /// there.
  Status prepare_directory_of(const std::string& object_path) {
    const std::string directory = fs::parent(object_path);
    const std::lock_guard guard(mutex_);
    if (ready_.contains(directory)) return {};
    HF_TRY_DO(fs::make_directories(fs_, directory, kDirectoryMode));
    ready_.insert(directory);
    return {};
  }

 private:
  fs::FileSystem& fs_;
  const std::string path_;
  std::atomic<std::uint64_t> next_{0};
  std::mutex mutex_;
  std::set<std::string> ready_;
};

/// Complete bytes under a temporary name → durable under `name`. `rename` is the moment from which the object exists.
template <class Rename>
Status give_name(Directory& directory, fs::File& file, const std::string& name, Rename rename) {
  const std::string target = directory.path_of(name);
  HF_TRY_DO(file.sync());
  HF_TRY_DO(directory.prepare_directory_of(target));
  HF_TRY_DO(rename(target));
  if (Status synced = directory.fs().sync_directory(fs::parent(target)); !synced) {
    return Error{Errc::Unknown, "it may not survive a crash: " + synced.error().message};
  }
  return {};
}

class LocalWriter final : public ObjectWriter {
 public:
  LocalWriter(std::shared_ptr<Directory> directory, std::string name, std::string temporary,
              std::unique_ptr<fs::File> file)
      : directory_(std::move(directory)),
        name_(std::move(name)),
        temporary_(std::move(temporary)),
        file_(std::move(file)) {}
  LocalWriter(const LocalWriter&) = delete;
  LocalWriter& operator=(const LocalWriter&) = delete;
  ~LocalWriter() override { drop(); }

  Status append(ByteSpan bytes) override {
    HF_ASSERT(!ended_);
    if (failed_) return Error{Errc::Io, "object " + name_ + ": an earlier write failed"};
    Status done = file_->append(bytes);
    failed_ = !done.has_value();
    return std::move(done).context("write object " + name_);
  }

  Status commit() override {
    HF_ASSERT(!ended_);
    // A writer that lost bytes must never become an object, whatever its owner overlooked.
    if (failed_) return Error{Errc::Io, "object " + name_ + ": an earlier write failed"};
    Status done = give_name(*directory_, *file_, name_, [this](const std::string& target) -> Status {
      HF_TRY_DO(directory_->fs().rename_new(temporary_, target));
      ended_ = true;
      return {};
    });
    failed_ = !done.has_value();
    return std::move(done).context("store object " + name_);
  }

 private:
  void drop() {
    if (ended_) return;
    file_.reset();
    (void)directory_->fs().unlink(temporary_);  // what stays is swept at the next start
  }

  const std::shared_ptr<Directory> directory_;  // shared with the store, which a writer may outlive
  const std::string name_;
  const std::string temporary_;
  std::unique_ptr<fs::File> file_;
  bool ended_ = false;
  bool failed_ = false;
};

class LocalStore final : public ObjectStore {
 public:
  explicit LocalStore(std::shared_ptr<Directory> directory) : directory_(std::move(directory)) {}

  Result<std::unique_ptr<ObjectWriter>> create(const std::string& name) override {
    if (!is_object_name(name)) return bad_name(name);
    // Early and friendly; the rename decides.
    if (fs().stat(directory_->path_of(name))) return Error{Errc::Exists, "object " + name + " is there already"};
    std::string temporary = directory_->next_temporary();
    Result<std::unique_ptr<fs::File>> file = fs().create(temporary, kFileMode);
    if (!file) return std::move(file).error().with_context("create object " + name);
    return std::unique_ptr<ObjectWriter>(
        std::make_unique<LocalWriter>(directory_, name, std::move(temporary), std::move(*file)));
  }

  Result<Bytes> get(const std::string& name, std::uint64_t offset, std::uint64_t length) override {
    HF_TRY(const std::unique_ptr<fs::File> file, open_object(name));
    HF_TRY(const std::uint64_t bytes, file->size());
    if (offset > bytes || length > bytes - offset) return too_short(name, offset, length, bytes);
    Bytes out(static_cast<std::size_t>(length));
    HF_TRY(const std::size_t n, file->read_at(offset, out));
    if (n != out.size()) return too_short(name, offset, length, offset + n);
    return out;
  }

  Result<std::uint64_t> size(const std::string& name) override {
    HF_TRY(const std::unique_ptr<fs::File> file, open_object(name));
    return file->size();
  }

  Status remove(const std::string& name) override {
    if (!is_object_name(name)) return bad_name(name);
    const std::string path = directory_->path_of(name);
    Status removed = fs().unlink(path);
    const bool gone = !removed && removed.error().code == Errc::NotFound;
    // Gone by a removal that was reported as failed, perhaps: it need not be durable yet.
    if (removed || gone) {
      Status synced = fs().sync_directory(fs::parent(path));
      if (!synced && synced.error().code != Errc::NotFound) removed = std::move(synced);
    }
    return std::move(removed).context("remove object " + name);
  }

  Result<std::vector<ObjectInfo>> list(const std::string& prefix) override {
    std::vector<ObjectInfo> out;
    HF_TRY_DO(list_below("", prefix, 1, out));
    std::sort(out.begin(), out.end(), [](const ObjectInfo& a, const ObjectInfo& b) { return a.name < b.name; });
    return out;
  }

  Status replace(const std::string& name, ByteSpan bytes) override {
    if (!is_object_name(name)) return bad_name(name);
    const std::string temporary = directory_->next_temporary();
    Status done = write_and_name(temporary, name, bytes);
    if (!done) (void)fs().unlink(temporary);
    return std::move(done).context("replace object " + name);
  }

  Result<std::uint64_t> available_bytes() override { return fs().available_bytes(directory_->path()); }

 private:
  fs::FileSystem& fs() const { return directory_->fs(); }

  static Error too_short(const std::string& name, std::uint64_t offset, std::uint64_t length, std::uint64_t bytes) {
    return Error{Errc::Corrupt, "object " + name + " ends at byte " + std::to_string(bytes) + ", " +
                                    std::to_string(length) + " bytes from " + std::to_string(offset) +
                                    " were to be read"};
  }

  Result<std::unique_ptr<fs::File>> open_object(const std::string& name) const {
    if (!is_object_name(name)) return bad_name(name);
    return fs().open_read(directory_->path_of(name)).context("object " + name);
  }

  Status write_and_name(const std::string& temporary, const std::string& name, ByteSpan bytes) {
    HF_TRY(const std::unique_ptr<fs::File> file, fs().create(temporary, kFileMode));
    HF_TRY_DO(file->append(bytes));
    return give_name(*directory_, *file, name,
                     [&](const std::string& target) { return fs().rename(temporary, target); });
  }

  /// Walks only directories that can hold names with the prefix. Files that are no objects are passed over: `check`
  /// compares with the journal, listing is not its place.
  Status list_below(const std::string& at, const std::string& prefix, std::size_t depth, std::vector<ObjectInfo>& out) {
    if (depth > kMaxNameParts) return {};
    const Result<std::vector<fs::DirectoryEntry>> entries =
        fs().list(at.empty() ? directory_->path() : directory_->path_of(at));
    if (!entries && entries.error().code == Errc::NotFound) return {};  // removed meanwhile
    if (!entries) return entries.error();
    for (const fs::DirectoryEntry& entry : *entries) {
      const std::string name = at.empty() ? entry.name : at + "/" + entry.name;
      if (entry.kind == fs::FileKind::Directory && !(at.empty() && entry.name == kTemporary)) {
        const std::string below = name + "/";
        const std::size_t common = std::min(below.size(), prefix.size());
        if (below.compare(0, common, prefix, 0, common) == 0) HF_TRY_DO(list_below(name, prefix, depth + 1, out));
      } else if (entry.kind == fs::FileKind::File && name.starts_with(prefix) && is_object_name(name)) {
        out.push_back({name, entry.size});
      }
    }
    return {};
  }

  const std::shared_ptr<Directory> directory_;  // shared with writers
};

/// Whatever stands in tmp/ was never acknowledged.
Status sweep(fs::FileSystem& fs, const std::string& temporary) {
  HF_TRY(const std::vector<fs::DirectoryEntry> entries, fs.list(temporary));
  for (const fs::DirectoryEntry& entry : entries) {
    if (entry.kind == fs::FileKind::Directory) continue;  // not ours
    HF_TRY_DO(fs.unlink(fs::join(temporary, entry.name)));
  }
  return {};
}

}  // namespace

bool is_object_name(std::string_view name) {
  if (name.size() > kMaxNameBytes || name.starts_with("tmp/")) return false;
  std::size_t parts = 0;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('/', at), name.size());
    if (!is_name_part(name.substr(at, end - at))) return false;
    ++parts;
    at = end + 1;
  }
  return parts >= 2 && parts <= kMaxNameParts;
}

Result<std::unique_ptr<ObjectStore>> open_local_store(fs::FileSystem& fs, std::string directory) {
  const auto opened = [&]() -> Status {
    HF_TRY_DO(fs::make_directories(fs, directory, kDirectoryMode));
    const std::string temporary = fs::join(directory, kTemporary);
    HF_TRY_DO(fs::make_directories(fs, temporary, kDirectoryMode));
    return sweep(fs, temporary);
  }();
  if (!opened) return Error(opened.error()).with_context("open store '" + printable(directory) + "'");
  return std::unique_ptr<ObjectStore>(
      std::make_unique<LocalStore>(std::make_shared<Directory>(fs, std::move(directory))));
}

}  // namespace holdfast::store
