#pragma once
// Why: blobs that move, out of packs that are mostly dead or out of the trash, go into new packs, data and segments apart.
// What is certainly not published is removed again; what may be is left, however the attempt ended: an orphan, if it was not.

#include <memory>
#include <vector>

#include "server/tenant/parts.h"
#include "server/tenant/upload.h"

namespace holdfast::collect {

/// Is there room for so many bytes of copies? Uploads end at a quarter of the floor, copies at an eighth: a disk that uploads
/// have filled can still be tidied, and the journal has room for what purge and collection record.
bool has_room_for_copies(const tenant::Parts& parts, std::uint64_t bytes);

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
  /// From here on a record may name them.
  void offer() { offered_ = true; }
  /// The publisher has answered that none does.
  void withdraw() { offered_ = parts_.publisher->stopped().has_value(); }

  std::vector<journal::PackNote> notes;  ///< of the packs that are closed
  std::vector<pack::Footer> footers;

 private:
  Result<std::unique_ptr<tenant::OpenPack>> begin(pack::Kind kind);
  Status close(std::unique_ptr<tenant::OpenPack>& open);

  tenant::Parts& parts_;
  std::vector<PackId> ids_;
  std::unique_ptr<tenant::OpenPack> data_, segments_;
  bool offered_ = false;
};

}  // namespace holdfast::collect
