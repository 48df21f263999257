#pragma once
// Why: the walk asks the kernel about one name after the other, and each question may wait for a disk. Here threads ask about the
// names that come next: stat and extended attributes, which the walk takes over while they are fresh, and on request the first
// bytes of files, which the kernel fetches before they are read. Nothing depends on it: what was not asked in time, or too
// long ago, the walk asks itself.

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "client/manifest/entry.h"
#include "client/sources/attributes.h"
#include "client/sources/descriptor.h"
#include "client/sources/directory.h"
#include "common/base/clock.h"

namespace holdfast::sources {

/// Older answers are not taken: far below the grain by which a file's times prove that it has not changed.
inline constexpr std::chrono::milliseconds kFreshFor{100};
inline constexpr std::size_t kNamesAtOnce = 64;          ///< asked about by one thread
inline constexpr std::size_t kBatchesAhead = 4;          ///< of a directory
inline constexpr std::size_t kMinNamesAhead = 16;        ///< fewer are not worth another thread
inline constexpr std::uint64_t kReadAhead = 256u << 10;  ///< bytes of a file, at most

/// What was seen under a name.
struct Look {
  struct statx st;
  std::vector<manifest::Xattr> xattrs;  ///< but of directories, which are asked once they are open
  Status xattr_status;
};

/// The threads. Thread-safe; must outlive its NamesAhead.
class LookAhead {
 public:
  /// `threads` 0: nothing is asked ahead. `read_contents`: files will be read, not only looked at.
  LookAhead(std::size_t threads, bool read_contents, const Clock& clock = system_clock());
  /// Waits for the questions under way, a few at most.
  ~LookAhead();

 private:
  friend class NamesAhead;
  struct Batch;
  void work();
  void look_at(Batch& batch);
  void read_ahead(int directory_fd, const char* name, std::uint64_t bytes) const;

  const bool read_contents_;
  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable wanted_, answered_;
  std::deque<std::shared_ptr<Batch>> waiting_;
  bool ended_ = false;
  std::vector<std::thread> threads_;
};

/// The names of one directory, asked about in order. One thread at a time; destroyed: nothing more is asked.
class NamesAhead {
 public:
  NamesAhead(LookAhead& ahead, std::shared_ptr<const Descriptor> directory, std::shared_ptr<const NameList> names);
  ~NamesAhead() { drop(); }
  NamesAhead(const NamesAhead&) = delete;
  NamesAhead& operator=(const NamesAhead&) = delete;
  /// What was seen under the i-th name, if it was asked about, is there and fresh. `i` ascends.
  std::optional<Look> take(std::size_t i);

 private:
  void ask_on(std::size_t from);
  void drop();

  LookAhead& ahead_;
  const std::shared_ptr<const Descriptor> directory_;
  const std::shared_ptr<const NameList> names_;
  std::deque<std::shared_ptr<LookAhead::Batch>> batches_;
  std::size_t asked_to_ = 0;
};

}  // namespace holdfast::sources
