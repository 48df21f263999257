#pragma once
// Why: brings the contents of many files back with few round trips: extents are collected into a window, the window's
// blobs are fetched once and opened in parallel, then written in order. Each file is digested as it is written.

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "client/chunking/splitter.h"
#include "client/restore/archive.h"
#include "client/restore/tree_writer.h"

namespace holdfast::restore {

/// One thread at a time.
class ContentWriter {
 public:
  struct Callbacks {
    std::function<void(const manifest::Entry& entry)> done;  ///< digest right and committed
    std::function<void(const std::string& path, const Error& error)> failed;
  };
  /// References must outlive it.
  ContentWriter(Archive& archive, const snapshot::Core& core, const crypto::Key& fingerprint_key,
                const chunking::Chunkers& chunkers, std::size_t threads, Callbacks callbacks);
  ~ContentWriter();
  /// `file` is null when nothing is to be written (verify). Errors that concern more than this file only.
  Status add(manifest::Entry entry, std::unique_ptr<PendingFile> file);
  Status finish();
  std::uint64_t blobs_fetched() const { return blobs_fetched_; }

 private:
  struct Job;
  struct Step {
    std::shared_ptr<Job> job;
    manifest::Extent extent;
  };
  Status flush();
  Status fetch_window();
  Status write(Job& job, const manifest::Extent& extent);
  Status end_file(Job& job);

  Archive& archive_;
  const snapshot::Core& core_;
  const crypto::Key& fingerprint_key_;
  const chunking::Chunkers& chunkers_;
  const std::size_t threads_;
  const Callbacks callbacks_;
  std::vector<Step> steps_;
  std::map<blob::BlobRef, std::size_t> wanted_;  // position in opened_
  std::vector<blob::BlobRef> refs_;
  std::vector<Result<sealing::OpenedBlob>> opened_;
  std::optional<std::pair<blob::BlobRef, sealing::OpenedBlob>> last_;  // neighbours in the tree share it
  std::uint64_t blobs_fetched_ = 0;
};

}  // namespace holdfast::restore
