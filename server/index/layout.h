#pragma once
// Why: the keys and values of the index (FORMAT.md), apart from the database that holds them.

#include <string>
#include <string_view>

#include "server/index/blob_index.h"

namespace holdfast::index {

inline constexpr std::uint64_t kLayoutVersion = 1;

// The first byte of a key says what it is. Frozen.
inline constexpr char kBlobPrefix = 'b';
inline constexpr char kDamagedPrefix = 'd';
inline constexpr char kMetaPrefix = 'm';
inline constexpr char kPackPrefix = 'p';

inline constexpr std::string_view kGenerationKey = "mgeneration";
inline constexpr std::string_view kBlobCountKey = "mblobs";
inline constexpr std::string_view kDamagedCountKey = "mdamaged";
inline constexpr std::string_view kLayoutKey = "mlayout";

/// 'b' ‖ domain ‖ epoch (big-endian) ‖ blob: what all copies of one blob have in common.
inline constexpr std::size_t kBlobPrefixBytes = 1 + DomainId::kBytes + 4 + BlobId::kBytes;
/// … ‖ pack ‖ offset (u32, big-endian): one copy. The offset tells two runs' copies in one pack apart.
inline constexpr std::size_t kBlobKeyBytes = kBlobPrefixBytes + PackId::kBytes + 4;

/// Appends to `out`.
void put_blob_prefix(std::string& out, const DomainId& domain, std::uint32_t epoch, const BlobId& blob);
/// entry.offset fits in 32 bits (pack::decode_footer's bounds; HF_ASSERT).
void put_blob_key(std::string& out, const pack::Entry& entry, const PackId& pack);
void put_blob_value(std::string& out, const pack::Entry& entry, std::uint64_t store_epoch);
/// Errors: Corrupt.
Result<Location> decode_blob(std::string_view key, std::string_view value);
/// The pack in a blob's key. Errors: Corrupt.
Result<PackId> pack_of_blob_key(std::string_view key);

std::string pack_key(char prefix, const PackId& pack);
/// Errors: Corrupt.
Result<PackId> decode_pack_key(std::string_view key);

std::string number_value(std::uint64_t number);
/// Errors: Corrupt.
Result<std::uint64_t> decode_number(std::string_view value);

}  // namespace holdfast::index
