#pragma once
// Why: takes away what stands at a name in the target, with everything below it: by descriptors, through no link, on one
// mount, and never what a restore keeps there for itself.

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <set>

#include "client/restore/tree_descriptor.h"

namespace holdfast::restore {

/// Opens a directory in a directory, for reading, if it stands on the same mount. -1 and errno, EXDEV: another is mounted there.
int open_on_mount(int directory_fd, const char* name);
/// Names in a directory but "." and "..", sorted by bytes. Errors: Io.
Result<std::vector<std::string>> names_in(int directory_fd);

/// One thread at a time.
class TreeRemoval {
 public:
  static constexpr unsigned kMaxDepth = 500;  ///< a descriptor each

  struct Options {
    bool dry_run = false;           ///< only says what would go
    std::vector<std::string> keep;  ///< absolute paths, wherever they lead: these, and what holds them, stay
    std::function<bool(const std::string& path, bool is_directory)> left_out;  ///< what backups leave out stays
    std::vector<std::string> markers;  ///< nothing goes from a directory that holds one of these names
    const std::atomic<bool>* stop = nullptr;
    std::function<void(const std::string& path)> removed;
    std::function<void(const std::string& path, const Error& why)> left;
    std::function<void(const std::string& path)> spared;  ///< left out of backups, or holds a marker
  };
  explicit TreeRemoval(Options options);
  /// `path`: what it is called in reports. False: something of it is still there.
  bool remove(int directory_fd, const std::string& name, const std::string& path) {
    return remove(directory_fd, name, path, 0);
  }
  /// Told as spared, if so. `names`: sorted, of the directory at `path`.
  bool spares(const std::vector<std::string>& names, const std::string& path) const;
  void leave(const std::string& path, const Error& why) const { options_.left(path, why); }

 private:
  bool remove(int directory_fd, const std::string& name, const std::string& path, unsigned depth);
  bool remove_directory(int directory_fd, const std::string& name, const std::string& path, unsigned depth);
  bool unlink(int directory_fd, const std::string& name, const std::string& path, int flags) const;
  bool stopped() const { return options_.stop != nullptr && *options_.stop; }

  const Options options_;
  std::set<std::pair<dev_t, ino_t>> kept_;
};

}  // namespace holdfast::restore
