#pragma once
// Footers as packs of random blobs would have them.

#include <algorithm>

#include "common/pack/pack.h"
#include "tests/support/seeded_random.h"

namespace holdfast::index {

inline blob::BlobRef random_ref(Random& random) { return {random.id<BlobId>(), random.id<RunId>()}; }

inline pack::Entry random_entry(support::SeededRandom& random, const DomainId& domain) {
  pack::Entry entry;
  entry.domain = domain;
  entry.epoch = 1 + static_cast<std::uint32_t>(random.below(3));
  entry.blob = random.id<BlobId>();
  entry.run = random.id<RunId>();
  entry.length = 1000 + static_cast<std::uint32_t>(random.below(1 << 20));
  entry.record_digest = random.id<Digest>();
  if (random.below(4) == 0) {
    entry.type = blob::Type::Leaf;
    for (std::uint64_t n = random.below(20); n > 0; --n) entry.children.push_back(random_ref(random));
    std::sort(entry.children.begin(), entry.children.end());
  }
  return entry;
}

/// Gives the entries their places in the pack.
inline pack::Footer footer_of(Random& random, std::vector<pack::Entry> entries, std::uint64_t store_epoch = 1) {
  pack::Footer footer;
  footer.id = random.id<PackId>();
  footer.store_epoch = store_epoch;
  footer.kind = pack::Kind::Mixed;
  std::uint64_t offset = pack::kHeaderBytes;
  for (pack::Entry& entry : entries) {
    entry.offset = offset;
    offset += entry.length;
  }
  footer.entries = std::move(entries);
  return footer;
}

inline pack::Footer random_footer(support::SeededRandom& random, const DomainId& domain, std::size_t blobs) {
  std::vector<pack::Entry> entries;
  for (std::size_t i = 0; i < blobs; ++i) entries.push_back(random_entry(random, domain));
  return footer_of(random, std::move(entries), 1 + random.below(1000));
}

}  // namespace holdfast::index
