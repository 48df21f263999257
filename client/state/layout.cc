#include "client/state/layout.h"

#include <algorithm>

namespace holdfast::state {
namespace {

/// size, mtime, ctime, inode, device behind an entry of at least 14 bytes.
constexpr std::size_t kMinRememberedBytes = 14 + 1 + 8 + 8 + 1 + 1;

std::vector<blob::BlobRef> refs_of(const std::vector<Remembered>& entries) {
  std::vector<blob::BlobRef> out;
  for (const Remembered& r : entries) {
    for (const manifest::Extent& x : r.entry.extents) {
      if (!x.is_hole()) out.push_back(x.blob);
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

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

Macs::Macs(const crypto::Key& state_key, const Binding& binding, const Nonce& nonce) {
  ByteWriter context;
  context.id(binding.client).id(binding.domain).u32(binding.epoch).raw(nonce);
  key_ = crypto::derive(state_key, "state-file", context.span());
}

Digest Macs::block(std::uint64_t number, ByteSpan body) const {
  ByteWriter front;
  front.raw("block").u64(number);
  return crypto::Hasher(key_).update(front.span()).update(body).finish();
}

Digest Macs::table(ByteSpan header, ByteSpan table, ByteSpan base_and_count) const {
  return crypto::Hasher(key_).update(as_bytes("table")).update(header).update(table).update(base_and_count).finish();
}

Bytes encode_block(const std::vector<Remembered>& entries) {
  const manifest::RefTable refs(refs_of(entries));
  ByteWriter out;
  out.varint(refs.refs().size());
  for (const blob::BlobRef& ref : refs.refs()) out.id(ref.blob).id(ref.run);
  out.varint(entries.size());
  const manifest::Entry* previous = nullptr;
  for (const Remembered& r : entries) {
    manifest::encode_entry(out, r.entry, previous, std::nullopt, refs);
    encode_stat(out, r.stat);
    previous = &r.entry;
  }
  return out.take();
}

BlockReader::BlockReader(Bytes body, std::size_t start, std::vector<blob::BlobRef> refs, std::uint64_t count)
    : body_(std::move(body)), in_(ByteSpan(body_).subspan(start)), refs_(std::move(refs)), left_(count) {}

Result<BlockReader> BlockReader::open(Bytes body) {
  ByteReader in{ByteSpan(body)};
  std::vector<blob::BlobRef> refs(in.varint_count(blob::kChildBytes));
  for (blob::BlobRef& ref : refs) {
    ref.blob = in.id<BlobId>();
    ref.run = in.id<RunId>();
  }
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
  if (decoded.spill) return Error{Errc::Corrupt, "block of the local state: extents that stand elsewhere"};
  Remembered out;
  out.stat = decode_stat(in_);
  if (!in_.ok()) return Error{Errc::Corrupt, "block of the local state: cut short"};
  out.entry = std::move(decoded.entry);
  HF_TRY_DO(manifest::check_entry(out.entry));
  previous_ = key_and_owner(out.entry);
  --left_;
  return std::optional<Remembered>(std::move(out));
}

}  // namespace holdfast::state
