// Segments of a manifest: authenticated, yet written by whoever held the keys. Input: type, count of children, children
// (48 bytes each), plaintext.
#include <algorithm>
#include <cstdlib>

#include "client/manifest/extent_tree.h"
#include "client/manifest/segment.h"

using namespace holdfast;
using namespace holdfast::manifest;

namespace {

void must_be_same(ByteSpan a, ByteSpan b) {
  if (!same_bytes(a, b)) std::abort();
}

std::vector<blob::BlobRef> read_children(ByteReader& in) {
  const std::size_t count = in.u8();
  std::vector<blob::BlobRef> children;
  for (std::size_t i = 0; i < count && in.left() >= blob::kChildBytes; ++i) {
    blob::BlobRef ref;
    ref.blob = in.id<BlobId>();
    ref.run = in.id<RunId>();
    children.push_back(ref);
  }
  std::sort(children.begin(), children.end());
  children.erase(std::unique(children.begin(), children.end()), children.end());
  return children;
}

/// What decodes encodes to the same bytes.
void decode_alone(blob::Type type, const std::vector<blob::BlobRef>& children, ByteSpan plaintext) {
  const RefTable refs(children);
  if (type == blob::Type::Index) {
    if (const auto segment = decode_index(plaintext, children)) must_be_same(encode_index(*segment, refs), plaintext);
  } else if (type == blob::Type::Extents) {
    if (const auto segment = decode_extents(plaintext, children))
      must_be_same(encode_extents(*segment, refs), plaintext);
  } else if (Result<LeafReader> leaf = LeafReader::open(plaintext, children)) {
    std::vector<LeafItem> items;
    for (;;) {
      Result<std::optional<DecodedEntry>> entry = leaf->next();
      if (!entry) return;
      if (!*entry) break;
      items.push_back({std::move((*entry)->entry), (*entry)->spill});
    }
    must_be_same(encode_leaf(items, refs), plaintext);
  }
}

/// The same segment as a root, and as its own child.
void walk(const crypto::Key& key, blob::Type type, const std::vector<blob::BlobRef>& children, ByteSpan plaintext) {
  const blob::BlobRef root{segment_id(key, type, children, plaintext), RunId{}};
  std::size_t fetches = 0;
  ManifestReader reader(key, root, [&](const blob::BlobRef& ref, blob::Type wanted) -> Result<sealing::OpenedBlob> {
    if (++fetches > 10'000) std::abort();
    if (ref.blob != root.blob || wanted != type) return Error{Errc::Corrupt, "not this one"};
    return sealing::OpenedBlob{to_bytes(plaintext), {}, children};
  });
  (void)reader.visit_all([](Entry entry) -> Status {
    if (!check_entry(entry)) std::abort();
    return {};
  });
  (void)reader.visit_below("/a", [](Entry entry) -> Status {
    if (!is_at_or_below(entry.path, "/a")) std::abort();
    return {};
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const crypto::Key key{ByteSpan(Bytes(32, 0x42))};
  ByteReader in(ByteSpan(data, size));
  const auto type = static_cast<blob::Type>(2 + in.u8() % 3);
  const std::vector<blob::BlobRef> children = read_children(in);
  const ByteSpan plaintext = in.raw(in.left());
  decode_alone(type, children, plaintext);
  walk(key, type, children, plaintext);
  return 0;
}
