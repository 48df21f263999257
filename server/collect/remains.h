#pragma once
// Why: the packs that hold what is left of a deleted snapshot are noted before anything is condemned; afterwards nobody
// could tell. Most of it is data, so where the dead blobs are is learned in one look through the index, not blob by blob.

#include <set>
#include <unordered_map>
#include <vector>

#include "common/journal/journal.h"
#include "server/collect/marker.h"

namespace holdfast::collect {

/// Where each dead blob stands: 16 bytes for each copy. One thread at a time.
class DeadBlobs {
 public:
  /// Two blobs with one half image (2^-64 for each pair, under a key of this pass) count as one.
  struct Copy {
    std::uint64_t half_image = 0;
    std::uint32_t pack : 31 = 0;
    std::uint32_t segment : 1 = 0;
  };

  void reserve(std::size_t copies) { copies_.reserve(copies); }
  void add(const Marks::Image& image, const PackId& pack, bool segment);
  /// After the last `add`, before the first `find`.
  void sort();
  std::pair<std::vector<Copy>::const_iterator, std::vector<Copy>::const_iterator> find(const Marks::Image& image) const;
  const PackId& pack(const Copy& copy) const { return packs_[copy.pack]; }

 private:
  std::vector<Copy> copies_;
  std::vector<PackId> packs_;
  std::unordered_map<PackId, std::uint32_t> numbers_;
};

struct Remains {
  std::set<PackId> packs;
  bool all_found = true;  ///< false: something stands nowhere, and may have hidden more
};

/// One after the other says the same as `whole`, at least one, none with more packs than `most`.
std::vector<journal::CondemnPayload::Release> in_parts(const journal::CondemnPayload::Release& whole, std::size_t most);

/// Packs with what `root` reaches and no mark does. `dead`: by the images of `marks`, all that is not marked. Only segments
/// are looked up. Errors: the lookup's.
Result<Remains> find_remains(const Marks& marks, const DeadBlobs& dead, const Marker::Lookup& lookup,
                             const RootRef& root, Random& random);

}  // namespace holdfast::collect
