// Reading packs back (FORMAT.md, sections 4 to 6). The file is untrusted: sizes are checked before anything is read or
// allocated, and nothing is handed out whose digest was not compared.

#include <algorithm>

#include "common/pack/layout.h"

namespace holdfast::pack {
namespace {

// One read fetches the trailer and the whole footer of a pack of up to 139 data blobs (117 bytes each): a full pack
// whose records are longer than 118 KiB. A rebuild of the index does little else, so a longer tail would cost.
constexpr std::uint64_t kTailBytes = 16u << 10;
constexpr std::uint64_t kLeastBytes =
    kHeaderBytes + blob::kHeaderBytes + kFooterHeadBytes + kEntryBytes + kTrailerBytes;
constexpr std::uint64_t kMostBytes = kMaxBytes + kMaxFooterBytes + kTrailerBytes;

Error corrupt(std::string what) { return {Errc::Corrupt, "pack: " + std::move(what)}; }

Result<Bytes> read_exactly(const RangeReader& read, std::uint64_t offset, std::uint64_t length) {
  HF_TRY(Bytes bytes, read(offset, length));
  if (bytes.size() != length) {
    return corrupt("got " + std::to_string(bytes.size()) + " of " + std::to_string(length) + " bytes at " +
                   std::to_string(offset));
  }
  return bytes;
}

Status check_size(std::uint64_t size) {
  if (size < kLeastBytes) return corrupt("a file of " + std::to_string(size) + " bytes is too short for a pack");
  if (size > kMostBytes) {
    return Error{Errc::Limit,
                 "pack: a file of " + std::to_string(size) + " bytes, at most " + std::to_string(kMostBytes)};
  }
  return {};
}

/// What header, footer and trailer are made of, as stored.
struct Parts {
  Trailer trailer;
  Bytes header, footer;
};

Result<Parts> read_parts(std::uint64_t size, const RangeReader& read) {
  const std::uint64_t tail_bytes = std::min(size, kTailBytes);
  HF_TRY(Bytes tail, read_exactly(read, size - tail_bytes, tail_bytes));
  Parts parts;
  HF_TRY(parts.trailer, decode_trailer(ByteSpan(tail).last(kTrailerBytes)));

  const std::uint64_t footer_bytes = parts.trailer.footer_bytes;
  if (footer_bytes > size - kTrailerBytes - kHeaderBytes) {
    return corrupt("footer of " + std::to_string(footer_bytes) + " bytes is longer than the file of " +
                   std::to_string(size));
  }
  const std::uint64_t in_tail = std::min<std::uint64_t>(footer_bytes, tail_bytes - kTrailerBytes);
  if (in_tail < footer_bytes) {
    HF_TRY(parts.footer, read_exactly(read, size - kTrailerBytes - footer_bytes, footer_bytes - in_tail));
  }
  const ByteSpan rest = ByteSpan(tail).first(tail_bytes - kTrailerBytes).last(in_tail);
  parts.footer.insert(parts.footer.end(), rest.begin(), rest.end());

  if (tail_bytes == size) {
    parts.header = to_bytes(ByteSpan(tail).first(kHeaderBytes));
  } else {
    HF_TRY(parts.header, read_exactly(read, 0, kHeaderBytes));
  }
  return parts;
}

Status check_agreement(const Header& header, const Footer& footer, std::uint64_t records_end) {
  if (header.id != footer.id || header.store_epoch != footer.store_epoch || header.kind != footer.kind) {
    return corrupt("header and footer name different packs");
  }
  const Entry& last = footer.entries.back();
  if (last.offset + last.length != records_end) {
    return corrupt("records end at " + std::to_string(last.offset + last.length) + ", the footer begins at " +
                   std::to_string(records_end));
  }
  return {};
}

bool same_ids(const blob::Header& header, const Entry& entry) {
  return header.domain == entry.domain && header.epoch == entry.epoch && header.blob == entry.blob &&
         header.run == entry.run && header.type == entry.type;
}

}  // namespace

Result<ReadFooter> read_footer(std::uint64_t size, const RangeReader& read) {
  HF_TRY_DO(check_size(size));
  HF_TRY(const Parts parts, read_parts(size, read));
  if (footer_digest(parts.header, parts.footer) != parts.trailer.footer_digest) {
    return corrupt("header or footer do not match the digest in the trailer");
  }
  HF_TRY(const Header header, decode_header(parts.header));
  HF_TRY(Footer footer, decode_footer(parts.footer));
  HF_TRY_DO(check_agreement(header, footer, size - kTrailerBytes - parts.footer.size()));
  return ReadFooter{std::move(footer), parts.trailer.footer_digest};
}

Result<Bytes> read_record(const Entry& entry, const RangeReader& read) {
  if (entry.length > blob::kMaxRecordBytes) return corrupt("entry names a record of impossible length");
  HF_TRY(Bytes record, read_exactly(read, entry.offset, entry.length));
  const std::string where = "record of blob " + entry.blob.hex() + " at " + std::to_string(entry.offset);
  if (blob::record_digest(record) != entry.record_digest) return corrupt(where + " does not match its digest");
  HF_TRY(const blob::RecordView view, blob::decode_record(record).context("pack: " + where));
  if (!same_ids(view.header, entry)) return corrupt(where + " is another blob than the footer says");
  if (blob::decode_children(view.child_bytes) != entry.children) {
    return corrupt(where + " has another child list than the footer");
  }
  return record;
}

}  // namespace holdfast::pack
