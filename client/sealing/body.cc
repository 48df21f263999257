#include "client/sealing/body.h"

#include <zstd.h>

#include <algorithm>
#include <memory>

#include "client/sealing/sealing.h"

namespace holdfast::sealing {
namespace {

struct FreeZstd {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

ZSTD_CCtx* compressor() {
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeZstd> context(ZSTD_createCCtx());
  HF_ASSERT(context != nullptr);
  return context.get();
}

ZSTD_DCtx* decompressor() {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeZstd> context(ZSTD_createDCtx());
  HF_ASSERT(context != nullptr);
  return context.get();
}

/// Compressed bytes appended to `out`; nothing, and false, when they are not fewer than `most`.
bool compress(ByteSpan raw, int level, std::size_t most, Bytes& out) {
  ZSTD_CCtx* const context = compressor();
  ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
  const std::size_t start = out.size();
  out.resize(start + most);
  const std::size_t written = ZSTD_compress2(context, out.data() + start, most, raw.data(), raw.size());
  const bool shorter = !ZSTD_isError(written);
  out.resize(start + (shorter ? written : 0));
  return shorter;
}

/// A look at four places instead of the whole: media, archives and encrypted files would cost a full pass of zstd for
/// nothing. Repeats further apart than a sample are missed, which costs space and never correctness.
bool looks_compressible(ByteSpan raw) {
  constexpr std::size_t kSampleBytes = 4096, kSamples = 4;
  constexpr int kFastestLevel = -5;
  if (raw.size() < 4 * kSamples * kSampleBytes) return true;  // the probe would cost as much as the work
  Bytes sample;
  sample.reserve(kSamples * kSampleBytes);
  for (std::size_t i = 0; i < kSamples; ++i) {
    const ByteSpan piece = raw.subspan((raw.size() - kSampleBytes) / (kSamples - 1) * i, kSampleBytes);
    sample.insert(sample.end(), piece.begin(), piece.end());
  }
  Bytes squeezed;
  return compress(sample, kFastestLevel, sample.size() - sample.size() / 32, squeezed);
}

/// Where zstd saves less than 1/64, decompressing costs more at restore than the space is worth.
bool append_compressed(ByteSpan raw, int level, Bytes& out) {
  return raw.size() >= kMinCompressed && looks_compressible(raw) &&
         compress(raw, level, raw.size() - raw.size() / 64, out);
}

void store_u32(std::uint32_t value, MutableByteSpan at) {
  for (std::size_t i = 0; i < 4; ++i) at[i] = static_cast<std::uint8_t>(value >> (8 * i));
}

Error corrupt(std::string_view why) { return Error{Errc::Corrupt, "decode a blob's body: " + std::string(why)}; }

/// FORMAT.md §3.2: lengths ≥ 1 that add up to `raw_bytes`; one single chunk may be empty (an empty segment).
Result<std::vector<std::uint32_t>> decode_chunk_bytes(ByteReader& in, std::uint32_t count, std::uint32_t raw_bytes) {
  if (count > blob::kMaxChunks || count > in.left()) return corrupt("more chunks than a blob can hold");
  std::vector<std::uint32_t> chunk_bytes;
  chunk_bytes.reserve(count);
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint64_t length = in.varint();
    if (!in.ok() || length > raw_bytes || (length == 0 && count != 1)) return corrupt("a chunk of impossible length");
    sum += length;
    chunk_bytes.push_back(static_cast<std::uint32_t>(length));
  }
  if (sum != raw_bytes) return corrupt("its chunks do not add up to its length");
  return chunk_bytes;
}

/// Exactly one frame that says the length which we expect, so that nothing is ever decoded beyond it.
Result<Bytes> decompress(ByteSpan payload, std::uint32_t raw_bytes) {
  if (ZSTD_getFrameContentSize(payload.data(), payload.size()) != raw_bytes ||
      ZSTD_findFrameCompressedSize(payload.data(), payload.size()) != payload.size())
    return corrupt("its compressed part is not one frame of the length named before it");
  Bytes raw(raw_bytes);
  const std::size_t written =
      ZSTD_decompressDCtx(decompressor(), raw.data(), raw.size(), payload.data(), payload.size());
  if (ZSTD_isError(written) || written != raw_bytes) return corrupt("zstd does not decode it");
  return raw;
}

Result<Bytes> decode_payload(Encoding encoding, ByteSpan payload, std::uint32_t raw_bytes) {
  if (encoding == Encoding::Zstd) return decompress(payload, raw_bytes);
  if (payload.size() != raw_bytes) return corrupt("its content is not of the length named before it");
  return to_bytes(payload);
}

}  // namespace

std::size_t padding_floor(blob::Type type, Encoding encoding) {
  const bool raw_segment = type != blob::Type::Data && encoding == Encoding::Raw;
  return raw_segment ? kSegmentPaddingFloor : kPaddingFloor;
}

Bytes encode_body(ByteSpan raw, const std::vector<std::uint32_t>& chunk_bytes, int zstd_level, blob::Type type) {
  ByteWriter head;
  head.u8(static_cast<std::uint8_t>(Encoding::Raw)).u32(static_cast<std::uint32_t>(raw.size()));
  head.u32(static_cast<std::uint32_t>(chunk_bytes.size()));
  for (const std::uint32_t length : chunk_bytes) head.varint(length);
  head.u32(0);  // payload length, known below
  Bytes out = head.take();
  const std::size_t payload_at = out.size();
  out.reserve(padded_length(payload_at + raw.size()));
  if (append_compressed(raw, zstd_level, out)) {
    out[0] = static_cast<std::uint8_t>(Encoding::Zstd);
  } else {
    out.insert(out.end(), raw.begin(), raw.end());
  }
  store_u32(static_cast<std::uint32_t>(out.size() - payload_at), MutableByteSpan(out).subspan(payload_at - 4, 4));
  out.resize(padded_length(out.size(), padding_floor(type, static_cast<Encoding>(out[0]))));
  return out;
}

Result<Body> decode_body(ByteSpan bytes, blob::Type type) {
  ByteReader in(bytes);
  const std::uint8_t encoding = in.u8();
  const std::uint32_t raw_bytes = in.u32();
  const std::uint32_t count = in.u32();
  if (!in.ok()) return corrupt("too short");
  if (encoding > static_cast<std::uint8_t>(Encoding::Zstd))
    return Error{Errc::TooNew, "decode a blob's body: encoding " + std::to_string(encoding) + " is not known here"};
  if (raw_bytes > blob::kMaxRawBytes) return corrupt("it claims more content than a blob can hold");
  Body body;
  HF_TRY(body.chunk_bytes, decode_chunk_bytes(in, count, raw_bytes));
  const ByteSpan payload = in.sized(blob::kMaxBodyBytes);
  if (!in.ok()) return corrupt("its content is cut short");
  const ByteSpan padding = in.raw(in.left());
  const std::size_t floor = padding_floor(type, static_cast<Encoding>(encoding));
  if (bytes.size() != padded_length(bytes.size() - padding.size(), floor))
    return corrupt("its padding has a wrong length");
  if (std::any_of(padding.begin(), padding.end(), [](std::uint8_t b) { return b != 0; }))
    return corrupt("its padding is not zero");
  HF_TRY(body.raw, decode_payload(static_cast<Encoding>(encoding), payload, raw_bytes));
  return body;
}

}  // namespace holdfast::sealing
