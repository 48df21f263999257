#pragma once
// Why: a whole file system in memory that knows what a crash would leave. Every file and every directory has two
// states: what programs see, and what is on the disk. Writes and names reach the disk by File::sync and
// sync_directory only; `reboot` throws away (some of) the rest.
// It is stricter than most kernels: syncing a file does not make its name durable, renaming between two directories
// is two changes, and a sync that failed has lost the bytes for good, as on Linux
// (wiki.postgresql.org/wiki/Fsync_Errors).

#include <memory>
#include <optional>
#include <string>

#include "common/fs/file_system.h"

namespace holdfast::support {

/// What becomes of that which was not synced.
enum class CrashMode {
  DropUnsynced,            ///< all of it is gone
  KeepPrefix,              ///< what happened before a random moment is kept, in order over all files
  KeepNamesWithoutData,    ///< names are kept, bytes are gone: new files are empty
  KeepLengthsWithoutData,  ///< names and lengths are kept, the bytes that were added read as zeros
  TearLastWrite,           ///< everything is kept, but the last unsynced write only by its first part
  Scramble,                ///< a random subset, writes torn at 512-byte sectors, without order
};
inline constexpr CrashMode kCrashModes[] = {CrashMode::DropUnsynced,         CrashMode::KeepPrefix,
                                            CrashMode::KeepNamesWithoutData, CrashMode::KeepLengthsWithoutData,
                                            CrashMode::TearLastWrite,        CrashMode::Scramble};
std::string crash_mode_name(CrashMode mode);

/// Thread-safe. The root directory "/" is there from the start.
class MemFs final : public fs::FileSystem {
 public:
  MemFs();
  ~MemFs() override;

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

  /// The machine stops and starts: unsynced changes go as `mode` says (`seed` decides where it says random), locks are
  /// released, files opened before answer every call with Io.
  void reboot(CrashMode mode = CrashMode::DropUnsynced, std::uint64_t seed = 0);
  /// A process dies and the machine goes on: locks are released and open files fail, but nothing is lost.
  void kill_process();
  /// As if a sync of this file or directory had failed: it looks the same, but what was not synced will never reach
  /// the disk.
  void lose_unsynced(const std::string& path);
  /// Bytes that all files together may have; writes beyond it are cut short with DiskFull. nullopt: no bound.
  void set_capacity(std::optional<std::uint64_t> bytes);

  struct State;

 private:
  const std::shared_ptr<State> state_;  // shared with open files, which may outlive the file system
};

}  // namespace holdfast::support
