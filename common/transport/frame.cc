#include "common/transport/transport.h"

namespace holdfast::transport {
namespace {

constexpr std::uint8_t kMagic[2] = {'H', 'F'};
constexpr std::uint8_t kVersion = 1;  // frozen

std::size_t limit_of(FrameType type) { return type == FrameType::Blob ? kMaxBlobFrameBytes : kMaxControlBytes; }

}  // namespace

Bytes encode_frame_header(FrameType type, std::uint64_t tag, std::size_t payload_bytes) {
  HF_ASSERT(payload_bytes <= limit_of(type));
  ByteWriter out;
  out.raw(ByteSpan(kMagic)).u8(kVersion).u8(static_cast<std::uint8_t>(type));
  out.u32(static_cast<std::uint32_t>(payload_bytes)).u64(tag);
  return out.take();
}

Result<FrameHeader> decode_frame_header(ByteSpan header) {
  ByteReader in(header);
  const ByteSpan magic = in.raw(sizeof kMagic);
  const std::uint8_t version = in.u8();
  const std::uint8_t type = in.u8();
  FrameHeader out{};
  out.payload_bytes = in.u32();
  out.tag = in.u64();
  if (!in.finish("frame header")) return Error{Errc::Protocol, "a frame header has 16 bytes"};
  if (!same_bytes(magic, ByteSpan(kMagic))) return Error{Errc::Protocol, "the peer sent something that is no frame"};
  if (version != kVersion) {
    return Error{Errc::TooNew, "the peer sends frames of version " + std::to_string(version) + ", we speak version 1"};
  }
  if (type != static_cast<std::uint8_t>(FrameType::Control) && type != static_cast<std::uint8_t>(FrameType::Blob)) {
    return Error{Errc::Protocol, "a frame of unknown type " + std::to_string(type)};
  }
  out.type = static_cast<FrameType>(type);
  if (out.payload_bytes > limit_of(out.type)) {
    return Error{Errc::Limit, "a frame of " + std::to_string(out.payload_bytes) + " bytes, at most " +
                                  std::to_string(limit_of(out.type)) + " are allowed"};
  }
  return out;
}

}  // namespace holdfast::transport
