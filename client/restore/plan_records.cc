#include "client/restore/plan_records.h"

#include "client/manifest/entry_codec.h"

namespace holdfast::restore {
namespace {

constexpr std::string_view kMagic = "HFrestore";
constexpr std::size_t kMaxTextBytes = 64;

}  // namespace

Bytes encode_use(const Use& use) {
  ByteWriter out;
  out.u64(use.file).u64(use.offset).u64(use.hole_before).u32(use.blob_offset).u32(use.length);
  return out.take();
}

Use decode_use(ByteSpan record) {
  ByteReader in(record);
  Use use;
  use.file = in.u64();
  use.offset = in.u64();
  use.hole_before = in.u64();
  use.blob_offset = in.u32();
  use.length = in.u32();
  return use;
}

Bytes encode_planned(const PlannedEntry& planned) {
  HF_ASSERT(planned.entry.extents.empty());
  ByteWriter out;
  out.u64(planned.uses).u64(planned.first_stretch).u64(planned.stretches);
  manifest::encode_entry(out, planned.entry, nullptr, std::nullopt, manifest::RefTable({}));
  return out.take();
}

Result<PlannedEntry> decode_planned(ByteSpan record, std::uint64_t number) {
  ByteReader in(record);
  PlannedEntry planned;
  planned.number = number;
  planned.uses = in.u64();
  planned.first_stretch = in.u64();
  planned.stretches = in.u64();
  manifest::RefTable none({});
  HF_TRY(manifest::DecodedEntry decoded, manifest::decode_entry(in, nullptr, none));
  HF_TRY_DO(in.finish("an entry of the restore's plan"));
  HF_TRY_DO(manifest::check_entry(decoded.entry, true));
  planned.entry = std::move(decoded.entry);
  return planned;
}

Bytes encode_head(const PlanHead& head, const Digest& binding, const crypto::Key& key) {
  const PlanFacts& facts = head.facts;
  ByteWriter out;
  out.raw(kMagic).u8(kPlanVersion).id(binding).sized(facts.tag).sized(facts.boot);
  out.i64(facts.began.tv_sec).i64(facts.began.tv_nsec).u8(facts.root_is_ours ? 1 : 0);
  for (const std::uint64_t one : {facts.entries, facts.blobs, facts.uses, facts.stretches, facts.data_bytes,
                                  facts.left_in_place, facts.unchanged, facts.streams_skipped, facts.damages})
    out.u64(one);
  for (const Digest& one : head.digests) out.id(one);
  const Digest mac = crypto::keyed_digest(key, out.span());
  return out.id(mac).take();
}

std::optional<PlanHead> decode_head(ByteSpan bytes, const Digest& binding, const crypto::Key& key) {
  if (bytes.size() < Digest::kBytes) return std::nullopt;
  const ByteSpan content = bytes.first(bytes.size() - Digest::kBytes);
  if (!same_bytes(crypto::keyed_digest(key, content).bytes, bytes.last(Digest::kBytes))) return std::nullopt;
  ByteReader in(content);
  const bool is_ours =
      as_text(in.raw(kMagic.size())) == kMagic && in.u8() == kPlanVersion && in.id<Digest>() == binding;
  if (!is_ours) return std::nullopt;
  PlanHead head;
  PlanFacts& facts = head.facts;
  facts.tag = in.sized_text(kMaxTextBytes);
  facts.boot = in.sized_text(kMaxTextBytes);
  facts.began.tv_sec = in.i64();
  facts.began.tv_nsec = in.i64();
  facts.root_is_ours = in.u8() != 0;
  for (std::uint64_t* one : {&facts.entries, &facts.blobs, &facts.uses, &facts.stretches, &facts.data_bytes,
                             &facts.left_in_place, &facts.unchanged, &facts.streams_skipped, &facts.damages})
    *one = in.u64();
  for (Digest& one : head.digests) one = in.id<Digest>();
  if (!in.finish("the restore's plan")) return std::nullopt;
  return head;
}

}  // namespace holdfast::restore
