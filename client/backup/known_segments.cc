#include "client/backup/known_segments.h"

namespace holdfast::backup {
namespace {

constexpr std::string_view kMagic{"HFKS1\0\0\0", 8};
constexpr std::size_t kItemBytes = 80;
constexpr std::size_t kMacBytes = 32;
constexpr std::uint64_t kMaxFileBytes = 256u << 20;  // three million segments

crypto::Key mac_key(const crypto::Key& state_key, const ClientId& client) {
  return crypto::derive(state_key, "segments", client.bytes);
}

}  // namespace

KnownSegments KnownSegments::load(fs::FileSystem& fs, const std::string& path, const crypto::Key& state_key,
                                  const ClientId& client, const SnapshotId& base) {
  const Result<Bytes> file = fs::read_file(fs, path, kMaxFileBytes);
  if (!file || file->size() < kMacBytes) return {};
  const ByteSpan body = ByteSpan(*file).first(file->size() - kMacBytes);
  if (!same_bytes(crypto::keyed_digest(mac_key(state_key, client), body).bytes, ByteSpan(*file).last(kMacBytes)))
    return {};
  ByteReader in(body);
  if (as_text(in.raw(kMagic.size())) != kMagic || in.id<SnapshotId>() != base) return {};
  KnownSegments known;
  for (std::size_t left = in.count(kItemBytes); left > 0; --left) {
    const auto blob = in.id<BlobId>();
    const auto run = in.id<RunId>();
    known.segments_[blob] = {run, in.id<Digest>()};
  }
  if (!in.finish("known segments")) return {};
  return known;
}

const KnownSegments::Known* KnownSegments::find(const BlobId& id) const {
  const auto found = segments_.find(id);
  return found == segments_.end() ? nullptr : &found->second;
}

Status KnownSegments::save(fs::FileSystem& fs, const std::string& path, const crypto::Key& state_key,
                           const ClientId& client, const SnapshotId& base) const {
  ByteWriter out;
  out.raw(kMagic).id(base).u32(static_cast<std::uint32_t>(segments_.size()));
  for (const auto& [blob, known] : segments_) out.id(blob).id(known.run).id(known.record_digest);
  out.id(crypto::keyed_digest(mac_key(state_key, client), out.span()));
  return fs::replace_file(fs, path, out.span(), 0600);
}

}  // namespace holdfast::backup
