#include "common/pack/layout.h"

namespace holdfast::pack {
namespace {

Error full_pack(std::string what) { return {Errc::Limit, "pack is full: " + std::move(what)}; }

Entry entry_of(const blob::RecordView& view, std::uint64_t offset, std::size_t length, const Digest& record_digest) {
  Entry e;
  e.domain = view.header.domain;
  e.epoch = view.header.epoch;
  e.blob = view.header.blob;
  e.run = view.header.run;
  e.type = view.header.type;
  e.offset = offset;
  e.length = static_cast<std::uint32_t>(length);
  e.record_digest = record_digest;
  e.children = blob::decode_children(view.child_bytes);
  return e;
}

}  // namespace

PackWriter::PackWriter(PackId id, std::uint64_t store_epoch, Kind kind, Sink sink)
    : sink_(std::move(sink)), footer_bytes_(kFooterHeadBytes) {
  footer_.id = id;
  footer_.store_epoch = store_epoch;
  footer_.kind = kind;
}

// A footer entry is at most 33 bytes longer than the clear part of its record, so below the target size neither
// kMaxBytes nor kMaxFooterBytes can stop one more record.
bool PackWriter::full() const { return bytes_ >= kTargetBytes || blob_count() >= kMaxBlobs; }

Status PackWriter::write(ByteSpan bytes) {
  Status written = sink_(bytes);
  if (!written) {
    closed_ = true;
    return written;
  }
  bytes_ += bytes.size();
  return {};
}

Status PackWriter::add(ByteSpan record, const blob::RecordView& view, const Digest& record_digest) {
  HF_ASSERT(record.size() >= blob::kHeaderBytes && record.size() <= blob::kMaxRecordBytes);
  if (closed_) return Error{Errc::Usage, "pack " + footer_.id.hex() + " is finished or has failed"};
  if (!holds(footer_.kind, view.header.type)) {
    return Error{Errc::Usage, "a type of blob that this kind of pack does not hold"};
  }
  const std::uint64_t offset = bytes_ == 0 ? kHeaderBytes : bytes_;
  const std::size_t entry_bytes = kEntryBytes + view.child_bytes.size();
  if (blob_count() >= kMaxBlobs) return full_pack(std::to_string(kMaxBlobs) + " blobs");
  if (offset + record.size() > kMaxBytes) return full_pack(std::to_string(kMaxBytes) + " bytes");
  if (footer_bytes_ + entry_bytes > kMaxFooterBytes) return full_pack("its footer would be too long");

  if (bytes_ == 0) HF_TRY_DO(write(encode_header(footer_.id, footer_.store_epoch, footer_.kind)));
  HF_TRY_DO(write(record));
  footer_.entries.push_back(entry_of(view, offset, record.size(), record_digest));
  footer_bytes_ += entry_bytes;
  return {};
}

Result<PackWriter::Finished> PackWriter::finish() {
  if (closed_) return Error{Errc::Usage, "pack " + footer_.id.hex() + " is finished or has failed"};
  if (footer_.entries.empty()) return Error{Errc::Usage, "a pack without blobs is not written"};
  const Bytes footer = encode_footer(footer_);
  HF_ASSERT(footer.size() == footer_bytes_);
  const Digest digest = footer_digest(encode_header(footer_.id, footer_.store_epoch, footer_.kind), footer);
  HF_TRY_DO(write(footer));
  HF_TRY_DO(write(encode_trailer(footer.size(), digest)));
  closed_ = true;
  return Finished{std::move(footer_), digest, bytes_};
}

}  // namespace holdfast::pack
