#pragma once
// Why: a run that was killed has read files that its successor need not read again. While a run goes on it notes each
// content that it has read and knows by its stat identity: digest, extents, chunks. The next run takes such a content over
// if the file still has that identity and the server promises every blob of it anew ("have?"); else it reads the file.
// So a note proves nothing by itself, may be lost or old, and is never waited for. Files `checkpoint-N` beside the state
// file, MAC per block; gone with the first snapshot that is committed. FORMAT.md, section 9.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/state/local_state.h"

namespace holdfast::state {

inline constexpr std::size_t kMaxCheckpoints = 4;  ///< of runs that were killed one after the other
/// Of one content: 20 and about 60 bytes each. Of a longer one nothing is noted.
inline constexpr std::size_t kMaxKeptChunks = 400'000, kMaxKeptExtents = 65'536;

struct KeptExtent {
  manifest::Extent extent;
  std::uint32_t blob_bytes = 0;  ///< raw length of the whole blob; 0: a hole, or not known
  bool operator==(const KeptExtent&) const = default;
};
struct KeptChunk {
  dedup::Image image;
  std::uint32_t bytes = 0;
  bool operator==(const KeptChunk&) const = default;
};

/// A content as it was read.
struct Kept {
  std::string source, path;
  manifest::StatIdentity stat;
  chunking::Class chunk_class = chunking::Class::Files;
  Digest digest;
  std::vector<KeptExtent> extents;  ///< holes included
  std::vector<KeptChunk> chunks;    ///< one behind the other in the extents that are no holes
  bool operator==(const Kept&) const = default;
};

/// One thread at a time. An error of the disk ends the notes, never the run.
class CheckpointWriter {
 public:
  CheckpointWriter(fs::FileSystem& fs, const std::string& state_path, const crypto::Key& state_key,
                   const Binding& binding, const Clock& clock, Random& random = system_random());
  /// Writes what waits.
  ~CheckpointWriter();
  /// In ascending order of keys; the identity is not all zero. Written about every 16 MiB of contents, or after 10 s.
  void add(Kept kept);
  void flush();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The notes of runs that did not end. One thread at a time. Memory: about 10 MiB a file, or twice its longest block.
class Checkpoints {
 public:
  /// One answer per id: the run under which the server has it and promises it to this session. At most kMaxAsked ids.
  /// Errors: the connection's.
  using Ask = std::function<Result<std::vector<std::optional<RunId>>>(const std::vector<BlobId>& ids)>;
  static constexpr std::size_t kMaxAsked = 4096;

  /// Files that say nothing to this client, and those beyond kMaxCheckpoints (the smallest), are removed.
  Checkpoints(fs::FileSystem& fs, const std::string& state_path, const crypto::Key& state_key, const Binding& binding);
  ~Checkpoints();
  bool empty() const { return files_.empty(); }
  /// The content with this key and identity, if one was noted and all its blobs are promised; its extents name the runs
  /// of the promise. Keys must be asked for in ascending order. Errors: of `ask`.
  Result<std::optional<Kept>> find(std::string_view source, std::string_view path, const manifest::StatIdentity& stat,
                                   const Ask& ask);

  /// A snapshot stands: removes all of them.
  static void remove_all(fs::FileSystem& fs, const std::string& state_path);

 private:
  struct File;
  std::vector<std::unique_ptr<File>> files_;  // in any order: equal identity, equal content
};

}  // namespace holdfast::state
