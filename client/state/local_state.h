#pragma once
// Why: what the client remembers of its last snapshot, so that an unchanged file costs one stat. No keys inside.
// A file of blocks with a MAC each (derive(K_state, …)), bound to client, domain, epoch, base snapshot and its position;
// replaced by rename after the receipt. Any doubt = that path is read in full. FORMAT.md beside this file.
// A state of another version or of another machine is discarded, never migrated.

#include <memory>
#include <optional>
#include <string>

#include "client/manifest/entry.h"
#include "common/fs/file_system.h"

namespace holdfast::state {

/// What the state belongs to; all of it enters every MAC.
struct Binding { ClientId client; DomainId domain; std::uint32_t epoch = 0; };

struct Remembered { manifest::Entry entry; manifest::StatIdentity stat; };

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
  static Result<StateWriter> create(fs::FileSystem& fs, const std::string& path, const crypto::Key& state_key,
                                    const Binding& binding);
  StateWriter(StateWriter&&) noexcept;
  ~StateWriter();
  Status add(const manifest::Entry& entry, const manifest::StatIdentity& stat);
  Status finish(const SnapshotId& base);

 private:
  struct Impl;
  explicit StateWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// The last receipt: kept to refuse a server whose head is older. state_dir/receipt.
Status write_receipt(fs::FileSystem& fs, const std::string& path, ByteSpan receipt);

}  // namespace holdfast::state
