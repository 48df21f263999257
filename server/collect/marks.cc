#include "server/collect/marks.h"

#include <bit>

namespace holdfast::collect {
namespace {

constexpr std::uint64_t kSeen = 1;
constexpr std::size_t kFewest = 1024;

bool is_free(const Marks::Image& slot) { return slot.high == 0 && (slot.low & ~kSeen) == 0; }
bool same(const Marks::Image& a, const Marks::Image& b) {
  return a.high == b.high && (a.low | kSeen) == (b.low | kSeen);
}

/// At most two thirds are in use: longer probes cost more than memory.
std::size_t slots_for(std::size_t references) { return std::bit_ceil(std::max(kFewest, references + references / 2)); }

}  // namespace

Marks::Marks(Random& random, std::size_t expected) : key_(crypto::Key::random(random)), slots_(slots_for(expected)) {}

Marks::Image Marks::image(const Space& space, const blob::BlobRef& ref) const {
  ByteWriter w;
  w.id(space.domain).u32(space.epoch).id(ref.blob).id(ref.run);
  const std::array<std::uint8_t, 16> hash = crypto::short_hash(key_, w.span());
  ByteReader r(hash);
  Image out;
  out.high = r.u64();
  out.low = r.u64() & ~kSeen;
  if (is_free(out)) out.high = 1;
  return out;
}

/// Where it is, or would be.
std::size_t Marks::find(const Image& image) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = image.high & mask;
  while (!is_free(slots_[at]) && !same(slots_[at], image)) at = (at + 1) & mask;
  return at;
}

bool Marks::insert(const Image& image) {
  std::size_t at = find(image);
  if (!is_free(slots_[at])) return false;
  if ((size_ + 1) * 3 > slots_.size() * 2) {
    grow();
    at = find(image);
  }
  slots_[at] = image;
  ++size_;
  return true;
}

bool Marks::contains(const Image& image) const { return !is_free(slots_[find(image)]); }

bool Marks::see(const Image& image) {
  Image& slot = slots_[find(image)];
  if (is_free(slot)) return false;
  if ((slot.low & kSeen) == 0) ++seen_;
  slot.low |= kSeen;
  return true;
}

void Marks::grow() {
  std::vector<Image> old(slots_.size() * 2);
  old.swap(slots_);
  for (const Image& slot : old) {
    if (!is_free(slot)) slots_[find(slot)] = slot;
  }
}

}  // namespace holdfast::collect
