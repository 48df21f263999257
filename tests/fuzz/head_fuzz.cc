// A slot of the head file, as a damaged disk or a forger may leave it. Random bytes never have the right digest, so
// the fields behind it are tried with one that fits.
#include <algorithm>
#include <cstdlib>

#include "common/crypto/hash.h"
#include "server/coordinator/head_slot.h"

using namespace holdfast;

namespace {

void try_slot(ByteSpan bytes) {
  const Result<coordinator::HeadSlot> slot = coordinator::decode_head_slot(bytes);
  if (!slot) return;
  if (coordinator::encode_head_slot(*slot) != to_bytes(bytes)) std::abort();  // one slot, one encoding
  if (slot->head.number > 0 && slot->head.segment > slot->head.number) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan input(data, size);
  try_slot(input);
  Bytes slot = to_bytes(input.first(std::min(size, coordinator::kSlotBytes - Digest::kBytes)));
  slot.resize(coordinator::kSlotBytes - Digest::kBytes);
  const Digest digest = crypto::digest(slot);
  slot.insert(slot.end(), digest.bytes.begin(), digest.bytes.end());
  try_slot(slot);
  return 0;
}
