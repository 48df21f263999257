#pragma once
// Why: the disk that fails at step n. Every mutating operation counts as one step (create, append, write_at, truncate,
// sync, rename, unlink, the directory calls); reads and locks do not: they are counted on their own.

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "tests/support/mem_fs.h"

namespace holdfast::support {

enum class Operation { Create, Write, Truncate, Sync, Rename, Unlink, MakeDirectory, RemoveDirectory, SyncDirectory };

/// A MemFs that fails when told. Thread-safe; files it opened must not outlive it.
class FaultyFs final : public fs::FileSystem {
 public:
  FaultyFs() = default;

  /// `steps` more mutating operations are carried out; the next one, and everything after it, reads included, fails
  /// with Io until reboot().
  void crash_after(std::uint64_t steps);
  /// Carries out `steps` operations, fails the next one with `code`, then all is well again. A sync that fails has
  /// lost the bytes for good.
  void fail_at(std::uint64_t steps, Errc code = Errc::Io);
  /// As fail_at, but every later operation fails too, until clear_faults(). Reads go on.
  void fail_from(std::uint64_t steps, Errc code = Errc::Io);
  /// As fail_at, but a write leaves its first half behind.
  void tear_at(std::uint64_t steps, Errc code = Errc::Io);
  /// Fails the next operation of this kind on a path that contains `path_part`, once.
  void fail_on(Operation kind, std::string path_part, Errc code = Errc::Io);
  /// Carries out `reads` reads (open, read_at, size, list, stat, available_bytes, lock), fails the next one with `code`,
  /// then all is well again. Mutating operations go on.
  void fail_read_at(std::uint64_t reads, Errc code = Errc::Io);
  /// As fail_read_at, but every later read fails too, until clear_faults().
  void fail_reads_from(std::uint64_t reads, Errc code = Errc::Io);
  /// Every read on a path that contains `path_part` fails, until clear_faults().
  void fail_reads_of(std::string path_part, Errc code = Errc::Io);
  void clear_faults();
  /// Told of every operation, reads included, before it is carried out or struck, in the thread that asks for it. It may
  /// use this file system itself. nullptr: nobody.
  using Watcher =
      std::function<void(std::optional<Operation> operation, const std::string& path)>;  ///< nullopt: a read
  void watch(Watcher watcher);

  bool crashed() const;
  /// Some fault has struck since it was set.
  bool struck() const;
  /// What the last fault hit, for messages: `sync /t/head`.
  std::string struck_at() const;
  /// Mutating operations since construction or the last reboot.
  std::uint64_t steps() const;

  /// The machine starts again without faults; what was not synced goes as MemFs::reboot says.
  void reboot(CrashMode mode = CrashMode::DropUnsynced, std::uint64_t seed = 0);
  /// Only the process died (crash_after was the kill): what it wrote is still seen, synced or not, and may be lost
  /// later.
  void restart_process();
  /// The disk itself, which never fails: to damage and inspect.
  MemFs& disk() { return disk_; }

  Result<std::unique_ptr<fs::File>> create(const std::string& path, unsigned mode) override;
  Result<std::unique_ptr<fs::File>> open_read(const std::string& path) override;
  Result<std::unique_ptr<fs::File>> open_write(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status rename_new(const std::string& from, const std::string& to) override;
  Status unlink(const std::string& path) override;
  Status remove_directory(const std::string& path) override;
  Status make_directory(const std::string& path, unsigned mode) override;
  Status sync_directory(const std::string& path) override;
  Result<std::vector<fs::DirectoryEntry>> list(const std::string& path) override;
  Result<fs::DirectoryEntry> stat(const std::string& path) override;
  Result<std::uint64_t> available_bytes(const std::string& path) override;
  Result<std::unique_ptr<fs::Lock>> lock(const std::string& path) override;

  /// For files only: counts one step; the error that is due, if any. `torn` tells a write to leave its half.
  Status step(Operation kind, const std::string& path, bool* torn = nullptr);
  /// For files only: counts one read; the error that is due, if any.
  Status read_step(const std::string& path);

 private:
  enum class Fault { Crash, FailOnce, FailFrom, Tear };
  struct Planned {
    Fault fault;
    std::uint64_t at;
    Errc code;
  };
  struct PlannedRead {
    std::uint64_t left;  ///< reads before the first that fails
    bool once;
    Errc code;
    std::string path_part;  ///< others are neither counted nor failed
  };
  struct Targeted {
    Operation kind;
    std::string path_part;
    Errc code;
  };

  void plan(Fault fault, std::uint64_t steps, Errc code);
  void plan_read(PlannedRead planned);
  void tell(std::optional<Operation> operation, const std::string& path);
  Status strike(const char* doing, const std::string& path, Errc code);

  MemFs disk_;
  mutable std::mutex mutex_;
  std::uint64_t steps_ = 0;
  std::optional<Planned> planned_;
  std::optional<PlannedRead> planned_read_;
  std::optional<Targeted> targeted_;
  bool crashed_ = false;
  std::string struck_at_;
  std::shared_ptr<const Watcher> watcher_;  // shared with whoever is just being told
};

}  // namespace holdfast::support
