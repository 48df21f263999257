#pragma once
// Why: a tenant's id must never be passed where a client's is meant. Ids are fixed-length binary, never paths.

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

#include "common/base/bytes.h"

namespace holdfast {

/// N bytes with a meaning. Immutable value; ordered as bytes.
template <class Tag, std::size_t N>
struct Id {
  std::array<std::uint8_t, N> bytes{};
  static constexpr std::size_t kBytes = N;

  auto operator<=>(const Id&) const = default;
  std::string hex() const { return to_hex(bytes); }
  std::string short_hex() const { return to_hex(ByteSpan(bytes).first(4)); }
  bool is_zero() const { return *this == Id{}; }
  /// Errors: Usage when the text is not exactly N bytes of hex.
  static Result<Id> from_hex(std::string_view text) {
    HF_TRY(const Bytes raw, ::holdfast::from_hex(text));
    return from_bytes(raw);
  }
  static Result<Id> from_bytes(ByteSpan raw) {
    if (raw.size() != N)
      return Error{Errc::Usage, "an id has " + std::to_string(N) + " bytes, not " + std::to_string(raw.size())};
    Id id;
    std::memcpy(id.bytes.data(), raw.data(), N);
    return id;
  }
};

using TenantId = Id<struct TenantTag, 16>;
using ClientId = Id<struct ClientTag, 16>;
using DomainId = Id<struct DomainTag, 16>;
using RunId = Id<struct RunTag, 16>;
using SessionId = Id<struct SessionTag, 16>;
using PackId = Id<struct PackTag, 16>;
using RecipientId =
    Id<struct RecipientTag, 16>;  ///< first 16 bytes of BLAKE2b-256 of the recipient's X25519 public key
using SourceId = Id<struct SourceTag, 16>;
using BlobId = Id<struct BlobTag, 32>;
using Digest = Id<struct DigestTag, 32>;        ///< BLAKE2b-256
using SnapshotId = Id<struct SnapshotTag, 32>;  ///< digest of the signed core
using PublicKey = Id<struct PublicKeyTag, 32>;  ///< Ed25519 or X25519
using Signature = Id<struct SignatureTag, 64>;  ///< Ed25519

}  // namespace holdfast

template <class Tag, std::size_t N>
struct std::hash<holdfast::Id<Tag, N>> {
  std::size_t operator()(const holdfast::Id<Tag, N>& id) const noexcept {
    std::size_t h = 0;  // ids are random or digests: any eight bytes are a good hash
    std::memcpy(&h, id.bytes.data(), sizeof h);
    return h;
  }
};
