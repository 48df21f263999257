#include "common/blob/blob.h"

#include <algorithm>

#include "common/crypto/aead.h"
#include "common/crypto/hash.h"

namespace holdfast::blob {
namespace {

constexpr std::string_view kMagic = "HFB1";
constexpr std::uint8_t kVersion = 1;
static_assert(kMagic.size() + 4 + DomainId::kBytes + 4 + RunId::kBytes + BlobId::kBytes + 4 + 4 == kHeaderBytes);
static_assert(BlobId::kBytes + RunId::kBytes == kChildBytes);

Error corrupt(std::string_view why) { return Error{Errc::Corrupt, "decode a blob record: " + std::string(why)}; }

/// FORMAT.md §2: nothing after an unknown version or profile may be interpreted.
Status check_version(std::uint8_t version, std::uint8_t profile) {
  if (version == 0 || profile == 0) return corrupt("version or profile 0 does not exist");
  if (version > kVersion)
    return Error{Errc::TooNew, "decode a blob record: version " + std::to_string(version) + ", this program reads 1"};
  if (profile != kProfile1)
    return Error{Errc::TooNew, "decode a blob record: profile " + std::to_string(profile) + ", this program knows 1"};
  return {};
}

Status check_header(const Header& header) {
  if (!crypto::is_known(static_cast<crypto::Cipher>(header.cipher)))
    return corrupt("unknown cipher " + std::to_string(header.cipher));
  if (!is_known(header.type)) return corrupt("unknown type " + std::to_string(static_cast<int>(header.type)));
  if (header.type == Type::Data && header.child_count != 0) return corrupt("a data blob with a child list");
  if (header.child_count > kMaxChildren)
    return Error{Errc::Limit, "decode a blob record: " + std::to_string(header.child_count) + " children, at most " +
                                  std::to_string(kMaxChildren) + " are allowed"};
  if (header.body_bytes > kMaxBodyBytes)
    return Error{Errc::Limit, "decode a blob record: a body of " + std::to_string(header.body_bytes) +
                                  " bytes, at most " + std::to_string(kMaxBodyBytes) + " are allowed"};
  if (header.body_bytes == 0) return corrupt("an empty body");
  return {};
}

Result<Header> decode_header(ByteSpan bytes) {
  ByteReader in(bytes);
  if (as_text(in.raw(kMagic.size())) != kMagic) return corrupt("it does not begin with HFB1");
  const std::uint8_t version = in.u8();
  Header header;
  header.profile = in.u8();
  header.cipher = in.u8();
  header.type = static_cast<Type>(in.u8());
  header.domain = in.id<DomainId>();
  header.epoch = in.u32();
  header.run = in.id<RunId>();
  header.blob = in.id<BlobId>();
  header.child_count = in.u32();
  header.body_bytes = in.u32();
  HF_TRY_DO(in.finish("the header of a blob record"));
  HF_TRY_DO(check_version(version, header.profile));
  HF_TRY_DO(check_header(header));
  return header;
}

/// Byte order of the encoding is the order of BlobRef: both compare the blob id, then the run id, as bytes.
bool strictly_ascending(ByteSpan child_bytes) {
  for (std::size_t at = kChildBytes; at < child_bytes.size(); at += kChildBytes) {
    const std::uint8_t* const child = child_bytes.data() + at;
    if (std::memcmp(child - kChildBytes, child, kChildBytes) >= 0) return false;
  }
  return true;
}

}  // namespace

bool is_known(Type type) { return type >= Type::Data && type <= Type::Extents; }

Bytes encode_header(const Header& header) {
  HF_ASSERT(is_known(header.type) && header.child_count <= kMaxChildren && header.body_bytes <= kMaxBodyBytes);
  ByteWriter out;
  out.raw(kMagic).u8(kVersion).u8(header.profile).u8(header.cipher).u8(static_cast<std::uint8_t>(header.type));
  out.id(header.domain).u32(header.epoch).id(header.run).id(header.blob);
  out.u32(header.child_count).u32(header.body_bytes);
  HF_ASSERT(out.size() == kHeaderBytes);
  return out.take();
}

Bytes encode_children(const std::vector<BlobRef>& children) {
  HF_ASSERT(std::adjacent_find(children.begin(), children.end(), std::greater_equal<>()) == children.end());
  ByteWriter out;
  for (const BlobRef& child : children) out.id(child.blob).id(child.run);
  return out.take();
}

Result<RecordView> decode_record(ByteSpan record) {
  if (record.size() > kMaxRecordBytes)
    return Error{Errc::Limit, "decode a blob record: " + std::to_string(record.size()) + " bytes, at most " +
                                  std::to_string(kMaxRecordBytes) + " are allowed"};
  if (record.size() < kHeaderBytes) return corrupt("shorter than its header");
  RecordView view;
  view.header_bytes = record.first(kHeaderBytes);
  HF_TRY(view.header, decode_header(view.header_bytes));
  const std::size_t child_bytes = view.header.child_count * kChildBytes;
  const std::size_t nonce_bytes = crypto::nonce_bytes(static_cast<crypto::Cipher>(view.header.cipher));
  const std::size_t sealed_bytes = view.header.body_bytes + crypto::kTagBytes;
  if (record.size() != kHeaderBytes + child_bytes + nonce_bytes + sealed_bytes)
    return corrupt("its length is not what its header says");
  view.child_bytes = record.subspan(kHeaderBytes, child_bytes);
  view.nonce = record.subspan(kHeaderBytes + child_bytes, nonce_bytes);
  view.sealed = record.last(sealed_bytes);
  if (!strictly_ascending(view.child_bytes)) return corrupt("its child list is not sorted and unique");
  return view;
}

std::vector<BlobRef> decode_children(ByteSpan child_bytes) {
  HF_ASSERT(child_bytes.size() % kChildBytes == 0);
  std::vector<BlobRef> children;
  children.reserve(child_bytes.size() / kChildBytes);
  ByteReader in(child_bytes);
  while (in.left() > 0) {
    const BlobId blob = in.id<BlobId>();
    children.push_back({blob, in.id<RunId>()});
  }
  return children;
}

Digest record_digest(ByteSpan record) { return crypto::digest(record); }

Bytes associated_bytes(const TenantId& tenant, const RecordView& record) {
  ByteWriter out;
  out.id(tenant).raw(record.header_bytes).id(crypto::digest(record.child_bytes));
  return out.take();
}

}  // namespace holdfast::blob
