// The clear part of a blob record: what the server decodes from any client, and a client from any server.
#include <cstdlib>

#include "common/blob/blob.h"

using namespace holdfast;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan record(data, size);
  const Result<blob::RecordView> view = blob::decode_record(record);
  if (!view) return 0;
  // What decodes encodes to the same bytes, and the parts are the whole.
  const std::vector<blob::BlobRef> children = blob::decode_children(view->child_bytes);
  if (!same_bytes(blob::encode_header(view->header), view->header_bytes)) std::abort();
  if (!same_bytes(blob::encode_children(children), view->child_bytes)) std::abort();
  if (view->header_bytes.size() + view->child_bytes.size() + view->nonce.size() + view->sealed.size() != size)
    std::abort();
  if (blob::associated_bytes(TenantId{}, *view).size() != TenantId::kBytes + blob::kHeaderBytes + Digest::kBytes)
    std::abort();
  return 0;
}
