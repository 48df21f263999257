#pragma once
// Why: collection must know of every stored blob whether anything refers to it: tens of millions of them, so 16 bytes each.
// A reference is remembered by its image under a key of this pass, which nobody outside can know or steer: two references
// with one image would be needed to lose anything (2^-127 for each pair).

#include <compare>
#include <cstdint>
#include <vector>

#include "common/blob/blob.h"
#include "common/crypto/hash.h"

namespace holdfast::collect {

/// Within one space a reference means one thing.
struct Space {
  DomainId domain;
  std::uint32_t epoch = 0;
  auto operator<=>(const Space&) const = default;
};

/// One thread at a time.
class Marks {
 public:
  struct Image {
    std::uint64_t high = 0, low = 0;  ///< the lowest bit of `low` is not part of it
  };
  /// Room for `expected` references without growing.
  Marks(Random& random, std::size_t expected);

  Image image(const Space& space, const blob::BlobRef& ref) const;
  /// True when it was not in here yet.
  bool insert(const Image& image);
  bool contains(const Image& image) const;
  /// contains, and remembers that it was asked.
  bool see(const Image& image);
  std::uint64_t size() const { return size_; }
  /// How many of them `see` was asked about.
  std::uint64_t seen() const { return seen_; }

 private:
  std::size_t find(const Image& image) const;
  void grow();

  crypto::Key key_;
  std::vector<Image> slots_;  ///< open addressing; all zero: free
  std::uint64_t size_ = 0, seen_ = 0;
};

}  // namespace holdfast::collect
