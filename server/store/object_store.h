#pragma once
// Why: where packs and key slots are kept, on one machine or in S3. Put once, get range, delete, list; nothing is ever
// overwritten except a key slot, through replace. Names are `kind/…`, characters [a-z0-9/.-] only, never from a peer.

#include <memory>
#include <string>
#include <vector>

#include "common/base/bytes.h"

namespace holdfast::store {

/// One object being written. Destroyed without commit: nothing remains visible. One thread at a time.
class ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;
  virtual Status append(ByteSpan bytes) = 0;
  /// Durable under its name when this returns success. Errors: Exists, DiskFull, Io; after an error it does not exist,
  /// or (Unknown) may exist.
  virtual Status commit() = 0;
};

struct ObjectInfo {
  std::string name;
  std::uint64_t bytes;
};

/// Thread-safe.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  virtual Result<std::unique_ptr<ObjectWriter>> create(const std::string& name) = 0;
  /// Exactly `length` bytes. Errors: NotFound; Corrupt when the object is shorter; Io.
  virtual Result<Bytes> get(const std::string& name, std::uint64_t offset, std::uint64_t length) = 0;
  virtual Result<std::uint64_t> size(const std::string& name) = 0;  ///< Errors: NotFound
  virtual Status remove(const std::string& name) = 0;               ///< durable; Errors: NotFound (durably, too)
  /// Everything whose name starts with `prefix`, sorted by name; half-written objects are not listed.
  virtual Result<std::vector<ObjectInfo>> list(const std::string& prefix) = 0;
  /// Replaces or creates a small object (key slots) atomically.
  virtual Status replace(const std::string& name, ByteSpan bytes) = 0;
  virtual Result<std::uint64_t> available_bytes() = 0;
};

}  // namespace holdfast::store
