// Why: whatever arrives on a connection is first read as frame headers, and its addresses as text.
// The decoder must hold its limits and accept one encoding per header.

#include <cstdlib>

#include "common/transport/address.h"
#include "common/transport/transport.h"

using namespace holdfast;
using namespace holdfast::transport;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

/// A stream of frames, as a connection reads it: header, payload, header, …
void read_stream(ByteSpan in) {
  while (in.size() >= kFrameHeaderBytes) {
    const ByteSpan bytes = in.first(kFrameHeaderBytes);
    const Result<FrameHeader> header = decode_frame_header(bytes);
    if (!header) return;
    require(header->payload_bytes <= (header->type == FrameType::Blob ? kMaxBlobFrameBytes : kMaxControlBytes));
    require(same_bytes(encode_frame_header(header->type, header->tag, header->payload_bytes), bytes));
    in = in.subspan(kFrameHeaderBytes);
    in = in.subspan(std::min<std::size_t>(in.size(), header->payload_bytes));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan in(data, size);
  read_stream(in);
  require(size == kFrameHeaderBytes || !decode_frame_header(in));
  const Result<HostPort> where = parse_host_port(as_text(in));
  if (where) {
    const bool v6 = where->host.find(':') != std::string::npos;
    const std::string text = (v6 ? "[" + where->host + "]" : where->host) + ":" + std::to_string(where->port);
    const Result<HostPort> again = parse_host_port(text);
    require(again && again->host == where->host && again->port == where->port);
  }
  return 0;
}
