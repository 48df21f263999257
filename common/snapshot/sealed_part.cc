// The plaintext of what a core keeps from the server (FORMAT.md, section 6).

#include <algorithm>
#include <tuple>

#include "common/snapshot/codec.h"
#include "common/snapshot/records.h"

namespace holdfast::snapshot {
namespace {

// With these bounds the longest part is below kMaxSealedPartBytes: 1,024 × (16 + 1 + 128 + 1 + 32) + 1,024 × 52 + 512;
// room is left for padding, nonce and tag.
constexpr std::size_t kMaxHostBytes = 255;
constexpr std::size_t kMaxSourceNameBytes = 128;
constexpr std::size_t kMaxSourceKindBytes = 32;
constexpr std::size_t kMaxDomainKeys = 1024;
constexpr std::size_t kDomainKeyBytes = 32;

bool source_less(const SealedPart::Source& a, const SealedPart::Source& b) { return a.id < b.id; }
bool key_less(const SealedPart::DomainKey& a, const SealedPart::DomainKey& b) {
  return std::tie(a.domain, a.epoch) < std::tie(b.domain, b.epoch);
}

template <class T>
bool ascending(const std::vector<T>& items, bool (*less)(const T&, const T&)) {
  return std::adjacent_find(items.begin(), items.end(), [&](const T& a, const T& b) { return !less(a, b); }) ==
         items.end();
}

void write_sources(ByteWriter& out, std::vector<SealedPart::Source> sources) {
  std::sort(sources.begin(), sources.end(), source_less);
  HF_ASSERT(sources.size() <= kMaxSources && ascending(sources, source_less));
  out.u16(static_cast<std::uint16_t>(sources.size()));
  for (const SealedPart::Source& s : sources) {
    out.id(s.id);
    codec::write_short_text(out, s.name, kMaxSourceNameBytes);
    codec::write_short_text(out, s.kind, kMaxSourceKindBytes);
  }
}

void write_keys(ByteWriter& out, std::vector<SealedPart::DomainKey> keys) {
  std::sort(keys.begin(), keys.end(), key_less);
  HF_ASSERT(keys.size() <= kMaxDomainKeys && ascending(keys, key_less));
  out.u16(static_cast<std::uint16_t>(keys.size()));
  for (const SealedPart::DomainKey& k : keys) {
    HF_ASSERT(k.key.size() == kDomainKeyBytes);
    out.id(k.domain).u32(k.epoch).raw(k.key);
  }
}

Result<SealedPart> decode_part(ByteSpan bytes) {
  if (bytes.size() > kMaxSealedPartBytes)
    return Error{Errc::Limit, std::to_string(bytes.size()) + " bytes are too many"};
  ByteReader in(bytes);
  HF_TRY_DO(codec::read_label(in, codec::kPartLabel));
  SealedPart out;
  out.host = codec::read_short_text(in, kMaxHostBytes);
  out.sources.resize(codec::read_count(in, SourceId::kBytes + 2, kMaxSources));
  for (SealedPart::Source& s : out.sources) {
    s.id = in.id<SourceId>();
    s.name = codec::read_short_text(in, kMaxSourceNameBytes);
    s.kind = codec::read_short_text(in, kMaxSourceKindBytes);
  }
  out.domain_keys.resize(codec::read_count(in, DomainId::kBytes + 4 + kDomainKeyBytes, kMaxDomainKeys));
  for (SealedPart::DomainKey& k : out.domain_keys) {
    k.domain = in.id<DomainId>();
    k.epoch = in.u32();
    k.key = to_bytes(in.raw(kDomainKeyBytes));
  }
  for (std::uint64_t* v : {&out.entries, &out.bytes, &out.files, &out.new_bytes, &out.stored_bytes, &out.warnings})
    *v = in.u64();
  HF_TRY_DO(in.finish("fields"));
  if (!ascending(out.sources, source_less)) return Error{Errc::Corrupt, "sources out of order"};
  if (!ascending(out.domain_keys, key_less)) return Error{Errc::Corrupt, "domain keys out of order"};
  return out;
}

}  // namespace

Bytes encode(const SealedPart& part) {
  ByteWriter out;
  codec::write_label(out, codec::kPartLabel);
  codec::write_short_text(out, part.host, kMaxHostBytes);
  write_sources(out, part.sources);
  write_keys(out, part.domain_keys);
  out.u64(part.entries).u64(part.bytes).u64(part.files).u64(part.new_bytes).u64(part.stored_bytes).u64(part.warnings);
  return out.take();
}

Result<SealedPart> decode_sealed_part(ByteSpan bytes) { return decode_part(bytes).context("sealed part of a core"); }

}  // namespace holdfast::snapshot
