#include "client/state/checkpoint_block.h"

#include <map>

#include "client/state/layout.h"

namespace holdfast::state {
namespace {

constexpr std::size_t kMinKeptBytes = 1 + 1 + 19 + 1 + Digest::kBytes + 2;

struct Reference {
  blob::BlobRef ref;
  std::uint32_t blob_bytes = 0;
};

/// The blobs of a block, numbered in their order. Neighbours mostly lie in one blob, so the latest is looked at first.
class References {
 public:
  void add(const KeptExtent& one) {
    if (one.extent.is_hole()) return;
    if (latest_ == nullptr || latest_->first != one.extent.blob) latest_ = &*all_.try_emplace(one.extent.blob).first;
    Blob& blob = latest_->second;
    blob.bytes = std::max(blob.bytes, one.blob_bytes);  // 0: another extent may know it
  }
  void write(ByteWriter& out) {
    out.varint(all_.size());
    std::size_t number = 0;
    for (auto& [ref, blob] : all_) {
      blob.number = ++number;
      out.id(ref.blob).id(ref.run).varint(blob.bytes);
    }
  }
  /// From 1 on; 0: a hole.
  std::size_t place(const manifest::Extent& extent) {
    if (extent.is_hole()) return 0;
    if (latest_->first != extent.blob) latest_ = &*all_.find(extent.blob);
    return latest_->second.number;
  }

 private:
  struct Blob {
    std::uint32_t bytes = 0;
    std::size_t number = 0;
  };
  using Map = std::map<blob::BlobRef, Blob>;
  Map all_;
  Map::value_type* latest_ = nullptr;
};

void encode(ByteWriter& out, const Kept& kept, References& references) {
  out.varint(kept.source.size()).raw(kept.source).varint(kept.path.size()).raw(kept.path);
  encode_stat(out, kept.stat);
  out.u8(static_cast<std::uint8_t>(kept.chunk_class)).id(kept.digest);
  out.varint(kept.extents.size());
  for (const auto& [extent, blob_bytes] : kept.extents)
    out.varint(references.place(extent)).varint(extent.offset).varint(extent.length);
  out.varint(kept.chunks.size());
  for (const KeptChunk& one : kept.chunks) out.id(one.image).varint(one.bytes);
}

std::string read_text(ByteReader& in, std::size_t most) {
  const std::uint64_t size = in.varint();
  if (size > most) in.fail();
  return in.ok() ? std::string(as_text(in.raw(static_cast<std::size_t>(size)))) : std::string();
}

/// At most `most`, or the reader has failed.
std::uint32_t read_bounded(ByteReader& in, std::uint32_t least, std::uint32_t most) {
  const std::uint64_t value = in.varint();
  if (value < least || value > most) in.fail();
  return in.ok() ? static_cast<std::uint32_t>(value) : 0;
}

std::size_t read_count(ByteReader& in, std::size_t item_bytes, std::size_t most) {
  const std::size_t count = in.varint_count(item_bytes);
  if (count > most) in.fail();
  return in.ok() ? count : 0;
}

/// Adds up what it reads; lengths never exceed what is left of `size`, so nothing overflows.
void read_extents(ByteReader& in, Kept& kept, const std::vector<Reference>& refs, std::uint64_t& data) {
  std::uint64_t left = kept.stat.size;
  kept.extents.resize(read_count(in, 3, kMaxKeptExtents));
  for (auto& [extent, blob_bytes] : kept.extents) {
    const std::uint64_t number = in.varint();
    extent.offset = read_bounded(in, 0, blob::kMaxRawBytes);
    extent.length = in.varint();
    if (number > refs.size() || extent.length == 0 || extent.length > left || (number == 0 && extent.offset != 0))
      in.fail();
    if (!in.ok()) return;
    left -= extent.length;
    if (number == 0) continue;
    extent.blob = refs[static_cast<std::size_t>(number - 1)].ref;
    blob_bytes = refs[static_cast<std::size_t>(number - 1)].blob_bytes;
    const std::uint64_t end = extent.offset + extent.length;
    if (extent.is_hole() || end > (blob_bytes == 0 ? std::uint64_t{blob::kMaxRawBytes} : blob_bytes)) in.fail();
    data += extent.length;
  }
  if (left != 0) in.fail();
}

void read_chunks(ByteReader& in, Kept& kept, std::uint64_t data) {
  kept.chunks.resize(read_count(in, dedup::Image::kBytes + 1, kMaxKeptChunks));
  for (KeptChunk& one : kept.chunks) {
    one.image = in.id<dedup::Image>();
    one.bytes = read_bounded(in, 1, chunking::kMaxChunkBytes);
    if (one.bytes > data) in.fail();
    if (!in.ok()) return;
    data -= one.bytes;
  }
  if (data != 0) in.fail();
}

Kept read_kept(ByteReader& in, const std::vector<Reference>& refs) {
  Kept kept;
  kept.source = read_text(in, manifest::kMaxSourceBytes);
  kept.path = read_text(in, manifest::kMaxPathBytes);
  kept.stat = decode_stat(in);
  if (kept.stat == manifest::StatIdentity{}) in.fail();
  kept.chunk_class = static_cast<chunking::Class>(in.u8());
  if (!chunking::is_known(kept.chunk_class)) in.fail();
  kept.digest = in.id<Digest>();
  std::uint64_t data = 0;
  read_extents(in, kept, refs, data);
  if (in.ok()) read_chunks(in, kept, data);
  return kept;
}

}  // namespace

std::string checkpoint_path(const std::string& state_path, const FileNonce& nonce) {
  return fs::join(fs::parent(state_path), std::string(kCheckpointPrefix) + nonce.hex());
}

std::vector<fs::DirectoryEntry> list_checkpoints(fs::FileSystem& fs, const std::string& state_path) {
  std::vector<fs::DirectoryEntry> out;
  Result<std::vector<fs::DirectoryEntry>> all = fs.list(fs::parent(state_path));
  if (!all) return out;
  for (fs::DirectoryEntry& one : *all) {
    if (one.kind == fs::FileKind::File && one.name.starts_with(kCheckpointPrefix)) out.push_back(std::move(one));
  }
  return out;
}

Bytes encode_kept(const std::vector<Kept>& contents) {
  References references;
  for (const Kept& kept : contents) {
    for (const KeptExtent& one : kept.extents) references.add(one);
  }
  ByteWriter out;
  references.write(out);
  out.varint(contents.size());
  for (const Kept& kept : contents) encode(out, kept, references);
  return out.take();
}

Result<std::vector<Kept>> decode_kept(ByteSpan body) {
  ByteReader in(body);
  std::vector<Reference> refs(in.varint_count(blob::kChildBytes + 1));
  for (Reference& one : refs) {
    one.ref.blob = in.id<BlobId>();
    one.ref.run = in.id<RunId>();
    one.blob_bytes = read_bounded(in, 0, blob::kMaxRawBytes);
  }
  std::vector<Kept> contents;
  const std::size_t count = in.varint_count(kMinKeptBytes);
  for (std::size_t i = 0; i < count && in.ok(); ++i) contents.push_back(read_kept(in, refs));
  HF_TRY_DO(in.finish("a block of notes"));
  return contents;
}

}  // namespace holdfast::state
