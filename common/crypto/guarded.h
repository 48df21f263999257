#pragma once
// Why: one sodium_malloc per key costs five system calls and 16 KiB of address space, and uses up RLIMIT_MEMLOCK after
// two thousand keys, while content digests and blobs need one each. Slots of guarded slabs keep all keys locked and cost
// next to nothing; what is lost is the guard page between two keys, which fixed-length spans do not need.
// Private to this folder. Thread-safe.

#include <cstddef>
#include <cstdint>

namespace holdfast::crypto {

inline constexpr std::size_t kGuardedSlotBytes = 64;

/// One slot of kGuardedSlotBytes, content unspecified. Throws std::bad_alloc.
std::uint8_t* take_guarded_slot();
/// Wipes the slot and keeps it for the next taker.
void return_guarded_slot(std::uint8_t* slot) noexcept;

}  // namespace holdfast::crypto
