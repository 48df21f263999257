// The plaintext inside a blob: authentic bytes whose writer may have been hostile.
#include <cstdlib>
#include <numeric>

#include "client/sealing/body.h"
#include "client/sealing/sealing.h"

using namespace holdfast;

namespace {

void check(ByteSpan bytes, blob::Type type) {
  const Result<sealing::Body> body = sealing::decode_body(bytes, type);
  if (!body) return;
  if (body->raw.size() > blob::kMaxRawBytes || body->chunk_bytes.size() > blob::kMaxChunks) std::abort();
  const std::uint64_t sum = std::accumulate(body->chunk_bytes.begin(), body->chunk_bytes.end(), std::uint64_t{0});
  if (sum != body->raw.size()) std::abort();
  const Result<sealing::Body> again =
      sealing::decode_body(sealing::encode_body(body->raw, body->chunk_bytes, 1, type), type);
  if (!again || again->raw != body->raw || again->chunk_bytes != body->chunk_bytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const blob::Type type : {blob::Type::Data, blob::Type::Leaf}) {
    check({data, size}, type);
    if (size == 0) continue;
    Bytes padded(data, data + size);  // otherwise the padding floor would hide everything behind 16 KiB of input
    padded.resize(sealing::padded_length(size, sealing::padding_floor(type, static_cast<sealing::Encoding>(data[0]))));
    check(padded, type);
  }
  return 0;
}
