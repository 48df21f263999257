#pragma once
// Why: benchmarks make millions of blobs before they measure anything; a sync for each pack would take most of that time.

#include "common/fs/file_system.h"

namespace holdfast::bench {

/// The machine's file system, in a hurry: nothing is synced.
class UnsyncedFs final : public fs::FileSystem {
 public:
  Result<std::unique_ptr<fs::File>> create(const std::string& path, unsigned mode) override {
    return unsynced(real_.create(path, mode));
  }
  Result<std::unique_ptr<fs::File>> open_read(const std::string& path) override { return real_.open_read(path); }
  Result<std::unique_ptr<fs::File>> open_write(const std::string& path) override {
    return unsynced(real_.open_write(path));
  }
  Status rename(const std::string& from, const std::string& to) override { return real_.rename(from, to); }
  Status rename_new(const std::string& from, const std::string& to) override { return real_.rename_new(from, to); }
  Status unlink(const std::string& path) override { return real_.unlink(path); }
  Status remove_directory(const std::string& path) override { return real_.remove_directory(path); }
  Status make_directory(const std::string& path, unsigned mode) override { return real_.make_directory(path, mode); }
  Status sync_directory(const std::string&) override { return {}; }
  Result<std::vector<fs::DirectoryEntry>> list(const std::string& path) override { return real_.list(path); }
  Result<fs::DirectoryEntry> stat(const std::string& path) override { return real_.stat(path); }
  Result<std::uint64_t> available_bytes(const std::string& path) override { return real_.available_bytes(path); }
  Result<std::unique_ptr<fs::Lock>> lock(const std::string& path) override { return real_.lock(path); }

 private:
  class UnsyncedFile final : public fs::File {
   public:
    explicit UnsyncedFile(std::unique_ptr<fs::File> inner) : inner_(std::move(inner)) {}
    Status append(ByteSpan bytes) override { return inner_->append(bytes); }
    Status write_at(std::uint64_t offset, ByteSpan bytes) override { return inner_->write_at(offset, bytes); }
    Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) const override {
      return inner_->read_at(offset, out);
    }
    Result<std::uint64_t> size() const override { return inner_->size(); }
    Status truncate(std::uint64_t length) override { return inner_->truncate(length); }
    Status sync() override { return {}; }

   private:
    const std::unique_ptr<fs::File> inner_;
  };
  static Result<std::unique_ptr<fs::File>> unsynced(Result<std::unique_ptr<fs::File>> file) {
    if (!file) return file;
    return std::unique_ptr<fs::File>(std::make_unique<UnsyncedFile>(*std::move(file)));
  }
  fs::FileSystem& real_ = fs::real();
};

}  // namespace holdfast::bench
