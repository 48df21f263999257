#pragma once
// Why: reads the contents of many files with few round trips and writes nothing: extents are collected into a window, the
// window's blobs are fetched once and opened in parallel, then digested in order.

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "client/restore/archive.h"
#include "client/restore/content_digest.h"

namespace holdfast::restore {

/// One thread at a time.
class ContentCheck {
 public:
  struct Callbacks {
    std::function<void(const manifest::Entry& entry)> done;  ///< digest right
    std::function<void(const std::string& path, const Error& error)> failed;
  };
  /// References must outlive it.
  ContentCheck(Archive& archive, const snapshot::Core& core, ContentKeys keys, std::size_t threads,
               Callbacks callbacks);
  ~ContentCheck();
  /// Errors that concern more than this file only.
  Status add(manifest::Entry entry);
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
  Status digest(Job& job, const manifest::Extent& extent);
  Status end_file(Job& job);

  Archive& archive_;
  const snapshot::Core& core_;
  const ContentKeys keys_;
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
