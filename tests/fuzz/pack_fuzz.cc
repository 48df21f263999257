// Packs, footers and names from hostile bytes. What decodes must encode to the same bytes again.

#include "common/pack/layout.h"

namespace {

using namespace holdfast;

pack::RangeReader reader_of(ByteSpan bytes) {
  return [bytes](std::uint64_t offset, std::uint64_t length) -> Result<Bytes> {
    // The reader must never ask for what a file of this size does not have.
    HF_ASSERT(offset <= bytes.size() && length <= bytes.size() - offset);
    return to_bytes(bytes.subspan(offset, length));
  };
}

void try_pack(ByteSpan bytes) {
  const pack::RangeReader read = reader_of(bytes);
  const auto footer = pack::read_footer(bytes.size(), read);
  if (!footer) return;
  for (const pack::Entry& entry : footer->footer.entries) (void)pack::read_record(entry, read);
}

// Digests stop nearly every input; this one has them put right.
void try_resealed(ByteSpan bytes) {
  if (bytes.size() < pack::kHeaderBytes + pack::kTrailerBytes) return;
  const ByteSpan body = bytes.first(bytes.size() - pack::kTrailerBytes);
  const auto trailer = pack::decode_trailer(bytes.last(pack::kTrailerBytes));
  if (!trailer || trailer->footer_bytes > body.size() - pack::kHeaderBytes) return;
  const ByteSpan footer = body.last(trailer->footer_bytes);
  const Digest digest = pack::footer_digest(bytes.first(pack::kHeaderBytes), footer);
  ByteWriter w;
  w.raw(body).raw(pack::encode_trailer(footer.size(), digest));
  try_pack(w.span());
}

void try_footer(ByteSpan bytes) {
  const auto footer = pack::decode_footer(bytes);
  if (footer) HF_ASSERT(same_bytes(pack::encode_footer(*footer), bytes));
}

void try_name(std::string_view name) {
  const auto parsed = pack::parse_object_name(name);
  if (parsed) HF_ASSERT(pack::object_name(parsed->first, parsed->second) == name);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan bytes(data, size);
  try_pack(bytes);
  try_resealed(bytes);
  try_footer(bytes);
  try_name(as_text(bytes));
  return 0;
}
