#include "server/coordinator/head_slot.h"

#include <algorithm>

#include "common/crypto/hash.h"
#include "server/coordinator/local_coordinator.h"

namespace holdfast::coordinator {
namespace {

constexpr std::string_view kMagic = "HFH1";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kDigestOffset = kSlotBytes - Digest::kBytes;
constexpr std::uint64_t kMaxCounter = std::uint64_t{1} << 62;  // adding one, or a length, never overflows
constexpr std::uint64_t kMaxSegmentBytes = journal::kSegmentBytes + kMaxPublishBytes;

Error corrupt(std::string_view why) { return {Errc::Corrupt, "head slot: " + std::string(why)}; }

Status check_empty(const Head& head) {
  if (head.number != 0 || head.segment != 0 || head.segment_bytes != 0 || !head.digest.is_zero()) {
    return corrupt("names records, but says that nothing was published");
  }
  return {};
}

/// What our own writer always fulfils; the digest was right, so anything else is a bug or a forgery.
Status check_fields(const Head& head) {
  if (head.epoch == 0 || head.epoch > kMaxCounter || head.generation > kMaxCounter || head.number > kMaxCounter) {
    return corrupt("epoch, generation or number out of range");
  }
  if (head.generation == 0) return check_empty(head);
  if (head.number < head.generation) return corrupt("has fewer records than generations");
  if (head.segment == 0 || head.segment > head.number) return corrupt("its last segment starts after its last record");
  const std::uint64_t records = head.number - head.segment + 1;
  if (head.segment_bytes > kMaxSegmentBytes || head.segment_bytes / journal::kHeadBytes < records) {
    return corrupt("the length of its last segment does not fit its records");
  }
  return {};
}

}  // namespace

Bytes encode_head_slot(const HeadSlot& slot) {
  ByteWriter w;
  w.raw(kMagic).u16(kVersion).u16(0);
  w.u64(slot.head.epoch).raw(ByteSpan(slot.token));
  w.u64(slot.head.generation).u64(slot.head.number).id(slot.head.digest);
  w.u64(slot.head.segment).u64(slot.head.segment_bytes).i64(slot.written_ns);
  Bytes out = w.take();
  out.resize(kDigestOffset);
  const Digest digest = crypto::digest(out);
  out.insert(out.end(), digest.bytes.begin(), digest.bytes.end());
  return out;
}

Result<HeadSlot> decode_head_slot(ByteSpan bytes) {
  if (bytes.size() != kSlotBytes) return corrupt("has " + std::to_string(bytes.size()) + " bytes, not 4096");
  if (as_text(bytes.first(kMagic.size())) != kMagic) return corrupt("does not begin with the magic \"HFH1\"");
  const Digest computed = crypto::digest(bytes.first(kDigestOffset));
  if (!same_bytes(computed.bytes, bytes.subspan(kDigestOffset))) return corrupt("its bytes do not match its digest");

  ByteReader r(bytes.subspan(kMagic.size(), kDigestOffset - kMagic.size()));
  const std::uint16_t version = r.u16();
  if (version != kVersion) {
    return Error{Errc::TooNew, "head slot: version " + std::to_string(version) + ", this program reads 1"};
  }
  const std::uint16_t reserved = r.u16();
  HeadSlot slot;
  slot.head.epoch = r.u64();
  const ByteSpan token = r.raw(slot.token.size());
  std::copy(token.begin(), token.end(), slot.token.begin());
  slot.head.generation = r.u64();
  slot.head.number = r.u64();
  slot.head.digest = r.id<Digest>();
  slot.head.segment = r.u64();
  slot.head.segment_bytes = r.u64();
  slot.written_ns = r.i64();
  const ByteSpan padding = r.raw(r.left());
  const bool zeros = std::all_of(padding.begin(), padding.end(), [](std::uint8_t b) { return b == 0; });
  if (reserved != 0 || !zeros) return corrupt("reserved bytes are not zero");
  HF_TRY_DO(check_fields(slot.head));
  return slot;
}

}  // namespace holdfast::coordinator
