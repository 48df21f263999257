#pragma once
// Why: equal chunks within one run (copies of a file, repeated rows) are sent once, though nothing of this run stands in
// the local state yet. Remembers the latest new chunks; what it forgets is sent again, harmlessly. It depends on nothing
// but the chunks' order, so that a run which lost its state groups its chunks as the first one did.

#include <boost/unordered/unordered_flat_map.hpp>
#include <vector>

#include "client/dedup/known.h"

namespace holdfast::dedup {

inline constexpr std::size_t kRecentChunks = 1u << 18;  ///< about 14 MiB; 2 GiB of files
inline constexpr std::uint64_t kRecentGroups = 4096;    ///< how far back, in groups of chunks, an answer may reach

/// One thread at a time.
class RecentChunks {
 public:
  struct Place {
    std::uint64_t group = 0;
    std::uint32_t offset = 0;
  };
  void add(const Image& image, std::uint32_t bytes, const Place& place);
  /// `open_group`: the group being filled.
  std::optional<Place> find(const Image& image, std::uint32_t bytes, std::uint64_t open_group) const;

 private:
  struct Item {
    Image image;
    std::uint32_t bytes = 0;
    Place place;
  };
  std::vector<Item> ring_;
  std::size_t next_ = 0;
  boost::unordered_flat_map<std::uint64_t, std::uint32_t> by_number_;
};

}  // namespace holdfast::dedup
