#pragma once
// Why: the files of a plan on their way: bytes come in any order and for many files at once; of these, a bounded number is
// open, the others wait as drafts in the target. A file gets its name when its content digest is right.

#include <list>
#include <unordered_map>

#include "client/restore/content_digest.h"
#include "client/restore/tree_writer.h"

namespace holdfast::restore {

/// One thread at a time. Memory: a byte for each entry of the plan, and kMaxOpen files.
class FileJobs {
 public:
  static constexpr std::size_t kMaxOpen = 128;  ///< each may hold the start of a chunk, 64 KiB

  struct Callbacks {
    std::function<void(const manifest::Entry& entry)> done;  ///< digest right and committed
    std::function<void(const std::string& path, const Error& error)> failed;
    std::function<void(std::uint64_t bytes)> wrote;
    std::function<void()> step;  ///< between any two changes to the target; tests end the process there. May be empty
  };

  /// References must outlive it.
  FileJobs(Plan& plan, TreeWriter& tree, ContentKeys keys, Callbacks callbacks);
  /// Files that are not complete stay as drafts.
  ~FileJobs();

  /// Still to be completed: neither done nor failed, nor to be done anew.
  bool is_open(std::uint64_t file) const { return statuses_[file] == Status_::Open; }
  /// Errors: what ends the restore (DiskFull; Io on its own files). What concerns the one file makes that fail.
  Status write(const Use& use, ByteSpan bytes);
  Status fail(std::uint64_t file, const Error& error);
  /// Completes a file whose bytes are all written.
  Status complete(const PlannedEntry& planned);
  /// Its bytes stand in `fd`: they are written to a file of our own, and digested on their way. If they are not right any
  /// more it is still open. Only for a file that was not begun.
  Status copy(const PlannedEntry& planned, int fd);
  /// It stands in the target: a run that was killed has completed it.
  void set_done(const PlannedEntry& planned);
  /// Opens the files that turned out wrong although every byte was written: what a killed run, or somebody else, had left
  /// in their drafts was not what it should be. They begin from nothing. How many; from now on such a file fails.
  Result<std::uint64_t> begin_again();
  void step() const {
    if (callbacks_.step) callbacks_.step();
  }

 private:
  enum class Status_ : std::uint8_t { Open, Done, Failed, Anew };
  struct Job;
  using Jobs = std::list<std::unique_ptr<Job>>;

  Result<Job*> job_of(std::uint64_t file);
  Result<Job*> open(PlannedEntry planned);
  Status park(Job& job);
  Status end(Job& job);
  Status settle(Job& job, Status result);
  Result<bool> is_right(Job& job);
  void drop(std::uint64_t file);

  Plan& plan_;
  TreeWriter& tree_;
  const ContentKeys keys_;
  const Callbacks callbacks_;
  std::vector<Status_> statuses_;
  Jobs open_;  ///< latest used first
  std::unordered_map<std::uint64_t, Jobs::iterator> by_number_;
  std::uint64_t anew_ = 0;
  bool may_begin_again_ = true;
};

}  // namespace holdfast::restore
