#include "client/state/layout.h"

#include <algorithm>

namespace holdfast::state {
namespace {

/// size, mtime, ctime, inode, device and the list's count behind an entry of at least 14 bytes.
constexpr std::size_t kMinRememberedBytes = 14 + 1 + 8 + 8 + 1 + 1 + 1;

void collect_refs(const Remembered& r, std::vector<blob::BlobRef>& out) {
  if (r.spill) out.push_back(r.spill->root);
  for (const manifest::Extent& x : r.entry.extents) {
    if (!x.is_hole()) out.push_back(x.blob);
  }
  for (const auto& [ref, bytes] : r.uses) out.push_back(ref);
}

std::vector<blob::BlobRef> refs_of(const std::vector<Remembered>& entries) {
  std::vector<blob::BlobRef> out;
  for (const Remembered& r : entries) collect_refs(r, out);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

void write_refs(ByteWriter& out, const std::vector<blob::BlobRef>& refs) {
  out.varint(refs.size());
  for (const blob::BlobRef& ref : refs) out.id(ref.blob).id(ref.run);
}

std::vector<blob::BlobRef> read_refs(ByteReader& in) {
  std::vector<blob::BlobRef> refs(in.varint_count(blob::kChildBytes));
  for (blob::BlobRef& ref : refs) {
    ref.blob = in.id<BlobId>();
    ref.run = in.id<RunId>();
  }
  return refs;
}

void encode_list(ByteWriter& out, const dedup::ListRef& list) {
  out.varint(list.count);
  if (list.count > 0) out.varint(list.file).varint(list.first);
}

dedup::ListRef decode_list(ByteReader& in) {
  dedup::ListRef list;
  list.count = in.varint();
  if (list.count == 0) return list;
  const std::uint64_t file = in.varint();
  if (file > kMaxListFiles) in.fail();
  list.file = static_cast<std::uint32_t>(file);
  list.first = in.varint();
  if (list.first + list.count < list.first) in.fail();
  return list;
}

void encode_spilled(ByteWriter& out, const Remembered& r, const manifest::RefTable& refs) {
  out.varint(r.uses.size());
  for (const auto& [ref, bytes] : r.uses) out.varint(refs.index_of(ref)).varint(bytes);
  out.varint(r.segments.size());
  for (const BlobId& id : r.segments) out.id(id);
}

void decode_spilled(ByteReader& in, manifest::RefTable& refs, Remembered& r) {
  const std::size_t uses = in.varint_count(2);
  for (std::size_t i = 0; i < uses && in.ok(); ++i) {
    const blob::BlobRef* const ref = refs.use(in.varint());
    const std::uint64_t bytes = in.varint();
    if (ref == nullptr) return in.fail();
    r.uses.emplace_back(*ref, bytes);
  }
  const std::size_t segments = in.varint_count(BlobId::kBytes);
  for (std::size_t i = 0; i < segments && in.ok(); ++i) r.segments.push_back(in.id<BlobId>());
}

manifest::Entry key_and_owner(const manifest::Entry& e) {
  manifest::Entry out;
  out.source = e.source;
  out.path = e.path;
  out.uid = e.uid;
  out.gid = e.gid;
  out.owner = e.owner;
  out.group = e.group;
  return out;
}

}  // namespace

void encode_stat(ByteWriter& out, const manifest::StatIdentity& s) {
  out.varint(s.size).i64(s.mtime_ns).i64(s.ctime_ns).varint(s.inode).varint(s.device);
}

manifest::StatIdentity decode_stat(ByteReader& in) {
  manifest::StatIdentity s;
  s.size = in.varint();
  s.mtime_ns = in.i64();
  s.ctime_ns = in.i64();
  s.inode = in.varint();
  s.device = in.varint();
  return s;
}

Macs::Macs(const crypto::Key& state_key, std::string_view label, const Binding& binding, const FileNonce& nonce) {
  ByteWriter context;
  context.id(binding.client).id(binding.domain).u32(binding.epoch).id(nonce);
  key_ = crypto::derive(state_key, label, context.span());
}

Digest Macs::block(std::uint64_t number, ByteSpan body) const {
  ByteWriter front;
  front.raw("block").u64(number);
  return crypto::Hasher(key_).update(front.span()).update(body).finish();
}

Digest Macs::rest(std::initializer_list<ByteSpan> parts) const {
  crypto::Hasher hasher(key_);
  hasher.update(as_bytes("rest"));
  for (const ByteSpan part : parts) hasher.update(part);
  return hasher.finish();
}

Bytes encode_header(std::string_view magic, const FileNonce& nonce) {
  ByteWriter out;
  out.raw(magic).u16(kVersion).id(nonce);
  return out.take();
}

Result<FileNonce> decode_header(ByteSpan header, std::string_view magic) {
  ByteReader in(header);
  if (as_text(in.raw(magic.size())) != magic) return Error{Errc::Corrupt, "it is not a file of the local state"};
  const std::uint16_t version = in.u16();
  if (version != kVersion) return Error{Errc::TooNew, "it has version " + std::to_string(version)};
  return in.id<FileNonce>();
}

Bytes encode_table(const std::vector<TableItem>& table) {
  ByteWriter out;
  for (const TableItem& item : table) out.u32(item.bytes).id(item.mac);
  return out.take();
}

Result<std::vector<TableItem>> decode_table(ByteSpan bytes, std::uint64_t block_bytes) {
  std::vector<TableItem> out;
  ByteReader in(bytes);
  while (in.left() > 0) {
    TableItem item;
    item.bytes = in.u32();
    item.mac = in.id<Digest>();
    if (item.bytes > kMaxBlockBytes || item.bytes > block_bytes)
      return Error{Errc::Corrupt, "its table does not fit its blocks"};
    block_bytes -= item.bytes;
    out.push_back(item);
  }
  if (block_bytes != 0 || !in.ok()) return Error{Errc::Corrupt, "its table does not fit its blocks"};
  return out;
}

Status read_exactly(const fs::File& file, std::uint64_t offset, MutableByteSpan out) {
  HF_TRY(const std::size_t n, file.read_at(offset, out));
  if (n != out.size()) return Error{Errc::Corrupt, "the file is shorter than it was"};
  return {};
}

Bytes encode_block(const std::vector<Remembered>& entries) {
  const manifest::RefTable refs(refs_of(entries));
  ByteWriter out;
  write_refs(out, refs.refs());
  out.varint(entries.size());
  const manifest::Entry* previous = nullptr;
  for (const Remembered& r : entries) {
    manifest::encode_entry(out, r.entry, previous, r.spill, refs);
    encode_stat(out, r.stat);
    encode_list(out, r.list);
    if (r.spill) encode_spilled(out, r, refs);
    previous = &r.entry;
  }
  return out.take();
}

BlockReader::BlockReader(Bytes body, std::size_t start, std::vector<blob::BlobRef> refs, std::uint64_t count)
    : body_(std::move(body)), in_(ByteSpan(body_).subspan(start)), refs_(std::move(refs)), left_(count) {}

Result<BlockReader> BlockReader::open(Bytes body) {
  ByteReader in{ByteSpan(body)};
  std::vector<blob::BlobRef> refs = read_refs(in);
  const std::size_t count = in.varint_count(kMinRememberedBytes);
  if (!in.ok()) return Error{Errc::Corrupt, "block of the local state: shorter than its own counts say"};
  const std::size_t start = body.size() - in.left();
  return BlockReader(std::move(body), start, std::move(refs), count);
}

Result<std::optional<Remembered>> BlockReader::next() {
  if (left_ == 0) {
    HF_TRY_DO(in_.finish("block of the local state"));
    return std::optional<Remembered>();
  }
  HF_TRY(manifest::DecodedEntry decoded, manifest::decode_entry(in_, previous_ ? &*previous_ : nullptr, refs_));
  Remembered out;
  out.spill = decoded.spill;
  out.stat = decode_stat(in_);
  out.list = decode_list(in_);
  if (out.spill) decode_spilled(in_, refs_, out);
  if (!in_.ok()) return Error{Errc::Corrupt, "block of the local state: cut short"};
  out.entry = std::move(decoded.entry);
  HF_TRY_DO(manifest::check_entry(out.entry, out.spill.has_value()));
  previous_ = key_and_owner(out.entry);
  --left_;
  return std::optional<Remembered>(std::move(out));
}

Bytes encode_about(const About& about) {
  ByteWriter out;
  out.varint(about.files.size());
  for (const ListFile& file : about.files) out.id(file.nonce).varint(file.chunks).varint(file.live);
  out.raw(about.usage.encode());
  return out.take();
}

Result<About> decode_about(ByteSpan bytes) {
  ByteReader in(bytes);
  About about;
  const std::size_t files = in.varint_count(FileNonce::kBytes + 2);
  if (files > kMaxListFiles) in.fail();
  for (std::size_t i = 0; i < files && in.ok(); ++i) {
    ListFile file;
    file.nonce = in.id<FileNonce>();
    file.chunks = in.varint();
    file.live = in.varint();
    about.files.push_back(file);
  }
  if (!in.ok()) return Error{Errc::Corrupt, "local state: its list of files is malformed"};
  HF_TRY(about.usage, dedup::Usage::decode(in.raw(in.left())));
  return about;
}

Bytes encode_known(const dedup::KnownBlock& block) {
  ByteWriter out;
  write_refs(out, block.refs);
  out.varint(block.chunks.size());
  for (const dedup::KnownChunk& chunk : block.chunks) out.id(chunk.image);
  for (const dedup::KnownChunk& chunk : block.chunks) out.varint(chunk.bytes);
  for (std::size_t i = 0; i < block.chunks.size();) {  // chunks that stand one behind the other are one run
    std::size_t end = i + 1;
    while (end < block.chunks.size() && block.chunks[end].ref == block.chunks[i].ref &&
           block.chunks[end].offset == block.chunks[end - 1].offset + block.chunks[end - 1].bytes) {
      ++end;
    }
    out.varint(end - i).varint(block.chunks[i].ref).varint(block.chunks[i].offset);
    i = end;
  }
  return out.take();
}

Result<dedup::KnownBlock> decode_known(ByteSpan body) {
  ByteReader in(body);
  dedup::KnownBlock block;
  block.refs = read_refs(in);
  const std::size_t count = in.varint_count(dedup::Image::kBytes + 1);
  if (count > dedup::kBlockChunks) in.fail();
  if (in.ok()) block.chunks.resize(count);
  for (dedup::KnownChunk& chunk : block.chunks) chunk.image = in.id<dedup::Image>();
  for (dedup::KnownChunk& chunk : block.chunks) {
    const std::uint64_t bytes = in.varint();
    if (bytes == 0 || bytes > chunking::kMaxChunkBytes) in.fail();
    chunk.bytes = static_cast<std::uint32_t>(bytes);
  }
  for (std::size_t i = 0; i < block.chunks.size() && in.ok();) {
    const std::uint64_t length = in.varint(), ref = in.varint();
    std::uint64_t offset = in.varint();
    if (length == 0 || length > block.chunks.size() - i || ref >= block.refs.size()) in.fail();
    for (std::uint64_t end = i + length; i < end && in.ok(); ++i) {
      if (offset > blob::kMaxRawBytes) in.fail();
      block.chunks[i].ref = static_cast<std::uint32_t>(ref);
      block.chunks[i].offset = static_cast<std::uint32_t>(offset);
      offset += block.chunks[i].bytes;
    }
  }
  HF_TRY_DO(in.finish("block of chunk lists"));
  return block;
}

}  // namespace holdfast::state
