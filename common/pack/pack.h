#pragma once
// Why: a pack is an immutable file of many blob records with a footer that lists them, so that an index can be rebuilt
// from footers alone. FORMAT.md beside this file is the specification. Pure: bytes in, bytes out; who stores them is
// server/store's business.
// Layout: header (magic, version, kind, epoch, pack id) ‖ records ‖ footer ‖ trailer (footer length, footer digest, magic).

#include <functional>
#include <vector>

#include "common/base/ids.h"
#include "common/blob/blob.h"

namespace holdfast::pack {

inline constexpr std::uint64_t kTargetBytes = 16u << 20;  ///< a pack is closed at this size
inline constexpr std::uint64_t kMaxBytes = 64u << 20;     ///< header and records, without footer and trailer
inline constexpr std::size_t kHeaderBytes = 40;
inline constexpr std::size_t kTrailerBytes = 48;
inline constexpr std::size_t kMaxBlobs = 65536;
inline constexpr std::size_t kMaxFooterBytes = 48u << 20;
inline constexpr std::size_t kEntryBytes = 117;  ///< of one entry in the footer, without its children

/// Frozen numbers. Data and segments live in different packs; Mixed is allowed for a small increment.
enum class Kind : std::uint8_t { Data = 1, Segments = 2, Mixed = 3 };

/// One blob of a pack as its footer tells it.
struct Entry {
  DomainId domain;
  std::uint32_t epoch = 0;  ///< domain epoch
  BlobId blob;
  RunId run;
  blob::Type type = blob::Type::Data;
  std::uint64_t offset = 0;  ///< of the record in the pack, bytes
  std::uint32_t length = 0;  ///< of the record, bytes
  Digest record_digest;
  std::vector<blob::BlobRef> children;
  blob::BlobRef ref() const { return {blob, run}; }
  bool operator==(const Entry&) const = default;
};

struct Footer {
  PackId id;
  std::uint64_t store_epoch = 0;  ///< of the coordinator, when it was written
  Kind kind = Kind::Data;
  std::vector<Entry> entries;
  bool operator==(const Footer&) const = default;
};

/// `packs/ab/<epoch as 16 hex>-<pack id hex>.pack`, ab = first byte of the id.
std::string object_name(const PackId& id, std::uint64_t store_epoch);
Result<std::pair<PackId, std::uint64_t>> parse_object_name(std::string_view name);  ///< Errors: Corrupt

/// Writes one pack front to back. One thread at a time. After the first error nothing more can be added.
class PackWriter {
 public:
  using Sink = std::function<Status(ByteSpan)>;
  /// Writes the header at the first add.
  PackWriter(PackId id, std::uint64_t store_epoch, Kind kind, Sink sink);
  /// `record` was decoded and its digest computed by the caller, once, on arrival.
  /// Errors: Limit (kMaxBlobs, kMaxBytes or kMaxFooterBytes would be passed; nothing is written, the pack can still be
  /// finished), Usage (a type that this kind of pack does not hold), what the sink says.
  Status add(ByteSpan record, const blob::RecordView& view, const Digest& record_digest);
  std::uint64_t bytes() const { return bytes_; }  ///< so far, without footer
  std::size_t blob_count() const { return footer_.entries.size(); }
  /// At its target size, or at the most blobs: close it. While it is not full, any one valid record fits.
  bool full() const;
  /// Footer and trailer; the writer must not be used again. Returns the footer and the digest in the trailer.
  struct Finished {
    Footer footer;
    Digest footer_digest;
    std::uint64_t total_bytes;
  };
  /// Errors: Usage (no blobs), what the sink says.
  Result<Finished> finish();

 private:
  Status write(ByteSpan bytes);

  Footer footer_;
  Sink sink_;
  std::uint64_t bytes_ = 0;
  std::size_t footer_bytes_;
  bool closed_ = false;  // finished, or an error came back: the file's end is not known
};

/// Reads `length` bytes at `offset`, exactly. Errors: what the store says.
using RangeReader = std::function<Result<Bytes>(std::uint64_t offset, std::uint64_t length)>;

Bytes encode_footer(const Footer& footer);
/// Untrusted bytes of the footer alone: entries known, bounded, gapless from the header on. Errors: Corrupt, Limit, TooNew.
Result<Footer> decode_footer(ByteSpan bytes);
struct ReadFooter {
  Footer footer;
  Digest footer_digest;
};
/// Header, trailer and footer of a pack of `size` bytes, digests checked, entries inside the file, ascending,
/// gapless from header to footer. Two or three range reads. Errors: Corrupt naming the fault, Limit, TooNew, the reader's.
Result<ReadFooter> read_footer(std::uint64_t size, const RangeReader& read);
/// One record, checked against entry.record_digest, the entry's ids and its child list. Errors: Corrupt, the reader's.
Result<Bytes> read_record(const Entry& entry, const RangeReader& read);

}  // namespace holdfast::pack
