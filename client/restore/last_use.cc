#include "client/restore/last_use.h"

#include "client/manifest/entry.h"
#include "common/base/bytes.h"
#include "common/base/result.h"

namespace holdfast::restore {
namespace {

constexpr unsigned kExtentBits = 24, kKeyBits = 39;
constexpr std::uint64_t kExtentMask = (1ull << kExtentBits) - 1;
constexpr std::uint64_t kFetched = 1ull << kExtentBits;
constexpr std::size_t kFirstSlots = 1024;
static_assert(manifest::kMaxEntryExtents <= 1ull << kExtentBits);

std::uint64_t key_of(const blob::BlobRef& blob) {
  const std::uint64_t mixed = ByteReader(blob.blob.bytes).u64() ^ (ByteReader(blob.run.bytes).u64() * 3);
  const std::uint64_t key = mixed >> (64 - kKeyBits);
  return key == 0 ? 1 : key;  // 0 marks a free slot
}

std::uint64_t key_in(std::uint64_t slot) { return slot >> (kExtentBits + 1); }

}  // namespace

LastUse::LastUse() : slots_(kFirstSlots, 0) {}

/// Where the key stands, or the free slot where it belongs.
std::size_t LastUse::find(std::uint64_t key) const {
  std::size_t at = static_cast<std::size_t>((static_cast<unsigned __int128>(key) * slots_.size()) >> kKeyBits);
  while (slots_[at] != 0 && key_in(slots_[at]) != key) at = at + 1 == slots_.size() ? 0 : at + 1;
  return at;
}

void LastUse::note(const blob::BlobRef& blob, std::uint64_t extent) {
  HF_ASSERT(extent <= kExtentMask);
  const std::uint64_t key = key_of(blob);
  std::uint64_t& slot = slots_[find(key)];
  const bool is_new = slot == 0;
  slot = key << (kExtentBits + 1) | extent;
  if (is_new && ++used_ * 5 > slots_.size() * 4) grow();
}

std::uint64_t LastUse::of(const blob::BlobRef& blob) const {
  const std::uint64_t slot = slots_[find(key_of(blob))];
  HF_ASSERT(slot != 0);
  return slot & kExtentMask;
}

bool LastUse::mark_fetched(const blob::BlobRef& blob) {
  std::uint64_t& slot = slots_[find(key_of(blob))];
  HF_ASSERT(slot != 0);
  const bool before = (slot & kFetched) != 0;
  slot |= kFetched;
  return before;
}

/// By a half: doubling would leave most of the table free.
void LastUse::grow() {
  std::vector<std::uint64_t> old(slots_.size() + slots_.size() / 2, 0);
  old.swap(slots_);
  for (const std::uint64_t slot : old) {
    if (slot != 0) slots_[find(key_in(slot))] = slot;
  }
}

}  // namespace holdfast::restore
