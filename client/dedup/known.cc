#include "client/dedup/known.h"

#include "common/crypto/hash.h"

namespace holdfast::dedup {

Image image_of(const crypto::Key& image_key, const chunking::Fingerprint& fingerprint) {
  return Image{crypto::short_hash(image_key, fingerprint.bytes)};
}

std::uint64_t number_of(const Image& image) { return ByteReader(image.bytes).u64(); }

unsigned sample_bits(chunking::Class chunk_class) {
  switch (chunk_class) {
    case chunking::Class::Files:
      return 0;
    case chunking::Class::Database:
    case chunking::Class::Stream:
      break;
  }
  return 6;
}

}  // namespace holdfast::dedup
