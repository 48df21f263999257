#pragma once
// Why: reads one content, cuts it into chunks and finds for each where it stands: in a blob that the base snapshot has,
// in a group of this run, or nowhere; then it joins the group that is open. Groups go to the blob pipeline. Makes the
// content digest from the bytes as read, never from what is known of them.

#include "client/backup/blob_pipeline.h"
#include "client/backup/content.h"
#include "client/chunking/splitter.h"
#include "client/dedup/matcher.h"
#include "client/dedup/recent.h"
#include "client/sources/files.h"

namespace holdfast::backup {

/// What a reading is of.
struct Reading {
  std::string_view path;
  std::uint64_t size = 0;                          ///< as far as known: judges how it is best cut
  std::optional<chunking::Class> chunk_class;      ///< nullopt: judged by its first bytes and its name
  std::optional<dedup::ListRef> previous;          ///< its chunks in the base snapshot
  std::atomic<std::uint64_t>* progress = nullptr;  ///< counts the bytes as they are read; not those of a failed reading
};

struct Content {
  Part rest;            ///< what was not handed on before the end
  bool parted = false;  ///< parts went before
  chunking::Class chunk_class = chunking::Class::Files;
  std::uint64_t bytes = 0;        ///< holes included
  std::uint64_t data_bytes = 0;   ///< without holes
  std::uint64_t known_bytes = 0;  ///< of them found in the base snapshot
  Digest digest;
  bool changed_while_read = false;
  bool only_grew = false;  ///< it is its previous version and something behind it
};

/// One thread at a time.
class ContentFeed {
 public:
  struct Keys {
    const crypto::Key& fingerprint;
    const crypto::Key& image;
  };
  /// A long content is handed on in parts while it is read.
  using PartSink = std::function<Status(Part part)>;
  /// References must outlive it. `matcher` is null when nothing is known.
  ContentFeed(BlobPipeline& pipeline, Keys keys, const chunking::Chunkers& chunkers, dedup::Matcher* matcher,
              PartSink sink);
  /// Errors: of the file (SourceFailed keeps the run going, see `pipeline_failed`) or of the pipeline.
  Result<Content> read(sources::FileContent& file, const Reading& reading, const std::atomic<bool>* stop);
  /// An entry was queued that may wait for the open group: bounds how much may (deterministic, so that runs cut alike).
  Status note_entry(std::size_t cost);
  /// Sends the group that is open, if any.
  Status close_group();
  /// True when the last error came from the pipeline, not from the file.
  bool pipeline_failed() const { return pipeline_failed_; }

 private:
  Status add_chunk(ByteSpan chunk);
  Status add_new_chunk(ByteSpan chunk, const chunking::Fingerprint& fingerprint, const dedup::Image& image);
  void extend(const Piece& piece);
  Status hand_on_if_long();
  Status pipeline_error(Status status);

  BlobPipeline& pipeline_;
  const Keys keys_;
  const chunking::Chunkers& chunkers_;
  dedup::Matcher* const matcher_;
  const PartSink sink_;
  dedup::RecentChunks recent_;
  chunking::Grouper grouper_;
  Group group_;
  std::uint64_t next_group_ = 0;  // ordinal that the open group will get
  std::size_t waiting_entries_ = 0, waiting_cost_ = 0;
  Bytes buffer_;
  bool pipeline_failed_ = false;
  Content* content_ = nullptr;  // of the file being read
  chunking::ContentDigest* digest_ = nullptr;
};

}  // namespace holdfast::backup
