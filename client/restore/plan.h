#pragma once
// Why: what a restore has to do, in the order in which it is best done, on the disk and not in memory: the entries, and
// every place where bytes of a blob belong, grouped by blob, blobs in the order of their first use. So each blob is fetched
// once, whatever uses it, and a restore that was killed goes on: the plan, and which blobs are written, are still there.
//
// A plan that is found is believed only when its head's MAC, made with a key of the snapshot's domain over the digests of
// all its files and over what the restore is asked to do, is right. What changes while it is carried out (which blobs are
// written, which temporary files were begun) is not under the MAC: it decides what is fetched again, and the content
// digests decide what gets its name.

#include <sys/stat.h>

#include <ctime>
#include <memory>
#include <optional>

#include "client/manifest/entry.h"
#include "client/restore/plan_directory.h"

namespace holdfast::restore {

/// One entry to restore. Extents stand elsewhere: see Use and Stretch.
struct PlannedEntry {
  manifest::Entry entry;  ///< without extents
  std::uint64_t number = 0;
  std::uint64_t uses = 0;  ///< extents that are fetched; 0 for all kinds without content
  std::uint64_t first_stretch = 0, stretches = 0;
};

/// Bytes of a blob that belong into a file.
struct Use {
  std::uint64_t file = 0;  ///< number of the entry
  std::uint64_t offset = 0;
  std::uint64_t hole_before = 0;  ///< bytes of the file's holes that end where this begins
  std::uint32_t blob_offset = 0, length = 0;
  bool operator==(const Use&) const = default;
};

/// A part of a file that comes from no blob: today a hole.
struct Stretch {
  std::uint64_t offset = 0, length = 0;
  bool operator==(const Stretch&) const = default;
};

/// How far one file is.
struct FileState {
  std::uint64_t inode = 0;    ///< of its temporary file; 0: none was begun
  std::uint64_t written = 0;  ///< uses
  bool operator==(const FileState&) const = default;
};

/// What is known of the whole.
struct PlanFacts {
  std::string tag;   ///< 16 hex digits, in the names of its temporary files
  timespec began{};  ///< later than every change made before it
  bool root_is_ours = false;
  std::string boot;  ///< of the machine; empty: unknown
  std::uint64_t entries = 0, blobs = 0, uses = 0, stretches = 0;
  std::uint64_t data_bytes = 0;  ///< without holes
  std::uint64_t left_in_place = 0, unchanged = 0, streams_skipped = 0;
  std::uint64_t damages = 0;  ///< parts of the manifest that could not be read: what they held is in no plan
};

/// One thread at a time.
class Plan {
 public:
  /// Nothing: there is none, it is another one, or it is not what was written.
  static std::optional<Plan> load(const PlanDirectory& directory, const std::string& name, const crypto::Key& key,
                                  const Digest& binding);

  const PlanFacts& facts() const { return facts_; }
  Status each_entry(const std::function<Status(PlannedEntry)>& visit) const;
  Result<PlannedEntry> entry(std::uint64_t number) const;
  Result<blob::BlobRef> blob(std::uint64_t number) const;
  Status each_use(std::uint64_t blob, const std::function<Status(const Use&)>& visit) const;
  /// Bytes of a file that are not holes. Errors: Io.
  Result<std::uint64_t> data_bytes(const PlannedEntry& entry) const;
  Status each_stretch(const PlannedEntry& entry, const std::function<Status(const Stretch&)>& visit) const;

  Result<FileState> state(std::uint64_t entry) const;
  Status set_state(std::uint64_t entry, const FileState& state);
  bool is_written(std::uint64_t blob) const { return (written_[blob / 8] >> (blob % 8) & 1u) != 0; }
  Status set_written(std::uint64_t blob, bool is_written);

 private:
  friend class PlanBuilder;
  struct Files {
    Descriptor entries, index, uses, blobs, stretches, states, written;
  };
  Plan(PlanFacts facts, Files files) : facts_(std::move(facts)), files_(std::move(files)) {}
  Result<std::uint64_t> first_use(std::uint64_t blob) const;

  PlanFacts facts_;
  Files files_;
  Bytes written_;  ///< one bit a blob, as on the disk
};

/// Makes a plan: entries in manifest order, then the sums. One thread at a time.
class PlanBuilder {
 public:
  /// `name`: several plans may stand in the directory. `directory` must outlive it. Errors: DiskFull, Denied, Io.
  static Result<std::unique_ptr<PlanBuilder>> begin(const PlanDirectory& directory, const std::string& name);
  ~PlanBuilder();
  Status add(manifest::Entry entry);
  /// `facts`: what the builder does not count. Errors: DiskFull, Io.
  Result<Plan> finish(PlanFacts facts, const crypto::Key& key, const Digest& binding);

 private:
  struct Impl;
  explicit PlanBuilder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::restore
