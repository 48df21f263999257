#pragma once
// Why: a directory's names in manifest order, in one block of memory: directories with millions of entries exist.

#include <string>
#include <vector>

#include "common/base/result.h"

namespace holdfast::sources {

/// Names of one directory, sorted as bytes, without "." and "..". One thread at a time.
class NameList {
 public:
  /// Reads all names of an open directory, from its current position. Errors: Io, Denied, Limit (kMaxNameBytes).
  static Result<NameList> read(int directory_fd);
  /// Just these, for directories of which only a marker is kept.
  static NameList of(std::vector<std::string> names);

  std::size_t size() const { return offsets_.size(); }
  const char* operator[](std::size_t i) const { return bytes_.data() + offsets_[i]; }
  bool contains(const std::string& name) const;

 private:
  void add(const char* name);
  void sort();

  std::string bytes_;  ///< each name and a zero byte
  std::vector<std::size_t> offsets_;
};

/// Names of one directory in memory: 100 million names of 40 bytes; nobody's directory, but a hostile file system's.
inline constexpr std::size_t kMaxNameBytes = std::size_t{4} << 30;

}  // namespace holdfast::sources
