#pragma once
// Why: the head is the commit point of everything a tenant's journal says. It is kept in two slots, each in a block of
// its own, so that a torn write of one leaves the other. FORMAT.md, section 2.

#include <array>

#include "server/coordinator/coordinator.h"

namespace holdfast::coordinator {

inline constexpr std::size_t kSlotBytes = 4096;
inline constexpr std::size_t kHeadFileBytes = 2 * kSlotBytes;

struct HeadSlot {
  Head head;
  std::array<std::uint8_t, 16> token{};  ///< of the epoch
  std::int64_t written_ns = 0;           ///< wall clock; for people, nothing is decided by it
  Epoch epoch() const { return {head.epoch, token}; }
};

/// Exactly kSlotBytes.
Bytes encode_head_slot(const HeadSlot& slot);
/// `bytes`: one slot as stored; untrusted. Errors: Corrupt (length, magic, digest, or fields that contradict each
/// other), TooNew.
Result<HeadSlot> decode_head_slot(ByteSpan bytes);

}  // namespace holdfast::coordinator
