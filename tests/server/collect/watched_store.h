#pragma once
// A tenant's object store that counts what is read and tells of what is begun.

#include <functional>
#include <map>

#include "server/tenant/parts.h"

namespace holdfast::collect {

/// One thread at a time.
class WatchedStore final : public store::ObjectStore {
 public:
  /// Until the tenant is opened again.
  static WatchedStore& put_before(tenant::Parts& parts) {
    auto watched = std::make_unique<WatchedStore>(std::move(parts.store));
    WatchedStore& out = *watched;
    parts.store = std::move(watched);  // the index goes on with what is behind it
    return out;
  }
  explicit WatchedStore(std::unique_ptr<store::ObjectStore> behind) : behind_(std::move(behind)) {}

  std::uint64_t bytes_read(const std::string& name) const {
    const auto found = read_.find(name);
    return found == read_.end() ? 0 : found->second;
  }
  std::function<void(const std::string& name)> before_create;
  std::function<void(const std::string& name)> after_replace;
  std::optional<std::uint64_t> pretended_free;
  bool removes = true;  ///< false: every removal fails

  Result<std::unique_ptr<store::ObjectWriter>> create(const std::string& name) override {
    if (before_create) before_create(name);
    return behind_->create(name);
  }
  Result<Bytes> get(const std::string& name, std::uint64_t offset, std::uint64_t length) override {
    read_[name] += length;
    return behind_->get(name, offset, length);
  }
  Result<std::uint64_t> size(const std::string& name) override { return behind_->size(name); }
  Status remove(const std::string& name) override {
    return removes ? behind_->remove(name) : Status{Error{Errc::Io, "cannot remove " + name}};
  }
  Result<std::vector<store::ObjectInfo>> list(const std::string& prefix) override { return behind_->list(prefix); }
  Status replace(const std::string& name, ByteSpan bytes) override {
    Status out = behind_->replace(name, bytes);
    if (after_replace) after_replace(name);
    return out;
  }
  Result<std::uint64_t> available_bytes() override {
    return pretended_free ? Result<std::uint64_t>(*pretended_free) : behind_->available_bytes();
  }

 private:
  const std::unique_ptr<store::ObjectStore> behind_;
  std::map<std::string, std::uint64_t> read_;
};

}  // namespace holdfast::collect
