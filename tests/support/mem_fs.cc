#include "tests/support/mem_fs.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <set>

namespace holdfast::support {
namespace {

struct Node;
using NodePtr = std::shared_ptr<Node>;
using Names = std::map<std::string, NodePtr>;

/// One change of a file's bytes that has not been synced.
struct FileChange {
  std::uint64_t moment;
  bool truncate;
  std::uint64_t offset;  ///< or the new length
  Bytes bytes;
};

/// One change of a directory's names: all of it reaches the disk or nothing. A null node is a removal.
struct NameChange {
  std::uint64_t moment;
  std::vector<std::pair<std::string, NodePtr>> names;
};

struct Node {
  bool directory = false;
  Bytes bytes, durable_bytes;
  std::vector<FileChange> changes;
  Names names, durable_names;
  std::vector<NameChange> name_changes;
};

void carry_out(const FileChange& change, Bytes& to) {
  if (change.truncate) {
    to.resize(change.offset);
    return;
  }
  if (to.size() < change.offset + change.bytes.size()) to.resize(change.offset + change.bytes.size());
  std::copy(change.bytes.begin(), change.bytes.end(), to.begin() + static_cast<std::ptrdiff_t>(change.offset));
}

void carry_out(const NameChange& change, Names& to) {
  for (const auto& [name, node] : change.names) {
    if (node)
      to[name] = node;
    else
      to.erase(name);
  }
}

/// A change of which only some sectors of 512 bytes reached the disk: the rest stays as it was.
void apply_sectors(const FileChange& change, Bytes& to, const std::function<bool()>& keep) {
  constexpr std::size_t kSector = 512;
  for (std::size_t at = 0; at < change.bytes.size(); at += kSector) {
    if (!keep()) continue;
    const std::size_t n = std::min(kSector, change.bytes.size() - at);
    const auto from = change.bytes.begin() + static_cast<std::ptrdiff_t>(at);
    carry_out(FileChange{change.moment, false, change.offset + at, Bytes(from, from + static_cast<std::ptrdiff_t>(n))},
              to);
  }
}

std::vector<std::string> components(const std::string& path) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    if (end > at) out.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

Error failed(int errno_value, std::string_view verb, const std::string& path) {
  return errno_error(errno_value, std::string(verb) + " '" + printable(path) + "'");
}

}  // namespace

struct MemFs::State {
  std::mutex mutex;
  NodePtr root = std::make_shared<Node>();
  std::vector<std::weak_ptr<Node>> all;
  std::set<const Node*> locked;
  std::uint64_t moment = 0;
  std::uint64_t boot = 0;
  std::optional<std::uint64_t> capacity;

  NodePtr find(const std::string& path) const {
    NodePtr at = root;
    for (const std::string& name : components(path)) {
      const auto next = at->names.find(name);
      if (next == at->names.end()) return nullptr;
      at = next->second;
    }
    return at;
  }

  NodePtr make(bool directory) {
    auto node = std::make_shared<Node>();
    node->directory = directory;
    all.push_back(node);
    return node;
  }

  /// Seen at once; durable with the next sync_directory.
  void change_names(Node& directory, std::vector<std::pair<std::string, NodePtr>> names) {
    NameChange change{++moment, std::move(names)};
    carry_out(change, directory.names);
    directory.name_changes.push_back(std::move(change));
  }

  static std::uint64_t used(const Node& node) {
    std::uint64_t sum = node.bytes.size();
    for (const auto& [name, child] : node.names) sum += used(*child);
    return sum;
  }
  std::uint64_t available() const {
    if (!capacity) return std::uint64_t{1} << 40;
    const std::uint64_t in_use = used(*root);
    return in_use < *capacity ? *capacity - in_use : 0;
  }
};

namespace {

using State = MemFs::State;

class MemFile final : public fs::File {
 public:
  MemFile(std::shared_ptr<State> state, NodePtr node, std::string path, bool writable)
      : state_(std::move(state)),
        node_(std::move(node)),
        path_(std::move(path)),
        writable_(writable),
        boot_(state_->boot) {}

  Status append(ByteSpan bytes) override {
    const std::lock_guard guard(state_->mutex);
    return write(node_->bytes.size(), bytes);
  }
  Status write_at(std::uint64_t offset, ByteSpan bytes) override {
    const std::lock_guard guard(state_->mutex);
    return write(offset, bytes);
  }
  Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) const override {
    const std::lock_guard guard(state_->mutex);
    if (stale()) return failed(EIO, "read", path_);
    if (offset >= node_->bytes.size()) return std::size_t{0};
    const std::size_t n = std::min(out.size(), node_->bytes.size() - static_cast<std::size_t>(offset));
    if (n > 0) std::memcpy(out.data(), node_->bytes.data() + offset, n);
    return n;
  }
  Result<std::uint64_t> size() const override {
    const std::lock_guard guard(state_->mutex);
    if (stale()) return failed(EIO, "stat", path_);
    return std::uint64_t{node_->bytes.size()};
  }
  Status truncate(std::uint64_t length) override {
    const std::lock_guard guard(state_->mutex);
    if (stale()) return failed(EIO, "truncate", path_);
    if (!writable_) return failed(EINVAL, "truncate", path_);
    record({++state_->moment, true, length, {}});
    return {};
  }
  Status sync() override {
    const std::lock_guard guard(state_->mutex);
    if (stale()) return failed(EIO, "sync", path_);
    for (const FileChange& change : node_->changes) carry_out(change, node_->durable_bytes);
    node_->changes.clear();
    return {};
  }

 private:
  bool stale() const { return boot_ != state_->boot; }

  Status write(std::uint64_t offset, ByteSpan bytes) {
    if (stale()) return failed(EIO, "write", path_);
    if (!writable_) return failed(EBADF, "write", path_);
    const std::uint64_t end = node_->bytes.size();
    const std::uint64_t room = std::max(end, offset) - offset + (state_->capacity ? state_->available() : bytes.size());
    const bool full = room < bytes.size();
    if (full) bytes = bytes.first(static_cast<std::size_t>(room));
    if (!bytes.empty()) record({++state_->moment, false, offset, to_bytes(bytes)});
    return full ? Status(failed(ENOSPC, "write", path_)) : Status{};
  }
  void record(FileChange change) {
    carry_out(change, node_->bytes);
    node_->changes.push_back(std::move(change));
  }

  const std::shared_ptr<State> state_;
  const NodePtr node_;
  const std::string path_;
  const bool writable_;
  const std::uint64_t boot_;
};

class MemLock final : public fs::Lock {
 public:
  MemLock(std::shared_ptr<State> state, NodePtr node)
      : state_(std::move(state)), node_(std::move(node)), boot_(state_->boot) {}
  ~MemLock() override {
    const std::lock_guard guard(state_->mutex);
    if (boot_ == state_->boot) state_->locked.erase(node_.get());
  }

 private:
  const std::shared_ptr<State> state_;
  const NodePtr node_;
  const std::uint64_t boot_;
};

std::string last_component(const std::string& path) {
  const std::vector<std::string> parts = components(path);
  return parts.empty() ? "" : parts.back();
}

fs::DirectoryEntry entry_of(std::string name, const Node& node) {
  return {std::move(name), node.directory ? fs::FileKind::Directory : fs::FileKind::File, node.bytes.size()};
}

Result<std::unique_ptr<fs::File>> open(const std::shared_ptr<State>& state, const std::string& path, bool writable) {
  const std::lock_guard guard(state->mutex);
  const NodePtr node = state->find(path);
  if (!node) return failed(ENOENT, "open", path);
  if (node->directory) return failed(EISDIR, "open", path);
  return std::unique_ptr<fs::File>(std::make_unique<MemFile>(state, node, path, writable));
}

/// The directory that holds `path`, for a call that changes its names.
Result<NodePtr> directory_of(const State& state, std::string_view verb, const std::string& path) {
  const NodePtr directory = state.find(fs::parent(path));
  if (!directory) return failed(ENOENT, verb, path);
  if (!directory->directory || last_component(path).empty()) return failed(ENOTDIR, verb, path);
  return directory;
}

Status refuse_target(const Node& from, const Node& to, const std::string& path) {
  if (to.directory && !from.directory) return failed(EISDIR, "rename to", path);
  if (!to.directory && from.directory) return failed(ENOTDIR, "rename to", path);
  if (!to.names.empty()) return failed(ENOTEMPTY, "rename to", path);
  return {};
}

Status rename_in(State& state, const std::string& from, const std::string& to, bool replace) {
  HF_TRY(const NodePtr source, directory_of(state, "rename from", from));
  HF_TRY(const NodePtr target, directory_of(state, "rename to", to));
  const std::string old_name = last_component(from), new_name = last_component(to);
  const auto found = source->names.find(old_name);
  if (found == source->names.end()) return failed(ENOENT, "rename", from);
  const NodePtr moved = found->second;
  if (moved->directory && (to + "/").starts_with(from + "/")) return failed(EINVAL, "rename to", to);
  if (const auto there = target->names.find(new_name); there != target->names.end()) {
    if (!replace) return failed(EEXIST, "rename to", to);
    if (there->second == moved) return {};
    HF_TRY_DO(refuse_target(*moved, *there->second, to));
  }
  if (source == target) {
    state.change_names(*source, {{old_name, nullptr}, {new_name, moved}});
  } else {
    state.change_names(*target, {{new_name, moved}});
    state.change_names(*source, {{old_name, nullptr}});
  }
  return {};
}

Status remove(State& state, const std::string& path, bool directory) {
  HF_TRY(const NodePtr holder, directory_of(state, "remove", path));
  const auto found = holder->names.find(last_component(path));
  if (found == holder->names.end()) return failed(ENOENT, "remove", path);
  if (found->second->directory != directory) return failed(directory ? ENOTDIR : EISDIR, "remove", path);
  if (!found->second->names.empty()) return failed(ENOTEMPTY, "remove", path);
  state.change_names(*holder, {{last_component(path), nullptr}});
  return {};
}

/// What a crash does to unsynced changes.
class Crash {
 public:
  Crash(CrashMode mode, std::uint64_t seed, const std::vector<NodePtr>& nodes) : mode_(mode), random_(seed) {
    std::vector<std::uint64_t> moments;
    for (const NodePtr& node : nodes) {
      for (const FileChange& change : node->changes) {
        moments.push_back(change.moment);
        if (!change.truncate) last_write_ = std::max(last_write_, change.moment);
      }
      for (const NameChange& change : node->name_changes) moments.push_back(change.moment);
    }
    std::sort(moments.begin(), moments.end());
    const std::size_t kept = below(moments.size() + 1);
    cutoff_ = kept == 0 ? 0 : moments[kept - 1];
  }

  void hit(Node& node) {
    for (const FileChange& change : node.changes) keep_some(change, node.durable_bytes);
    for (const NameChange& change : node.name_changes) {
      if (keeps_names(change.moment)) carry_out(change, node.durable_names);
    }
    node.bytes = node.durable_bytes;
    node.names = node.durable_names;
    node.changes.clear();
    node.name_changes.clear();
  }

 private:
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }

  bool keeps_names(std::uint64_t moment) {
    if (mode_ == CrashMode::DropUnsynced) return false;
    if (mode_ == CrashMode::KeepPrefix) return moment <= cutoff_;
    if (mode_ == CrashMode::Scramble) return below(2) == 0;
    return true;
  }

  void keep_some(const FileChange& change, Bytes& durable) {
    switch (mode_) {
      case CrashMode::DropUnsynced:
      case CrashMode::KeepNamesWithoutData:
        return;
      case CrashMode::KeepPrefix:
        if (change.moment <= cutoff_) carry_out(change, durable);
        return;
      case CrashMode::KeepLengthsWithoutData:
        if (change.truncate)
          carry_out(change, durable);
        else
          durable.resize(std::max<std::size_t>(durable.size(), change.offset + change.bytes.size()));
        return;
      case CrashMode::TearLastWrite: {
        FileChange kept = change;
        if (change.moment == last_write_ && !change.truncate) kept.bytes.resize(below(change.bytes.size()));
        if (kept.truncate || !kept.bytes.empty()) carry_out(kept, durable);
        return;
      }
      case CrashMode::Scramble:
        if (change.truncate) {
          if (below(2) == 0) carry_out(change, durable);
        } else {
          apply_sectors(change, durable, [&] { return below(2) == 0; });
        }
        return;
    }
  }

  const CrashMode mode_;
  std::mt19937_64 random_;
  std::uint64_t cutoff_ = 0;
  std::uint64_t last_write_ = 0;
};

}  // namespace

std::string crash_mode_name(CrashMode mode) {
  switch (mode) {
    case CrashMode::DropUnsynced:
      return "DropUnsynced";
    case CrashMode::KeepPrefix:
      return "KeepPrefix";
    case CrashMode::KeepNamesWithoutData:
      return "KeepNamesWithoutData";
    case CrashMode::KeepLengthsWithoutData:
      return "KeepLengthsWithoutData";
    case CrashMode::TearLastWrite:
      return "TearLastWrite";
    case CrashMode::Scramble:
      return "Scramble";
  }
  return "?";
}

MemFs::MemFs() : state_(std::make_shared<State>()) {
  state_->root->directory = true;
  state_->all.push_back(state_->root);
}
MemFs::~MemFs() = default;

Result<std::unique_ptr<fs::File>> MemFs::create(const std::string& path, unsigned) {
  const std::lock_guard guard(state_->mutex);
  HF_TRY(const NodePtr directory, directory_of(*state_, "create", path));
  if (directory->names.contains(last_component(path))) return failed(EEXIST, "create", path);
  if (state_->capacity && state_->available() == 0) return failed(ENOSPC, "create", path);
  const NodePtr node = state_->make(false);
  state_->change_names(*directory, {{last_component(path), node}});
  return std::unique_ptr<fs::File>(std::make_unique<MemFile>(state_, node, path, true));
}

Result<std::unique_ptr<fs::File>> MemFs::open_read(const std::string& path) { return open(state_, path, false); }
Result<std::unique_ptr<fs::File>> MemFs::open_write(const std::string& path) { return open(state_, path, true); }

Status MemFs::rename(const std::string& from, const std::string& to) {
  const std::lock_guard guard(state_->mutex);
  return rename_in(*state_, from, to, true);
}
Status MemFs::rename_new(const std::string& from, const std::string& to) {
  const std::lock_guard guard(state_->mutex);
  return rename_in(*state_, from, to, false);
}
Status MemFs::unlink(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  return remove(*state_, path, false);
}
Status MemFs::remove_directory(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  return remove(*state_, path, true);
}

Status MemFs::make_directory(const std::string& path, unsigned) {
  const std::lock_guard guard(state_->mutex);
  if (last_component(path).empty()) return failed(EEXIST, "make directory", path);
  HF_TRY(const NodePtr directory, directory_of(*state_, "make directory", path));
  if (directory->names.contains(last_component(path))) return failed(EEXIST, "make directory", path);
  state_->change_names(*directory, {{last_component(path), state_->make(true)}});
  return {};
}

Status MemFs::sync_directory(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  const NodePtr node = state_->find(path);
  if (!node) return failed(ENOENT, "sync directory", path);
  if (!node->directory) return failed(ENOTDIR, "sync directory", path);
  for (const NameChange& change : node->name_changes) carry_out(change, node->durable_names);
  node->name_changes.clear();
  return {};
}

Result<std::vector<fs::DirectoryEntry>> MemFs::list(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  const NodePtr node = state_->find(path);
  if (!node) return failed(ENOENT, "list", path);
  if (!node->directory) return failed(ENOTDIR, "list", path);
  std::vector<fs::DirectoryEntry> out;
  for (const auto& [name, child] : node->names) out.push_back(entry_of(name, *child));
  return out;
}

Result<fs::DirectoryEntry> MemFs::stat(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  const NodePtr node = state_->find(path);
  if (!node) return failed(ENOENT, "stat", path);
  return entry_of(last_component(path), *node);
}

Result<std::uint64_t> MemFs::available_bytes(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  if (!state_->find(path)) return failed(ENOENT, "free space of", path);
  return state_->available();
}

Result<std::unique_ptr<fs::Lock>> MemFs::lock(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  HF_TRY(const NodePtr directory, directory_of(*state_, "open lock", path));
  NodePtr node = state_->find(path);
  if (!node) {
    node = state_->make(false);
    state_->change_names(*directory, {{last_component(path), node}});
  }
  if (node->directory) return failed(EISDIR, "open lock", path);
  if (!state_->locked.insert(node.get()).second) {
    return Error{Errc::Locked, "'" + printable(path) + "' is held by another process"};
  }
  return std::unique_ptr<fs::Lock>(std::make_unique<MemLock>(state_, node));
}

void MemFs::reboot(CrashMode mode, std::uint64_t seed) {
  const std::lock_guard guard(state_->mutex);
  std::vector<NodePtr> nodes;
  for (const auto& weak : state_->all) {
    if (NodePtr node = weak.lock()) nodes.push_back(std::move(node));
  }
  Crash crash(mode, seed, nodes);
  for (const NodePtr& node : nodes) crash.hit(*node);
  state_->all.assign(nodes.begin(), nodes.end());
  state_->locked.clear();
  ++state_->boot;
}

void MemFs::kill_process() {
  const std::lock_guard guard(state_->mutex);
  state_->locked.clear();
  ++state_->boot;
}

void MemFs::lose_unsynced(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  if (const NodePtr node = state_->find(path)) {
    node->changes.clear();
    node->name_changes.clear();
  }
}

void MemFs::set_capacity(std::optional<std::uint64_t> bytes) {
  const std::lock_guard guard(state_->mutex);
  state_->capacity = bytes;
}

}  // namespace holdfast::support
