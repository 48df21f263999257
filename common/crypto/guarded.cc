#include "common/crypto/guarded.h"

#include <sodium.h>

#include <mutex>
#include <new>

#include "common/crypto/hash.h"

namespace holdfast::crypto {
namespace {

constexpr std::size_t kSlabBytes = 16u << 10;  // a small part of the least usual RLIMIT_MEMLOCK, 64 KiB

class Pool {
 public:
  std::uint8_t* take() {
    const std::lock_guard guard(mutex_);
    if (free_ == nullptr) add_slab();
    Free* const slot = free_;
    free_ = slot->next;
    return reinterpret_cast<std::uint8_t*>(slot);
  }

  void put(std::uint8_t* slot) noexcept {
    sodium_memzero(slot, kGuardedSlotBytes);
    const std::lock_guard guard(mutex_);
    free_ = new (slot) Free{free_};
  }

 private:
  struct Free {
    Free* next;
  };
  static_assert(sizeof(Free) <= kGuardedSlotBytes && kSlabBytes % kGuardedSlotBytes == 0);

  /// Guard pages on both sides, no core dump, locked where the limit allows: sodium_malloc goes on without the lock.
  /// Slabs are kept for the life of the program: as many as its most keys at once needed.
  void add_slab() {
    init();  // sodium_malloc needs the page size
    auto* const slab = static_cast<std::uint8_t*>(sodium_malloc(kSlabBytes));
    if (slab == nullptr) throw std::bad_alloc();
    for (std::size_t at = 0; at < kSlabBytes; at += kGuardedSlotBytes) free_ = new (slab + at) Free{free_};
  }

  std::mutex mutex_;
  Free* free_ = nullptr;
};

/// Never destroyed: keys in statics may outlive any order of destruction.
Pool& pool() {
  static Pool* const pool = new Pool;
  return *pool;
}

}  // namespace

std::uint8_t* take_guarded_slot() { return pool().take(); }

void return_guarded_slot(std::uint8_t* slot) noexcept { pool().put(slot); }

}  // namespace holdfast::crypto
