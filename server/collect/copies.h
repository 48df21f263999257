#pragma once
// Why: blobs that move, out of packs that are mostly dead or out of the trash, go into new packs, data and segments apart.
// What is certainly not published is removed again; what may be is left: an orphan, if it was not.

#include <memory>
#include <vector>

#include "server/tenant/parts.h"
#include "server/tenant/upload.h"

namespace holdfast::collect {

/// One thread at a time. As long as it lives its packs are no orphans.
class Copies {
 public:
  explicit Copies(tenant::Parts& parts) : parts_(parts) {}
  Copies(const Copies&) = delete;
  ~Copies();

  /// `record` as pack::read_record gave it, of `entry`. Errors: the store's.
  Status add(const Bytes& record, const pack::Entry& entry);
  /// All of it is durable when this succeeds. Errors: the store's.
  Status finish();
  /// They stand in the journal now.
  void published() { published_ = true; }

  std::vector<journal::PackNote> notes;  ///< of the packs that are closed
  std::vector<pack::Footer> footers;

 private:
  Result<std::unique_ptr<tenant::OpenPack>> begin(pack::Kind kind);
  Status close(std::unique_ptr<tenant::OpenPack>& open);

  tenant::Parts& parts_;
  std::vector<PackId> ids_;
  std::unique_ptr<tenant::OpenPack> data_, segments_;
  bool published_ = false;
};

}  // namespace holdfast::collect
