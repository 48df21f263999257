#pragma once
// Why: turns a group of chunks or a manifest segment into a sealed blob record, and back. The only place where plain
// content meets a key. Body = encoding ‖ raw length ‖ chunk lengths ‖ payload ‖ padding (common/blob/FORMAT.md §3).
// Never linked by holdfastd or holdfastctl (a test shows it). Thread-safe; a Sealer belongs to one run.

#include <vector>

#include "common/blob/blob.h"
#include "common/crypto/aead.h"

namespace holdfast::sealing {

inline constexpr std::size_t kPaddingFloor = 16u << 10;
inline constexpr std::size_t kSegmentPaddingFloor = 4u << 10;  ///< of manifest segments that are stored raw
inline constexpr std::size_t kMinCompressed = 16u << 10;       ///< runs of new bytes below this are stored as they are

/// The padded length of `bytes`: multiples of 2 KiB from `floor` to kPaddingFloor, then Padmé (Nikitin et al., PETS 2019).
std::size_t padded_length(std::size_t bytes, std::size_t floor = kPaddingFloor);

struct Space {
  TenantId tenant;
  DomainId domain;
  std::uint32_t epoch = 0;
};

class Sealer {
 public:
  Sealer(Space space, RunId run, const crypto::Key& run_key, Random& random, int zstd_level = 3,
         crypto::Cipher cipher = crypto::preferred_cipher());
  /// `chunk_bytes`: length of each chunk in `raw`, in order, adding up to raw.size(); for segments: one, the whole.
  /// Returns the whole record. Errors: Limit.
  Result<Bytes> seal(blob::Type type, const BlobId& id, const std::vector<blob::BlobRef>& children, ByteSpan raw,
                     const std::vector<std::uint32_t>& chunk_bytes) const;

 private:
  Space space_;
  RunId run_;
  crypto::Key run_key_;
  Random& random_;
  int zstd_level_;
  crypto::Cipher cipher_;
};

struct OpenedBlob {
  Bytes raw;
  std::vector<std::uint32_t> chunk_bytes;
  std::vector<blob::BlobRef> children;
};
/// Read order (CRYPTO.md): bounded length, record digest (if `expected_digest`), header against `space` and `ref`, AEAD,
/// bounded decompression, lengths. Errors: Corrupt, WrongKey, TooNew.
Result<OpenedBlob> open(const Space& space, const blob::BlobRef& ref, blob::Type type, const crypto::Key& run_key,
                        ByteSpan record, const Digest* expected_digest = nullptr);

/// The core's sealed part: derive(R, "core"), AAD as in common/snapshot/records.h.
Bytes seal_part(const crypto::Key& run_key, ByteSpan associated, ByteSpan plaintext, Random& random);
Result<Bytes> open_part(const crypto::Key& run_key, ByteSpan associated, ByteSpan sealed);

}  // namespace holdfast::sealing
