#pragma once
// Why: reads one file's content, cuts it into chunks, and adds them to the running group; the groups go to the blob
// pipeline. Knows where every byte of the file will stand (group ordinal, offset), and the file's content digest.

#include <vector>

#include "client/backup/blob_pipeline.h"
#include "client/chunking/splitter.h"
#include "client/sources/files.h"

namespace holdfast::backup {

/// A run of a file's bytes inside a group that may not stand anywhere yet, or a hole.
struct Piece {
  bool hole = false;
  std::uint64_t group = 0;
  std::uint32_t offset = 0;
  std::uint64_t length = 0;
};

struct Content {
  std::vector<Piece> pieces;
  std::uint64_t bytes = 0;       ///< holes included
  std::uint64_t data_bytes = 0;  ///< without holes
  Digest digest;
  bool changed_while_read = false;
};

/// One thread at a time.
class ContentFeed {
 public:
  /// References must outlive it.
  ContentFeed(BlobPipeline& pipeline, const crypto::Key& fingerprint_key, const chunking::Chunker& chunker);
  /// Errors: of the file (SourceFailed keeps the run going, see `is_file_error`) or of the pipeline.
  Result<Content> read(sources::FileContent& file, const std::atomic<bool>* stop);
  /// An entry was queued: bounds how many may wait for the open group (deterministic, so that runs cut alike).
  Status note_entry();
  /// Sends the group that is open, if any.
  Status close_group();
  std::uint64_t open_group() const { return next_group_; }
  /// True when the last error came from the pipeline, not from the file.
  bool pipeline_failed() const { return pipeline_failed_; }

 private:
  Status add_chunk(ByteSpan chunk);
  BlobPipeline& pipeline_;
  const crypto::Key& fingerprint_key_;
  const chunking::Chunker& chunker_;
  chunking::Grouper grouper_;
  Group group_;
  std::uint64_t next_group_ = 0;  // ordinal that the open group will get
  std::size_t waiting_entries_ = 0;
  Bytes buffer_;
  bool pipeline_failed_ = false;
  Content* content_ = nullptr;  // of the file being read
  chunking::ContentDigest* digest_ = nullptr;
};

}  // namespace holdfast::backup
