#pragma once
// Why: what the client remembers of its last snapshot, so that an unchanged file costs one stat. No keys inside.
// A file of blocks with a MAC each, keyed by derive(K_state, …) for this client, domain, epoch and file, and bound to
// their position; a MAC over the table of blocks binds the base snapshot. Written beside the old state,
// replaced by rename after the receipt. Any doubt = that path is read in full. FORMAT.md beside this file.
// A state of another version or of another machine is discarded, never migrated.

#include <memory>
#include <optional>
#include <string>

#include "client/manifest/entry.h"
#include "common/fs/file_system.h"

namespace holdfast::state {

inline constexpr std::size_t kBlockTargetBytes = 64u << 10;
/// A block holds at least one whole entry; with this bound it stays below kMaxBlockBytes.
inline constexpr std::size_t kMaxRememberedExtents = 1u << 22;
inline constexpr std::size_t kMaxBlockBytes = 256u << 20;
inline constexpr std::size_t kMaxBlocks = 1u << 22;

/// What the state belongs to; all of it enters every MAC.
struct Binding {
  ClientId client;
  DomainId domain;
  std::uint32_t epoch = 0;
};

struct Remembered {
  manifest::Entry entry;
  manifest::StatIdentity stat;
};

/// Streams the remembered entries in manifest order. One thread at a time.
class StateReader {
 public:
  /// nullopt: there is none, or none that can be trusted (`why` says which, for the log).
  static std::optional<StateReader> open(fs::FileSystem& fs, const std::string& path, const crypto::Key& state_key,
                                         const Binding& binding, std::string* why);
  StateReader(StateReader&&) noexcept;
  ~StateReader();
  const SnapshotId& base() const;
  /// The entry with this key, if remembered. Keys must be asked for in ascending order. A damaged block answers
  /// nullopt for what it held.
  std::optional<Remembered> find(std::string_view source, std::string_view path);
  bool damaged() const;

 private:
  struct Impl;
  explicit StateReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Writes the next state to a temporary file beside `path`; `finish` seals and renames it. Destroyed: nothing happened.
class StateWriter {
 public:
  /// A temporary file that an earlier run left behind is replaced. Errors: the file system's.
  static Result<StateWriter> create(fs::FileSystem& fs, const std::string& path, const crypto::Key& state_key,
                                    const Binding& binding, Random& random = system_random());
  StateWriter(StateWriter&&) noexcept;
  ~StateWriter();
  /// In strictly ascending order of keys (HF_ASSERT). An entry of more than kMaxRememberedExtents is left out: its file
  /// will be read in full next time.
  Status add(const manifest::Entry& entry, const manifest::StatIdentity& stat);
  /// Once. Seals the file as the state of `base` and puts it in the place of the one before.
  Status finish(const SnapshotId& base);

 private:
  struct Impl;
  explicit StateWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// The last receipt: kept to refuse a server whose head is older. state_dir/receipt.
Status write_receipt(fs::FileSystem& fs, const std::string& path, ByteSpan receipt);

}  // namespace holdfast::state
