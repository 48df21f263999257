#pragma once
// Why: what the client remembers of its last snapshot, so that an unchanged file costs one stat and a changed one sends
// only its new chunks. No keys inside, no fingerprints. Two kinds of file, both of blocks with a MAC each, keyed by
// derive(K_state, …) for this client, domain, epoch and file, and bound to their position: the state file, whose trailer
// binds everything to the base snapshot; and files of chunk lists, written once, that the state file names.
// The next state is written beside the old one and replaces it by rename after the receipt. Any doubt = that path is
// read and sent in full. FORMAT.md beside this file. A state of another version or machine is discarded, never migrated.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/dedup/known.h"
#include "client/dedup/usage.h"
#include "client/manifest/entry.h"
#include "client/manifest/entry_codec.h"
#include "common/fs/file_system.h"

namespace holdfast::state {

inline constexpr std::size_t kBlockTargetBytes = 64u << 10;
inline constexpr std::size_t kMaxBlockBytes = 256u << 20;
inline constexpr std::size_t kMaxBlocks = 1u << 22;
inline constexpr std::size_t kMaxListFiles = 16;      ///< then the next run writes all lists anew, into one
inline constexpr std::size_t kMaxSamples = 1u << 19;  ///< of one file of lists; 12 bytes each

/// What the state belongs to; all of it enters every MAC.
struct Binding {
  ClientId client;
  DomainId domain;
  std::uint32_t epoch = 0;
};

struct Remembered {
  manifest::Entry entry;                 ///< without extents when `spill` is set
  std::optional<manifest::Spill> spill;  ///< a long extent list stands in segments at the server
  manifest::StatIdentity stat;
  dedup::ListRef list;  ///< its chunks; count 0: none are remembered
  /// With `spill` only: how much the entry uses of which blobs, and the segments of its list.
  std::vector<std::pair<blob::BlobRef, std::uint64_t>> uses;
  std::vector<BlobId> segments;
};

using FileNonce = Id<struct FileNonceTag, 16>;
/// A file of chunk lists, `chunks-<nonce>` beside the state file; a zero nonce: its place is kept, it is gone.
struct ListFile {
  FileNonce nonce;
  std::uint64_t chunks = 0, live = 0;  ///< all in it · those that the state refers to
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
  const std::vector<ListFile>& list_files() const;
  const dedup::Usage& usage() const;
  /// The entry with this key, if remembered. Keys must be asked for in ascending order. A damaged block answers
  /// nullopt for what it held.
  std::optional<Remembered> find(std::string_view source, std::string_view path);
  bool damaged() const;

 private:
  struct Impl;
  explicit StateReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Reads chunk lists; a file or block that is missing or damaged is simply not known. One thread at a time.
class ListReader final : public dedup::KnownBlocks {
 public:
  ListReader(fs::FileSystem& fs, const std::string& state_path, const crypto::Key& state_key, const Binding& binding,
             std::vector<ListFile> files);
  ~ListReader() override;
  std::optional<dedup::KnownBlock> load(const dedup::BlockAddress& address) override;
  std::optional<dedup::BlockAddress> find_sampled(const dedup::Image& image) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Writes the next state to temporary files beside `path`; `finish` seals and renames. Destroyed: nothing happened.
/// One thread at a time.
class StateWriter {
 public:
  /// `present`: the files of lists of the state on disk. `refers`: entries to come may refer to lists in them; when too
  /// many of them or of their chunks are dead, `copies_lists` is true, and such lists go through `copy_list` first.
  /// Leftovers of runs that did not end are removed. Errors: the file system's.
  static Result<StateWriter> create(fs::FileSystem& fs, const std::string& path, const crypto::Key& state_key,
                                    const Binding& binding, std::vector<ListFile> present = {}, bool refers = false,
                                    Random& random = system_random());
  StateWriter(StateWriter&&) noexcept;
  ~StateWriter();

  /// Chunks of one content, in order, between `begin_list` and `end_list`; `begin_list` again forgets what was begun.
  void begin_list();
  Status add_chunk(const dedup::Image& image, std::uint32_t bytes, const dedup::Location& where,
                   chunking::Class chunk_class);
  dedup::ListRef end_list();
  bool copies_lists() const;
  /// Takes over a list of the base; one that cannot be read becomes empty.
  Result<dedup::ListRef> copy_list(ListReader& from, const dedup::ListRef& list, chunking::Class chunk_class);

  /// In strictly ascending order of keys (HF_ASSERT).
  Status add(const Remembered& remembered);
  /// Once. Seals the file as the state of `base` and puts it in the place of the one before.
  Status finish(const SnapshotId& base, const dedup::Usage& usage);

 private:
  struct Impl;
  explicit StateWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// The last receipt: kept to refuse a server whose head is older. state_dir/receipt.
Status write_receipt(fs::FileSystem& fs, const std::string& path, ByteSpan receipt);

}  // namespace holdfast::state
