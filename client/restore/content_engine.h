#pragma once
// Why: brings the contents of a plan's files back: each blob is fetched once, opened on several threads, and written to
// every place that uses it, while others arrive. Goes on where a killed run has stopped.

#include "client/restore/archive.h"
#include "client/restore/file_jobs.h"
#include "client/restore/reuse.h"

namespace holdfast::restore {

struct EngineOptions {
  std::size_t threads = 2;
  const std::atomic<bool>* stop = nullptr;
  bool is_resumed = false;    ///< a run before may have done some of it
  bool reuses = false;        ///< files that stand in the target with the right bytes are not fetched
  bool trusts_files = false;  ///< what that run has written stands as it wrote it: the machine has not been down since
};

/// One thread at a time.
class ContentEngine {
 public:
  /// References must outlive it.
  ContentEngine(Archive& archive, const snapshot::Core& core, const PlanDirectory& directory, Plan& plan,
                TreeWriter& tree, ContentKeys keys, EngineOptions options, FileJobs::Callbacks callbacks);
  /// Finds out which files are in the target already. Once, before `run`; changes nothing there.
  /// Errors: Canceled; DiskFull, Io on the restore's own files.
  Status survey();
  /// Errors: the connection's, DiskFull, Canceled, Io on the restore's own files: then what is done stays for the next run.
  /// Single files that fail go to the callback.
  Status run();
  /// After `survey`: are bytes of this file to be written? Errors: Io.
  Result<bool> is_to_write(const PlannedEntry& file) const;
  const Reused& reused() const { return reuse_.sums(); }
  std::uint64_t blobs_fetched() const { return blobs_fetched_; }

 private:
  Status survey(const PlannedEntry& planned);
  Status take_over();
  Status take_over(const PlannedEntry& planned);
  Result<bool> stands(const PlannedEntry& planned);
  Status recount();
  Status complete_ready();
  Status fetch_all();
  Status fetch(const std::vector<std::uint64_t>& blobs);
  Result<bool> is_wanted(std::uint64_t blob) const;
  Status arrived(std::uint64_t blob, Result<sealing::OpenedBlob> opened);
  Status check_stop() const;

  Archive& archive_;
  const snapshot::Core& core_;
  Plan& plan_;
  TreeWriter& tree_;
  const ContentKeys keys_;
  const EngineOptions options_;
  FileJobs jobs_;
  Reuse reuse_;
  std::uint64_t blobs_fetched_ = 0;
};

}  // namespace holdfast::restore
