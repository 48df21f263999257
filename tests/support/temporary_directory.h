#pragma once
// Why: tests against the real file system need a place of their own that is gone afterwards.

#include <cstdlib>
#include <filesystem>
#include <string>

#include "common/base/result.h"

namespace holdfast::support {

/// A fresh directory below $TMPDIR, removed with everything in it by the destructor.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string shape = (std::filesystem::temp_directory_path() / "holdfast-test-XXXXXX").string();
    HF_ASSERT(::mkdtemp(shape.data()) != nullptr);
    path_ = shape;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace holdfast::support
